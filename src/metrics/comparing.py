"""Whether one of two runs is better: scores of the same images, held against each other pair by pair."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, norm

from src.metrics.bootstrap import RESAMPLES, level

POWER = 0.8  # with which so many images as `Difference.needed` would tell two runs apart


@dataclass(frozen=True)
class Difference:
    """By how much the mean score of images is larger in one run than in another one.

    Attributes:
        mean: of the differences.
        low, high: ends of the interval that holds it in 95 of 100 drawings of as many images.
        images: that both have scored.
        needed: about how many images of this kind would tell the runs apart, if they differ so much; None where they do
            not differ at all.
    """

    mean: float
    low: float
    high: float
    images: int
    needed: int | None

    @property
    def told(self) -> bool:
        """Whether the runs can be told apart by these images."""
        return self.low > 0 or self.high < 0


def difference(one: Sequence[float], other: Sequence[float], seed: int = 0) -> Difference | None:
    """Compare two runs by a paired bootstrap over images; None where fewer than two images can be compared.

    Args:
        one: the score of each image in one run.
        other: and of the same images in the other run.
        seed: of the drawings.
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
