"""Predictions of any tool, added up image by image."""

import numpy as np
import pytest

from src.data.comparison import Comparison
from src.instances import Components
from src.metrics.instance import Instances
from src.metrics.mistakes import OF_CELLS, OF_CLASSES
from src.metrics.pixel import PixelError
from src.metrics.semantic import Semantic
from src.scoring import MOST_PICTURES, Scoring

TRUTH = np.kron(np.array([[1, 0], [0, 2]]), np.ones((6, 6), int))


def scoring(metric, with_pictures=False):
    return Scoring({"any": metric}, Components(), 0.5, with_pictures)


def images(count):
    """Images of which each has one pixel more wrong than the one before."""
    for number in range(count):
        prediction = TRUTH.copy()
        prediction.ravel()[np.flatnonzero(prediction)[:number]] = 0
        yield Comparison(f"image {number}", TRUTH, prediction)


def test_scores_are_those_of_all_images_and_of_each():
    added = scoring(Semantic())
    for image in images(3):
        added.add(image)
    found = added.scores()
    assert [row["name"] for row in found["per_image"]] == ["image 0", "image 1", "image 2"]
    assert found["per_image"][0]["iou"] == 1 > found["scores"]["iou"] > found["per_image"][2]["iou"]


@pytest.mark.parametrize(("metric", "classes", "kinds"), [(Semantic, True, OF_CLASSES), (Instances, False, OF_CELLS)])
def test_what_is_scored_are_classes_or_cells(metric, classes, kinds):
    assert (scoring(metric()).of_classes, scoring(metric()).kinds) == (classes, kinds)
    assert not scoring(metric()).membranes and scoring(PixelError()).membranes


def test_pictures_are_of_the_worst_images_and_only_where_they_are_wanted():
    added, without = scoring(Semantic(), True), scoring(Semantic())
    for image in images(MOST_PICTURES + 3):
        added.add(image)
        without.add(image)
    assert sorted(added.pictures) == sorted(f"image {number}" for number in range(3, MOST_PICTURES + 3))
    assert set(added.pictures["image 5"]) == {"truth", "prediction", "mistakes"} and without.pictures == {}


def test_labels_and_probabilities_are_not_mixed():
    added = scoring(Semantic())
    added.add(next(images(1)))
    probable = np.stack([TRUTH == 0, TRUTH > 0]).astype(np.float32)
    with pytest.raises(ValueError, match="but image 9 differs from image 0"):
        added.add(Comparison("image 9", TRUTH, probable))


def test_what_looks_wrong_is_said_once_with_the_number_of_images():
    added = scoring(PixelError())
    for name in "ab":
        added.add(Comparison(name, (TRUTH > 0).astype(int), (TRUTH == 0).astype(int)))
    (warning,) = added.warnings()
    assert "looks inverted" in warning and warning.endswith("(2 of 2 images, first a)")
