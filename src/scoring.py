"""Predictions of any tool, scored image by image: what `src.score` adds up."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from src.data.comparison import Comparison, doubts
from src.instances import Numbering, numbered
from src.metrics.evaluator import THRESHOLDS, Evaluator, Labels, Metric, Prediction, Probabilities
from src.metrics.mistakes import kinds_of_mistakes, mistakes_of
from src.pages.page import worst_first
from src.pages.pictures import panels

MOST_PICTURES = 12  # of images, the worst ones


class Scoring:
    """Adds images up, and keeps pictures of the worst ones.

    Args:
        metrics: by name.
        numbering: of the cells of probabilities.
        threshold: of probabilities.
        with_pictures: whether pictures are wanted.

    Attributes:
        of_classes: whether what is scored are classes, not cells.
        kinds: of mistakes that there may be.
        membranes: whether cells are told apart by the background between them alone.
        monitor: the score by which images are worse or better, and whether ``max`` or ``min`` of it is better.
        rows: the scores of each image.
        doubtful: names of images by what looks as if it were not meant.
        pictures: of the worst images, as of `pages.pictures.panels`, by name.
    """

    def __init__(self, metrics: dict[str, Metric], numbering: Numbering, threshold: float, with_pictures: bool):
        self.metrics, self.numbering, self.threshold, self.with_pictures = metrics, numbering, threshold, with_pictures
        self.of_classes = any("classes" in metric.takes for metric in metrics.values())
        self.kinds = kinds_of_mistakes(self.of_classes)
        self.membranes = any(metric.best_over_thresholds for metric in metrics.values())
        self.monitor = next(item for metric in metrics.values() for item in metric.modes.items())
        self.evaluator: Evaluator | None = None
        self.probable = False
        self.rows: list[dict] = []
        self.doubtful: dict[str, list[str]] = defaultdict(list)
        self.pictures: dict[str, dict[str, bytes]] = {}

    def add(self, image: Comparison) -> None:
        """Score an image.

        Raises:
            ValueError: it holds labels where those before held probabilities, or the other way round.
        """
        if self.evaluator is None:
            self.probable = image.is_probable
            thresholds = THRESHOLDS if self.probable else (0.0,)
            self.evaluator = Evaluator(self.metrics, self.threshold, thresholds=thresholds)
        if image.is_probable != self.probable:
            raise ValueError(
                f"expected probabilities or labels throughout, but {image.name} differs from {self.rows[0]['name']}"
            )
        prediction = Probabilities(image.prediction, self.numbering) if self.probable else Labels(image.prediction)
        scores = self.evaluator.update(prediction, image.truth, numbered(image.truth), image.known)
        self.rows.append({"name": image.name, **scores})
        worst = {row["name"] for row in worst_first(self.rows, *self.monitor)[:MOST_PICTURES]}
        if self.with_pictures and image.name in worst:
            self.pictures[image.name] = self._panels(image, prediction)
            self.pictures = {name: each for name, each in self.pictures.items() if name in worst}
        for doubt in doubts(image, self.membranes):
            self.doubtful[doubt].append(image.name)

    def _panels(self, image: Comparison, prediction: Prediction) -> dict[str, bytes]:
        known = np.ones(image.truth.shape, bool) if image.known is None else image.known
        within = prediction.within(known)
        labels = within.classes(self.threshold) if self.of_classes else within.labels(self.threshold)
        truth = (image.truth if self.of_classes else numbered(image.truth)) * known
        return panels(None, truth, labels, mistakes_of(self.of_classes, labels, truth))

    def warnings(self) -> Iterator[str]:
        """What to look at, in words."""
        for doubt, names in self.doubtful.items():
            yield f"{doubt} ({len(names)} of {len(self.rows)} images, first {names[0]})"

    def scores(self) -> dict:
        """All scores in the layout of ``scores.json``; to be called when there is any image."""
        return {"scores": self.evaluator.compute(), "per_image": self.rows}
