"""Thinning of membranes to a width of one pixel."""

import numba
import numpy as np

from src.instances import components

_TO_FLOOD, _QUEUED, _LINE = -2, -1, 0
_STEPS = np.array([[-1, 0], [0, -1], [0, 1], [1, 0]])


def thinned_components(foreground: np.ndarray) -> np.ndarray:
    """Grow 4-connected components into the background until lines of one pixel are left between them.

    After this thinning, the width of a membrane has no effect on the score. As in the ISBI-2012 challenge, the method
    is the watershed of Vincent and Soille (1991, IEEE TPAMI 13:583) on an image with two levels, cell and membrane: all
    components grow at the same time; a pixel that two components reach becomes part of a line, and so does a pixel that
    only lines reach. Which of several pixels becomes the line depends on the order of the queue, which begins column by
    column, as in the official scorer.

    Args:
        foreground: mask of cells, ``(H, W)`` booleans.

    Returns:
        Segment of each pixel, ``(H, W)`` int32, 0 on lines; all 1 if the mask is empty.
    """
    labels = components(foreground)
    if labels.max() == 0:
        return np.ones_like(labels)
    labels[~foreground] = _TO_FLOOD
    _flood(labels, _STEPS)
    return labels


@numba.njit(cache=True)
def _fill_queue(labels: np.ndarray, steps: np.ndarray, queue: np.ndarray) -> int:
    """Queue the background pixels that touch a component, column by column, and return the number of these pixels."""
    height, width = labels.shape
    last = 0
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
    return last


@numba.njit(cache=True)
def _flood(labels: np.ndarray, steps: np.ndarray) -> None:
    """Assign each background pixel to a component or a line; change ``labels`` in place."""
    height, width = labels.shape
    queue = np.empty((height * width, 2), np.int32)
    first, last = 0, _fill_queue(labels, steps, queue)
    while first < last:
        y, x = queue[first]
        first += 1
        only_lines = False  # True if only lines have been seen so far; a component seen later still takes the pixel
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
