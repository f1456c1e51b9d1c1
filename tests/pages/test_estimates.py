"""The drawing of estimated and true scores."""

import xml.etree.ElementTree as tree

from src.pages.estimates import drawn_estimates


def test_intervals_that_hold_and_others_are_told_apart():
    rows = [
        {"true": 0.5, "expected": 0.55, "low": 0.4, "high": 0.7},
        {"true": 0.9, "expected": 0.6, "low": 0.5, "high": 0.7},
    ]
    drawing = drawn_estimates(rows, "f1_50")
    tree.fromstring(drawing)
    for colour in ("#2b8cc4", "#d55e00"):
        assert colour in drawing
    missed = [drawn_estimates(some, "f1_50").count("#d55e00") for some in (rows[:1], rows)]
    assert missed[0] < missed[1]
