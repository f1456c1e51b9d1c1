"""Scores of any tool's predictions, added up image by image, and likely mistakes."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from src.data.comparison import Comparison, comparisons, look, match
from src.data.phantom import phantom
from src.instances import Components
from src.metrics.instance import Instances
from src.metrics.mistakes import OF_CELLS, OF_CLASSES
from src.metrics.pixel import PixelError
from src.metrics.semantic import Semantic
from src.micrographs import Micrographs
from src.scoring import MOST_PICTURES, Scoring, suspicions
from src.values import meanings

TRUTH = np.kron(np.array([[1, 0], [0, 2]]), np.ones((6, 6), int))


def scoring(metric, with_pictures=False):
    return Scoring({"any": metric}, Components(), 0.5, Micrographs(None) if with_pictures else None)


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


def test_labels_and_probabilities_are_not_mixed_after_an_image_that_was_not_scored():
    added = scoring(Semantic())
    with pytest.raises(ValueError, match="metrics=instances"):
        added.add(Comparison("a", TRUTH, TRUTH * 100))
    with pytest.raises(ValueError, match="but b differs from a"):
        added.add(Comparison("b", TRUTH, np.stack([TRUTH == 0, TRUTH > 0]).astype(np.float32)))


def test_probabilities_are_of_all_classes_of_the_truth():
    probable = np.stack([TRUTH == 0, TRUTH > 0]).astype(np.float32)
    with pytest.raises(ValueError, match="expected probabilities of all 3 classes of the truth, but got 2 for a"):
        scoring(Semantic()).add(Comparison("a", TRUTH, probable))
    scoring(Instances()).add(Comparison("a", TRUTH, probable))


def test_a_likely_mistake_is_reported_once_with_the_number_of_images():
    added = scoring(PixelError())
    for name in "ab":
        added.add(Comparison(name, (TRUTH > 0).astype(int), (TRUTH == 0).astype(int)))
    (warning,) = added.warnings()
    assert "looks inverted" in warning and warning.endswith("(2 of 2 images, first a)")


STACK = phantom(slices=2, size=128, organelles=True)
INVERTED_PREDICTION, INVERTED_TRUTH, NUMBERED = "the prediction looks", "the truth looks", "the prediction holds"


def found_suspicions(truth, prediction, membranes):
    """The beginning of each suspicion."""
    found = suspicions(Comparison("a", truth, prediction), membranes)
    return {" ".join(suspicion.split()[:3]) for suspicion in found}


def probable(cells):
    """Unsure probabilities (2, H, W) as a network gives them."""
    cell = gaussian_filter(cells.astype(np.float32), 1) * 0.9 + 0.05
    return np.stack([1 - cell, cell])


@pytest.mark.parametrize("membranes", [True, False])
def test_good_data_raises_no_suspicion(membranes):
    for target, numbers in zip(STACK.targets.astype(int), STACK.instances, strict=True):
        cells = (target > 0).astype(int)
        assert not found_suspicions(target, cells, membranes)
        assert not found_suspicions(numbers, probable(cells), membranes)
        assert not found_suspicions(cells, np.eye(3, dtype=np.float32)[target].transpose(2, 0, 1), membranes)


def test_scattered_cells_and_a_cell_with_holes_raise_no_suspicion():
    scattered, pierced = np.zeros((2, 9, 9), int)
    scattered[1::3, 1::3] = 1
    pierced[:] = 1 - scattered
    for truth in (scattered, pierced):
        assert not found_suspicions(truth, truth, True)


@pytest.mark.parametrize("membranes", [True, False])
def test_an_inverted_prediction_raises_a_suspicion(membranes):
    cells = (STACK.targets[0] > 0).astype(int)
    assert found_suspicions(cells, 1 - cells, membranes) == {INVERTED_PREDICTION}
    assert found_suspicions(cells, probable(1 - cells), membranes) == {INVERTED_PREDICTION}


def test_an_inverted_truth_raises_a_suspicion_where_membranes_part_cells():
    for membranes in np.where(STACK.targets > 0, 0, 1):
        image = Comparison("a", membranes, membranes)
        assert found_suspicions(image.truth, image.prediction, True) == {INVERTED_TRUTH}
        assert not found_suspicions(image.truth, image.prediction, False)
        assert found_suspicions(image.truth, probable(1 - image.truth), True) == {INVERTED_TRUTH, INVERTED_PREDICTION}


def test_numbered_cells_raise_a_suspicion_where_membranes_part_cells():
    numbers = STACK.instances[0]
    assert found_suspicions(numbers, numbers, True) == {NUMBERED}
    assert not found_suspicions(numbers, numbers, False)


def test_numbers_that_were_mixed_raise_a_suspicion():
    numbers = STACK.instances[0].astype(np.uint8) * 9
    smoothed = cv2.resize(numbers, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_LINEAR)
    wrapped = np.kron(np.arange(900).reshape(30, 30) % 256, np.pad(np.ones((4, 4), int), 1))
    for truth in (smoothed, wrapped.astype(np.uint8)):
        (suspicion,) = suspicions(Comparison("a", truth, truth), False)
        assert suspicion.startswith("the truth looks resized or cut to 8 bits")
        assert not any("resized" in suspicion for suspicion in suspicions(Comparison("a", truth > 0, truth), True))


def test_the_challenge_raises_no_suspicion_but_its_inversion_does():
    file = Path(os.environ.get("DATA_DIR", "data")) / "isbi2012" / "train-labels.tif"
    if not file.is_file():
        pytest.skip(f"needs {file} (set DATA_DIR)")
    (pair,), _ = match(file, file, "_labels")
    images = list(comparisons(pair, meanings(*([each] for each in look(pair, False)), False), {}, False))
    assert len(images) == 30
    for image in images:
        assert not found_suspicions(image.truth, image.prediction, True)
        assert not found_suspicions(image.truth, probable(image.truth), True)
        assert found_suspicions(1 - image.truth, image.prediction, True) == {INVERTED_TRUTH, INVERTED_PREDICTION}
