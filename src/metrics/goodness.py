"""Whether more of a score is better, and what the names of scores end with: the one place that answers."""

import math
import re

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


def worst_first(rows: list[dict], monitor: str, mode: str) -> list[dict]:
    """The rows of a score table, those of the worst images first; those without the score stand last."""
    known = [row for row in rows if is_known(row.get(monitor))]
    worst = sorted(known, key=lambda row: goodness(row[monitor], mode))
    return worst + [row for row in rows if not is_known(row.get(monitor))]


def by_class(scores: dict) -> dict[int, dict[str, float | None]]:
    """The scores of each class by their plain names.

    >>> by_class({"iou": 0.5, "iou_class_1": 0.4, "dice_class_1": 0.6, "iou_class_0": 0.9})
    {0: {'iou': 0.9}, 1: {'iou': 0.4, 'dice': 0.6}}
    """
    found: dict[int, dict[str, float | None]] = {}
    for name, score in scores.items():
        if part := re.search(OF_CLASS, name):
            found.setdefault(int(part[1]), {})[name[: part.start()]] = score
    return dict(sorted(found.items()))


def is_known(score: float | None) -> bool:
    """Whether there was anything to judge."""
    return score is not None and score == score
