"""Order of scores by goodness."""

import math

import pytest

from src.metrics.goodness import goodness, worst_first


@pytest.mark.parametrize(("mode", "best"), [("max", 0.9), ("min", 0.1)])
def test_the_best_of_scores_has_the_largest_goodness(mode, best):
    scores = [0.5, 0.1, math.nan, 0.9, None]
    assert max(scores, key=lambda score: goodness(score, mode)) == best


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("nothing", [None, math.nan])
def test_none_and_nan_are_worse_than_any_score(nothing, mode):
    assert goodness(nothing, mode) < goodness(1e300, mode) and goodness(nothing, mode) < goodness(-1e300, mode)


def test_another_mode_is_an_error():
    with pytest.raises(KeyError):
        goodness(0.5, "most")


ROWS = [{"name": "a", "f1": 0.9}, {"name": "b", "f1": 0.2}, {"name": "c", "f1": None}, {"name": "d", "f1": 0.5}]


@pytest.mark.parametrize(("mode", "expected"), [("max", "bdac"), ("min", "adbc")])
def test_the_worst_come_first_and_those_without_a_score_last(mode, expected):
    assert "".join(row["name"] for row in worst_first(ROWS, "f1", mode)) == expected
