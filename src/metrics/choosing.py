"""How cells are numbered, and above which probability: chosen on validation slices, by a score."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from src.instances import Auto, Components, Decoder, Distance, Numbering, Watershed
from src.metrics.evaluator import CHOSEN_FROM, Evaluator, Metric, Probabilities, base_score, best_threshold
from src.metrics.goodness import goodness
from src.metrics.pooled import Pooled

MARKERS = (0.5,)  # of a watershed …
MARKERS_WITHIN = (0.0, 0.25, 0.5, 0.75)  # … and of one by a class of boundaries
DEPTHS = (0.5, 1.0, 2.0, 4.0)  # pixels
DEPTHS_WITHIN = (0.25, *DEPTHS)
# Smoothing in pixels, whether the probability counts, and whether the distance is that to the background alone.
LANDSCAPES = ((1.0, False, False), (1.0, True, False), (2.0, True, False))
LANDSCAPES_WITHIN = ((1.0, False, False), (1.0, True, True), (2.0, True, True))
LARGER = (2, 4)  # times the smallest cell


@dataclass(frozen=True)
class Judged:
    """A slice that chooses: what was predicted, and what is true.

    Attributes:
        probabilities: of each class, ``(K, H, W)`` float32.
        target: true class of each pixel, ``(H, W)`` integers.
        instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
        known: where the truth is known, ``(H, W)`` booleans.
    """

    probabilities: np.ndarray
    target: np.ndarray
    instances: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Choice:
    """A way of numbering, and how well it did.

    Attributes:
        numbering: one of `candidates`.
        scores: the score that chooses, by threshold; nan where there was nothing to score.
    """

    numbering: Numbering
    scores: dict[float, float]


def candidates(asked: Numbering) -> list[Numbering]:
    """The ways of numbering to choose from, the simpler ones first: of all but `Auto` the one that it is."""
    if not isinstance(asked, Auto):
        return [asked]
    size = {"min_size": asked.min_size, "fill_holes": asked.fill_holes}
    markers, depths, landscapes = (MARKERS_WITHIN, DEPTHS_WITHIN, LANDSCAPES_WITHIN)
    if asked.boundary is None:
        markers, depths, landscapes = (MARKERS, DEPTHS, LANDSCAPES)
    parted = {"boundary": asked.boundary, **size}
    narrow = [
        Distance(depth, smoothing, probability, whole=whole, **parted)
        for smoothing, probability, whole in landscapes
        for depth in depths
    ]
    return [Components(**size), *(Watershed(marker, **parted) for marker in markers), *narrow]


def judging_score(metrics: dict[str, Metric], monitor: str) -> str:
    """The score by which label images are chosen.

    It is ``monitor``; or if that is of probabilities, the best over all thresholds, the first one of label images.
    """
    whose = {score: metric for metric in metrics.values() for score in metric.modes}
    of_labels = [score for score, metric in whose.items() if "labels" in metric.takes]
    probable = monitor in whose and whose[monitor].best_over_thresholds
    return of_labels[0] if probable and of_labels else monitor


class Contest:
    """Ways of numbering cells, held against each other on slices; all processes of a run call it together.

    Args:
        metrics: by name.
        monitor: the score that is to be best.
        classes: number of classes (K).
        device: where processes add up.

    Attributes:
        score: that chooses, as `judging_score` says.
        mode: whether ``max`` or ``min`` of it is better.
    """

    def __init__(
        self, metrics: dict[str, Metric], monitor: str, classes: int, device: torch.device | str = "cpu"
    ) -> None:
        self.score, self.device = judging_score(metrics, monitor), device
        judging = {name: metric for name, metric in metrics.items() if base_score(self.score) in metric.modes}
        options = {"monitor": self.score, "thresholds": CHOSEN_FROM, "classes": classes}
        self.evaluator = partial(Evaluator, judging, **options)
        self.mode = self.evaluator().mode(self.score)

    def choose(self, slices: Sequence[Judged], asked: Numbering) -> tuple[Decoder, list[Choice]]:
        """Choose how cells are numbered, and the threshold with it; and say how all candidates did.

        First all of `candidates` at all thresholds, then the best one with larger smallest cells. Of equals the first,
        which is the simplest, is taken.

        Args:
            slices: of this process.
            asked: what ``instances=`` says.
        """
        found = self.judge(slices, candidates(asked))
        chosen = best_of(found, self.mode)
        if isinstance(asked, Auto) and asked.min_size:
            larger = [replace(chosen.numbering, min_size=times * asked.min_size) for times in LARGER]
            found += self.judge(slices, larger)
            chosen = best_of(found, self.mode)
        return Decoder(chosen.numbering, best_threshold(chosen.scores, self.mode)), found

    def judge(self, slices: Sequence[Judged], ways: Sequence[Numbering]) -> list[Choice]:
        """How each way of numbering does on the slices of all processes."""
        contest = [Pooled(self.evaluator()).to(self.device) for _ in ways]

        def count(way: Numbering, pooled: Pooled) -> None:
            for each in slices:
                prediction = Probabilities(each.probabilities, way)
                pooled.update(prediction, each.target, each.instances, each.known)

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(count, ways, contest))
        for pooled in contest:
            pooled.compute()
        return [Choice(way, pooled.sweep) for way, pooled in zip(ways, contest, strict=True)]


def best_of(choices: Sequence[Choice], mode: str) -> Choice:
    """The one that is best at its best threshold; of equals the first.

    Args:
        choices: as `Contest` gives them.
        mode: whether ``max`` or ``min`` of the score is better.
    """
    return max(choices, key=lambda choice: max(goodness(score, mode) for score in choice.scores.values()))
