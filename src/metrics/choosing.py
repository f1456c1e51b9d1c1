"""Choose the decoder, numbering and threshold, by its score on validation images."""

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

# Parameters to try; those that end in _WITHIN where there is a boundary class.
MARKERS: tuple[float, ...] = (0.5,)  # of `Watershed`
MARKERS_WITHIN = (0.0, 0.25, 0.5, 0.75)
DEPTHS: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)  # of `Distance`, in pixels
DEPTHS_WITHIN = (0.25, *DEPTHS)
SURFACES = ((1.0, False, False), (1.0, True, False), (2.0, True, False))  # smoothing, probability, whole
SURFACES_WITHIN = ((1.0, False, False), (1.0, True, True), (2.0, True, True))
LARGER = (2, 4)  # factors of the smallest area of a cell


@dataclass(frozen=True)
class Judged:
    """A validation image: prediction and ground truth.

    Attributes:
        probabilities: class probabilities, ``(K, H, W)`` float32.
        target: true class of each pixel, ``(H, W)`` integers.
        instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
        known: where the image is annotated, ``(H, W)`` booleans.
    """

    probabilities: np.ndarray
    target: np.ndarray
    instances: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Choice:
    """A candidate with its scores.

    Attributes:
        numbering: one of `candidates`.
        scores: threshold → the score that decides; nan where there was nothing to score.
    """

    numbering: Numbering
    scores: dict[float, float]


def candidates(asked: Numbering) -> list[Numbering]:
    """The numberings to choose from, simple ones first; only ``asked`` itself unless it is `Auto`."""
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
    """The score that decides between decoders.

    This is ``monitor``, unless that is a best score over all thresholds: then it is the first score of label images.
    """
    whose = {score: metric for metric in metrics.values() for score in metric.modes}
    of_labels = [score for score, metric in whose.items() if "labels" in metric.takes]
    probable = monitor in whose and whose[monitor].best_over_thresholds
    return of_labels[0] if probable and of_labels else monitor


class Contest:
    """Compares decoders on validation images; all processes of a run call it together.

    Args:
        metrics: name → metric.
        monitor: the score to optimise.
        classes: number of classes (K).
        device: device on which sums are reduced over processes.

    Attributes:
        score: the score that decides, as `judging_score` returns it.
        mode: whether ``max`` or ``min`` of it is better.
    """

    def __init__(
        self, metrics: dict[str, Metric], monitor: str, classes: int, device: torch.device | str = "cpu"
    ) -> None:
        self.score, self.device = judging_score(metrics, monitor), device
        judging = {name: metric for name, metric in metrics.items() if base_score(self.score) in metric.modes}
        self.evaluator = partial(Evaluator, judging, monitor=self.score, thresholds=CHOSEN_FROM, classes=classes)
        self.mode = self.evaluator().mode(self.score)

    def choose(self, images: Sequence[Judged], asked: Numbering) -> tuple[Decoder, list[Choice]]:
        """Choose a numbering and its threshold.

        All `candidates` are tried at all thresholds, then the best of them with larger ``min_size``. The first one,
        which is the simplest, wins a tie.

        Args:
            images: validation images of this process.
            asked: the numbering that ``instances=`` configures.

        Returns:
            The best decoder, and the scores of all candidates.
        """
        found = self.judge(images, candidates(asked))
        chosen = best_of(found, self.mode)
        numbering = chosen.numbering
        if isinstance(asked, Auto) and asked.min_size and not isinstance(numbering, Classes):
            found += self.judge(images, [replace(numbering, min_size=times * asked.min_size) for times in LARGER])
            chosen = best_of(found, self.mode)
        return Decoder(chosen.numbering, best_threshold(chosen.scores, self.mode)), found

    def judge(self, images: Sequence[Judged], ways: Sequence[Numbering]) -> list[Choice]:
        """Score each numbering on the images of all processes."""
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
    """The choice with the best score at its best threshold; the first one of a tie.

    Args:
        choices: as `Contest` returns them.
        mode: whether ``max`` or ``min`` of the score is better.
    """
    return max(choices, key=lambda choice: max(goodness(score, mode) for score in choice.scores.values()))
