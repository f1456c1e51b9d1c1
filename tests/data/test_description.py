"""What is measured of label images, on drawings."""

import cv2
import numpy as np
import pytest

from src.data.description import describe
from tests.data import drawn
from tests.data.own import draw


def test_a_drawing_is_described():
    drawing = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [1, 0, 2, 2]])
    found = describe(drawing)
    assert found.counts == {0: 5, 1: 3, 2: 4}
    assert (found.pieces, found.cells, found.side, found.single, found.whole) == (3, 2, 3, 0.5, 0.5)


def test_stray_pixels_leave_a_cell_whole():
    labels = drawn.cells(0)[0].copy()
    labels[0, 0] = 3
    found = describe(labels)
    assert (found.single, found.whole) == (8 / 9, 1.0)


def test_of_few_values_it_is_known_where_and_what_they_are():
    labels, image = np.zeros((10, 20), int), np.zeros((10, 20))
    labels[2:4, 5:10], image[2:4, 5:10] = 3, 100
    area = describe(labels, image).areas[3]
    assert (area.y, area.x, area.share) == (0.25, 0.35, 0.05)
    assert area.grey == pytest.approx((100 - image.mean()) / image.std())
    assert not area.spans and area.border == 0 and describe(labels).areas[0].spans
    assert describe(np.arange(30).reshape(5, 6)).areas == {}


@pytest.mark.parametrize("scale", [2, 3, 1.5, 0.7])
@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4])
def test_numbers_that_were_resized_with_interpolation_are_known(scale, how):
    labels = drawn.cells(0)[0].astype(np.float32)
    resized = np.rint(cv2.resize(labels, None, fx=scale, fy=scale, interpolation=how)).clip(0, 9).astype(np.uint8)
    if how == cv2.INTER_AREA and scale > 1:
        return  # which repeats pixels, or nearly
    assert describe(resized).interpolated


@pytest.mark.parametrize("scale", [2, 3, 1.5, 0.7])
def test_numbers_that_were_resized_with_nearest_neighbours_are_not(scale):
    for labels in (drawn.cells(0)[0], draw(0)[1], drawn.layers(0, 6)[0], drawn.organs(0, 5)[0]):
        resized = cv2.resize(labels, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        assert not describe(resized).interpolated


def crowd(count: int) -> np.ndarray:
    """Square cells of 4 pixels a side, numbered row by row."""
    side = int(np.ceil(np.sqrt(count)))
    numbers = np.arange(1, side * side + 1).reshape(side, side)
    numbers = np.where(numbers <= count, numbers, 0)
    return np.kron(numbers, np.pad(np.ones((4, 4), int), ((0, 2), (0, 2))))


@pytest.mark.parametrize("count", [260, 311, 400, 700])
def test_numbers_that_wrapped_or_stopped_at_255_are_known(count):
    labels = crowd(count)
    assert describe(labels.astype(np.uint8)).wrapped
    assert describe(np.minimum(labels, 255).astype(np.uint8)).wrapped
    assert not describe(labels).wrapped


def test_255_cells_have_not_wrapped():
    assert not describe(crowd(255).astype(np.uint8)).wrapped
    broken = crowd(255)
    broken[::6] = 0  # a line through some of them
    assert not describe(broken.astype(np.uint8)).wrapped


def flags(labels):
    found = describe(labels)
    return {name for name in ("thin", "is_net", "is_branching", "has_blobs") if getattr(found, name)}


@pytest.mark.parametrize(
    ("draw_one", "expected"),
    [
        (drawn.membranes, {"thin"}),
        (lambda number: drawn.membranes(number, white=True), {"is_net"}),
        (drawn.vessels, {"is_branching"}),
        (lambda number: drawn.mask(number, 0, 255), {"has_blobs"}),
        (drawn.mask, set()),
        (drawn.clump, set()),
        (drawn.confluent, {"has_blobs"}),  # of which nobody can tell whether the gaps are the cells
    ],
)
def test_most_masks_are_told_apart_by_their_shapes(draw_one, expected):
    assert [flags(draw_one(number)[0]) for number in range(9)].count(expected) > 6


def test_one_cell_has_no_membrane_around_it():
    view = drawn.disc((96, 96), 48, 48, 47).astype(np.uint8) * 255  # the field of view of a fundus camera
    assert flags(view) == set()
