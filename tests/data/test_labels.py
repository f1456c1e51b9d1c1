"""What the values of labels mean, read from files of any tool and found out from drawings."""

import numpy as np
import pytest
from scipy import ndimage

from src.data.labels import describe, detect, to_learn
from tests.data.own import draw

CELLS = draw(0)[1]
MASK = (CELLS > 0).astype(np.uint8)


def membranes(number):
    """0 in lines two pixels wide between cells."""
    points = np.random.default_rng(number).integers(0, 96, (12, 2))
    y, x = np.mgrid[:96, :96]
    nearest = np.argmin([(y - py) ** 2 + (x - px) ** 2 for py, px in points], axis=0)
    edges = np.zeros((96, 96), bool)
    edges[1:] |= nearest[1:] != nearest[:-1]
    edges[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
    return np.where(edges, 0, 255).astype(np.uint8)


def classes(cells):
    return np.where(cells, 1 + cells % 2, 0).astype(np.uint8)


KINDS = {
    "binary": [(draw(number)[1] > 0).astype(np.uint8) * 255 for number in range(4)],
    "boundary": [membranes(number) for number in range(4)],
    "instances": [draw(number)[1] for number in range(4)],
    "classes": [classes(draw(number)[1]) for number in range(4)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("images", [1, 4])
def test_the_kind_of_labels_is_found_out(kind, images):
    assert detect([describe(labels) for labels in KINDS[kind][:images]]) == kind


def test_an_empty_image_among_others_changes_nothing():
    for kind, drawn in KINDS.items():
        assert detect([describe(labels) for labels in [np.zeros_like(drawn[0]), *drawn]]) == kind


def test_a_cell_with_stray_pixels_is_a_cell():
    drawn = [labels.copy() for labels in KINDS["instances"]]
    for labels in drawn:
        labels[0, 0] = 3
    assert detect([describe(labels) for labels in drawn]) == "instances"


def test_a_drawing_is_described():
    drawing = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [1, 0, 2, 2]])
    found = describe(drawing)
    assert found.counts == {0: 5, 1: 3, 2: 4}
    assert (found.pieces, found.cells, found.side, found.single) == (3, 2, 3, 0.5)


@pytest.mark.parametrize("kind", ["binary", "boundary"])
def test_of_a_mask_the_cells_are_its_pieces(kind):
    target, cells, known = to_learn(MASK * 255, kind)
    np.testing.assert_array_equal(target, MASK)
    np.testing.assert_array_equal(cells, ndimage.label(MASK)[0])
    assert known.all()


@pytest.mark.parametrize("kind", ["binary", "boundary"])
def test_the_values_say_which_of_two_is_the_cell(kind):
    target, cells, known = to_learn(MASK * 255, kind, [255, 0])
    np.testing.assert_array_equal(target, 1 - MASK)
    np.testing.assert_array_equal(cells > 0, MASK == 0)
    part = to_learn(np.where(CELLS == 1, 7, MASK * 255), kind, [255, 0], ignore=7)
    assert not part[0][CELLS == 1].any() and not part[2][CELLS == 1].any() and known.all()


def test_of_numbered_cells_the_numbers_are_closed_up():
    target, cells, _ = to_learn(np.array([[0, 9, 70000]]), "instances")
    assert target.tolist() == [[0, 1, 1]] and cells.tolist() == [[0, 1, 2]]


def test_classes_are_the_values_or_stand_for_them():
    labels = np.array([[0, 128, 128, 0, 255, 0, 128]])
    target, cells, _ = to_learn(labels, "classes", [0, 128, 255])
    assert target.tolist() == [[0, 1, 1, 0, 2, 0, 1]]
    assert cells.tolist() == [[0, 1, 1, 0, 3, 0, 2]]
    assert to_learn(np.array([[0, 2, 1]]), "classes")[0].tolist() == [[0, 2, 1]]
    with pytest.raises(ValueError, match=r"labels of \[0, 128\], but got 255"):
        to_learn(labels, "classes", [0, 128])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_ignored_belongs_to_no_class_and_no_cell(kind):
    labels = np.array([[0, 1, 7, 2, 0]])
    target, cells, known = to_learn(labels, kind, ignore=7)
    assert known.tolist() == [[True, True, False, True, True]] and target[0, 2] == cells[0, 2] == 0
    assert (target[0, [0, 4]] == 0).all() and (target[0, [1, 3]] > 0).all()
