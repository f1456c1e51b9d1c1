"""Pixel error and intersection over union: drawings, counted pixels, the official scorer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.metrics.pixel import ForegroundIoU, PixelError, intersection_over_union, pixel_error
from src.metrics.rand import THRESHOLDS
from tests.metrics.official import CASES, official, two_classes

quick = settings(max_examples=50, deadline=None)


def score(metric, probabilities, target):
    metric.update(probabilities, target)
    return float(metric.compute())


def test_pixel_error_of_a_drawing():
    truth = torch.tensor([[[1, 1, 1, 0], [1, 1, 1, 0]]])
    proposal = torch.tensor([[[1, 1, 0, 1], [1, 1, 1, 0]]])
    # Five pixels found, one missed, one too many: F = 10 / 12.
    assert score(PixelError(), two_classes(proposal), truth) == pytest.approx(1 - 10 / 12)


def test_pixel_error_where_nothing_is_foreground_is_0():
    none = torch.zeros(3, dtype=torch.int64)
    assert pixel_error(none, none, none).tolist() == [0, 0, 0]


def test_pixel_error_is_pooled_over_slices_and_not_averaged():
    truth = torch.tensor([[[1, 1, 1, 1]], [[1, 0, 0, 0]]])
    proposal = torch.tensor([[[1, 1, 1, 1]], [[0, 1, 0, 0]]])
    together, one_by_one = PixelError(), PixelError()
    for i in range(2):
        one_by_one.update(two_classes(proposal[i : i + 1]), truth[i : i + 1])
    # Pooled: four found, one missed, one too many. Averaged it would be (0 + 1) / 2.
    assert score(together, two_classes(proposal), truth) == pytest.approx(1 - 8 / 10)
    assert float(one_by_one.compute()) == pytest.approx(1 - 8 / 10)


cells = arrays(np.float32, (2, 4, 5), elements=st.floats(0, 1, width=32))
truths = arrays(np.int64, (2, 4, 5), elements=st.integers(0, 2))


@quick
@given(cells, truths)
def test_pixel_error_is_the_lowest_of_the_thresholds(cell, truth):
    probabilities = two_classes(cell)
    seen = 1 - probabilities[:, 0].numpy()
    errors = []
    for threshold in THRESHOLDS:
        outcomes = [(p > np.float32(threshold), t > 0) for p, t in zip(seen.flat, truth.flat, strict=True)]
        found, wrong = outcomes.count((True, True)), sum(p != t for p, t in outcomes)
        errors.append(wrong / (2 * found + wrong) if found + wrong else 0)
    assert score(PixelError(), probabilities, torch.from_numpy(truth)) == pytest.approx(min(errors), abs=1e-6)


@pytest.mark.parametrize("make", [PixelError, ForegroundIoU])
def test_two_processes_together_score_as_one(make):
    rng = torch.Generator().manual_seed(0)
    probabilities = torch.rand((4, 3, 6, 7), generator=rng).softmax(dim=1)
    target = torch.randint(0, 3, (4, 6, 7), generator=rng)
    here, there = make(), make()
    here.update(probabilities[:1], target[:1])
    there.update(probabilities[1:], target[1:])
    here.merge_state(there)
    assert here.compute() == score(make(), probabilities, target)


def test_iou_of_a_confusion_matrix_by_hand():
    confusion = torch.tensor([[5, 1, 0], [2, 3, 0], [0, 0, 0]])
    # Class 0: 5 of 5 + 1 + 2; class 1: 3 of 3 + 2 + 1; class 2 occurs in neither.
    expected = torch.tensor([5 / 8, 3 / 6, torch.nan])
    torch.testing.assert_close(intersection_over_union(confusion), expected, equal_nan=True)


def test_a_class_that_only_the_prediction_has_counts_as_0():
    assert intersection_over_union(torch.tensor([[3, 1], [0, 0]]))[1] == 0


def drawing(labels, classes):
    """Probabilities in which each pixel's class is the most probable."""
    return torch.nn.functional.one_hot(torch.as_tensor(labels), classes).movedim(-1, 1).float()


@quick
@given(arrays(np.int64, (2, 3, 4), elements=st.integers(0, 3)), arrays(np.int64, (2, 3, 4), elements=st.integers(0, 3)))
def test_foreground_iou_is_the_mean_of_the_sets_of_pixels(prediction, truth):
    scores = []
    for c in (1, 2, 3):
        ours, theirs = (set(np.flatnonzero(labels == c)) for labels in (prediction, truth))
        if ours | theirs:
            scores.append(len(ours & theirs) / len(ours | theirs))
    expected = np.mean(scores) if scores else np.nan
    result = score(ForegroundIoU(), drawing(prediction, 4), torch.from_numpy(truth))
    assert result == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_foreground_iou_is_pooled_over_updates():
    metric = ForegroundIoU()
    metric.update(drawing([[[1, 1, 1, 0]]], 2), torch.tensor([[[1, 1, 1, 0]]]))
    metric.update(drawing([[[0, 0, 0, 1]]], 2), torch.tensor([[[1, 0, 0, 0]]]))
    assert float(metric.compute()) == pytest.approx(3 / 5)


@pytest.mark.parametrize("case", CASES)
def test_pixel_error_is_that_of_the_official_scorer(case):
    probabilities, target, scores = official(case)
    assert score(PixelError(), probabilities, target) == pytest.approx(scores["pixel_error"], abs=1e-6)
