"""The warping error, which counts mistakes of topology regardless of the exact position of borders.

Source: Jain et al. 2010, *Boundary learning by optimization with topological constraints* (CVPR), as the ISBI-2012
challenge computes it.
"""

import math
from typing import ClassVar

import numba
import numpy as np

from src.instances import components

_RING = np.array([[-1, 0], [-1, 1], [0, 1], [1, 1], [1, 0], [1, -1], [0, -1], [-1, -1]])  # clockwise from above


def _is_simple(neighbours: int) -> bool:
    """Return whether flipping a pixel preserves the topology of 4-connected foreground and 8-connected background.

    Flipping preserves the topology if exactly one piece of foreground among the eight neighbours touches the pixel
    along an edge, and at least one neighbour is background.

    Args:
        neighbours: 8 bits, one for each neighbour in the order of `_RING`; 1 = foreground.
    """
    ring = [bool(neighbours >> place & 1) for place in range(8)]
    if all(ring):
        return False
    start = ring.index(False)
    pieces, touches = 0, False
    for place in range(start + 1, start + 9):
        if ring[place % 8]:
            touches |= place % 2 == 0
        else:
            pieces += touches
            touches = False
    return pieces == 1


SIMPLE = np.array([_is_simple(neighbours) for neighbours in range(256)])


def warp(truth: np.ndarray, cell: np.ndarray, threshold: float) -> np.ndarray:
    """Warp the true mask towards the predicted mask as far as possible without a change of topology.

    No cell is split, merged, added or lost. Everything outside the image counts as background.

    Args:
        truth: true mask of cells, ``(H, W)`` booleans.
        cell: predicted probability of cell, ``(H, W)``.
        threshold: probability above which a pixel belongs to the predicted mask.

    Returns:
        The warped mask, ``(H, W)`` booleans.
    """
    bent, proposal = (np.pad(mask, 1).astype(np.uint8) for mask in (truth, cell > threshold))
    certainty = np.abs(np.pad(cell, 1) - cell.dtype.type(threshold))
    before = bent.size + 1
    while True:
        x, y = np.nonzero((bent != proposal).T)  # ties are visited column by column, as in the official scorer
        if len(y) == 0 or len(y) >= before:
            return bent[1:-1, 1:-1].astype(bool)
        before = len(y)
        order = np.argsort(-certainty[y, x], kind="stable")
        _flip_simple(bent, y[order], x[order], SIMPLE, _RING)


@numba.njit(cache=True)
def _flip_simple(mask: np.ndarray, ys: np.ndarray, xs: np.ndarray, simple: np.ndarray, ring: np.ndarray) -> None:
    """Flip the pixels of a mask in turn, each only if flipping preserves the topology; change the mask in place.

    Args:
        mask: ``(H, W)`` integers, 0 or 1.
        ys: row of each pixel to flip.
        xs: column of each pixel to flip.
        simple: `SIMPLE`, the results of `_is_simple` for all neighbourhoods.
        ring: `_RING`, the positions of the neighbours.
    """
    for y, x in zip(ys, xs):  # noqa: B905 (numba knows no strict=)
        neighbours = 0
        for place in range(8):
            neighbours |= mask[y + ring[place, 0], x + ring[place, 1]] << place
        if simple[neighbours]:
            mask[y, x] = 1 - mask[y, x]


def topological_errors(bent: np.ndarray, proposal: np.ndarray, radius: int = 20) -> tuple[int, int]:
    """Count topological errors: pixels that split or merge cells, where the warped truth differs from the prediction.

    Args:
        bent: the warped truth that `warp` returns, ``(H, W)`` booleans.
        proposal: predicted mask of cells, ``(H, W)`` booleans.
        radius: to find whether a pixel splits a cell, a window of side 2 · ``radius`` + 1 pixels is examined.

    Returns:
        Number of pixels that split a cell, and number of pixels that merge cells.
    """
    labels = np.pad(components(bent), 1)
    y, x = np.nonzero(np.pad(bent != proposal, 1))
    around = np.sort(labels[y[:, None] + _RING[:, 0], x[:, None] + _RING[:, 1]], axis=1)
    distinct = 1 + (np.diff(around, axis=1) != 0).sum(axis=1)
    beside_background, foreground = around[:, 0] == 0, labels[y, x] > 0
    between = beside_background & (distinct >= 3)
    merges = int((between & ~foreground).sum())
    splits = int((between & foreground).sum())
    for row, column in zip(*(where[beside_background & (distinct == 2) & foreground] for where in (y, x)), strict=True):
        splits += _holds_together(labels, row, column, radius)
    return splits, merges


def _holds_together(labels: np.ndarray, row: int, column: int, radius: int) -> bool:
    """Return whether the foreground in a window around a pixel would split into several pieces without the pixel.

    Args:
        labels: cell of each pixel, ``(H, W)`` integers, 0 = background.
        row: row of the pixel.
        column: column of the pixel.
        radius: the window has a side of 2 · ``radius`` + 1 pixels.
    """
    top, left = max(row - radius, 0), max(column - radius, 0)
    window = (labels[top : row + radius + 1, left : column + radius + 1] > 0).astype(np.uint8)
    y, x = row - top, column - left
    window[y, x] = 0
    pieces = components(window)
    return len(np.unique(pieces[y + _RING[:, 0], x + _RING[:, 1]])) > 2


class WarpingError:
    """Metric with the warping error: the fraction, of the pixels of all images, that split or merge cells."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"warping_error": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"errors": np.zeros(2, np.int64)}  # numbers of errors and of pixels

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Count the topological errors of an image, and all its pixels.

        Args:
            cell: predicted probability of cell, ``(H, W)``.
            target: true class of each pixel, ``(H, W)`` integers; all classes but 0 are cells.
            threshold: probability above which a pixel is predicted as cell.
        """
        errors = topological_errors(warp(target > 0, cell, threshold), cell > threshold)
        return {"errors": np.array([sum(errors), target.size])}

    def scores(self, errors: np.ndarray) -> dict[str, float]:
        """Compute the warping error from the numbers of errors and pixels, summed over images."""
        return {"warping_error": errors[0] / errors[1] if errors[1] else math.nan}
