"""Overlap-tile prediction: seamless prediction of any window of an image, tile by tile (figure 2).

Tiles start on a grid of 2^depth pixels that is fixed for the whole image, the kept parts of their outputs lie edge to
edge, and context beyond the border is mirrored. The output of a tile that reaches beyond the window is cut; the tile is
never shifted. So each pixel has the same neighbourhood and pooling phase in any tile and window: the prediction of a
part of the image equals that part of the prediction of the whole image. This is fast because each output pixel is
computed once; sliding windows that overlap by half compute each pixel four times.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.tiles.geometry import covering_side, kept_side, margin, mirrored


class Window(NamedTuple):
    """A rectangle in image coordinates, in pixels; it may extend beyond the image."""

    top: int
    left: int
    height: int
    width: int


Read = Callable[[Window], Tensor]  # reads a window of an image, (N, C, height, width), mirrored beyond its border
Predict = Callable[[Read, Window], Tensor]  # predicts a window of an image, (N, K, height, width)


def reader(image: Tensor) -> Read:
    """Make a function that returns windows of a tensor ``(N, C, H, W)``, mirrored beyond the border of the image."""
    height, width = image.shape[-2:]

    def read(window: Window) -> Tensor:
        rows, columns = (torch.from_numpy(place).to(image.device) for place in mirrored_places(height, width, window))
        return image[..., rows, :][..., columns]

    return read


def mirrored_places(height: int, width: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of a window's rows and columns in an image, mirrored beyond the border of the image."""
    return mirrored_range(height, window.top, window.height), mirrored_range(width, window.left, window.width)


def mirrored_range(length: int, start: int, extent: int) -> np.ndarray:
    """Return indices of ``extent`` positions from ``start`` on an axis of ``length`` pixels, mirrored at its ends."""
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
    """Predict a window tile by tile, with the same result as applying the network to the whole, mirrored image.

    Args:
        network: maps an input ``(N, C, side, side)`` to an output ``(N, K, side', side')``.
        read: reads any window of the image, mirrored beyond the border.
        window: the window to predict.
        depth: number of poolings of the network.
        padded: whether the network pads, so that its output has the size of its input.
        tile: side of the network's input in pixels; None fits it to the window along each axis, see `covering_side`.

    Returns:
        The network's output for the window, ``(N, K, height, width)``.

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
    """Return the number of input pixels of all tiles of an image, a measure of the computation for its prediction."""
    rows, columns = (sum(side for _, side, _, _ in _tiles(0, each, depth, padded, None)) for each in (height, width))
    return rows * columns


def _tiles(start: int, extent: int, depth: int, padded: bool, tile: int | None) -> Iterator[tuple[int, int, int, int]]:
    """Yield the tiles along one axis that cover ``extent`` pixels from ``start``.

    Yields:
        The start of the kept part of the tile's output; the side of the tile; and the first and last (exclusive) pixel
        to use, counted within the kept part.
    """
    origin = start // 2**depth * 2**depth
    side = covering_side(start + extent - origin, depth, padded) if tile is None else tile
    kept = kept_side(side, depth, padded)
    for first in range(origin, start + extent, kept):
        yield first, side, max(start - first, 0), min(start + extent - first, kept)
