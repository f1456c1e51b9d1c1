"""Block-wise processing of large planes, in which a cell that spans several blocks gets one number."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.instances import components, pieces
from src.tiles.overlap import Window

AT_ONCE = 2**22  # pixels of the largest plane that is predicted in one block
BLOCK = 512  # side in pixels of the blocks into which larger planes are divided


def blocks(height: int, width: int, side: int) -> list[Window]:
    """Divide a plane into square windows of ``side`` pixels, row by row; windows at the far borders may be smaller."""
    return [
        Window(top, left, min(side, height - top), min(side, width - left))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def block_side(height: int, width: int) -> int:
    """Return the side in pixels of the blocks in which a plane is predicted; a small plane is a single block.

    Scoring uses the same blocks as prediction, so that their probabilities are equal to the last bit.
    """
    return max(height, width) if height * width <= AT_ONCE else BLOCK


def joined_components(
    values: Callable[[Window], np.ndarray], windows: Sequence[Window], min_size: int = 0
) -> Callable[[Window], np.ndarray]:
    """Number the 4-connected components of a plane, keeping only one block at a time in memory.

    Each block is numbered separately; components that touch across the border between two blocks are then joined. The
    components equal those of the whole plane, but their numbers may be in another order.

    Args:
        values: returns the values ``(height, width)`` of a window: a mask, or integers, where neighbouring pixels are
            connected if they have the same value other than 0. It is called once for each block, and again whenever
            the labels of a window are read.
        windows: the blocks, as `blocks` returns them.
        min_size: smallest area in pixels; a smaller component becomes background.

    Returns:
        A function that returns the label image ``(height, width)`` int32 of one of the windows; 0 is background.
    """
    start: dict[Window, int] = {}  # number of components in all blocks before each block
    count = 0
    sizes: list[np.ndarray] = []
    meetings: list[np.ndarray] = []  # pairs of components that touch across a border
    # The component numbers and values in the last row and column of each block, by the corner of the adjacent block.
    below: dict[tuple[int, int], np.ndarray] = {}
    beside: dict[tuple[int, int], np.ndarray] = {}
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
    number = np.zeros(count + 1, np.int32)  # final number of each component; 0 stays background
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
