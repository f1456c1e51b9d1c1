"""Whether whole numbers are grey levels, of a picture or of probabilities, or numbers of labels."""

import numpy as np

from src.data.agreement import edges_of
from src.data.numbers import FURTHEST_APART
from src.files.arrays import strips_of
from src.instances import pieces

GRADED, EDGED, FLAT = "grey levels", "a mask with smooth edges", "numbers"
MOST_STRIPS = 4  # of a file that are looked at closely


def grain(values: np.ndarray, distinct: np.ndarray, counts: np.ndarray) -> str:
    """What integers ``(…, H, W)`` look like, `GRADED`, `EDGED` or `FLAT`; empty where nobody can tell.

    Of grey levels half of the areas of one value are a pixel or two, nearly all pixels lie beside another value, and
    that is not far away. Spots are as small, but stand out; so does each side of an edge that is smooth. Measured on
    label images, probability maps and pictures of many kinds, and on all label files at hand.
    """
    strips = [strip for strip in strips_of(values.reshape(-1, values.shape[-1])) if strip.min() < strip.max()]
    if len(distinct) < 3 or not strips:
        return ""
    low, high = np.sort(distinct[np.argsort(-counts, kind="stable")[:2]])
    seen = np.concatenate(strips[:: -(-len(strips) // 4)]).astype(np.int64)  # four of them tell enough
    others = (seen != low) & (seen != high)
    areas = np.bincount(pieces(np.where(others, seen - int(distinct[0]) + 1, 0)).ravel())[1:]
    fine = len(areas) > 0 and np.median(areas) <= 2 and (edges_of(seen) > 0)[others].mean() > 0.7
    steps = np.concatenate([each[each > 0] for each in (np.abs(np.diff(seen, axis=axis)) for axis in (0, 1))])
    step = np.median(steps) / max(1, np.ptp(np.percentile(distinct, (5, 95))))  # one number far away does not count
    many = len(distinct) >= 24 or (len(distinct) >= 6 and np.ptp(distinct) >= 8 * len(distinct))
    again = len(distinct) >= 64 and len(areas) >= 8 * len(distinct)  # levels in blocks, as of an image made larger
    if many and others.sum() >= 64 and ((fine and step <= 0.36) or (again and step <= 0.1)):
        return GRADED
    edged = fine and (low, high) == (distinct[0], distinct[-1]) and high - low > FURTHEST_APART
    return EDGED if edged else "" if fine else FLAT
