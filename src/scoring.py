"""Score the predictions of any tool image by image, and collect pictures of the worst ones."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from src.data.comparison import Comparison
from src.data.description import is_mixed
from src.files.arrays import strips_of
from src.instances import Numbering, components, numbered
from src.metrics.evaluator import THRESHOLDS, Evaluator, Labels, Metric, Prediction, Probabilities
from src.metrics.goodness import worst_first
from src.metrics.mistakes import kinds_of_mistakes, mistakes_of
from src.pages.pictures import panels

MOST_PICTURES = 12  # of the worst images


def suspicions(image: Comparison, membranes: bool) -> list[str]:
    """Likely mistakes, as sentences. They are warnings: scoring continues.

    Args:
        image: truth and prediction.
        membranes: whether only the background between cells separates them.
    """
    found = []
    true_cell = image.truth > 0
    background = image.prediction[0] if image.is_probable else image.prediction == 0
    if _difference(background, true_cell) > 0.5:
        found.append("the prediction looks inverted: expected high values in cells, and 0 in the background")
    if not membranes:
        if is_mixed(image.truth[:2048, :2048]):  # a part is enough
            found.append("the truth looks resized or cut to 8 bits, which mixes its numbers: src.check says more")
        return found
    cells, holes = (components(mask).max() for mask in (true_cell, ~true_cell))
    if 0 < cells < holes and true_cell.mean() < 0.5:
        found.append("the truth looks inverted: expected cells above 0, and membranes 0")
    if not image.is_probable and image.prediction.max() > 1:
        found.append("the prediction holds integers above 1: all pixels other than 0 count as cell")
    return found


def _difference(background: np.ndarray, true_cell: np.ndarray) -> float:
    """Mean absolute difference between the probability of cell and the truth."""
    strips = zip(strips_of(background), strips_of(true_cell), strict=True)
    return float(sum(np.abs((1 - part) - truth).sum() for part, truth in strips) / true_cell.size)


class Scoring:
    """Adds up the scores of images, and keeps pictures of the worst ones.

    Args:
        metrics: by name.
        numbering: the decoder of probabilities.
        threshold: of probabilities.
        micrographs: returns the image of a name and size, for the pictures; None: make no pictures.

    Attributes:
        of_classes: whether classes are scored, not cells.
        kinds: of mistakes that can occur.
        membranes: whether only the background between cells separates them.
        monitor: the score that ranks images, and ``max`` or ``min``, whichever is better.
        rows: the scores of each image.
        suspicious: names of images, by their likely mistake.
        pictures: of the worst images, as of `pages.pictures.panels`, by name.
    """

    def __init__(
        self,
        metrics: dict[str, Metric],
        numbering: Numbering,
        threshold: float,
        micrographs: Callable[[str, tuple[int, int]], np.ndarray | None] | None = None,
    ) -> None:
        self.metrics, self.numbering, self.threshold, self.micrographs = metrics, numbering, threshold, micrographs
        self.of_classes = any("classes" in metric.takes for metric in metrics.values())
        self.kinds = kinds_of_mistakes(self.of_classes)
        self.membranes = any(metric.best_over_thresholds for metric in metrics.values())
        self.monitor = next(item for metric in metrics.values() for item in metric.modes.items())
        self.evaluator: Evaluator | None = None
        self.first = ("", False)  # name of the first image, and whether its prediction is probabilities
        self.rows: list[dict[str, Any]] = []
        self.suspicious: dict[str, list[str]] = defaultdict(list)
        self.pictures: dict[str, dict[str, bytes]] = {}

    def add(self, image: Comparison) -> None:
        """Score an image.

        Raises:
            ValueError: its prediction is labels where earlier ones were probabilities, or the other way round.
        """
        probable, highest = image.is_probable, image.truth.max()
        if self.evaluator is None:
            self.first = (image.name, probable)
            thresholds = THRESHOLDS if probable else (0.0,)
            self.evaluator = Evaluator(self.metrics, self.threshold, thresholds=thresholds)
        if probable != self.first[1]:
            raise ValueError(
                f"expected only probabilities or only labels, but {image.name} differs from {self.first[0]}"
            )
        if probable and self.of_classes and highest >= len(image.prediction):
            expected = f"probabilities of all {highest + 1} classes of the truth"
            raise ValueError(f"expected {expected}, but got {len(image.prediction)} for {image.name}")
        written = image.labels if self.membranes else None  # without them, probabilities are decoded as asked for
        numbering = self.numbering if written is None else lambda values, threshold: written
        prediction = Probabilities(image.prediction, numbering) if probable else Labels(image.prediction)
        scores = self.evaluator.update(prediction, image.truth, numbered(image.truth), image.known)
        self.rows.append({"name": image.name, **scores})
        worst = {row["name"] for row in worst_first(self.rows, *self.monitor)[:MOST_PICTURES]}
        if self.micrographs and image.name in worst:
            micrograph = self.micrographs(image.name, image.truth.shape)
            self.pictures[image.name] = self._panels(image, prediction, micrograph)
            self.pictures = {name: each for name, each in self.pictures.items() if name in worst}
        for suspicion in suspicions(image, self.membranes):
            self.suspicious[suspicion].append(image.name)

    def _panels(self, image: Comparison, prediction: Prediction, micrograph: np.ndarray | None) -> dict[str, bytes]:
        known = np.ones(image.truth.shape, bool) if image.known is None else image.known
        within = prediction.within(known)
        labels = within.classes(self.threshold) if self.of_classes else within.labels(self.threshold)
        truth = (image.truth if self.of_classes else numbered(image.truth)) * known
        return panels(micrograph, truth, labels, mistakes_of(self.of_classes, labels, truth))

    def warnings(self) -> Iterator[str]:
        """Likely mistakes, each with the images that have it."""
        for suspicion, names in self.suspicious.items():
            yield f"{suspicion} ({len(names)} of {len(self.rows)} images, first {names[0]})"

    def scores(self) -> dict[str, Any]:
        """All scores, in the layout of ``scores.json``.

        Raises:
            ValueError: no image has been added.
        """
        if self.evaluator is None:
            raise ValueError("expected at least one image to score, but got none")
        return {"scores": self.evaluator.compute(), "per_image": self.rows}
