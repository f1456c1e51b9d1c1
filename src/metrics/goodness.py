"""Comparison of scores, of which larger or smaller values may be better, and the endings of their names."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

OF_CLASS, PER_IMAGE = r"_class_([0-9]+)$", "_per_image"


def goodness(score: float | None, mode: str) -> float:
    """Convert a score to a number that is larger the better the score is; minus infinity for None and NaN.

    Args:
        score: score of an image, checkpoint, threshold or run.
        mode: ``max`` if a larger score is better, ``min`` if a smaller score is better.

    >>> goodness(0.2, "min") > goodness(0.3, "min") > goodness(None, "min")
    True
    """
    if score is None or math.isnan(score):
        return -math.inf
    return {"max": 1, "min": -1}[mode] * float(score)


def worst_first(rows: Sequence[dict[str, Any]], monitor: str, mode: str) -> list[dict[str, Any]]:
    """Sort the rows of a table of scores by the score ``monitor``, worst first; rows without this score come last.

    Args:
        rows: one dictionary per image, with names of scores as keys.
        monitor: name of the score to sort by.
        mode: ``max`` if a larger score is better, ``min`` if a smaller score is better.
    """
    known = [row for row in rows if is_known(row.get(monitor))]
    worst = sorted(known, key=lambda row: goodness(row[monitor], mode))
    return worst + [row for row in rows if not is_known(row.get(monitor))]


def by_class(scores: Mapping[str, float | None]) -> dict[int, dict[str, float | None]]:
    """Group the scores of single classes by class number, and shorten their names by ``_class_NUMBER``.

    Scores that are not those of a single class are left out.

    >>> by_class({"iou": 0.5, "iou_class_1": 0.4, "dice_class_1": 0.6, "iou_class_0": 0.9})
    {0: {'iou': 0.9}, 1: {'iou': 0.4, 'dice': 0.6}}
    """
    found: dict[int, dict[str, float | None]] = {}
    for name, score in scores.items():
        if part := re.search(OF_CLASS, name):
            found.setdefault(int(part[1]), {})[name[: part.start()]] = score
    return dict(sorted(found.items()))


def is_known(score: float | None) -> bool:
    """Return whether a score is known: neither None nor NaN, which mean that there was nothing to score."""
    return score is not None and not math.isnan(score)
