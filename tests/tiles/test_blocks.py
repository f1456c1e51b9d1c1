"""Components computed block by block equal those of the whole plane, whatever the blocks."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from src.tiles.blocks import blocks, joined_components

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.booleans())


def cut(plane, window):
    return plane[window.top : window.top + window.height, window.left : window.left + window.width]


def block_by_block(mask, side, min_size=0):
    """The labels of a whole mask, assembled from blocks."""
    windows = blocks(*mask.shape, side)
    labels = joined_components(lambda window: cut(mask, window), windows, min_size)
    plane = np.full(mask.shape, -1)
    for window in windows:
        part = labels(window)
        assert part.dtype == np.int32
        cut(plane, window)[...] = part
    return plane


def at_once(mask, min_size=0):
    """The components of a whole mask without small ones; the numbers are not consecutive."""
    labels = ndimage.label(mask)[0]
    small = np.flatnonzero(np.bincount(labels.ravel()) < min_size)
    return np.where(np.isin(labels, small), 0, labels)


def assert_same_up_to_numbering(found, expected):
    assert np.array_equal(found > 0, expected > 0)
    pairs = set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(found)) == len(np.unique(expected))
    assert sorted(set(found.ravel().tolist()) - {0}) == list(range(1, found.max() + 1))


def comb(height, width):
    """Teeth that are joined at the last row only."""
    mask = np.zeros((height, width), bool)
    mask[:, ::2] = mask[-1] = True
    return mask


def spiral(side):
    """One path a pixel wide from the outside to the centre, a pixel apart from itself."""
    mask = np.zeros((side, side), bool)
    y, x, length = 0, 0, side - 1
    mask[0, 0] = True
    for leg in range(side):
        for _ in range(length):
            y, x = y + (0, 1, 0, -1)[leg % 4], x + (1, 0, -1, 0)[leg % 4]
            mask[y, x] = True
        if leg >= 2 and leg % 2 == 0:
            length -= 2
        if length <= 0:
            break
    return mask


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_blocks_cover_each_pixel_once_in_raster_order(height, width, side):
    covered, windows = np.zeros((height, width), int), blocks(height, width, side)
    for window in windows:
        assert 1 <= window.height <= min(side, height - window.top)
        assert 1 <= window.width <= min(side, width - window.left)
        cut(covered, window)[...] += 1
    assert (covered == 1).all()
    assert windows == sorted(windows)
    assert all(window.top % side == window.left % side == 0 for window in windows)


@given(masks, st.integers(1, 32), st.integers(0, 12))
@settings(max_examples=80, deadline=None)
def test_components_are_those_of_the_whole_plane(mask, side, min_size):
    assert_same_up_to_numbering(block_by_block(mask, side, min_size), at_once(mask, min_size))


@given(st.integers(0, 2**32 - 1), st.integers(2, 33), st.floats(0.5, 0.7), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_components_near_percolation_are_those_of_the_whole_plane(seed, side, density, min_size):
    mask = np.random.default_rng(seed).random((30, 41)) < density
    assert_same_up_to_numbering(block_by_block(mask, side, min_size), at_once(mask, min_size))


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("side", [1, 3, 8, 31])
@pytest.mark.parametrize("mask", [comb(31, 45), spiral(31), spiral(40)], ids=["comb", "spiral", "even spiral"])
def test_one_component_that_crosses_many_borders_has_one_number(mask, side, turned):
    mask = np.rot90(mask, turned)
    assert ndimage.label(mask)[1] == 1
    assert np.array_equal(block_by_block(mask, side), mask)


@pytest.mark.parametrize("side", [3, 8])
def test_two_components_that_wind_around_each_other_stay_two(side):
    mask = np.pad(spiral(33), 1)
    mask[0, 0] = mask[17, 17] = False
    assert_same_up_to_numbering(block_by_block(~mask, side), at_once(~mask))


@pytest.mark.parametrize("side", [1, 2, 5])
def test_components_that_touch_at_a_corner_of_blocks_are_two(side):
    mask = np.zeros((10, 10), bool)
    mask[:5, :5] = mask[5:, 5:] = True
    assert block_by_block(mask, side).max() == 2
    assert block_by_block(mask[::-1], side).max() == 2


@pytest.mark.parametrize(("min_size", "cells"), [(0, 2), (3, 2), (4, 1), (20, 1), (21, 0)])
def test_min_size_counts_the_parts_of_a_cell_in_all_blocks(min_size, cells):
    mask = np.zeros((5, 23), bool)
    mask[0, 1:21] = True
    mask[3:5, 4] = mask[3, 5] = True
    labels = block_by_block(mask, 4, min_size)
    assert labels.max() == cells
    assert_same_up_to_numbering(labels, at_once(mask, min_size))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
@example(1, 1, 1)
def test_an_empty_plane_has_no_component_and_a_full_one_has_one(height, width, side):
    assert not block_by_block(np.zeros((height, width), bool), side).any()
    assert (block_by_block(np.ones((height, width), bool), side) == 1).all()


def test_more_components_than_16_bits_count_keep_distinct_numbers():
    mask = np.indices((300, 300)).sum(axis=0) % 2 == 0  # more components than 16 bits count, but fewer in each block
    labels = block_by_block(mask, 64)
    assert sorted(labels[mask].tolist()) == list(range(1, 45_001))


def test_blocks_are_labelled_in_any_order_and_more_than_once():
    mask, windows = spiral(20) | (np.arange(20) == 4), blocks(20, 20, 6)
    labels = joined_components(lambda window: cut(mask, window), windows)
    there = [labels(window) for window in windows]
    back = [labels(window) for window in reversed(windows)][::-1]
    assert all(map(np.array_equal, there, back))
