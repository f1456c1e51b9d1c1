"""Images on another grid: any window is the same part of the whole, and what is shown stays where it is."""

import numpy as np
import pytest
from PIL import Image as Picture

from src.files.resampled import Resampled, cubic, linear, weights

SIZES = [(40, 40), (40, 23), (23, 40), (7, 100), (100, 7), (1, 5), (5, 1), (41, 40)]


def drawn(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("kernel", [cubic, linear])
@pytest.mark.parametrize(("length", "wanted"), SIZES)
def test_the_weights_of_a_pixel_sum_to_1_and_turn_round_with_the_axis(length, wanted, kernel):
    found = weights(length, wanted, kernel).toarray()
    assert found.shape == (wanted, length)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(found, found[::-1, ::-1], rtol=0, atol=1e-12)
    assert kernel is cubic or found.min() >= 0


@pytest.mark.parametrize(("kernel", "name"), [(cubic, "BICUBIC"), (linear, "BILINEAR")])
@pytest.mark.parametrize(("length", "wanted"), SIZES)
def test_they_are_those_of_pillow(length, wanted, kernel, name):
    signal = drawn(1, length).astype(np.float32)
    expected = np.asarray(Picture.fromarray(signal).resize((wanted, 1), Picture.Resampling[name]))
    np.testing.assert_allclose(signal @ weights(length, wanted, kernel).toarray().T, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("length", "wanted"), SIZES)
def test_a_slope_keeps_its_place(length, wanted):
    """Of a slope of a value a pixel, the value is the place: first and last edge stay where they are."""
    inner = slice(wanted // 3, wanted - wanted // 3)
    found = weights(length, wanted, cubic) @ np.arange(length)
    expected = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    if min(length, wanted) > 12:
        np.testing.assert_allclose(found[inner], expected[inner], atol=0.05)  # linear only nearly so, where it shrinks


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "bool"])
@pytest.mark.parametrize("size", [(61, 83), (20, 27), (33, 100)])
def test_any_window_is_equal_to_that_part_of_the_whole(size, dtype):
    array = drawn(2, 41, 55, 3, dtype=dtype) if dtype != "bool" else drawn(2, 41, 55, 3) > 127
    found = Resampled(array, "ZYXC", *size)
    whole = found[...]
    assert (whole.shape, whole.dtype) == (found.shape, array.dtype) == ((2, *size, 3), np.dtype(dtype))
    for plane, top, bottom, left, right in [(0, 0, 1, 0, 83), (1, 5, 19, 3, 21), (1, 11, 12, 20, 27)]:
        window = found[plane, top:bottom, left:right, slice(None)]
        np.testing.assert_array_equal(window, whole[plane, top:bottom, left:right])


def test_rows_read_no_more_than_they_need():
    read = []

    class Watched:
        shape, dtype = (1000, 50), np.dtype(np.uint8)

        def __getitem__(self, where):
            read.append((where[0].start, where[0].stop))
            return np.zeros((where[0].stop - where[0].start, 50), np.uint8)

    Resampled(Watched(), "YX", 2000, 100)[100:200, :]
    Resampled(Watched(), "YX", 500, 25)[100:200, :]
    assert read == [(48, 102), (197, 403)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_constant_image_stays_constant_and_none_leaves_the_range_of_its_type(dtype):
    constant = np.full((37, 41), 0.1 if dtype.startswith("f") else 7, dtype)
    assert (Resampled(constant, "YX", 90, 23)[...] == constant[0, 0]).all()
    edges = np.where(np.arange(40) % 8 < 4, 0, 255).astype(np.uint8)[None].repeat(8, axis=0)
    found = Resampled(edges, "YX", 8, 100)[...]
    assert found.min() == 0 and found.max() == 255  # and none over 255 has become 0
    assert abs(np.diff(found[0].astype(int))).max() < 200


def test_shrinking_leaves_out_what_is_too_fine():
    """Stripes of one pixel become grey, and not stripes of another width (aliasing)."""
    stripes = np.where(np.arange(99) % 2, 255, 0).astype(np.uint8)[None].repeat(9, axis=0)
    found = Resampled(stripes, "YX", 9, 40)[...]
    assert np.ptp(found[:, 3:-3].astype(int)) < 40


def test_only_rows_and_columns_side_by_side_are_read():
    found = Resampled(drawn(20, 20), "YX", 10, 10)
    with pytest.raises(IndexError, match="each of 2"):
        found[::2, :]
    with pytest.raises(IndexError, match="a slice of rows"):
        found[3, :]
