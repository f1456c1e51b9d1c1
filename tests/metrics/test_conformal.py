"""Intervals that hold as often as they say: exchangeable draws, a least-squares reference, and what is refused."""

import numpy as np
import pytest

from src.metrics.conformal import COVERAGE, FEWEST, fitted, ridge


def drawn(random, count, noise):
    """Scores that follow from one of seven features and noise of some kind."""
    features = random.normal(size=(count, 7))
    return features, features[:, 0] * 0.1 + 0.6 + noise(random, count)


@pytest.mark.parametrize(
    ("known", "noise"),
    [
        (12, lambda random, count: random.normal(0, 0.05, count)),
        (12, lambda random, count: 0.02 * random.standard_t(2, count)),  # of which some are far off
        (40, lambda random, count: -random.exponential(0.1, count)),
    ],
)
def test_nine_of_ten_intervals_hold_whatever_the_noise(known, noise):
    random, covered = np.random.default_rng(0), []
    for _ in range(80):
        features, scores = drawn(random, known + 5, noise)
        conformal = fitted(features[:known], scores[:known], (-9, 9))
        for place in range(known, known + 5):
            interval = conformal(features[place])
            covered.append(interval.low <= scores[place] <= interval.high)
            assert interval.low <= interval.expected <= interval.high
    assert len(covered) == 400 and np.mean(covered) >= COVERAGE - 0.03


def test_features_that_tell_make_intervals_narrow_and_others_do_no_harm():
    random = np.random.default_rng(1)
    features, scores = drawn(random, 60, lambda random, count: random.normal(0, 0.01, count))
    told, blind = fitted(features, scores, (0, 1)), fitted(features[:, 1:], scores, (0, 1))
    widths = [[each.high - each.low for each in map(fit, x)] for fit, x in ((told, features), (blind, features[:, 1:]))]
    assert np.median(widths[0]) < 0.05 < np.median(widths[1]) < 4 * 1.65 * scores.std()


def test_ridge_is_least_squares_where_there_is_no_noise_and_a_mean_where_nothing_tells():
    random = np.random.default_rng(2)
    features = random.normal(size=(50, 3)) * [1, 100, 0.01] + 5
    slopes = np.array([0.2, -0.003, 7.0])
    fit = ridge(features, features @ slopes + 1)
    assert fit.slopes == pytest.approx(slopes, rel=0.05)
    noise = random.normal(size=50)
    assert np.abs(ridge(features, noise)(features) - noise.mean()).max() < 0.5
    constant = ridge(np.ones((50, 3)), noise)
    assert constant.slopes.tolist() == [0, 0, 0] and constant.level == pytest.approx(noise.mean())


def test_intervals_stay_within_what_a_score_can_be():
    random = np.random.default_rng(3)
    features = random.normal(size=(20, 7))
    interval = fitted(features, random.uniform(0.9, 1, 20), (0, 1))(np.full(7, 50.0))
    assert 0 <= interval.low <= interval.expected <= interval.high <= 1


def test_too_few_cases_are_refused():
    random = np.random.default_rng(4)
    features, scores = drawn(random, FEWEST, lambda random, count: random.normal(0, 0.01, count))
    assert np.isfinite(fitted(features, scores, (0, 1))(features[0]).high)
    with pytest.raises(ValueError, match="expected at least 9 cases for 90% intervals, but got 8"):
        fitted(features[1:], scores[1:], (0, 1))


def test_of_very_many_cases_some_tell_all():
    random = np.random.default_rng(5)
    features, scores = drawn(random, 2000, lambda random, count: random.normal(0, 0.05, count))
    assert len(fitted(features, scores, (0, 1)).regressions) == 500
