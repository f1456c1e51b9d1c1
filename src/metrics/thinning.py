"""Cells that have grown until the membranes between them are one pixel wide."""

import numba
import numpy as np

from src.instances import components

_TO_FLOOD, _QUEUED, _LINE = -2, -1, 0
_STEPS = np.array([[-1, 0], [0, -1], [0, 1], [1, 0]])


def thinned_components(foreground: np.ndarray) -> np.ndarray:
    """4-connected components that have flooded the background until one pixel is left between them.

    So the width of a membrane does not change the score. It is the watershed of Vincent and Soille
    (1991, IEEE TPAMI 13:583) of the image with two levels, cell and membrane, as the ISBI-2012
    challenge thins: all components rise at once, a pixel that two of them reach is a line, and so is
    one that only lines reach. Which pixel of several becomes the line depends on the order of the
    queue, which therefore starts column by column, as in the official scorer.

    Args:
        foreground: mask ``(H, W)``.

    Returns:
        Segments ``(H, W)`` int32, 0 on lines; one segment where there is no component to rise.
    """
    labels = components(foreground)
    if labels.max() == 0:
        return np.ones_like(labels)
    labels[~foreground] = _TO_FLOOD
    _flood(labels, _STEPS)
    return labels


@numba.njit(cache=True)
def _flood(labels, steps):
    height, width = labels.shape
    queue = np.empty((height * width, 2), np.int32)
    first, last = 0, 0
    for x in range(width):
        for y in range(height):
            if labels[y, x] != _TO_FLOOD:
                continue
            for dy, dx in steps:
                v, u = y + dy, x + dx
                if 0 <= v < height and 0 <= u < width and labels[v, u] > 0:
                    labels[y, x] = _QUEUED
                    queue[last] = y, x
                    last += 1
                    break
    while first < last:
        y, x = queue[first]
        first += 1
        only_lines = False  # so far; a component reached later still takes the pixel
        for dy, dx in steps:
            v, u = y + dy, x + dx
            if not (0 <= v < height and 0 <= u < width):
                continue
            beside, here = labels[v, u], labels[y, x]
            if beside == _TO_FLOOD:
                labels[v, u] = _QUEUED
                queue[last] = v, u
                last += 1
            elif beside == _LINE and here == _QUEUED:
                labels[y, x] = _LINE
                only_lines = True
            elif beside > 0:
                if here == _QUEUED or (here == _LINE and only_lines):
                    labels[y, x] = beside
                elif here > 0 and here != beside:
                    labels[y, x] = _LINE
                    only_lines = False
