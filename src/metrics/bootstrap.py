"""How sure a score is: what it might have been with other images of the same kind."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 1000


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
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(drawn.low), float(drawn.high)
