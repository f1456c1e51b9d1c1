"""Maps of mistakes: each mistake is where it was drawn, and of the right kind."""

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
def test_mistakes_of_cells_are_mapped_where_they_are(true, predicted, expected):
    assert shown(cell_mistakes(drawn(predicted) * 7, drawn(true) * 3)) == expected


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[arrays(int, (6, 7), elements=st.integers(0, 4))] * 2))
def test_the_map_shows_mistakes_if_and_only_if_some_are_counted(pair):
    seen = set(np.unique(cell_mistakes(*pair)).tolist())
    counted = dict(zip((SPLIT, MERGED, MISSED, EXTRA), mistakes(overlap(*pair)), strict=True))
    # A split cell whose pieces are merged with others is shown as merged, a missed one may lie below others.
    assert seen - {0, INEXACT} <= {kind for kind, count in counted.items() if count}
    assert all(kind in seen for kind in (MERGED, EXTRA) if counted[kind])


def test_each_pixel_of_a_wrong_class_is_missed_extra_or_confused():
    assert shown(class_mistakes(drawn("..aabb"), drawn(".a.aba"))) == ".-+..x"


def test_the_largest_mistakes_come_first_and_their_points_lie_inside():
    kinds = np.zeros((20, 30), np.uint8)
    kinds[2:9, 2:9] = MERGED
    kinds[4:7, 4:7] = 0  # a ring, whose centroid is no mistake
    kinds[12:16, 20:25] = MISSED
    kinds[12:16, 25:28] = EXTRA
    kinds[18, 1] = SPLIT
    places = largest_places(kinds)
    assert [kind for kind, _, _ in places] == [MERGED, MISSED, EXTRA]
    assert all(kinds[row, column] == kind for kind, row, column in places)
    assert largest_places(np.zeros((5, 5), np.uint8)) == []
