"""Confidence intervals of scores, by a bootstrap over images."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from scipy.stats import bootstrap, norm, t

from src.metrics.evaluator import Sums

CONFIDENCE = 0.95
RESAMPLES = 1000
SUREST = 1 - 1e-6  # highest confidence level that `level` returns; two images reach it


def level(images: int) -> float:
    """Return the nominal confidence level at which a percentile bootstrap interval has the coverage `CONFIDENCE`.

    With few images, a percentile interval is too narrow, because it lacks the wide tails of Student's t distribution
    and because resamples vary less than the population. The returned level is higher than `CONFIDENCE` and gives the
    expanded percentile interval (Hesterberg 2015, What Teachers Should Know About the Bootstrap, The American
    Statistician 69:371–386).

    Args:
        images: number of images, at least two.
    """
    wide = np.sqrt(images / (images - 1)) * t.ppf((1 + CONFIDENCE) / 2, images - 1)
    return min(float(1 - 2 * norm.sf(wide)), SUREST)


def of_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Compute the 95 % confidence interval of the mean score of images, by a bootstrap over images.

    Args:
        values: score of each image.
        seed: seed of the resampling.

    Returns:
        Lower and upper end of the interval.

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
    """Compute a 95 % confidence interval for each score that is pooled over images, by a bootstrap over images.

    In each resample, images are drawn with replacement, and scores are computed from the sums of their counts (such as
    numbers of found and missed cells).

    Args:
        counts: counts of each image, as `evaluator.Evaluator.counts` returns them; at least two images.
        compute: computes all scores, by name, from counts summed over images.
        seed: seed of the resampling.

    Returns:
        Lower and upper end of the interval, by name of the score; NaN if some resamples have nothing to score.
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
    """Compute the mean of each score over the rows in which it is neither missing, None nor NaN.

    Args:
        rows: scores by name, one dictionary for each image or fold.

    Returns:
        The mean by name of the score; None if the score is known in no row.
    """
    found: dict[str, float | None] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [score for row in rows if (score := row.get(name)) is not None and not math.isnan(score)]
        found[name] = fmean(known) if known else None
    return found
