"""Whether more of a score is better, and what the names of scores end with: the one place that answers."""

import math

OF_CLASS, PER_IMAGE = r"_class_([0-9]+)$", "_per_image"


def goodness(score: float | None, mode: str) -> float:
    """A number of which the largest is best; −∞ of None and nan, which say nothing.

    Args:
        score: of one image, checkpoint, threshold or run.
        mode: whether ``max`` or ``min`` of it is better.

    >>> goodness(0.2, "min") > goodness(0.3, "min") > goodness(None, "min")
    True
    """
    if score is None or math.isnan(score):
        return -math.inf
    return {"max": 1, "min": -1}[mode] * float(score)
