"""Intervals that hold a number for a new case as often as they say, whatever the regression behind them is worth.

Jackknife+ (Barber, Candès, Ramdas, Tibshirani 2021, Predictive inference with the jackknife+, The Annals of Statistics
49:486–507): every case is left out once, so that no case is spent on calibration alone. It assumes no distribution,
only that the new case is of the same kind as the known ones.
"""

import math
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.9  # share of intervals that are to hold
FEWEST = 9  # cases, of which the farthest one leaves the tenth part outside; fewer give no interval
MOST = 500  # cases that are taken, so that a fit takes seconds
PENALTIES = np.logspace(-2, 2, 9)  # of ridge regression, for standardised features and the mean squared error


@dataclass(frozen=True)
class Ridge:
    """A linear regression whose slopes are kept small.

    Attributes:
        centre: of each feature ``(D,)``.
        slopes: by feature ``(D,)``.
        level: value at the centre.
    """

    centre: np.ndarray
    slopes: np.ndarray
    level: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Values ``(N,)`` of features ``(N, D)``."""
        values: np.ndarray = (features - self.centre) @ self.slopes + self.level
        return values


def ridge(features: np.ndarray, values: np.ndarray) -> Ridge:
    """Fit a ridge regression with the penalty whose leave-one-out error is least.

    Args:
        features: ``(N, D)``; constant ones get no slope.
        values: ``(N,)``.
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
    """What is expected of a case.

    Attributes:
        expected: the middle one of the values that the regressions give.
        low: lower end of the interval.
        high: upper end.
    """

    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Conformal:
    """Regressions that have seen all known cases but one each, and how far each misses that one.

    Attributes:
        regressions: one for each case.
        residuals: distance of its value from that of the case left out, ``(N,)``.
        limits: the least and the largest value that there can be.
    """

    regressions: tuple[Ridge, ...]
    residuals: np.ndarray
    limits: tuple[float, float]

    def __call__(self, features: np.ndarray) -> Interval:
        """What is expected of a case by its features ``(D,)``."""
        values = np.array([regression(features[None])[0] for regression in self.regressions])
        rank = math.ceil(COVERAGE * (len(values) + 1) - 1e-9)
        low = np.sort(values - self.residuals)[len(values) - rank]
        high = np.sort(values + self.residuals)[rank - 1]
        middle, low, high = np.clip([np.median(values), low, high], *self.limits).tolist()
        return Interval(middle, low, high)


def fitted(features: np.ndarray, values: np.ndarray, limits: tuple[float, float]) -> Conformal:
    """Fit what gives intervals for new cases.

    Args:
        features: of the known cases ``(N, D)``.
        values: of them ``(N,)``.
        limits: the least and the largest value that there can be.

    Raises:
        ValueError: there are too few cases.
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
    """Why a score is not estimated.

    >>> too_few("f1_50", 6)
    'No f1_50 is estimated without truth: 90% intervals need at least 9 images scored out of fold, but there are 6.'
    """
    needed = f"{COVERAGE:.0%} intervals need at least {FEWEST} images scored out of fold"
    return f"No {score} is estimated without truth: {needed}, but there are {count}."
