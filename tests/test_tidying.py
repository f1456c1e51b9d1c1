"""Filled holes and dropped small cells: drawings, and SciPy applied cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from src.tidying import tidy


def drawn(text):
    """Each digit as it is, a dot as 0, ``(H, W)``."""
    return np.array([[int(c) for c in row.replace(".", "0")] for row in text.split()], np.int32)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("111 1.1 111", "111 111 111"),
        ("111 1.1 1.1", "111 1.1 1.1"),  # open at the border of the image
        ("11. 1.1 111", "11. 111 111"),  # enclosed: 4-connected background does not pass a corner
        ("11111 1...1 1.2.1 1...1 11111", "11111 11111 11211 11111 11111"),
        ("1112 1.32 1112", "1112 1.32 1112"),  # between several cells
    ],
)
def test_background_that_one_cell_encloses_becomes_part_of_it(before, after):
    assert tidy(drawn(before), fill_holes=True).tolist() == drawn(after).tolist()


def test_small_cells_become_background_and_the_rest_is_numbered_anew():
    assert tidy(drawn("1.22 1.22 3.44"), min_size=2).tolist() == drawn("1.22 1.22 ..33").tolist()


def test_where_a_small_cell_was_dropped_the_hole_is_filled():
    assert tidy(drawn("111 121 111"), min_size=2, fill_holes=True).tolist() == drawn("111 111 111").tolist()


def test_an_empty_label_image_stays_empty():
    assert not tidy(np.zeros((3, 4), np.int32), 5, True).any()


def plainly_filled(labels):
    """Each cell by itself, the smaller boxes first."""
    filled = labels.copy()
    boxes = {number: box for number, box in enumerate(ndimage.find_objects(labels), start=1) if box}
    for cell, box in sorted(boxes.items(), key=lambda item: np.prod([side.stop - side.start for side in item[1]])):
        there = filled[box]
        there[ndimage.binary_fill_holes(labels[box] == cell) & (there == 0)] = cell
    return filled


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.floats(0.3, 1))
def test_holes_are_filled_as_by_scipy_cell_by_cell(seed, height, width, share):
    random = np.random.default_rng(seed)
    labels = ndimage.label(random.random((height, width)) < share)[0].astype(np.int32)
    expected, found = plainly_filled(labels), tidy(labels, fill_holes=True)
    assert ((found > 0) == (expected > 0)).all()
    assert (np.unique(found, return_inverse=True)[1] == np.unique(expected, return_inverse=True)[1]).all()
