"""V_rand, V_info and the Rand error: counted pixels and pairs, scikit-image, drawings."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label
from skimage.metrics import adapted_rand_error, variation_of_information

from src.instances import components
from src.metrics.rand import AfterThinning, OfLabels, RandError, pair_counts, rand_error, v_info, v_rand
from src.metrics.thinning import thinned_components
from tests.metrics.counted import Counted

quick = settings(max_examples=60, deadline=None)
SMALL = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
METRICS = [AfterThinning, RandError]


@st.composite
def pairs(draw):
    """A proposal and a truth of one small shape."""
    shape = draw(SMALL)
    return tuple(draw(arrays(np.int32, shape, elements=st.integers(0, 4))) for _ in range(2))


def pixels_of_cells(proposal, truth):
    """Segment of each pixel of a true cell, in truth and proposal; without one it is a segment of its own."""
    return [(t, p if p else -1 - i) for i, (t, p) in enumerate(zip(truth.flat, proposal.flat, strict=True)) if t]


def counted_v_rand(proposal, truth):
    """V_rand by brute force over pairs of pixels in true cells, pairs of a pixel with itself included."""
    pixels = pixels_of_cells(proposal, truth)
    in_truth = sum(a[0] == b[0] for a in pixels for b in pixels)
    in_proposal = sum(a[1] == b[1] for a in pixels for b in pixels)
    both = sum(a == b for a in pixels for b in pixels)
    return 2 * both / (in_truth + in_proposal) if pixels else 1.0


def bits(segments):
    """Entropy of the segments of some pixels, in bits; of no pixels 0."""
    shares = np.array(list(Counter(segments).values())) / len(segments)
    return -(shares * np.log2(shares)).sum()


def counted_v_info(proposal, truth):
    """V_info from the segments of every pixel in true cells."""
    pixels = pixels_of_cells(proposal, truth)
    if len(set(pixels)) < 2:
        return 1.0
    apart = bits([t for t, _ in pixels]) + bits([p for _, p in pixels])
    return 2 * (apart - bits(pixels)) / apart


@quick
@given(pairs())
def test_v_rand_counts_pairs(segmentations):
    assert v_rand(*segmentations) == pytest.approx(counted_v_rand(*segmentations), abs=1e-12)


@quick
@given(pairs())
def test_v_info_counts_bits(segmentations):
    assert v_info(*segmentations) == pytest.approx(counted_v_info(*segmentations), abs=1e-12)


@quick
@given(pairs(), st.permutations(range(1, 5)))
@pytest.mark.parametrize("score", [v_rand, v_info])
def test_the_numbers_of_cells_do_not_matter(score, segmentations, order):
    proposal, truth = segmentations
    renamed = np.array([0, *(1000 * number for number in order)])
    assert score(renamed[proposal], truth) == pytest.approx(score(proposal, truth), abs=1e-12)
    assert score(proposal, renamed[truth]) == pytest.approx(score(proposal, truth), abs=1e-12)


@quick
@given(arrays(np.int32, SMALL, elements=st.integers(0, 4)), st.integers(0, 4))
@pytest.mark.parametrize("score", [v_rand, v_info])
def test_the_truth_itself_scores_1_whatever_the_background(score, truth, background):
    assert score(np.where(truth == 0, background, truth), truth) == pytest.approx(1, abs=1e-12)


def squares(gap=1):
    """Two squares of 4 × 4 pixels beside each other."""
    truth = np.zeros((6, 10 + gap), np.int32)
    truth[1:5, 1:5], truth[1:5, 5 + gap : 9 + gap] = 1, 2
    return truth


def test_two_equal_squares_that_are_merged():
    # With m pixels each: 2·(m² + m²) / ((m² + m²) + (2m)²). The proposal says nothing of the one bit of the truth.
    merged = np.minimum(squares(), 1)
    assert v_rand(merged, squares()) == pytest.approx(2 / 3)
    assert v_info(merged, squares()) == pytest.approx(0, abs=1e-12)


def test_a_square_that_is_cut_in_halves():
    truth = np.ones((4, 4), np.int32)
    halves = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    # With m pixels: 2·2(m/2)² / (m² + 2(m/2)²). The truth has no bit to share.
    assert v_rand(halves, truth) == pytest.approx(2 / 3)
    assert v_info(halves, truth) == pytest.approx(0, abs=1e-12)


def test_two_equal_squares_of_which_one_is_cut_in_halves():
    truth = squares()
    cut = truth.copy()
    cut[1:5, 3:5] = 3
    # With 2m pixels: 2·(2(m/2)² + m²) / (2m² + 2(m/2)² + m²). One bit of 1 and of 2·¼·2 + ½·1 bits is shared.
    assert v_rand(cut, truth) == pytest.approx(2 * 1.5 / 3.5)
    assert v_info(cut, truth) == pytest.approx(2 * 1 / (1 + 1.5))


def test_pixels_without_a_cell_are_segments_of_their_own():
    truth = np.array([[1, 1, 2, 2]], np.int32)
    for proposal in ([[0, 0, 0, 0]], [[1, 2, 3, 4]], [[5, 0, 0, 6]]):
        # Pairs 8, of which 4 are of a pixel with itself; bits 1 and 2, of which 1 is shared.
        assert v_rand(np.array(proposal), truth) == pytest.approx(2 * 4 / (8 + 4))
        assert v_info(np.array(proposal), truth) == pytest.approx(2 * 1 / (1 + 2))


@pytest.mark.parametrize("score", [v_rand, v_info])
def test_where_there_is_no_cell_to_find_the_score_is_1(score):
    assert score(np.array([[1, 2, 0]]), np.zeros((1, 3), int)) == 1
    assert score(np.array([[0, 0, 0]]), np.zeros((1, 3), int)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_v_rand_agrees_with_scikit_image_where_every_pixel_has_a_segment(seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 4, (4, 4)), np.ones((12, 12), int))
    proposal = np.roll(np.kron(rng.integers(1, 4, (4, 4)), np.ones((12, 12), int)), 5, axis=1)
    n = (truth > 0).sum()
    expected = 1 - adapted_rand_error(truth, proposal)[0]
    assert expected < 0.8
    # scikit-image leaves out the n pairs of a pixel with itself, of n²/3 or more.
    assert v_rand(proposal, truth) == pytest.approx(expected, abs=3 / n)


@quick
@given(pairs())
def test_v_info_agrees_with_scikit_image_where_every_pixel_has_a_segment(segmentations):
    proposal, truth = (segments + 1 for segments in segmentations)
    of_truth, of_proposal = (variation_of_information(np.zeros_like(s), s)[0] for s in (truth, proposal))
    left_of_proposal, left_of_truth = variation_of_information(truth, proposal)
    expected = (of_truth - left_of_truth + of_proposal - left_of_proposal) / (of_truth + of_proposal or 1)
    assert v_info(proposal, truth) == pytest.approx(expected if of_truth + of_proposal else 1, abs=1e-12)


def counted_pairs(*segmentations):
    """Pairs of different pixels: together in both, only in the first, only in the second."""
    pixels = list(zip(*(segments.flat for segments in segmentations), strict=True))
    together = Counter((a[0] == b[0], a[1] == b[1]) for a, b in combinations(pixels, 2))
    return together[True, True], together[True, False], together[False, True]


@quick
@given(pairs())
def test_pair_counts_are_counted_pairs(segmentations):
    assert pair_counts(*segmentations) == counted_pairs(*segmentations)


def test_pair_counts_of_large_segments_do_not_overflow():
    one, n = np.ones((400, 400), np.uint8), 400**2
    assert pair_counts(one, one) == (n * (n - 1) // 2, 0, 0)


def test_rand_error_by_hand():
    assert rand_error(3, 1, 2) == pytest.approx(1 - 3 / (3 + 1.5))
    assert rand_error(0, 1, 0) == 1
    assert rand_error(0, 0, 0) == 0


def slices(count, seed=0):
    """Probabilities of cell and targets that differ more from slice to slice."""
    rng = np.random.default_rng(seed)
    target = np.ones((count, 24, 24), int)
    target[:, 11:13] = target[:, :, 7:9] = 0
    noise = rng.normal(scale=0.25, size=target.shape) * np.linspace(0.5, 1, count)[:, None, None]
    return torch.from_numpy(np.clip(0.5 + (target - 0.5) * 0.6 + noise, 0, 1)), torch.from_numpy(target)


def scores(metric, cell, target, threshold=0.5):
    metric.update(cell, target, threshold)
    return {name: float(score) for name, score in metric.compute().items()}


def segmentations(cell, target, threshold=0.5):
    """Mask of cells and true cells of each slice, as arrays."""
    return list(zip(cell.numpy() > threshold, target.numpy() > 0, strict=True))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_after_thinning_the_score_is_the_mean_of_the_slices(threshold):
    cell, target = slices(3)
    each = {"v_rand": [], "v_info": []}
    for proposal, truth in segmentations(cell, target, threshold):
        each["v_rand"].append(v_rand(thinned_components(proposal), components(truth)))
        each["v_info"].append(v_info(thinned_components(proposal), components(truth)))
    together, one_by_one = Counted(AfterThinning()), Counted(AfterThinning())
    for i in range(2):
        one_by_one.update(cell[i : i + 1], target[i : i + 1], threshold)
    expected = pytest.approx({name: np.mean(values) for name, values in each.items()}, abs=1e-6)
    assert scores(together, cell, target, threshold) == expected
    assert scores(one_by_one, cell[2:], target[2:], threshold) == expected


def test_label_images_are_scored_as_they_are_without_thinning():
    target = np.ones((6, 9), int)
    target[:, 4] = 0
    touching = np.repeat([[1, 1, 1, 1, 1, 2, 2, 2, 2]], 6, axis=0)  # thinning would merge them
    narrow = np.repeat([[0, 1, 1, 0, 0, 0, 2, 2, 0]], 6, axis=0)  # thinning would widen them
    for labels, expected in ((touching, 1.0), (narrow, v_rand(narrow, components(target > 0)))):
        counted = OfLabels().count(labels, target)
        found = OfLabels().scores(**counted)
        assert found["v_rand_labels"] == pytest.approx(expected)
        assert found["v_info_labels"] == pytest.approx(v_info(labels, components(target > 0)))
    assert v_rand(narrow, components(target > 0)) < 1
    both = {name: counted[name] + OfLabels().count(touching, target)[name] for name in counted}
    assert OfLabels().scores(**both)["v_rand_labels"] == pytest.approx((expected + 1) / 2)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_the_rand_error_pools_the_pairs_of_the_slices(threshold):
    cell, target = slices(2)
    cell, target = cell[:, 8:14, 4:14], target[:, 8:14, 4:14]
    counts = [
        counted_pairs(*(label(mask, connectivity=1) for mask in masks))
        for masks in segmentations(cell, target, threshold)
    ]
    pooled, averaged = rand_error(*np.sum(counts, axis=0)), np.mean([rand_error(*count) for count in counts])
    assert abs(pooled - averaged) > 1e-5
    one_by_one = Counted(RandError())
    one_by_one.update(cell[:1], target[:1], threshold)
    assert scores(one_by_one, cell[1:], target[1:], threshold) == {"rand_error": pytest.approx(pooled, abs=1e-6)}
    assert scores(Counted(RandError()), cell, target, threshold) == {"rand_error": pytest.approx(pooled, abs=1e-6)}


@pytest.mark.parametrize("make", METRICS)
def test_the_order_of_slices_does_not_matter(make):
    cell, target = slices(3)
    assert scores(Counted(make()), cell.flip(0), target.flip(0)) == pytest.approx(
        scores(Counted(make()), cell, target), abs=1e-6
    )


@pytest.mark.parametrize("make", METRICS)
def test_two_processes_together_score_as_one(make):
    cell, target = slices(3)
    here, there = Counted(make()), Counted(make())
    here.update(cell[:1], target[:1], 0.5)
    there.update(cell[1:], target[1:], 0.5)
    here.merge_state(there)
    expected = scores(Counted(make()), cell, target)
    assert {name: float(score) for name, score in here.compute().items()} == expected
    assert expected != scores(Counted(make()), cell[:1], target[:1])


@pytest.mark.parametrize("make", METRICS)
def test_a_cell_is_whatever_is_not_class_0(make):
    cell, target = slices(3)
    stripes = target * (1 + torch.arange(24) // 3 % 2)  # of class 1 and 2
    assert scores(Counted(make()), cell, stripes) == scores(Counted(make()), cell, target)


@pytest.mark.parametrize("make", METRICS)
def test_a_pixel_at_the_threshold_is_no_cell(make):
    truth = torch.ones((1, 5, 9), dtype=torch.int64)
    truth[:, :, 4] = 0
    cell = torch.where(truth > 0, 1.0, 0.5)
    parted, merged = (scores(Counted(make()), cell, truth, threshold) for threshold in (0.5, 0.25))
    assert parted == scores(Counted(make()), truth.float(), truth)
    assert merged == scores(Counted(make()), torch.ones_like(cell), truth) != parted
