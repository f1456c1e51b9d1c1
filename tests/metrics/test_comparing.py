"""Comparison of two runs: true differences are significant, noise is not, and intervals are the analytical ones."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from src.metrics.comparing import difference


def test_the_difference_is_that_of_pairs_with_the_interval_of_the_textbook():
    random = np.random.default_rng(0)
    images = random.normal(0.8, 0.2, 60)  # some are hard for both
    one, other = images + random.normal(0.01, 0.02, 60), images
    found, expected = difference(one, other), ttest_rel(one, other).confidence_interval(0.95)
    assert found.mean == pytest.approx((one - other).mean()) and found.images == 60 and found.significant
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high], abs=2e-3)


@pytest.mark.parametrize("images", [5, 8, 30])
def test_equal_runs_seldom_differ_significantly(images):
    random = np.random.default_rng(1)
    told = sum(difference(random.normal(0, 1, images), random.normal(0, 1, images)).significant for _ in range(40))
    assert told <= 7  # 2 of 40 are expected


def test_the_number_of_needed_images_gives_the_stated_power():
    random = np.random.default_rng(2)
    needed = difference(random.normal(0.5, 1, 400), np.zeros(400)).needed
    assert needed == pytest.approx((1.96 + 0.84) ** 2 / 0.5**2, rel=0.3)
    told = sum(difference(random.normal(0.5, 1, needed), np.zeros(needed)).significant for _ in range(40))
    assert 24 <= told <= 40


def test_equal_scores_few_images_and_unknown_scores():
    assert difference([0.5, 0.7], [0.5, 0.7]) == difference([1, 1], [1, 1])
    equal = difference([0.5, 0.7, 0.1], [0.5, 0.7, 0.1])
    assert (equal.mean, equal.low, equal.high, equal.needed, equal.significant) == (0, 0, 0, None, False)
    same = difference([0.75, 0.5], [0.5, 0.25])
    assert same.significant and same.mean == 0.25
    assert difference([0.5], [0.4]) is None and difference([0.5, np.nan], [0.4, 0.3]) is None
    assert difference([0.5, np.nan, 0.4], [0.4, 0.3, 0.2]).images == 2
