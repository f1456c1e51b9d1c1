"""Score the predictions of any tool image by image, and collect pictures of the images with the worst scores."""

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

MOST_PICTURES = 12  # number of the worst images of which there are pictures


def suspicions(image: Comparison, membranes: bool) -> list[str]:
    """Return sentences that describe likely mistakes in the files of an image, to be shown as warnings.

    Args:
        image: truth and prediction of the image.
        membranes: whether cells are told apart only by background between them, such as membranes, not by numbers.
    """
    found = []
    true_cell = image.truth > 0
    background = image.prediction[0] if image.is_probable else image.prediction == 0
    if _difference(background, true_cell) > 0.5:
        found.append("the prediction looks inverted: expected high values in cells, and 0 in the background")
    if not membranes:
        if is_mixed(image.truth[:2048, :2048]):  # a part of the image is enough
            found.append("the truth looks resized or cut to 8 bits, which mixes its numbers: src.check says more")
        return found
    cells, holes = (components(mask).max() for mask in (true_cell, ~true_cell))
    if 0 < cells < holes and true_cell.mean() < 0.5:
        found.append("the truth looks inverted: expected cells above 0, and membranes 0")
    if not image.is_probable and image.prediction.max() > 1:
        found.append("the prediction holds integers above 1: all pixels other than 0 count as cell")
    return found


def _difference(background: np.ndarray, true_cell: np.ndarray) -> float:
    """Return the mean absolute difference between the predicted probability of cell and the truth.

    Args:
        background: predicted probability of background, ``(H, W)``, or booleans.
        true_cell: true cells, ``(H, W)`` booleans.
    """
    strips = zip(strips_of(background), strips_of(true_cell), strict=True)
    return float(sum(np.abs((1 - part) - truth).sum() for part, truth in strips) / true_cell.size)


class Scoring:
    """The scores of images that are added one by one, with pictures of the worst images.

    Args:
        metrics: the metrics, by name.
        numbering: makes labels from predicted probabilities.
        threshold: the threshold on predicted probabilities.
        micrographs: returns the micrograph of an image, given its name and size, for pictures; None: make no pictures.

    Attributes:
        of_classes: whether classes are scored, not cells.
        kinds: the kinds of mistakes that can occur.
        membranes: whether cells are told apart only by background between them, such as membranes, not by numbers.
        monitor: the name of the score that ranks images, and ``max`` if a higher score is better, else ``min``.
        rows: the scores of each image.
        suspicious: for each likely mistake in the files, the names of the images that have it.
        pictures: pictures of the worst images, by image name, as returned by `pages.pictures.panels`.
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
        """Score an image, and make pictures of the image if its score is among the worst so far.

        Raises:
            ValueError: its prediction holds labels but earlier ones held probabilities, or the other way round; or its
                prediction lacks classes of the truth.
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
        written = image.labels if self.membranes else None  # None: labels are made with `numbering`
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
        """Yield each likely mistake in the files, with the number of images that have it and the first of them."""
        for suspicion, names in self.suspicious.items():
            yield f"{suspicion} ({len(names)} of {len(self.rows)} images, first {names[0]})"

    def scores(self) -> dict[str, Any]:
        """Return all scores, in the layout of ``scores.json``.

        Raises:
            ValueError: no image has been added.
        """
        if self.evaluator is None:
            raise ValueError("expected at least one image to score, but got none")
        return {"scores": self.evaluator.compute(), "per_image": self.rows}
