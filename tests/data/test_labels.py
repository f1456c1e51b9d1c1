"""What is to be learnt from label images of each kind."""

import numpy as np
import pytest
from scipy import ndimage

from src.data.kinds import KINDS
from src.data.labels import coded, to_learn
from tests.data.own import draw

CELLS = draw(0)[1]
MASK = (CELLS > 0).astype(np.uint8)


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


def test_a_background_alone_makes_all_else_one_class():
    labels = np.array([[0, 1, 255, 7]])
    for kind in ("binary", "boundary", "classes"):
        assert coded(labels, kind, [0]).tolist() == [[0, 1, 1, 1]]
        assert coded(labels, kind, [7]).tolist() == [[1, 1, 1, 0]]
    target, cells, _ = to_learn(labels, "instances", [7])
    assert target.tolist() == [[1, 1, 1, 0]] and cells.tolist() == [[1, 2, 3, 0]]


def test_what_is_none_of_the_values_is_no_class():
    labels = np.array([[5, 1, 300000, -2, 0]])
    assert coded(labels, "classes", [300000, 5, -2]).tolist() == [[1, -1, 0, 2, -1]]
    assert coded(labels, "binary", [1, 5, -2]).tolist() == [[1, 0, 0, 1, 0]]
