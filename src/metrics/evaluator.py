"""Scores of a set of images, at the thresholds that each metric requires."""

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

THRESHOLDS = tuple(step / 10 for step in range(10))  # those of the official scorer of the ISBI-2012 challenge
CHOSEN_FROM = THRESHOLDS[1:]  # for label images: at 0, everything is foreground


@dataclass(frozen=True)
class Probabilities:
    """A prediction as probabilities; metrics derive classes and cells from it.

    Attributes:
        values: class probabilities, ``(K, H, W)`` float32.
        segment: computes a label image, ``(H, W)`` integers, from ``values`` and a threshold.
        known: pixels to score, ``(H, W)`` booleans; None scores all.
    """

    values: np.ndarray
    segment: Callable[[np.ndarray, float], np.ndarray]
    known: np.ndarray | None = None

    def within(self, known: np.ndarray) -> "Probabilities":
        """The same prediction with class 0 where ``known`` is False, ``(H, W)``.

        Cells are segmented in the whole image, as they are written to files, and masked afterwards.
        """
        return replace(self, known=known)

    def cell(self, threshold: float) -> np.ndarray:
        """Probability of not being class 0, ``(H, W)``."""
        return self._cut(cell_probability(self.values))

    def classes(self, threshold: float) -> np.ndarray:
        """Class of each pixel ``(H, W)``, as `instances.classes` computes it."""
        return self._cut(classes(self.values, threshold))

    def labels(self, threshold: float) -> np.ndarray:
        """Cell of each pixel, ``(H, W)``."""
        return self._cut(self.segment(self.values, threshold))

    def _cut(self, image: np.ndarray) -> np.ndarray:
        return image if self.known is None else np.where(self.known, image, image.dtype.type(0))


@dataclass(frozen=True)
class Labels:
    """A prediction as a label image, the same at any threshold.

    Attributes:
        values: class or cell of each pixel, ``(H, W)``; 0 = background.
    """

    values: np.ndarray

    def within(self, known: np.ndarray) -> "Labels":
        """The same prediction with 0 where ``known`` is False, ``(H, W)``."""
        return Labels(np.where(known, self.values, 0))

    def cell(self, threshold: float) -> np.ndarray:
        """1 in cells, 0 in the background, ``(H, W)`` float32."""
        return (self.values > 0).astype(np.float32)

    def classes(self, threshold: float) -> np.ndarray:
        """Class of each pixel, ``(H, W)``."""
        return self.values

    def labels(self, threshold: float) -> np.ndarray:
        """Cell of each pixel, ``(H, W)``; for a mask of 0 and 1, its components."""
        return numbered(self.values)


Prediction = Probabilities | Labels
PREDICTED = ("cell", "classes", "labels")
Sums = dict[str, np.ndarray]  # counts; the key is index of the metric, index of the threshold and name of the count


class Metric(Protocol):
    """Counts something in each image, and computes scores from the sums over images.

    Attributes:
        takes: names of the arguments of `count`: ``cell``, ``classes``, ``labels`` (from the prediction), ``target``,
            ``instances``, ``known`` (from the ground truth) and ``threshold``.
        modes: score → whether ``max`` or ``min`` is better.
        best_over_thresholds: whether each score is the best over all thresholds, as the ISBI-2012 challenge reports
            it; if not, it is the score at the threshold that was chosen on validation images.
        nothing: initial counts, before the first image.
    """

    takes: tuple[str, ...]
    modes: dict[str, str]
    best_over_thresholds: bool
    nothing: dict[str, np.ndarray]

    def count(self, **images: np.ndarray | float) -> dict[str, np.ndarray]:
        """Counts of one image; takes the arguments that `takes` names."""
        ...

    def scores(self, **sums: np.ndarray) -> dict[str, float]:
        """Scores from summed counts; takes the keys of `nothing` as arguments."""
        ...


class Evaluator:
    """Sums the counts of metrics image by image, each at the thresholds that it requires.

    Args:
        metrics: name → metric.
        threshold: threshold of all scores that are not the best over thresholds; None chooses it by ``monitor``.
        monitor: the score by which the threshold is chosen.
        thresholds: the thresholds to try.
        classes: number of classes (K), to check the class in ``monitor``.

    Attributes:
        sums: counts of all images so far.

    Raises:
        ValueError: no metric has a score named ``monitor``, or both ``threshold`` and ``monitor`` are missing.
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
        """Whether ``max`` or ``min`` of a score is better.

        Raises:
            ValueError: no metric has this score, or there is no such class.
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
        """Counts of no image."""
        return {
            f"{place}_{step}_{name}": zeros.copy()
            for place, (metric, sweep) in enumerate(zip(self.metrics, self.sweeps, strict=True))
            for step in range(len(sweep))
            for name, zeros in metric.nothing.items()
        }

    def counts(
        self, prediction: Prediction, target: np.ndarray, instances: np.ndarray, known: np.ndarray | None = None
    ) -> Sums:
        """Counts of one image.

        Args:
            prediction: `Probabilities` or `Labels`.
            target: true class of each pixel, ``(H, W)`` integers.
            instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
            known: where the image is annotated, ``(H, W)`` booleans; only there it is scored. None: everywhere.
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
        """Add an image, with the arguments of `counts`, and return its own scores."""
        counted = self.counts(prediction, target, instances, known)
        for name, count in counted.items():
            self.sums[name] += count
        return self.of_image(counted)

    def of_image(self, counted: Sums) -> dict[str, float]:
        """The scores of one image."""
        return {name: score for name, score in self._best(counted).items() if not name.endswith(PER_IMAGE)}

    def compute(self, sums: Sums | None = None) -> dict[str, float]:
        """The scores of all images together, or of ``sums``; ``monitor`` is nan if there was nothing to score."""
        scores = self._best(self.sums if sums is None else sums)
        return scores if self.monitor is None else scores | {self.monitor: scores.get(self.monitor, math.nan)}

    def chosen_threshold(self, sums: Sums | None = None) -> float | None:
        """The given threshold, or the one at which ``monitor`` is best; of several, the middle one."""
        return self._chosen(self._rows(self.sums if sums is None else sums))

    def over_thresholds(self, sums: Sums | None = None) -> dict[float, float]:
        """Threshold → ``monitor``, nan where there was nothing to score; empty without ``monitor``."""
        return self._over_thresholds(self._rows(self.sums if sums is None else sums), self.monitor)

    def reset(self) -> None:
        """Forget all images."""
        self.sums = self.nothing()

    def _rows(self, sums: Sums) -> list[list[dict[str, float]]]:
        """The scores of each metric at each of its thresholds."""
        return [
            [
                metric.scores(**{name: sums[f"{place}_{step}_{name}"] for name in metric.nothing})
                for step in range(len(sweep))
            ]
            for place, (metric, sweep) in enumerate(zip(self.metrics, self.sweeps, strict=True))
        ]

    def _best(self, sums: Sums) -> dict[str, float]:
        """The scores to report: each at its best threshold, or at the chosen one."""
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
    """The threshold at which a score is best; of several, the middle one."""
    ranks = {threshold: goodness(score, mode) for threshold, score in scores.items()}
    best = [threshold for threshold, rank in ranks.items() if rank == max(ranks.values())]
    return best[len(best) // 2]


def base_score(score: str) -> str:
    """Strip the ending for one class or for the mean over images from the name of a score."""
    return re.sub(f"{OF_CLASS}|{PER_IMAGE}$", "", score)
