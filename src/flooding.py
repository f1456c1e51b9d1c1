"""A watershed from h-maxima: parts a mask into regions, one around each peak of a surface."""

import numba
import numpy as np


def basins(surface: np.ndarray, mask: np.ndarray, depth: float) -> np.ndarray:
    """Part a mask into regions, one around each peak of a surface that rises more than ``depth`` above its saddles.

    Pixels are visited from the highest to the lowest. A pixel without a visited neighbour is a new peak; any other
    joins its highest neighbour. Where it connects two peaks, and the lower of them rises at most ``depth`` above it,
    they become one. So the peaks are the h-maxima of the surface (Soille, *Morphological Image Analysis*, 2003,
    §6.3.4) and the regions are the watershed that grows from them.

    Args:
        surface: heights, real numbers ``(H, W)``.
        mask: pixels to part, booleans ``(H, W)``.
        depth: h, in units of the surface.

    Returns:
        Label image ``(H, W)`` int32, 0 outside the mask; regions are numbered from 1 in reading order.

    >>> basins(np.array([[1, 3, 2, 4, 1]]), np.ones((1, 5), bool), 0.5)
    array([[1, 1, 2, 2, 2]], dtype=int32)
    >>> basins(np.array([[1, 3, 2, 4, 1]]), np.ones((1, 5), bool), 1)
    array([[1, 1, 1, 1, 1]], dtype=int32)
    """
    heights = np.ascontiguousarray(surface, np.float32).ravel()
    inside = np.flatnonzero(mask)
    # Height and place packed into one integer sort several times faster than a stable argsort, and there are no ties.
    bits = heights[inside].view(np.int32)
    rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)  # integers in the order of the heights
    order = np.sort((~rising << 32) | inside) & 0xFFFFFFFF
    above = _joined(heights, order, surface.shape[1], depth)
    return _numbered(above, inside).reshape(surface.shape)


@numba.njit(cache=True, nogil=True)
def _top(above: np.ndarray, place: int) -> int:
    """The peak that a pixel belongs to; shortens the path to it for later calls (union-find)."""
    top: int = place
    while above[top] != top:
        top = above[top]
    while above[place] != top:
        above[place], place = top, above[place]
    return top


@numba.njit(cache=True, nogil=True)
def _joined(heights: np.ndarray, order: np.ndarray, width: int, depth: float) -> np.ndarray:
    """For each pixel another pixel of its region, for a peak itself; -1 for pixels that are not in ``order``."""
    above = np.full(len(heights), -1, np.int32)
    tops = np.empty(4, np.int32)
    for here in order:
        column, count, joined = here % width, 0, -1
        for side in range(4):
            if (side == 1 and column == 0) or (side == 2 and column == width - 1):
                continue
            beside = here + (-width, -1, 1, width)[side]
            if not 0 <= beside < len(heights) or above[beside] < 0:
                continue
            tops[count] = _top(above, beside)
            count += 1
            if joined < 0 or heights[beside] > heights[joined]:
                joined = beside
        # Peaks too low to stay apart are merged into the highest of those that meet at this pixel.
        owner = here if joined < 0 else _top(above, joined)
        for place in range(count):
            if heights[owner] - heights[here] <= depth and heights[tops[place]] > heights[owner]:
                owner = tops[place]
        for place in range(count):
            if heights[tops[place]] - heights[here] <= depth:
                above[tops[place]] = owner
        above[here] = owner
    return above


@numba.njit(cache=True, nogil=True)
def _numbered(above: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Number the regions from 1 in the order of their first pixels."""
    number, numbers = 0, np.zeros(len(above), np.int32)
    found = np.zeros(len(above), np.int32)
    for here in inside:
        top = _top(above, here)
        if numbers[top] == 0:
            number += 1
            numbers[top] = number
        found[here] = numbers[top]
    return found
