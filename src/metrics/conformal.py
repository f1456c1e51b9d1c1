"""Conformal prediction intervals by the jackknife+, whose coverage does not depend on the quality of the regression.

Method: Barber, Candès, Ramdas, Tibshirani 2021, Predictive inference with the jackknife+, The Annals of Statistics
49:486–507. Each case is left out once, so that no cases have to be set aside for calibration. The only assumption is
that the new case is exchangeable with the known cases.
"""

import math
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.9  # share of intervals that contain the true value
FEWEST = 9  # cases; with fewer, no finite interval has this coverage
MOST = 500  # largest number of cases that are used, so that a fit takes seconds
PENALTIES = np.logspace(-2, 2, 9)  # of ridge regression, for standardised features and the mean squared error


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression.

    Attributes:
        centre: mean of each feature over the cases of the fit, ``(D,)``.
        slopes: coefficient of each feature, ``(D,)``.
        level: predicted value where all features equal their means.
    """

    centre: np.ndarray
    slopes: np.ndarray
    level: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Predict the values ``(N,)`` of N cases from their features ``(N, D)``."""
        values: np.ndarray = (features - self.centre) @ self.slopes + self.level
        return values


def ridge(features: np.ndarray, values: np.ndarray) -> Ridge:
    """Fit a ridge regression, with the penalty in `PENALTIES` that has the smallest leave-one-out error.

    Args:
        features: features of N cases, ``(N, D)``; a constant feature gets the slope 0.
        values: value to predict for each case, ``(N,)``.
    """
    count = len(values)
    centre, spread, level = features.mean(axis=0), features.std(axis=0), values.mean()
    spread = np.where(spread > 1e-9, spread, np.inf)
    left, singular, right = np.linalg.svd((features - centre) / spread, full_matrices=False)
    aimed = left.T @ (values - level)
    errors = []
    for penalty in PENALTIES:
        kept = singular**2 / (singular**2 + count * penalty)
        leverage = (left**2) @ kept + 1 / count
        errors.append(np.mean(((values - level - left @ (kept * aimed)) / (1 - leverage)) ** 2))
    penalty = PENALTIES[int(np.argmin(errors))]
    slopes = right.T @ (singular / (singular**2 + count * penalty) * aimed)
    return Ridge(centre, slopes / spread, float(level))


@dataclass(frozen=True)
class Interval:
    """A predicted value with its interval.

    Attributes:
        expected: median of the predictions of the leave-one-out regressions.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Conformal:
    """Leave-one-out regressions and their residuals, from which intervals are predicted.

    Attributes:
        regressions: one regression for each of the N known cases, fitted to all other known cases.
        residuals: absolute error of each regression on the case that was left out, ``(N,)``.
        limits: smallest and largest possible value, to which intervals are clipped.
    """

    regressions: tuple[Ridge, ...]
    residuals: np.ndarray
    limits: tuple[float, float]

    def __call__(self, features: np.ndarray) -> Interval:
        """Predict the value of a new case, with its interval, from the features ``(D,)`` of the case."""
        values = np.array([regression(features[None])[0] for regression in self.regressions])
        rank = math.ceil(COVERAGE * (len(values) + 1) - 1e-9)
        low = np.sort(values - self.residuals)[len(values) - rank]
        high = np.sort(values + self.residuals)[rank - 1]
        middle, low, high = np.clip([np.median(values), low, high], *self.limits).tolist()
        return Interval(middle, low, high)


def fitted(features: np.ndarray, values: np.ndarray, limits: tuple[float, float]) -> Conformal:
    """Fit the leave-one-out regressions to at most `MOST` known cases.

    Args:
        features: features of the known cases, ``(N, D)``.
        values: values of the known cases, ``(N,)``.
        limits: smallest and largest possible value.

    Raises:
        ValueError: there are fewer than `FEWEST` cases.
    """
    places = np.linspace(0, len(values) - 1, min(len(values), MOST)).astype(int)
    features, values, count = features[places], values[places], len(places)
    if count < FEWEST:
        raise ValueError(f"expected at least {FEWEST} cases for {COVERAGE:.0%} intervals, but got {count}")
    regressions, residuals = [], []
    for place in range(count):
        others = np.arange(count) != place
        regressions.append(ridge(features[others], values[others]))
        residuals.append(abs(float(values[place] - regressions[-1](features[place : place + 1])[0])))
    return Conformal(tuple(regressions), np.array(residuals), limits)


def too_few(score: str, count: int) -> str:
    """Return a message that a score is not estimated because only ``count`` images were scored out of fold.

    >>> too_few("f1_50", 6)
    'f1_50 is not estimated: 90% intervals need at least 9 images scored out of fold, but there are 6.'
    """
    needed = f"{COVERAGE:.0%} intervals need at least {FEWEST} images scored out of fold"
    return f"{score} is not estimated: {needed}, but there are {count}."
