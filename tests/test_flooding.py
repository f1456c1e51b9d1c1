"""Watershed from h-maxima: drawings, and the h-maxima and watershed of scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction

from src.flooding import basins

CROSS = ndimage.generate_binary_structure(2, 1)


def drawn(text):
    """Each digit as a height, ``(H, W)``."""
    return np.array([[int(c) for c in row] for row in text.split()], float)


def parted(text, depth):
    surface = drawn(text)
    return basins(surface, surface > 0, depth)


@pytest.mark.parametrize(("depth", "expected"), [(0.5, "1112223330"), (1.5, "1111112220"), (2.5, "1111111110")])
def test_a_peak_counts_if_it_rises_more_than_the_depth_above_its_saddle(depth, expected):
    # The second peak, 4, rises 1 above its saddle; the third, 3, rises 2 above its own.
    assert parted("1534321310", depth)[0].tolist() == [int(each) for each in expected]


def test_a_pixel_belongs_to_the_peak_that_its_steepest_slope_leads_to():
    assert parted("15321 11246", 0.5).tolist() == [[1, 1, 1, 2, 2], [1, 1, 2, 2, 2]]


def test_regions_are_numbered_in_reading_order():
    assert parted("0302 0000 9050", 0).tolist() == [[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0]]


def test_pieces_of_the_mask_that_touch_at_a_corner_are_two():
    assert parted("90 09", 5).tolist() == [[1, 0], [0, 2]]


def test_a_plateau_is_one_region_whatever_its_shape():
    assert parted("99909 90909 90999", 0).max() == 1


@st.composite
def landscapes(draw):
    """A smooth surface of distinct heights, a mask, and a depth."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    surface = ndimage.gaussian_filter(random.random(shape), draw(st.sampled_from([0.5, 1, 2])))
    ranks = np.argsort(np.argsort(surface.ravel())).reshape(shape).astype(float)
    return ranks, random.random(shape) < draw(st.sampled_from([0.6, 0.9, 1])), draw(st.integers(0, surface.size))


@settings(max_examples=200, deadline=None)
@given(landscapes())
def test_the_peaks_are_the_h_maxima_of_each_component(landscape):
    surface, mask, depth = landscape
    found = basins(surface, mask, depth + 0.5)
    pieces = label(mask, connectivity=1)
    for number in range(1, pieces.max() + 1):
        inside = pieces == number
        low = surface[inside].min() - 10_000
        heights = np.where(inside, surface, low)
        lowered = np.where(inside, np.maximum(surface - depth - 0.5, low), low)
        raised = np.pad(reconstruction(lowered, heights, footprint=CROSS), 1, constant_values=low)
        summits = label(local_maxima(raised, connectivity=1), connectivity=1)[1:-1, 1:-1] * inside
        count = max(1, len(np.unique(summits[summits > 0])))
        assert len(np.unique(found[inside])) == count
    assert ((found > 0) == mask).all()


@settings(max_examples=100, deadline=None)
@given(landscapes())
def test_each_region_is_connected_and_reaches_its_peak_uphill(landscape):
    surface, mask, depth = landscape
    found = basins(surface, mask, depth + 0.5)
    assert len(np.unique(label(found, background=0, connectivity=1))) == len(np.unique(found))


def test_heights_may_be_negative():
    surface = np.array([[-5, -1, -4, -2, -6]], float)
    assert basins(surface, np.ones((1, 5), bool), 1).tolist() == [[1, 1, 1, 2, 2]]
    assert basins(surface, np.ones((1, 5), bool), 2).tolist() == [[1, 1, 1, 1, 1]]
