"""Semantic scores: counted by hand, absent classes, torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_f1_score,
    multiclass_jaccard_index,
    multiclass_precision,
    multiclass_recall,
)

from src.metrics.semantic import MOST_CLASSES, Semantic, class_scores
from tests.metrics.counted import Counted

NAMES = ("iou", "dice", "precision", "recall")


def drawn(*rows):
    """Images of one row each, a digit a pixel: ``(N, 1, W)``."""
    return torch.tensor([[[int(digit) for digit in row]] for row in rows])


def added(predicted, true):
    metric = Counted(Semantic())
    metric.update(predicted, true)
    return metric


def scores(predicted, true):
    return {name: score.item() for name, score in added(predicted, true).compute().items()}


def test_scores_of_a_drawing():
    given_scores = scores(drawn("00111202"), drawn("00011112"))
    # Found, true and predicted pixels: of class 1 two, four, three; of class 2 one, one, two.
    of_class_1 = {"iou": 2 / 5, "dice": 4 / 7, "precision": 2 / 3, "recall": 2 / 4}
    of_class_2 = {"iou": 1 / 2, "dice": 2 / 3, "precision": 1 / 2, "recall": 1}
    assert given_scores["iou_class_0"] == pytest.approx(2 / 4)
    for name in NAMES:
        assert given_scores[f"{name}_class_1"] == pytest.approx(of_class_1[name])
        assert given_scores[f"{name}_class_2"] == pytest.approx(of_class_2[name])
        assert given_scores[name] == pytest.approx((of_class_1[name] + of_class_2[name]) / 2)


def test_class_scores_of_a_confusion_matrix_counted_by_hand():
    # Rows are true classes: one of three pixels of class 0 is predicted as class 1; class 2 does not occur.
    found = class_scores(np.array([[2, 1, 0], [0, 5, 0], [0, 0, 0]]))
    expected = {"iou": [2 / 3, 5 / 6], "dice": [4 / 5, 10 / 11], "precision": [1, 5 / 6], "recall": [2 / 3, 1]}
    for name in NAMES:
        assert found[name].tolist() == pytest.approx([*expected[name], np.nan], nan_ok=True)


def test_a_class_in_neither_truth_nor_prediction_has_no_score_and_enters_no_mean():
    given_scores = scores(drawn("0022"), drawn("0222"))  # no class 1
    assert not [name for name in given_scores if name.endswith(("_class_1", "_class_3"))]
    for name in NAMES:
        assert given_scores[name] == given_scores[f"{name}_class_2"] > 0


@pytest.mark.parametrize(("predicted", "true"), [("0011", "0211"), ("0211", "0011")])
def test_a_class_in_only_one_of_them_has_0_in_all_scores_and_enters_the_mean(predicted, true):
    given_scores = scores(drawn(predicted), drawn(true))
    for name in NAMES:
        assert given_scores[f"{name}_class_2"] == 0
        assert given_scores[f"{name}_class_1"] == 1
        assert given_scores[name] == 0.5


def test_where_all_is_background_the_mean_of_the_foreground_is_nan():
    given_scores = scores(drawn("000"), drawn("000"))
    assert [given_scores[f"{name}_class_0"] for name in NAMES] == [1, 1, 1, 1]
    assert all(np.isnan(given_scores[name]) for name in NAMES)


def test_pixels_are_pooled_over_images_and_per_image_scores_are_averaged():
    given_scores = scores(drawn("1111", "1000"), drawn("1111", "0100"))
    assert given_scores["iou"] == given_scores["iou_class_1"] == pytest.approx(4 / 6)
    assert given_scores["iou_per_image"] == pytest.approx((1 + 0) / 2)
    assert given_scores["recall"] == pytest.approx(4 / 5)
    assert given_scores["recall_per_image"] == pytest.approx((1 + 0) / 2)


def test_an_image_of_background_alone_enters_no_mean_over_images():
    given_scores = scores(drawn("0111", "0000"), drawn("0011", "0000"))
    assert given_scores["iou_per_image"] == pytest.approx(2 / 3)


def test_the_mean_of_an_image_is_over_its_own_classes():
    given_scores = scores(drawn("0111", "0122"), drawn("0011", "0122"))
    assert given_scores["iou_per_image"] == pytest.approx((2 / 3 + (1 + 1) / 2) / 2)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_are_those_of_torchmetrics_where_all_classes_occur(classes):
    random = torch.Generator().manual_seed(classes)
    true = torch.randint(classes, (4, 16, 17), generator=random)
    guess = torch.randint(classes, true.shape, generator=random)
    predicted = torch.where(torch.rand(true.shape, generator=random) < 0.6, true, guess)
    reference = {
        "iou": multiclass_jaccard_index,
        "dice": multiclass_f1_score,
        "precision": multiclass_precision,
        "recall": multiclass_recall,
    }
    given_scores = scores(predicted, true)
    for name, function in reference.items():
        expected = function(predicted, true, classes, average=None)
        each = [given_scores[f"{name}_class_{number}"] for number in range(classes)]
        assert each == pytest.approx(expected.tolist(), abs=1e-6)
        assert given_scores[name] == pytest.approx(float(expected[1:].mean()), abs=1e-6)
        per_image = [function(p, t, classes, average=None)[1:].mean() for p, t in zip(predicted, true, strict=True)]
        assert given_scores[f"{name}_per_image"] == pytest.approx(float(np.mean(per_image)), abs=1e-6)


@pytest.mark.parametrize("places", [(0, 0), (0, 1), (1, 0)], ids=["both", "truth", "prediction"])
def test_label_images_of_cells_are_refused_with_the_metrics_for_them(places):
    images = [torch.full((1, 2, 2), MOST_CLASSES if place == 0 else 1) for place in reversed(places)]
    with pytest.raises(ValueError, match=rf"{MOST_CLASSES} classes, but got class {MOST_CLASSES};.*metrics=instances"):
        Counted(Semantic()).update(*images)


def test_the_maximum_number_of_classes_is_scored():
    row = torch.arange(MOST_CLASSES).reshape(1, 1, -1)
    given_scores = scores(row, row)
    assert [given_scores[f"iou_class_{number}"] for number in range(MOST_CLASSES)] == [1] * MOST_CLASSES


def test_images_one_by_one_score_as_images_together_and_as_two_processes_merged():
    true, predicted = drawn("0011", "1122", "2200"), drawn("0111", "1222", "2020")
    together, one_by_one = scores(predicted, true), Counted(Semantic())
    for index in range(3):
        one_by_one.update(predicted[index : index + 1], true[index : index + 1])
    assert {name: score.item() for name, score in one_by_one.compute().items()} == pytest.approx(together)
    merged = added(predicted[:2], true[:2])
    merged.merge_state(added(predicted[2:], true[2:]))
    assert {name: score.item() for name, score in merged.compute().items()} == pytest.approx(together)


def test_every_score_is_to_be_maximised():
    assert Semantic.modes == dict.fromkeys(NAMES, "max")
