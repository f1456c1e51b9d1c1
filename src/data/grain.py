"""Distinguish the grey levels of a picture or a probability map from the numbers of a label image."""

import numpy as np

from src.data.agreement import edges_of
from src.data.numbers import FURTHEST_APART
from src.files.arrays import strips_of
from src.instances import pieces

GRADED, EDGED, FLAT = "grey levels", "a mask with smooth edges", "numbers"
STRIPS = 4  # number of strips of an image that are examined, which is enough


def grain(values: np.ndarray, distinct: np.ndarray, counts: np.ndarray) -> str:
    """Classify an integer image as grey levels, a mask with smooth edges, or label numbers.

    In an image of grey levels, at least half of the areas of equal value have only one or two pixels, nearly all pixels
    have a neighbour with another value, and the two values differ little. Small labelled spots, and the two sides of a
    smooth edge, differ clearly from their surroundings. The limits were measured on label images, probability maps and
    pictures of many kinds.

    Args:
        values: the image, ``(…, H, W)`` integers.
        distinct: the values that occur, in ascending order.
        counts: number of pixels of each distinct value.

    Returns:
        `GRADED`, `EDGED` or `FLAT`; empty if undecided.
    """
    strips = [strip for strip in strips_of(values.reshape(-1, values.shape[-1])) if strip.min() < strip.max()]
    if len(distinct) < 3 or not strips:
        return ""
    low, high = np.sort(distinct[np.argsort(-counts, kind="stable")[:2]])
    seen = np.concatenate(strips[:: -(-len(strips) // STRIPS)]).astype(np.int64)
    others = (seen != low) & (seen != high)
    areas = np.bincount(pieces(np.where(others, seen - int(distinct[0]) + 1, 0)).ravel())[1:]
    fine = len(areas) > 0 and np.median(areas) <= 2 and (edges_of(seen) > 0)[others].mean() > 0.7
    steps = np.concatenate([each[each > 0] for each in (np.abs(np.diff(seen, axis=axis)) for axis in (0, 1))])
    step = np.median(steps) / max(1, np.ptp(np.percentile(distinct, (5, 95))))  # without outliers
    many = len(distinct) >= 24 or (len(distinct) >= 6 and np.ptp(distinct) >= 8 * len(distinct))
    again = len(distinct) >= 64 and len(areas) >= 8 * len(distinct)  # grey levels in blocks, as in an enlarged image
    if many and others.sum() >= 64 and ((fine and step <= 0.36) or (again and step <= 0.1)):
        return GRADED
    edged = fine and (low, high) == (distinct[0], distinct[-1]) and high - low > FURTHEST_APART
    return EDGED if edged else "" if fine else FLAT
