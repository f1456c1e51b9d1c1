"""Overlap-tile prediction: any window of an image through a network of fixed tiles, without seams (figure 2).

Tiles start on a grid of 2^depth pixels that is the same for the whole image, their kept parts lie
edge to edge, and context beyond the border is mirrored; a tile that reaches beyond the window is cut,
never shifted. So each pixel is computed from the same neighbourhood, in the same pooling phase,
whatever the tile and whatever the window: a part is equal to the same part of the whole. Each pixel is
computed once, which is why it is fast: windows that overlap by half compute each four times.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.tiles.geometry import covering_side, kept_side, margin, mirrored


class Window(NamedTuple):
    """A rectangle of an image, in pixels; it may lie partly outside."""

    top: int
    left: int
    height: int
    width: int


Read = Callable[[Window], Tensor]  # what an image holds there, (N, C, height, width), mirrored beyond its border
Predict = Callable[[Read, Window], Tensor]  # what a network says of each pixel there, (N, K, height, width)


def reader(image: Tensor) -> Read:
    """Read windows of an image in memory ``(N, C, H, W)``."""

    def read(window: Window) -> Tensor:
        rows, columns = (
            torch.from_numpy(place).to(image.device) for place in mirrored_places(*image.shape[-2:], window)
        )
        return image[..., rows, :][..., columns]

    return read


def mirrored_places(height: int, width: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the columns of an image that a window shows, mirrored beyond its border."""
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
    """Apply ``network`` to a window tile by tile, as if it had seen the whole, mirrored image at once.

    Args:
        network: maps ``(N, C, side, side)`` to ``(N, K, side', side')``, valid or padded.
        read: reads the image.
        window: what to predict.
        depth: poolings of the network.
        padded: whether the network keeps the size of its input.
        tile: side of the network's input in pixels; None fits each axis, up to `LARGEST_KEPT`.

    Returns:
        What the network says of each pixel of the window, ``(N, K, height, width)``.

    Raises:
        ValueError: ``tile`` does not fit the network; the message names the nearest side that does.
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
    """Pixels of all tiles that a network takes for a whole image, by which the work of predicting it is counted."""
    rows, columns = (sum(side for _, side, _, _ in _tiles(0, each, depth, padded, None)) for each in (height, width))
    return rows * columns


def _tiles(start: int, extent: int, depth: int, padded: bool, tile: int | None) -> Iterator[tuple[int, int, int, int]]:
    """Along one axis: where each tile's kept part starts, the tile's side, and which of the part to take."""
    origin = start // 2**depth * 2**depth
    side = covering_side(start + extent - origin, depth, padded) if tile is None else tile
    kept = kept_side(side, depth, padded)
    for first in range(origin, start + extent, kept):
        yield first, side, max(start - first, 0), min(start + extent - first, kept)
