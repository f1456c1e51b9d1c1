"""Choose the decoder, that is, the numbering (way to tell cells apart) and its threshold, on validation images."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from src.instances import Auto, Classes, Components, Decoder, Distance, Numbering, Watershed
from src.metrics.evaluator import CHOSEN_FROM, Evaluator, Metric, Probabilities, base_score, best_threshold
from src.metrics.goodness import goodness
from src.metrics.pooled import Pooled

# Parameters of numberings to try; the names that end in _WITHIN apply if there is a boundary class.
MARKERS: tuple[float, ...] = (0.5,)  # of `Watershed`
MARKERS_WITHIN = (0.0, 0.25, 0.5, 0.75)
DEPTHS: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)  # of `Distance`, in pixels
DEPTHS_WITHIN = (0.25, *DEPTHS)
SURFACES = ((1.0, False, False), (1.0, True, False), (2.0, True, False))  # smoothing, probability, whole of `Distance`
SURFACES_WITHIN = ((1.0, False, False), (1.0, True, True), (2.0, True, True))
LARGER = (2, 4)  # factors by which the configured smallest area of a cell is multiplied


@dataclass(frozen=True)
class Judged:
    """The prediction and the ground truth of a validation image.

    Attributes:
        probabilities: predicted class probabilities, ``(K, H, W)`` float32.
        target: true class of each pixel, ``(H, W)`` integers.
        instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
        known: whether each pixel is annotated, ``(H, W)`` booleans.
    """

    probabilities: np.ndarray
    target: np.ndarray
    instances: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Choice:
    """A numbering (a way to tell cells apart) with its scores on validation images.

    Attributes:
        numbering: the numbering.
        scores: score at each threshold, with thresholds as keys; NaN where there was nothing to score.
    """

    numbering: Numbering
    scores: dict[float, float]


def candidates(asked: Numbering) -> list[Numbering]:
    """Return the numberings (ways to tell cells apart) to choose from, simple ones first.

    If the configured numbering ``asked`` is not `Auto`, it is the only one returned.
    """
    if not isinstance(asked, Auto):
        return [asked]
    boundary, size, holes = asked.boundary, asked.min_size, asked.fill_holes
    markers = MARKERS if boundary is None else MARKERS_WITHIN
    depths = DEPTHS if boundary is None else DEPTHS_WITHIN
    surfaces = SURFACES if boundary is None else SURFACES_WITHIN
    return [
        Components(size, holes),
        *(Watershed(marker, boundary, size, holes) for marker in markers),
        *(
            Distance(depth, smoothing, probability, boundary, size, holes, whole)
            for smoothing, probability, whole in surfaces
            for depth in depths
        ),
    ]


def judging_score(metrics: dict[str, Metric], monitor: str) -> str:
    """Return the name of the score by which decoders are compared.

    This score is ``monitor``, unless ``monitor`` is reported as its best value over all thresholds. Then it is the
    first score that is computed from label images, if there is one.

    Args:
        metrics: metrics by name.
        monitor: the score that the run optimises.
    """
    whose = {score: metric for metric in metrics.values() for score in metric.modes}
    of_labels = [score for score, metric in whose.items() if "labels" in metric.takes]
    probable = monitor in whose and whose[monitor].best_over_thresholds
    return of_labels[0] if probable and of_labels else monitor


class Contest:
    """A comparison of decoders on validation images, in which all processes of a run take part.

    Args:
        metrics: metrics by name.
        monitor: the score that the run optimises.
        classes: number of classes (K).
        device: device on which counts are summed over processes.

    Attributes:
        score: name of the score by which decoders are compared, as `judging_score` returns it.
        mode: ``max`` if a larger score is better, ``min`` if a smaller score is better.
    """

    def __init__(
        self, metrics: dict[str, Metric], monitor: str, classes: int, device: torch.device | str = "cpu"
    ) -> None:
        self.score, self.device = judging_score(metrics, monitor), device
        judging = {name: metric for name, metric in metrics.items() if base_score(self.score) in metric.modes}
        self.evaluator = partial(Evaluator, judging, monitor=self.score, thresholds=CHOSEN_FROM, classes=classes)
        self.mode = self.evaluator().mode(self.score)

    def choose(self, images: Sequence[Judged], asked: Numbering) -> tuple[Decoder, list[Choice]]:
        """Choose the numbering (the way to tell cells apart) and its threshold.

        All `candidates` are tried at all thresholds, and then the best candidate with larger values of ``min_size``. In
        a tie, the first candidate wins, which is the simplest.

        Args:
            images: validation images of this process.
            asked: the numbering that ``instances=`` configures.

        Returns:
            The best decoder, and all numberings that were tried with their scores.
        """
        found = self.judge(images, candidates(asked))
        chosen = best_of(found, self.mode)
        numbering = chosen.numbering
        if isinstance(asked, Auto) and asked.min_size and not isinstance(numbering, Classes):
            found += self.judge(images, [replace(numbering, min_size=times * asked.min_size) for times in LARGER])
            chosen = best_of(found, self.mode)
        return Decoder(chosen.numbering, best_threshold(chosen.scores, self.mode)), found

    def judge(self, images: Sequence[Judged], ways: Sequence[Numbering]) -> list[Choice]:
        """Score each numbering in ``ways`` at all thresholds on the validation images of all processes.

        Args:
            images: validation images of this process.
            ways: the numberings, which are the same in all processes.
        """
        contest = [Pooled(self.evaluator()).to(self.device) for _ in ways]

        def count(way: Numbering, pooled: Pooled) -> None:
            for each in images:
                prediction = Probabilities(each.probabilities, way)
                pooled.update(prediction, each.target, each.instances, each.known)

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(count, ways, contest))
        for pooled in contest:
            pooled.compute()
        return [Choice(way, pooled.sweep) for way, pooled in zip(ways, contest, strict=True)]


def best_of(choices: Sequence[Choice], mode: str) -> Choice:
    """Return the choice with the best score at its best threshold; in a tie, the first of the best.

    Args:
        choices: numberings with their scores.
        mode: ``max`` if a larger score is better, ``min`` if a smaller score is better.
    """
    return max(choices, key=lambda choice: max(goodness(score, mode) for score in choice.scores.values()))
