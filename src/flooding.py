"""A watershed from h-maxima: divides a mask into regions, one around each prominent peak of a surface."""

import numba
import numpy as np


def basins(surface: np.ndarray, mask: np.ndarray, depth: float) -> np.ndarray:
    """Divide a mask into regions, one around each peak of a surface that rises more than ``depth`` above its saddles.

    Pixels are visited from the highest to the lowest. A pixel without a visited neighbour is a new peak; any other
    pixel joins its highest neighbour. Where a pixel connects two peaks, and the lower peak rises at most ``depth``
    above the pixel, the two peaks become one. So the peaks are the h-maxima of the surface (Soille, *Morphological
    Image Analysis*, 2003, §6.3.4), and the regions are the watershed regions that grow from these peaks.

    Args:
        surface: heights, ``(H, W)``.
        mask: pixels to divide into regions, ``(H, W)`` bool.
        depth: h, in units of the surface.

    Returns:
        A label image ``(H, W)`` int32, 0 outside the mask; regions are numbered from 1 in reading order.

    >>> basins(np.array([[1, 3, 2, 4, 1]]), np.ones((1, 5), bool), 0.5)
    array([[1, 1, 2, 2, 2]], dtype=int32)
    >>> basins(np.array([[1, 3, 2, 4, 1]]), np.ones((1, 5), bool), 1)
    array([[1, 1, 1, 1, 1]], dtype=int32)
    """
    heights = np.ascontiguousarray(surface, np.float32).ravel()
    inside = np.flatnonzero(mask)
    # Sorting heights and positions packed into one integer is several times faster than a stable argsort; no ties.
    bits = heights[inside].view(np.int32)
    rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)  # integers in the order of the heights
    order = np.sort((~rising << 32) | inside) & 0xFFFFFFFF
    above = _joined(heights, order, surface.shape[1], depth)
    return _numbered(above, inside).reshape(surface.shape)


@numba.njit(cache=True, nogil=True)
def _top(above: np.ndarray, place: int) -> int:
    """Return the index of the peak that a pixel belongs to, and shorten the path to it in ``above`` (union-find).

    Args:
        above: for each pixel, the index of another pixel in its region; for a peak, its own index.
        place: index of the pixel.
    """
    top: int = place
    while above[top] != top:
        top = above[top]
    while above[place] != top:
        above[place], place = top, above[place]
    return top


@numba.njit(cache=True, nogil=True)
def _joined(heights: np.ndarray, order: np.ndarray, width: int, depth: float) -> np.ndarray:
    """Assign pixels to peaks, and merge peaks as described in `basins`.

    Args:
        heights: the flattened surface.
        order: indices of the pixels to assign, from the highest to the lowest.
        width: width of the image.
        depth: h, as in `basins`.

    Returns:
        For each pixel in ``order``, the index of another pixel in its region, or its own index if it is a peak; -1 for
        all other pixels. The array is flattened.
    """
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
        # Of the peaks that meet at this pixel, those too low to stay separate are merged into the highest peak.
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
    """Number the regions from 1 in the order of their first pixels; return a flattened label image, int32.

    Args:
        above: the result of `_joined`.
        inside: indices of the pixels in the mask, ascending.
    """
    number, numbers = 0, np.zeros(len(above), np.int32)
    found = np.zeros(len(above), np.int32)
    for here in inside:
        top = _top(above, here)
        if numbers[top] == 0:
            number += 1
            numbers[top] = number
        found[here] = numbers[top]
    return found
