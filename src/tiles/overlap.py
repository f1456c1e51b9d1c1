"""Overlap-tile prediction: seamless prediction of any window of an image, tile by tile (figure 2).

Tiles start on a grid of 2^depth pixels that is fixed for the whole image, their kept parts lie edge
to edge, and context beyond the border is mirrored. A tile that reaches beyond the window is cut,
never shifted. So each pixel has the same neighbourhood and pooling phase in any tile and window:
the prediction of a part equals the same part of the whole prediction. It is fast because each pixel
is computed once; sliding windows that overlap by half compute each pixel four times.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.tiles.geometry import covering_side, kept_side, margin, mirrored


class Window(NamedTuple):
    """A rectangle of an image, in pixels; parts of it may lie outside."""

    top: int
    left: int
    height: int
    width: int


Read = Callable[[Window], Tensor]  # reads a window of an image, (N, C, height, width), mirrored beyond its border
Predict = Callable[[Read, Window], Tensor]  # predicts a window of an image, (N, K, height, width)


def reader(image: Tensor) -> Read:
    """Make a function that reads windows of an image in memory ``(N, C, H, W)``."""
    height, width = image.shape[-2:]

    def read(window: Window) -> Tensor:
        rows, columns = (torch.from_numpy(place).to(image.device) for place in mirrored_places(height, width, window))
        return image[..., rows, :][..., columns]

    return read


def mirrored_places(height: int, width: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows and columns of a window, mirrored beyond the border of the image."""
    return mirrored_range(height, window.top, window.height), mirrored_range(width, window.left, window.width)


def mirrored_range(length: int, start: int, extent: int) -> np.ndarray:
    """Indices into an axis of ``length`` pixels for ``extent`` positions from ``start``, mirrored beyond its ends."""
    before, after = max(0, -start), max(0, start + extent - length)
    return mirrored(length, before, after)[start + before :][:extent]


def overlap_tile(
    network: Callable[[Tensor], Tensor],
    read: Read,
    window: Window,
    depth: int,
    padded: bool = False,
    tile: int | None = None,
) -> Tensor:
    """Predict a window tile by tile, as if the network were applied to the whole, mirrored image at once.

    Args:
        network: maps ``(N, C, side, side)`` to ``(N, K, side', side')``, valid or padded.
        read: reads the image.
        window: the window to predict.
        depth: number of poolings of the network.
        padded: whether the network's output has the size of its input.
        tile: side of the network's input in pixels; None fits each axis, up to `LARGEST_KEPT`.

    Returns:
        Output of the network for the window, ``(N, K, height, width)``.

    Raises:
        ValueError: the network cannot take ``tile``; the message names the nearest valid sides.
    """
    rows, columns = (
        list(_tiles(start, extent, depth, padded, tile)) for start, extent in zip(window[:2], window[2:], strict=True)
    )
    before, output_starts = margin(depth, padded), margin(depth, padded) if padded else 0
    strips = []
    for top, height, first_row, last_row in rows:
        strip = []
        for left, width, first_column, last_column in columns:
            predicted = network(read(Window(top - before, left - before, height, width)))
            inner = predicted[..., output_starts:, output_starts:]
            strip.append(inner[..., first_row:last_row, first_column:last_column])
        strips.append(torch.cat(strip, dim=-1))
    return torch.cat(strips, dim=-2)


def computed_pixels(height: int, width: int, depth: int, padded: bool = False) -> int:
    """Input pixels of all tiles of an image: a measure of the work to predict it."""
    rows, columns = (sum(side for _, side, _, _ in _tiles(0, each, depth, padded, None)) for each in (height, width))
    return rows * columns


def _tiles(start: int, extent: int, depth: int, padded: bool, tile: int | None) -> Iterator[tuple[int, int, int, int]]:
    """Tiles along one axis: the start of the kept part, the side, and the range of the kept part to use."""
    origin = start // 2**depth * 2**depth
    side = covering_side(start + extent - origin, depth, padded) if tile is None else tile
    kept = kept_side(side, depth, padded)
    for first in range(origin, start + extent, kept):
        yield first, side, max(start - first, 0), min(start + extent - first, kept)
