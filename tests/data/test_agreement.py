"""Labels agree with the image that they were drawn on, and less with one that was turned."""

import cv2
import numpy as np
import pytest

from src.data.agreement import CLEAR, Offset, agreement, laid, offset, texture, width
from tests.data.own import draw


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.fliplr, np.transpose])
def test_cells_agree_best_with_their_own_image(number, turn):
    image, cells = draw(number)
    own = agreement(image, cells)
    assert own > agreement(turn(image), cells) + CLEAR
    assert own == pytest.approx(agreement(np.repeat(image[..., None], 3, axis=2), cells))
    assert own == pytest.approx(agreement(255 - image, cells), abs=1e-6), "dark cells are cells too"


def test_nothing_agrees_with_nothing():
    image, cells = draw(0)
    assert agreement(np.zeros_like(image), cells) == agreement(image, np.zeros_like(cells)) == 0


IMAGE, CELLS = (part.astype(np.float32) for part in draw(0))


def found(image=IMAGE, labels=CELLS):
    return offset(laid(image, labels))


def moved(rows, columns, labels=CELLS):
    return np.roll(labels, (rows, columns), (0, 1))


@pytest.mark.parametrize("by", [(6, -8), (-5, 0), (0, 12), (3, 3)])
def test_moved_labels_are_found_by_rows_and_columns(by):
    assert found(labels=moved(*by)) == Offset(*by)
    larger = [np.kron(part, np.ones((6, 6), np.float32)) for part in (IMAGE, moved(*by))]
    there = found(*larger)
    assert np.abs(np.subtract((there.rows, there.columns), 6 * np.array(by))).max() <= there.step == 576 / 256
    assert found(255 - IMAGE, moved(*by)) == Offset(*by), "dark cells are cells too"


def test_labels_that_lie_on_their_image_are_not_moved():
    for number in range(6):
        image, cells = draw(number)
        there = offset(laid(image.astype(np.float32), cells))
        assert max(abs(there.rows), abs(there.columns)) <= 1 and not there.sure
    assert not found(labels=moved(2, 0)).sure, "within what a hand may draw"


@pytest.mark.parametrize("number", range(6))
def test_cells_that_are_drawn_too_wide_are_not_moved(number):
    image, cells = draw(number)
    wide = cv2.dilate(cells, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    there = offset(laid(image.astype(np.float32), wide))
    assert there is None or not there.sure


def test_a_shift_that_nobody_can_tell_is_none():
    assert found(IMAGE[:48], moved(6, -8)[:48]) is None  # too small
    assert found(np.full_like(IMAGE, 9)) is None and found(labels=np.zeros_like(CELLS)) is None
    assert found(np.random.default_rng(0).normal(0, 1, IMAGE.shape).astype(np.float32)) is None


def test_cells_have_texture():
    rough = IMAGE + (CELLS > 0) * np.random.default_rng(0).normal(0, 30, IMAGE.shape).astype(np.float32)
    assert texture(laid(rough, CELLS)) > 1.5 and texture(laid(rough, CELLS == 0)) < 1 / 1.5
    assert texture(laid(IMAGE, np.ones_like(CELLS))) is texture(laid(IMAGE, np.zeros_like(CELLS))) is None
    assert texture(laid(np.zeros_like(IMAGE), CELLS)) is None


@pytest.mark.parametrize("scale", [1, 4])
def test_the_width_of_a_cell_is_that_of_the_largest_disc_in_it(scale):
    labels = np.zeros((96 * scale, 96 * scale), np.uint16)
    labels[10 * scale : 14 * scale] = 1  # long, but narrow
    disc = np.hypot(*(np.mgrid[: 96 * scale, : 96 * scale] - 60 * scale)) < 20 * scale
    labels[disc] = 2
    drawn = laid(labels.astype(np.float32), labels)
    assert width(drawn) == pytest.approx(40 * scale, abs=3 * scale)
    halves = np.where(disc & (np.arange(96 * scale) > 60 * scale), 3, labels)  # cells that touch are two
    assert width(laid(labels.astype(np.float32), halves)) == pytest.approx(20 * scale, abs=3 * scale)
    assert width(laid(labels.astype(np.float32), np.zeros_like(labels))) == 0
    assert width(laid(labels.astype(np.float32), np.ones_like(labels))) == pytest.approx(96 * scale, abs=2 * scale)
