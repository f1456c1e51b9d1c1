"""Confidence intervals of scores, by a bootstrap over images."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from scipy.stats import bootstrap, norm, t

from src.metrics.evaluator import Sums

CONFIDENCE = 0.95
RESAMPLES = 1000
SUREST = 1 - 1e-6  # highest level, for two images


def level(images: int) -> float:
    """The confidence level at which a percentile bootstrap has the coverage `CONFIDENCE`.

    For few images a percentile interval is too narrow: it lacks the wide tails of Student's t, and resamples vary less
    than the population. This level gives the expanded percentile interval (Hesterberg 2015, What Teachers Should Know
    About the Bootstrap, The American Statistician 69:371–386).

    Args:
        images: number of images, at least two.
    """
    wide = np.sqrt(images / (images - 1)) * t.ppf((1 + CONFIDENCE) / 2, images - 1)
    return min(float(1 - 2 * norm.sf(wide)), SUREST)


def of_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % confidence interval of a mean score, by a bootstrap over images.

    >>> of_mean([0.5, 0.5, 0.5])
    (0.5, 0.5)
    """
    if len(set(values)) == 1:
        return values[0], values[0]
    drawn = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=level(len(values)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(drawn.low), float(drawn.high)


def intervals(
    counts: Sequence[Sums], compute: Callable[[Sums], dict[str, float]], seed: int = 0
) -> dict[str, list[float]]:
    """95 % confidence interval of each score that is pooled over images, by a bootstrap over images.

    Images are drawn with replacement, and their counts are summed.

    Args:
        counts: counts of each of at least two images, as `evaluator.Evaluator.counts` returns them.
        compute: computes scores from summed counts.
        seed: seed of the resampling.

    Returns:
        Score → lower and upper end; nan where a resample may have nothing to score.
    """
    stacked = {name: np.stack([each[name] for each in counts]) for name in counts[0]}

    def pooled(drawn: np.ndarray) -> dict[str, float]:
        times = np.bincount(drawn, minlength=len(counts))
        return compute({name: np.tensordot(times, each, 1).astype(each.dtype) for name, each in stacked.items()})

    names = list(pooled(np.arange(len(counts))))

    def scores(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        rows = [pooled(each) for each in np.atleast_2d(drawn)]
        values = np.array([[row[name] for row in rows] for name in names], dtype=float)
        return values if drawn.ndim > 1 else values[:, 0]

    found = bootstrap(
        (np.arange(len(counts)),),
        scores,
        n_resamples=RESAMPLES,
        batch=RESAMPLES // 20,
        vectorized=True,
        confidence_level=level(len(counts)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    ends = np.stack([found.low, found.high], axis=1)
    return {name: end for name, end in zip(names, ends.tolist(), strict=True)}


def means(rows: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """The mean of each score over the rows that have it; None where no row has."""
    found: dict[str, float | None] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [score for row in rows if (score := row.get(name)) is not None and not math.isnan(score)]
        found[name] = fmean(known) if known else None
    return found
