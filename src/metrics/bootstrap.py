"""How sure a score is: what it might have been with other images of the same kind."""

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from scipy.stats import bootstrap, norm, t

from src.metrics.evaluator import Sums

CONFIDENCE = 0.95
RESAMPLES = 1000
SUREST = 1 - 1e-6  # of two images


def level(images: int) -> float:
    """The confidence at which the percentile bootstrap of so many images holds as often as it should.

    Of few images it is too narrow, because the normal distribution is narrower than Student's t, and what is drawn
    varies less than what it is drawn from: the expanded percentile interval (Hesterberg 2015, What Teachers Should Know
    About the Bootstrap, The American Statistician 69:371–386).

    Args:
        images: at least two.
    """
    wide = np.sqrt(images / (images - 1)) * t.ppf((1 + CONFIDENCE) / 2, images - 1)
    return min(float(1 - 2 * norm.sf(wide)), SUREST)


def of_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The interval that holds the mean of scores in 95 of 100 drawings of as many images, with replacement.

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
    """Give the interval that holds each score, pooled over images, in 95 of 100 drawings of as many images.

    Images are drawn with replacement, and what was counted in them is added up.

    Args:
        counts: of each image, at least two, as `evaluator.Evaluator.counts` gives them.
        compute: makes scores of their sums.
        seed: of the drawings.

    Returns:
        Of each score the lower and the upper end; nan where a drawing can have nothing to score.
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
    """The mean of each score over those rows that know it; None where none does."""
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [row[name] for row in rows if row.get(name) is not None and row[name] == row[name]]
        found[name] = fmean(known) if known else None
    return found
