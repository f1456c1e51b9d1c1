"""Reliability of predicted probabilities: the reliability diagram and summary scores."""

from typing import TypedDict

import numpy as np

from src.metrics.calibration import log_loss

STEPS = 15  # bins of the diagram, of equal width


class Step(TypedDict):
    """A bin of the diagram: number of predictions, mean predicted probability, and fraction with a true outcome."""

    count: int
    predicted: float
    true: float


def diagram(probability: np.ndarray, counts: np.ndarray) -> list[Step]:
    """Compute a reliability diagram: compare predicted probabilities with the frequency of true outcomes.

    The predictions are grouped into `STEPS` bins of equal width; empty bins are left out.

    Args:
        probability: N different predicted probabilities, ``(N,)``.
        counts: how often the outcome was false and how often it was true for each probability, ``(2, N)``.
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
    """Compute summary scores of the reliability of predicted probabilities.

    ``ece`` is the expected calibration error: the mean absolute difference between predicted probability and true
    fraction in the bins of the `diagram`. ``brier`` is the mean squared difference between probability and outcome (0
    or 1). ``log_loss`` is the mean negative log-likelihood.

    Args:
        probability: N different predicted probabilities, ``(N,)``.
        counts: how often the outcome was false and how often it was true for each probability, ``(2, N)``.
    """
    steps, total = diagram(probability, counts), counts.sum()
    return {
        "ece": sum(step["count"] * abs(step["predicted"] - step["true"]) for step in steps) / int(total),
        "brier": float((counts * np.stack([probability**2, (1 - probability) ** 2])).sum() / total),
        "log_loss": log_loss(probability, counts),
    }
