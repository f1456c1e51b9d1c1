"""Mistakes are seen where they were drawn, in the kind that an annotator would name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.metrics.instance import mistakes, overlap
from src.metrics.mistakes import (
    CONFUSED,
    EXTRA,
    INEXACT,
    MERGED,
    MISSED,
    SPLIT,
    cell_mistakes,
    class_mistakes,
    largest_places,
)

LETTERS = {0: ".", SPLIT: "s", MERGED: "m", MISSED: "-", EXTRA: "+", CONFUSED: "x", INEXACT: "~"}


def drawn(row):
    """A row of cells or classes: a is 1, b is 2, and . is background."""
    return np.array([[0 if letter == "." else ord(letter) - ord("a") + 1 for letter in row]])


def shown(kinds):
    return "".join(LETTERS[value] for value in kinds.ravel())


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ("aaaaaa.bb", "ccddee.ff", "ssssss..."),
        ("aa.bb.cc.", "dddddddd.", "mmmmmmmm."),
        ("aa..bb...", "cc......x", "....--..+"),
        ("aaaa.bb.cc", "ddee.fffff", "ssss.mmmmm"),
        ("..aaaa", "bbbb..", "++++--"),
        ("aabbbb", "cccddd", "......"),
        ("aaa......", "bbbbbbbbb", "~~~~~~~~~"),
        ("aaaaaaaaa", "bbbb.....", "~~~~....."),
        ("......", "......", "......"),
    ],
)
def test_cells_wrong_are_shown_where_they_are(true, predicted, expected):
    assert shown(cell_mistakes(drawn(predicted) * 7, drawn(true) * 3)) == expected


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[arrays(int, (6, 7), elements=st.integers(0, 4))] * 2))
def test_there_are_mistakes_to_see_where_mistakes_are_counted(pair):
    seen = set(np.unique(cell_mistakes(*pair)).tolist())
    counted = dict(zip((SPLIT, MERGED, MISSED, EXTRA), mistakes(overlap(*pair)), strict=True))
    # A split cell whose pieces are merged with others is shown as merged, a missed one may lie below others.
    assert seen - {0, INEXACT} <= {kind for kind, count in counted.items() if count}
    assert all(kind in seen for kind in (MERGED, EXTRA) if counted[kind])


def test_of_classes_each_wrong_pixel_is_missed_extra_or_of_another_class():
    assert shown(class_mistakes(drawn("..aabb"), drawn(".a.aba"))) == ".-+..x"


def test_the_largest_places_come_first_and_lie_in_what_is_wrong():
    kinds = np.zeros((20, 30), np.uint8)
    kinds[2:9, 2:9] = MERGED
    kinds[4:7, 4:7] = 0  # a ring, whose centroid is right
    kinds[12:16, 20:25] = MISSED
    kinds[12:16, 25:28] = EXTRA
    kinds[18, 1] = SPLIT
    places = largest_places(kinds)
    assert [kind for kind, _, _ in places] == [MERGED, MISSED, EXTRA]
    assert all(kinds[row, column] == kind for kind, row, column in places)
    assert largest_places(np.zeros((5, 5), np.uint8)) == []
