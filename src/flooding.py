"""The summits of a landscape, each with the slopes that lead up to it."""

import numba
import numpy as np


def basins(surface: np.ndarray, mask: np.ndarray, depth: float) -> np.ndarray:
    """Part a mask into the summits of a surface that stand out, each with the slopes that lead up to it.

    Pixels are met from the highest one down. One without neighbours is a new summit; another one joins its highest
    neighbour; where it joins two summits, and the lower of them rises at most ``depth`` above it, they are one. So
    the summits are the h-maxima of the surface (Soille, *Morphological Image Analysis*, 2003, §6.3.4) and the parts the
    watershed that grows from them.

    Args:
        surface: ``(H, W)`` real numbers.
        mask: what to part, ``(H, W)`` booleans.
        depth: h, in units of the surface.

    Returns:
        ``(H, W)`` int32, numbered from 1 row by row as one meets them, 0 outside the mask.

    >>> basins(np.array([[1, 3, 2, 4, 1]]), np.ones((1, 5), bool), 0.5)
    array([[1, 1, 2, 2, 2]], dtype=int32)
    >>> basins(np.array([[1, 3, 2, 4, 1]]), np.ones((1, 5), bool), 1)
    array([[1, 1, 1, 1, 1]], dtype=int32)
    """
    heights = np.ascontiguousarray(surface, np.float32).ravel()
    inside = np.flatnonzero(mask)
    # One number for height and place sorts several times faster than one by the other, and leaves no ties.
    bits = heights[inside].view(np.int32)
    rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)  # in the order of the real numbers
    order = np.sort((~rising << 32) | inside) & 0xFFFFFFFF
    return _basins(heights, order, inside, surface.shape[1], depth).reshape(surface.shape)


@numba.njit(cache=True, nogil=True)
def _top(above, place):
    """The summit that a pixel belongs to; the way there is shortened for the next one who asks."""
    top = place
    while above[top] != top:
        top = above[top]
    while above[place] != top:
        above[place], place = top, above[place]
    return top


@numba.njit(cache=True, nogil=True)
def _basins(heights, order, inside, width, depth):
    above = np.full(len(heights), -1, np.int32)  # of each pixel met another one of its part, of a summit itself
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
        # What does not stand out joins the one that the pixel leads to, through which they touch.
        owner = here if joined < 0 else _top(above, joined)
        for place in range(count):
            if heights[owner] - heights[here] <= depth and heights[tops[place]] > heights[owner]:
                owner = tops[place]
        for place in range(count):
            if heights[tops[place]] - heights[here] <= depth:
                above[tops[place]] = owner
        above[here] = owner
    number, numbers = 0, np.zeros(len(heights), np.int32)
    found = np.zeros(len(heights), np.int32)
    for here in inside:
        top = _top(above, here)
        if numbers[top] == 0:
            number += 1
            numbers[top] = number
        found[here] = numbers[top]
    return found
