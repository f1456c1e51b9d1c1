"""Planes too large for memory, block by block; cells that reach over several blocks keep one number."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.instances import components, pieces
from src.tiles.overlap import Window

AT_ONCE = 2**22  # pixels of a plane that is predicted at once
BLOCK = 512  # pixels, side of the blocks of a larger one


def blocks(height: int, width: int, side: int) -> list[Window]:
    """Windows of ``side`` pixels, the last ones smaller, that cover a plane, row by row."""
    return [
        Window(top, left, min(side, height - top), min(side, width - left))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def block_side(height: int, width: int) -> int:
    """Side in pixels of the blocks in which a plane is predicted: all of it at once, unless it is large.

    Slices are scored in the same blocks as files are predicted, so that both are equal to the last bit.
    """
    return max(height, width) if height * width <= AT_ONCE else BLOCK


def joined_components(
    values: Callable[[Window], np.ndarray], windows: Sequence[Window], min_size: int = 0
) -> Callable[[Window], np.ndarray]:
    """Number the 4-connected components of a plane of which only a block at a time is in memory.

    Each block is numbered by itself; numbers that meet across the border of two blocks are one
    component. The result equals that of the whole plane, but for the order of the numbers.

    Args:
        values: ``(height, width)`` in a window, a mask or integers, of which those of one value but 0 are connected;
            asked for once now and once more later.
        windows: the blocks, as `blocks` gives them.
        min_size: pixels; a smaller component becomes background.

    Returns:
        What gives the labels ``(height, width)`` int32 in a window, 0 = background.
    """
    start, count = {}, 0  # the number before the first of each block; how many there are
    sizes, meetings = [], []
    below, beside = {}, {}  # last row and column of a block and its values, by where the next block begins
    for window in windows:
        found = values(window)
        local = _numbered(found)
        start[window] = count
        numbered = np.stack([np.where(local > 0, local.astype(np.int64) + count, 0), found])
        if min_size > 1:
            sizes.append(np.bincount(local.ravel(), minlength=1)[1:].astype(np.int32))
        count += int(local.max())
        for edge, neighbour in (
            (numbered[:, 0], below.pop((window.top, window.left), None)),
            (numbered[:, :, 0], beside.pop((window.top, window.left), None)),
        ):
            if neighbour is not None:
                meet = (edge[0] > 0) & (edge[1] == neighbour[1])
                meetings.append(np.unique(np.stack([neighbour[0, meet], edge[0, meet]]), axis=1))
        below[window.top + window.height, window.left] = numbered[:, -1].copy()
        beside[window.top, window.left + window.width] = numbered[:, :, -1].copy()

    pairs = np.concatenate([np.zeros((2, 0), np.int64), *meetings], axis=1) - 1
    graph = coo_array((np.ones(pairs.shape[1], bool), tuple(pairs)), shape=(count, count))
    joined = connected_components(graph, directed=False)[1] if count else np.zeros(0, int)
    number = np.zeros(count + 1, np.int32)  # of each component of a block; 0 stays background
    if min_size > 1 and count:
        kept = np.bincount(joined, weights=np.concatenate(sizes)) >= min_size
        number[1:] = np.where(kept, np.cumsum(kept), 0)[joined]
    else:
        number[1:] = joined
        number[1:] += 1

    def labels(window: Window) -> np.ndarray:
        local = _numbered(values(window))
        return number[np.where(local > 0, local + start[window], 0)]

    return labels


def _numbered(values: np.ndarray) -> np.ndarray:
    return components(values) if values.dtype == bool else pieces(values)
