"""Scores of a set of images, over the thresholds that each metric asks for."""

import difflib
import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from src.metrics.instance import numbered
from src.metrics.semantic import MOST_CLASSES, OF_CLASS, PER_IMAGE, Semantic

THRESHOLDS = tuple(step / 10 for step in range(10))  # those of the ISBI-2012 challenge's scorer


@dataclass(frozen=True)
class Probabilities:
    """A prediction as probabilities, from which each metric takes what it judges.

    Attributes:
        values: of each class, ``(K, H, W)`` float32.
        segment: numbers the cells: a function of ``values`` and a threshold that gives ``(H, W)`` integers.
    """

    values: np.ndarray
    segment: Callable[[np.ndarray, float], np.ndarray]

    def within(self, known: np.ndarray) -> "Probabilities":
        """The same with nothing but class 0 where ``known`` is False, ``(H, W)``."""
        background = np.zeros((len(self.values), 1), self.values.dtype)
        background[0] = 1
        values = self.values.copy()
        values[:, ~known] = background
        return replace(self, values=values)

    def cell(self, threshold: float) -> np.ndarray:
        """Probability of not being class 0, ``(H, W)``."""
        return self.values[1] if len(self.values) == 2 else 1 - self.values[0]

    def classes(self, threshold: float) -> np.ndarray:
        """Class of each pixel ``(H, W)``: of two, class 1 above the threshold; of more, the most probable."""
        if len(self.values) == 2:
            return (self.values[1] > threshold).astype(np.uint8)
        return self.values.argmax(axis=0)

    def labels(self, threshold: float) -> np.ndarray:
        """Cell of each pixel, ``(H, W)``."""
        return self.segment(self.values, threshold)


@dataclass(frozen=True)
class Labels:
    """A prediction as integers, the same at any threshold.

    Attributes:
        values: class or cell of each pixel, ``(H, W)``; 0 is background.
    """

    values: np.ndarray

    def within(self, known: np.ndarray) -> "Labels":
        """The same with nothing but class 0 where ``known`` is False, ``(H, W)``."""
        return Labels(np.where(known, self.values, 0))

    def cell(self, threshold: float) -> np.ndarray:
        """1 in cells, 0 in the background, ``(H, W)`` float32."""
        return (self.values > 0).astype(np.float32)

    def classes(self, threshold: float) -> np.ndarray:
        """Class of each pixel, ``(H, W)``."""
        return self.values

    def labels(self, threshold: float) -> np.ndarray:
        """Cell of each pixel, ``(H, W)``; of a mask of 0 and 1 its components."""
        return numbered(self.values)


Prediction = Probabilities | Labels
PREDICTED = {"cell", "classes", "labels"}


class Evaluator(torch.nn.Module):
    """Adds up metrics image by image, each at the thresholds that it asks for.

    A metric is a `torchmetrics.Metric` whose `update` takes some of ``cell``, ``classes``, ``labels``
    (of the prediction), ``target``, ``instances``, ``known`` (of the truth) and ``threshold``, and whose `compute`
    returns scores by name. Its ``modes`` say of each score whether ``max`` or ``min`` is better. With
    ``best_over_thresholds`` each score is the best over all thresholds, as the ISBI-2012 challenge
    reports it; otherwise it is that at the one threshold that was chosen on validation slices.

    Args:
        metrics: by any name.
        threshold: the chosen one; None if these images are to choose it.
        monitor: the score that chooses.
        thresholds: those to choose from.
        classes: number of classes (K), so that ``monitor`` is of one of them.

    Raises:
        ValueError: no metric gives a score named ``monitor``, or nothing says which threshold to report.
    """

    def __init__(
        self,
        metrics: dict[str, Metric],
        threshold: float | None = None,
        monitor: str | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        classes: int = MOST_CLASSES,
    ):
        super().__init__()
        self.threshold, self.monitor, self.classes = threshold, monitor, classes
        self.modes = {score: mode for metric in metrics.values() for score, mode in metric.modes.items()}
        if monitor is not None:
            self.mode(monitor)
        elif threshold is None and not all(metric.best_over_thresholds for metric in metrics.values()):
            raise ValueError("expected a threshold, or a score to choose it by (monitor), but got neither")
        self.sweeps = [
            (threshold,) if threshold is not None and not metric.best_over_thresholds else tuple(thresholds)
            for metric in metrics.values()
        ]
        self.metrics = torch.nn.ModuleList(
            torch.nn.ModuleList(metric.clone() for _ in sweep)
            for metric, sweep in zip(metrics.values(), self.sweeps, strict=True)
        )

    def mode(self, score: str) -> str:
        """Whether ``max`` or ``min`` of a score is better.

        Raises:
            ValueError: no metric gives it, or there is no such class.
        """
        name = _without_ending(score)
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

    def update(
        self, prediction: Prediction, target: np.ndarray, instances: np.ndarray, known: np.ndarray | None = None
    ) -> dict[str, float]:
        """Add an image.

        Args:
            prediction: `Probabilities` or `Labels`.
            target: true class of each pixel, ``(H, W)`` integers.
            instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
            known: where the truth is known, ``(H, W)`` booleans; elsewhere nothing is scored. None: everywhere.

        Returns:
            The scores of this image alone.
        """
        if known is None:
            known = np.ones(target.shape, bool)
        elif not known.all():
            prediction, target, instances = prediction.within(known), target * known, instances * known
        truth = {"target": target, "instances": instances, "known": known}
        rows = []
        for clones, sweep in zip(self.metrics, self.sweeps, strict=True):
            asked = inspect.signature(type(clones[0]).update).parameters
            row = []
            for metric, threshold in zip(clones, sweep, strict=True):
                images = {name: _tensor(image) for name, image in truth.items() if name in asked}
                for name in PREDICTED & asked.keys():
                    images[name] = _tensor(getattr(prediction, name)(threshold))
                given = {name: image.to(metric.device)[None] for name, image in images.items()}
                row.append(metric(**given, **({"threshold": threshold} if "threshold" in asked else {})))
            rows.append(row)
        return {name: score for name, score in self._best(rows).items() if not name.endswith(PER_IMAGE)}

    def compute(self) -> dict[str, float]:
        """The scores of all images together; ``monitor`` is nan where there was nothing to score, as of a class."""
        scores = self._best(self._rows())
        return scores if self.monitor is None else scores | {self.monitor: scores.get(self.monitor, math.nan)}

    def chosen_threshold(self) -> float:
        """The given threshold, or else that at which ``monitor`` is best; the middle one of several."""
        return self._chosen(self._rows())

    def reset(self) -> None:
        """Forget all images."""
        for clones in self.metrics:
            for metric in clones:
                metric.reset()

    def _rows(self) -> list[list[dict[str, Tensor]]]:
        return [[metric.compute() for metric in clones] for clones in self.metrics]

    def _best(self, rows: list[list[dict[str, Tensor]]]) -> dict[str, float]:
        """Of scores of each metric at each of its thresholds, those to report."""
        chosen, reported = self._chosen(rows), {}
        for clones, sweep, row in zip(self.metrics, self.sweeps, rows, strict=True):
            if clones[0].best_over_thresholds:
                reported |= {name: max((scores[name] for scores in row), key=self._rank(name)) for name in row[0]}
            else:
                reported |= row[sweep.index(chosen)]
        return {name: score.item() for name, score in reported.items()}

    def _chosen(self, rows: list[list[dict[str, Tensor]]]) -> float | None:
        if self.threshold is not None or self.monitor is None:
            return self.threshold
        sweep, row = next(
            (sweep, row)
            for clones, sweep, row in zip(self.metrics, self.sweeps, rows, strict=True)
            if _without_ending(self.monitor) in clones[0].modes
        )
        ranks = [self._rank(self.monitor)(scores.get(self.monitor, math.nan)) for scores in row]
        best = [threshold for threshold, rank in zip(sweep, ranks, strict=True) if rank == max(ranks)]
        return best[len(best) // 2]

    def _rank(self, name: str) -> Callable[[float], float]:
        """Turns a score into a number of which the largest is best; nan, which says nothing, is worst."""
        sign = 1 if self.mode(name) == "max" else -1
        return lambda score: -math.inf if math.isnan(score) else sign * float(score)


def _without_ending(score: str) -> str:
    """The score of which ``score`` is the part for one class, or the mean over images."""
    return re.sub(f"{OF_CLASS}|{PER_IMAGE}$", "", score)


def _tensor(image: np.ndarray) -> Tensor:
    """Unsigned integers as signed ones, because torch computes with few of the others; in as few bytes as hold them."""
    if image.dtype.kind == "u" and image.dtype.itemsize > 1:
        image = image.astype(np.int32 if image.max() < 2**31 else np.int64)
    return torch.as_tensor(image)
