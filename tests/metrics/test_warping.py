"""The warping error: brute-force topology, and drawings of each kind of mistake."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk
from skimage.measure import label

from src.metrics.warping import SIMPLE, WarpingError, topological_errors, warp
from tests.metrics.counted import Counted

quick = settings(max_examples=150, deadline=None)
CLOCKWISE = [(0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)]  # of 3 × 3 pixels, from above


def topology(mask):
    """Number of 4-connected pieces of foreground and of 8-connected pieces of background."""
    return label(mask, connectivity=1).max(), label(~mask, connectivity=2).max()


@pytest.mark.parametrize("centre", [False, True])
def test_a_pixel_is_simple_if_its_flip_leaves_the_topology_as_it_is(centre):
    for neighbours in range(256):
        window = np.full((3, 3), centre)
        for place, (y, x) in enumerate(CLOCKWISE):
            window[y, x] = neighbours >> place & 1
        flipped = window.copy()
        flipped[1, 1] = not centre
        assert SIMPLE[neighbours] == (topology(window) == topology(flipped)), f"\n{window.astype(int)}"


@st.composite
def slices(draw):
    """A small true mask, probabilities of cell that resemble it or not, and a threshold."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    truth = rng.random(shape) < draw(st.floats(0, 1))
    likeness = draw(st.floats(0, 1))
    cell = likeness * truth + (1 - likeness) * rng.random(shape)
    return truth, cell.astype(np.float32), draw(st.sampled_from([0.0, 0.3, 0.5, 0.9]))


@quick
@given(slices())
def test_warping_keeps_the_topology(drawn):
    truth, cell, threshold = drawn
    before, after = (topology(np.pad(mask, 1)) for mask in (truth, warp(truth, cell, threshold)))
    assert after == before


@quick
@given(slices())
def test_warping_only_flips_what_differs_and_goes_as_far_as_it_can(drawn):
    truth, cell, threshold = drawn
    proposal, bent = cell > threshold, np.pad(warp(truth, cell, threshold), 1)
    np.testing.assert_array_equal(bent[1:-1, 1:-1][proposal == truth], truth[proposal == truth])
    for y, x in np.argwhere(bent != np.pad(proposal, 1)):
        flipped = bent.copy()
        flipped[y, x] = not bent[y, x]
        # A window is more than the whole: a ring that opens here and is closed elsewhere is no simple flip either.
        around = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        assert topology(flipped[around]) != topology(bent[around])


def test_warping_flips_first_where_the_proposal_is_surest():
    truth = np.array([[1, 1, 0, 0, 1, 1]] * 3, bool)
    for membrane, left in (([0.9, 0.6], 3), ([0.6, 0.9], 2)):
        cell = np.array([[1, 1, *membrane, 1, 1]] * 3, np.float32)
        expected = np.ones((3, 6), bool)
        expected[:, left] = False
        np.testing.assert_array_equal(warp(truth, cell, 0.5), expected)
    lost = np.array([[0.1, 0.4]], np.float32)
    np.testing.assert_array_equal(warp(np.ones((1, 2), bool), lost, 0.5), [[False, True]])


def test_of_equally_sure_pixels_warping_flips_column_by_column():
    np.testing.assert_array_equal(warp(np.ones((2, 2), bool), np.eye(2, dtype=np.float32), 0.5), [[1, 1], [0, 1]])


def test_warping_leaves_the_truth_as_it_is():
    truth = np.ones((4, 4), bool)
    assert not warp(truth, np.eye(4, dtype=np.float32), 0.5).all()
    assert truth.all()


def disc(row, column, radius=7, shape=(30, 30)):
    mask = np.zeros(shape, bool)
    mask[disk((row, column), radius)] = True
    return mask


def errors(proposal, truth, threshold=0.5):
    """Splits and merges of a proposal 0 or 1, or of probabilities."""
    return topological_errors(warp(truth, proposal.astype(np.float32), threshold), proposal > threshold)


@pytest.mark.parametrize("shift", [(0, 2), (3, 0), (-2, 3)])
def test_a_shifted_disc_warps_to_no_error(shift):
    truth, proposal = disc(14, 14), disc(14 + shift[0], 14 + shift[1])
    np.testing.assert_array_equal(warp(truth, proposal.astype(np.float32), 0.5), proposal)
    assert errors(proposal, truth) == (0, 0)


@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_gap_in_a_membrane_counts_as_a_merge_of_each_pixel(gap, transposed):
    truth = np.ones((12, 13), bool)
    truth[:, 6] = False
    proposal = truth.copy()
    proposal[5 : 5 + gap, 6] = True
    assert errors(*((proposal.T, truth.T) if transposed else (proposal, truth))) == (0, gap)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_cut_across_a_cell_counts_as_a_split(transposed):
    truth = np.zeros((12, 13), bool)
    truth[2:9, 2:11] = True
    proposal = truth.copy()
    proposal[:, 6] = False
    assert errors(*((proposal.T, truth.T) if transposed else (proposal, truth))) == (1, 0)


def test_a_cell_that_bridges_two_others_is_split_where_all_three_meet():
    # Around the pixel that stays are two other cells, which touch it at corners only, and background.
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
    proposal = truth.copy()
    proposal[1, 1] = False
    assert errors(proposal, truth) == (1, 0)


@pytest.mark.parametrize(("radius", "splits"), [(9, 0), (20, 1)])
def test_a_cut_across_a_ring_counts_if_the_ring_is_too_large_to_see_the_way_round(radius, splits):
    shape = (2 * radius + 9,) * 2
    middle = radius + 4
    truth = disc(middle, middle, radius, shape) & ~disc(middle, middle, radius - 4, shape)
    proposal = truth.copy()
    proposal[:middle, middle] = False
    assert errors(proposal, truth) == (splits, 0)


def frame(height):
    """A cell one pixel wide around a hole, and one that lacks a pixel of the upper side."""
    closed = np.ones((height, 7), bool)
    closed[1:-1, 1:-1] = False
    cut = closed.copy()
    cut[0, 3] = False
    return closed, cut


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(("height", "splits"), [(21, 0), (22, 1)])
def test_the_way_round_may_be_20_pixels_off(height, splits, turns):
    assert topological_errors(*(np.rot90(mask, turns) for mask in frame(height))) == (splits, 0)


def test_the_way_round_does_not_lead_over_corners():
    closed, cut = frame(7)
    assert topological_errors(closed, cut) == (0, 0)
    closed[6, 6] = cut[6, 6] = False
    assert topological_errors(closed, cut) == (1, 0)


def test_an_island_that_is_lost_or_added_is_not_counted():
    one, two = disc(8, 8, 5), disc(8, 8, 5) | disc(22, 22, 4)
    assert errors(one, two) == (0, 0)
    assert errors(two, one) == (0, 0)
    assert (warp(two, one.astype(np.float32), 0.5) != one).sum() == 1
    assert (warp(one, two.astype(np.float32), 0.5) != two).sum() == (two & ~one).sum()


def test_a_hole_in_a_cell_is_not_counted():
    truth = disc(14, 14)
    assert errors(truth & ~disc(14, 14, 3), truth) == (0, 0)
    assert errors(truth, truth & ~disc(14, 14, 3)) == (0, 0)


def membrane(width=13, gap=0.0):
    """Two cells, and a proposal in whose membrane two pixels look like a cell with probability ``gap``."""
    truth = torch.ones((1, 9, width), dtype=torch.int64)
    truth[..., 6] = 0
    cell = truth.float()
    cell[:, 3:5, 6] = gap
    return cell, truth


def score(metric, cell, target, threshold=0.5):
    metric.update(cell, target, threshold)
    return float(metric.compute()["warping_error"])


def test_the_warping_error_depends_on_the_threshold():
    assert score(Counted(WarpingError()), *membrane(gap=0.6), threshold=0.5) == pytest.approx(2 / (9 * 13))
    assert score(Counted(WarpingError()), *membrane(gap=0.6), threshold=0.7) == 0


def test_the_warping_error_adds_splits_and_merges():
    cell, truth = membrane(gap=1)
    cell[:, :, 2] = 0
    assert score(Counted(WarpingError()), cell, truth) == pytest.approx(3 / (9 * 13))


def test_a_cell_is_whatever_is_not_class_0():
    cell, truth = membrane(gap=1)
    truth[..., 7:] *= 2
    assert score(Counted(WarpingError()), cell, truth) == pytest.approx(2 / (9 * 13))


def test_the_warping_error_is_pooled_over_slices_and_not_averaged():
    metric = Counted(WarpingError())
    metric.update(*membrane(13, gap=1), 0.5)
    assert score(metric, *membrane(27)) == pytest.approx(2 / (9 * 13 + 9 * 27))


def test_the_order_of_slices_does_not_matter():
    (worse, truth), (better, _) = membrane(gap=1), membrane()
    for cell in (torch.cat([worse, better]), torch.cat([better, worse])):
        assert score(Counted(WarpingError()), cell, torch.cat([truth, truth])) == pytest.approx(1 / (9 * 13))


def test_two_processes_together_score_as_one():
    one, here, there = Counted(WarpingError()), Counted(WarpingError()), Counted(WarpingError())
    for metric in (one, here):
        metric.update(*membrane(13, gap=1), 0.5)
    there.update(*membrane(27, gap=1), 0.5)
    here.merge_state(there)
    assert float(here.compute()["warping_error"]) == score(one, *membrane(27, gap=1)) > 0
