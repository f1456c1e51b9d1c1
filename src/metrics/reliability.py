"""How far probabilities can be believed: the reliability diagram, and the scores that sum it up."""

from typing import TypedDict

import numpy as np

from src.metrics.calibration import log_loss

STEPS = 15  # of the diagram, of equal width


class Step(TypedDict):
    """A step of the diagram: how many were predicted in it, with which mean probability, and which share is true."""

    count: int
    predicted: float
    true: float


def diagram(probability: np.ndarray, counts: np.ndarray) -> list[Step]:
    """Compare probabilities with how often they came true, in steps of equal width; empty steps are left out.

    Args:
        probability: of being true.
        counts: how often it was not, and was, at each ``(2, N)``.
    """
    places = np.minimum((probability * STEPS).astype(int), STEPS - 1)
    times = counts.sum(axis=0)
    sums = [np.bincount(places, weights, STEPS) for weights in (times, times * probability, counts[1])]
    return [
        {"count": int(count), "predicted": float(predicted / count), "true": float(true / count)}
        for count, predicted, true in zip(*sums, strict=True)
        if count
    ]


def scores(probability: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Sum up how far probabilities can be believed.

    ``ece`` is the expected calibration error: the mean distance between what is predicted and what is true in a step
    of the `diagram`. ``brier`` is the mean squared distance of a probability from 0 or 1, whichever is true.

    Args:
        probability, counts: as of `diagram`.
    """
    steps, total = diagram(probability, counts), counts.sum()
    return {
        "ece": sum(step["count"] * abs(step["predicted"] - step["true"]) for step in steps) / int(total),
        "brier": float((counts * np.stack([probability**2, (1 - probability) ** 2])).sum() / total),
        "log_loss": log_loss(probability, counts),
    }
