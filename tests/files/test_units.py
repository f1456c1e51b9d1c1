"""Lengths in the metadata of images."""

import math

from src.files.units import MICROMETRES, number, possible


def test_impossible_pixel_sizes_are_dropped():
    assert possible({"Z": 0.0, "Y": math.nan, "X": 0.5}) == {"X": 0.5}
    assert possible({"Y": -1.0, "X": math.inf}) == {}


def test_invalid_numbers_are_nan():
    assert number("0.25") == 0.25 and math.isnan(number("µm")) and math.isnan(number(None))


def test_units_are_in_micrometres():
    assert [MICROMETRES[unit] for unit in ("µm", "nm", "mm", "inch")] == [1, 1e-3, 1e3, 25_400]
