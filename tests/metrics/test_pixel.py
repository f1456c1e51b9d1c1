"""The pixel error: drawings and counted pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.metrics.pixel import PixelError, pixel_error
from tests.metrics.counted import Counted

quick = settings(max_examples=50, deadline=None)
cells = arrays(np.float32, (2, 4, 5), elements=st.floats(0, 1, width=32))
truths = arrays(np.int64, (2, 4, 5), elements=st.integers(0, 2))


def score(metric, cell, target, threshold=0.5):
    metric.update(torch.as_tensor(cell), torch.as_tensor(target), threshold)
    return float(metric.compute()["pixel_error"])


def test_pixel_error_of_a_drawing():
    truth = torch.tensor([[[1, 1, 1, 0], [1, 1, 1, 0]]])
    proposal = torch.tensor([[[1, 1, 0, 1], [1, 1, 1, 0]]])
    # Five pixels found, one missed, one too many: F = 10 / 12.
    assert score(Counted(PixelError()), proposal, truth) == pytest.approx(1 - 10 / 12)
    assert score(Counted(PixelError()), truth, truth) == 0


def test_pixel_error_where_nothing_is_cell_is_0_and_where_nothing_is_found_1():
    assert pixel_error(0, 0, 0) == 0
    assert pixel_error(0, 1, 0) == pixel_error(0, 0, 1) == 1


def test_pixel_error_is_pooled_over_slices_and_not_averaged():
    truth = torch.tensor([[[1, 1, 1, 1]], [[1, 0, 0, 0]]])
    proposal = torch.tensor([[[1, 1, 1, 1]], [[0, 1, 0, 0]]])
    one_by_one = Counted(PixelError())
    one_by_one.update(proposal[:1], truth[:1], 0.5)
    # Pooled: four found, one missed, one too many. Averaged it would be (0 + 1) / 2.
    assert score(one_by_one, proposal[1:], truth[1:]) == pytest.approx(1 - 8 / 10)
    assert score(Counted(PixelError()), proposal, truth) == pytest.approx(1 - 8 / 10)


@quick
@given(cells, truths, st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_pixel_error_counts_pixels_above_the_threshold(cell, truth, threshold):
    outcomes = [(p > np.float32(threshold), t > 0) for p, t in zip(cell.flat, truth.flat, strict=True)]
    found, wrong = outcomes.count((True, True)), sum(p != t for p, t in outcomes)
    expected = wrong / (2 * found + wrong) if found + wrong else 0
    assert score(Counted(PixelError()), cell, truth, threshold) == pytest.approx(expected, abs=1e-6)


@quick
@given(cells, truths)
def test_the_order_of_slices_does_not_matter(cell, truth):
    assert score(Counted(PixelError()), cell[::-1].copy(), truth[::-1].copy()) == score(
        Counted(PixelError()), cell, truth
    )


@quick
@given(cells, truths)
def test_two_processes_together_score_as_one(cell, truth):
    here, there = Counted(PixelError()), Counted(PixelError())
    for metric, half in ((here, np.s_[:1]), (there, np.s_[1:])):
        metric.update(torch.as_tensor(cell[half]), torch.as_tensor(truth[half]), 0.5)
    here.merge_state(there)
    assert float(here.compute()["pixel_error"]) == score(Counted(PixelError()), cell, truth)
