"""Outlines hold the pixels of their cells and no others, and are polygons as every program takes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.path import Path

from src.instances import components
from src.prediction.outputs.cells import Group
from src.prediction.outputs.rings import area, holds, outlines, parted
from src.tiles.overlap import Window
from tests.prediction.outputs.drawn import HARD, blobs, masks


def outlined(labels, top=0, left=0):
    return dict(outlines(Group(0, Window(top, left, *labels.shape), labels), None))


def covered(polygon, shape):
    """The pixels whose centres lie in the outer ring and in no hole, by matplotlib."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres = np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5
    outer, *holes = (Path(np.vstack([ring, ring[:1]])).contains_points(centres).reshape(shape) for ring in polygon)
    return outer & ~np.any([np.zeros(shape, bool), *holes], axis=0)


def check(labels):
    found = outlined(labels)
    assert list(found) == np.unique(labels[labels > 0]).tolist()
    for number, polygons in found.items():
        pieces = components(labels == number)
        seen = np.zeros(labels.shape, int)
        for polygon in polygons:
            mask = covered(polygon, labels.shape)
            assert len(np.unique(pieces[mask])) == 1, "a polygon is one 4-connected piece …"
            seen += mask
            for place, ring in enumerate(polygon):
                assert len({*map(tuple, ring.tolist())}) == len(ring), "no ring meets itself"
                assert (area(ring) > 0) == (place == 0)
                step = np.abs(np.roll(ring, -1, axis=0) - ring)
                assert ((step > 0).sum(axis=1) == 1).all(), "… on the edges of pixels …"
                assert (np.diff(step[:, 0] > 0, append=step[0, 0] > 0) != 0).all(), "… without a point too many"
        assert len(polygons) == pieces.max()
        np.testing.assert_array_equal(seen, labels == number)


@settings(max_examples=200, deadline=None)
@given(masks)
def test_outlines_hold_their_cells_and_nothing_else(labels):
    check(labels)


@pytest.mark.parametrize("labels", [HARD, blobs(), np.zeros((3, 4), np.int32)], ids=["hard", "blobs", "none"])
def test_outlines_of_drawings(labels):
    check(labels)


def test_a_pixel_is_a_square_and_lies_where_its_group_does():
    ((square,),) = outlined(np.array([[0, 1]]), top=10, left=20)[1]
    assert sorted(map(tuple, square.tolist())) == [(21, 10), (21, 11), (22, 10), (22, 11)]


def test_a_hole_belongs_to_the_piece_that_it_lies_in():
    nested = np.zeros((9, 20), np.int32)
    nested[:, :9], nested[2:7, 2:7], nested[3:6, 3:6], nested[4, 4] = 1, 0, 1, 0  # a ring within a ring
    nested[:, 12:] = 1
    (polygons,) = outlined(nested).values()
    assert sorted([area(ring) for ring in polygon] for polygon in polygons) == [[9, -1], [72], [81, -25]]


def test_a_ring_that_meets_itself_is_parted():
    eight = np.array([(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (1, 1), (0, 1)])
    assert sorted(len(part) for part in parted(eight)) == [4, 4] and sum(area(part) for part in parted(eight)) == 2


def test_the_centre_of_a_pixel_lies_in_a_ring_or_not():
    ring = np.array([(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)])
    inside = [[holds(ring, (x + 0.5, y + 0.5)) for x in range(4)] for y in range(4)]
    assert inside == [[True, True, True, False], [True] + 3 * [False], [True] + 3 * [False], 4 * [False]]
