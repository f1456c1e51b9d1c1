"""Compare two runs by their scores on the same images, with a paired bootstrap."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, norm

from src.metrics.bootstrap import RESAMPLES, level

POWER = 0.8  # statistical power of a comparison with `Difference.needed` images


@dataclass(frozen=True)
class Difference:
    """Difference between the mean scores of two runs.

    Attributes:
        mean: mean over images of the score in the first run minus the score in the second run.
        low, high: ends of the 95 % confidence interval of ``mean``.
        images: number of images that have a score in both runs.
        needed: approximate number of images with which a difference of this size would be significant with a power of
            `POWER`; None if ``mean`` is 0.
    """

    mean: float
    low: float
    high: float
    images: int
    needed: int | None

    @property
    def significant(self) -> bool:
        """Whether the difference is significant, which means that the confidence interval excludes 0."""
        return self.low > 0 or self.high < 0


def difference(one: Sequence[float], other: Sequence[float], seed: int = 0) -> Difference | None:
    """Compare the scores of two runs by a paired bootstrap over images.

    Args:
        one: score of each image in the first run; NaN if the image has no score.
        other: score of each image in the second run, in the same order.
        seed: seed of the resampling.

    Returns:
        The difference, or None if fewer than two images have a score in both runs.
    """
    found = np.asarray(one, float) - np.asarray(other, float)
    found = found[np.isfinite(found)]
    if len(found) < 2:
        return None
    mean, spread = float(found.mean()), float(found.std(ddof=1))
    if spread == 0:
        return Difference(mean, mean, mean, len(found), 2 if mean else None)
    ends = bootstrap(
        (found,),
        np.mean,
        n_resamples=10 * RESAMPLES,
        confidence_level=level(len(found)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    sure = norm.ppf(0.975) + norm.ppf(POWER)
    needed = max(2, math.ceil((sure * spread / mean) ** 2)) if mean else None
    return Difference(mean, float(ends.low), float(ends.high), len(found), needed)
