"""Scores of a set of images, computed from counts that are summed over the images, at all required thresholds."""

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from src.instances import cell_probability, classes, numbered
from src.metrics.goodness import OF_CLASS, PER_IMAGE, goodness
from src.metrics.semantic import MOST_CLASSES, Semantic

THRESHOLDS = tuple(step / 10 for step in range(10))  # as in the official scorer of the ISBI-2012 challenge
CHOSEN_FROM = THRESHOLDS[1:]  # thresholds to try for label images: at 0, everything would be foreground


@dataclass(frozen=True)
class Probabilities:
    """A prediction in the form of class probabilities, from which metrics derive classes and cells.

    Attributes:
        values: class probabilities, ``(K, H, W)`` float32.
        segment: computes a label image of cells, ``(H, W)`` integers, from ``values`` and a threshold.
        known: whether to score each pixel, ``(H, W)`` booleans; None scores all pixels.
    """

    values: np.ndarray
    segment: Callable[[np.ndarray, float], np.ndarray]
    known: np.ndarray | None = None

    def within(self, known: np.ndarray) -> "Probabilities":
        """Return the same prediction with class 0 in all pixels for which ``known``, ``(H, W)`` booleans, is False.

        Cells are still segmented in the whole image, as for files of predictions, and masked afterwards.
        """
        return replace(self, known=known)

    def cell(self, threshold: float) -> np.ndarray:
        """Return the probability ``(H, W)`` of any class but class 0 at each pixel; ``threshold`` has no effect."""
        return self._cut(cell_probability(self.values))

    def classes(self, threshold: float) -> np.ndarray:
        """Return the class of each pixel, ``(H, W)`` integers, as `instances.classes` computes it."""
        return self._cut(classes(self.values, threshold))

    def labels(self, threshold: float) -> np.ndarray:
        """Return the cell of each pixel at a threshold, ``(H, W)`` integers, 0 = background."""
        return self._cut(self.segment(self.values, threshold))

    def _cut(self, image: np.ndarray) -> np.ndarray:
        return image if self.known is None else np.where(self.known, image, image.dtype.type(0))


@dataclass(frozen=True)
class Labels:
    """A prediction in the form of a label image, which is the same at any threshold.

    Attributes:
        values: class or cell of each pixel, ``(H, W)`` integers, 0 = background.
    """

    values: np.ndarray

    def within(self, known: np.ndarray) -> "Labels":
        """Return the same prediction with 0 in all pixels for which ``known``, ``(H, W)`` booleans, is False."""
        return Labels(np.where(known, self.values, 0))

    def cell(self, threshold: float) -> np.ndarray:
        """Return a float32 image ``(H, W)`` that is 1 in cells (or foreground classes) and 0 in the background."""
        return (self.values > 0).astype(np.float32)

    def classes(self, threshold: float) -> np.ndarray:
        """Return the label image as the class of each pixel, ``(H, W)``."""
        return self.values

    def labels(self, threshold: float) -> np.ndarray:
        """Return the cell of each pixel, ``(H, W)``; in a mask of 0 and 1, each connected component is a cell."""
        return numbered(self.values)


Prediction = Probabilities | Labels
PREDICTED = ("cell", "classes", "labels")
Sums = dict[str, np.ndarray]  # counts; a key consists of the metric's index, the threshold's index and a name


class Metric(Protocol):
    """A metric, which counts something in each image and computes scores from counts that are summed over images.

    Attributes:
        takes: names of the arguments of `count`, of which ``cell``, ``classes`` and ``labels`` come from the
            prediction, ``target``, ``instances`` and ``known`` from the ground truth; ``threshold`` is a number.
        modes: ``max`` or ``min``, whichever is better, by name of the score.
        best_over_thresholds: whether to report each score at the threshold at which it is best, as the ISBI-2012
            challenge does; otherwise, scores are reported at the threshold that was chosen on validation images.
        nothing: the counts before the first image (zeros), by name.
    """

    takes: tuple[str, ...]
    modes: dict[str, str]
    best_over_thresholds: bool
    nothing: dict[str, np.ndarray]

    def count(self, **images: np.ndarray | float) -> dict[str, np.ndarray]:
        """Return the counts of one image, with the keys of `nothing`; the arguments have the names in `takes`."""
        ...

    def scores(self, **sums: np.ndarray) -> dict[str, float]:
        """Compute scores, by name, from counts summed over images; the arguments have the names in `nothing`."""
        ...


class Evaluator:
    """Evaluation of images one by one: sums the counts of metrics over images and computes scores from the sums.

    Args:
        metrics: metrics by name.
        threshold: threshold for all metrics without `Metric.best_over_thresholds`; None chooses it by ``monitor``.
        monitor: name of the score by which the threshold is chosen.
        thresholds: thresholds to try.
        classes: number of classes (K), to check the class in the name ``monitor``.

    Attributes:
        sums: counts summed over all images so far.

    Raises:
        ValueError: no metric has a score named ``monitor``, or both ``threshold`` and ``monitor`` are needed but None.
    """

    def __init__(
        self,
        metrics: dict[str, Metric],
        threshold: float | None = None,
        monitor: str | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        classes: int = MOST_CLASSES,
    ) -> None:
        self.metrics = list(metrics.values())
        self.threshold, self.monitor, self.classes = threshold, monitor, classes
        self.modes = {score: mode for metric in self.metrics for score, mode in metric.modes.items()}
        if monitor is not None:
            self.mode(monitor)
        elif threshold is None and not all(metric.best_over_thresholds for metric in self.metrics):
            raise ValueError("expected a threshold, or a score to choose it by (monitor), but got neither")
        self.sweeps = [
            (threshold,) if threshold is not None and not metric.best_over_thresholds else tuple(thresholds)
            for metric in self.metrics
        ]
        self.reset()

    def mode(self, score: str) -> str:
        """Return ``max`` if a larger score is better, or ``min`` if a smaller score is better.

        Raises:
            ValueError: no metric has a score of this name, or the class in the name does not exist.
        """
        name = base_score(score)
        if name not in self.modes or (score != name and name not in Semantic.modes):
            nearest = ", ".join(difflib.get_close_matches(name, self.modes, n=1) or self.modes)
            raise ValueError(f"expected monitor to be a score of metrics, but got {score}; nearest valid: {nearest}")
        of_class = re.search(OF_CLASS, score)
        if of_class and int(of_class[1]) >= self.classes:
            raise ValueError(
                f"expected monitor to be a score of class 0 to {self.classes - 1}, but got {score}; "
                f"nearest valid: {name}_class_{self.classes - 1}"
            )
        return self.modes[name]

    def nothing(self) -> Sums:
        """Return the counts of all metrics before the first image, which are zeros."""
        return {
            f"{place}_{step}_{name}": zeros.copy()
            for place, (metric, sweep) in enumerate(zip(self.metrics, self.sweeps, strict=True))
            for step in range(len(sweep))
            for name, zeros in metric.nothing.items()
        }

    def counts(
        self, prediction: Prediction, target: np.ndarray, instances: np.ndarray, known: np.ndarray | None = None
    ) -> Sums:
        """Return the counts of all metrics, at all required thresholds, for one image.

        Args:
            prediction: prediction for the image.
            target: true class of each pixel, ``(H, W)`` integers.
            instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
            known: whether each pixel is annotated, ``(H, W)`` booleans; other pixels are not scored. None scores all.
        """
        if known is None:
            known = np.ones(target.shape, bool)
        elif not known.all():
            prediction, target, instances = prediction.within(known), target * known, instances * known
        truth = {"target": target, "instances": instances, "known": known}
        found: Sums = {}
        for place, (metric, sweep) in enumerate(zip(self.metrics, self.sweeps, strict=True)):
            for step, threshold in enumerate(sweep):
                images = truth | {"threshold": threshold}
                images |= {name: getattr(prediction, name)(threshold) for name in PREDICTED if name in metric.takes}
                counted = metric.count(**{name: images[name] for name in metric.takes})
                found |= {
                    f"{place}_{step}_{name}": counted[name].astype(zeros.dtype)
                    for name, zeros in metric.nothing.items()
                }
        return found

    def update(
        self, prediction: Prediction, target: np.ndarray, instances: np.ndarray, known: np.ndarray | None = None
    ) -> dict[str, float]:
        """Add the counts of an image to `sums`, and return the scores of this image (arguments as in `counts`)."""
        counted = self.counts(prediction, target, instances, known)
        for name, count in counted.items():
            self.sums[name] += count
        return self.of_image(counted)

    def of_image(self, counted: Sums) -> dict[str, float]:
        """Compute the scores of one image, by name, from the counts of the image."""
        return {name: score for name, score in self._best(counted).items() if not name.endswith(PER_IMAGE)}

    def compute(self, sums: Sums | None = None) -> dict[str, float]:
        """Compute the scores, by name, from counts summed over images; None uses the counts of all images so far.

        The score ``monitor`` is NaN if there was nothing to score.
        """
        scores = self._best(self.sums if sums is None else sums)
        return scores if self.monitor is None else scores | {self.monitor: scores.get(self.monitor, math.nan)}

    def chosen_threshold(self, sums: Sums | None = None) -> float | None:
        """Return the fixed threshold of the evaluator or, if it has none, the threshold at which ``monitor`` is best.

        If several thresholds are equally good, return the middle one; if ``monitor`` is None, return None. The score
        is computed from counts summed over images; if ``sums`` is None, over all images so far.
        """
        return self._chosen(self._rows(self.sums if sums is None else sums))

    def over_thresholds(self, sums: Sums | None = None) -> dict[float, float]:
        """Return the monitored score at each threshold: NaN if nothing was scored; empty if nothing is monitored."""
        return self._over_thresholds(self._rows(self.sums if sums is None else sums), self.monitor)

    def reset(self) -> None:
        """Set all counts in `sums` to zero, as before the first image."""
        self.sums = self.nothing()

    def _rows(self, sums: Sums) -> list[list[dict[str, float]]]:
        """Compute the scores, by name, of each metric (outer list) at each of its thresholds (inner list)."""
        return [
            [
                metric.scores(**{name: sums[f"{place}_{step}_{name}"] for name in metric.nothing})
                for step in range(len(sweep))
            ]
            for place, (metric, sweep) in enumerate(zip(self.metrics, self.sweeps, strict=True))
        ]

    def _best(self, sums: Sums) -> dict[str, float]:
        """Compute the scores to report, each at its own best threshold or at the chosen threshold."""
        rows = self._rows(sums)
        threshold = self._chosen(rows)
        reported: dict[str, float] = {}
        for metric, sweep, row in zip(self.metrics, self.sweeps, rows, strict=True):
            if metric.best_over_thresholds:
                reported |= {
                    name: max((scores[name] for scores in row), key=partial(self._goodness, name)) for name in row[0]
                }
            else:
                reported |= row[sweep.index(threshold)]
        return {name: score.item() if isinstance(score, np.generic) else score for name, score in reported.items()}

    def _chosen(self, rows: list[list[dict[str, float]]]) -> float | None:
        if self.threshold is not None or self.monitor is None:
            return self.threshold
        return best_threshold(self._over_thresholds(rows, self.monitor), self.mode(self.monitor))

    def _over_thresholds(self, rows: list[list[dict[str, float]]], score: str | None) -> dict[float, float]:
        if score is None:
            return {}
        place = next(place for place, each in enumerate(self.metrics) if base_score(score) in each.modes)
        found = (float(scores.get(score, math.nan)) for scores in rows[place])
        return dict(zip(self.sweeps[place], found, strict=True))

    def _goodness(self, name: str, score: float | None) -> float:
        return goodness(score, self.mode(name))


def best_threshold(scores: dict[float, float], mode: str) -> float:
    """Return the threshold at which a score is best; if there are several, the middle one.

    Args:
        scores: score at each threshold, with thresholds as keys.
        mode: ``max`` if a larger score is better, ``min`` if a smaller score is better.
    """
    ranks = {threshold: goodness(score, mode) for threshold, score in scores.items()}
    best = [threshold for threshold, rank in ranks.items() if rank == max(ranks.values())]
    return best[len(best) // 2]


def base_score(score: str) -> str:
    """Return the name of a score without the ending for one class or for the mean over images."""
    return re.sub(f"{OF_CLASS}|{PER_IMAGE}$", "", score)
