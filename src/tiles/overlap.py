"""Overlap-tile prediction: an image of any size through a network of fixed tiles, without seams (figure 2).

The image is cut into tiles whose kept parts lie edge to edge on a grid of 2^depth pixels; context
beyond the border is mirrored; the last tile is filled up by mirroring, never shifted. So each pixel
is computed from the same neighbourhood, in the same pooling phase, whatever the tile size.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from src.tiles.geometry import covering_side, kept_side, margin, mirrored


def overlap_tile(
    network: Callable[[Tensor], Tensor],
    image: Tensor,
    depth: int,
    padded: bool = False,
    tile: int | None = None,
) -> Tensor:
    """Apply ``network`` to ``image`` tile by tile, as if it had seen the whole, mirrored image at once.

    Args:
        network: maps ``(N, C, side, side)`` to ``(N, K, side', side')``, valid or padded.
        image: ``(N, C, H, W)``.
        depth: poolings of the network.
        padded: whether the network keeps the size of its input.
        tile: side of the network's input in pixels; None fits each axis, up to 512 kept pixels
            (measured fastest on two CPU cores).

    Returns:
        What the network says of each pixel, ``(N, K, H, W)``.

    Raises:
        ValueError: ``tile`` does not fit the network; the message names the nearest side that does.
    """
    height, width = image.shape[-2:]
    sides = [covering_side(length, depth, padded) if tile is None else tile for length in (height, width)]
    rows, columns = _tiles(height, sides[0], depth, padded), _tiles(width, sides[1], depth, padded)
    strips = []
    for row in rows:
        strip = image[..., row.to(image.device), :]
        tiles = [_kept(network(strip[..., column.to(image.device)]), row, column, depth, padded) for column in columns]
        strips.append(torch.cat(tiles, dim=-1))
    return torch.cat(strips, dim=-2)[..., :height, :width]


def _tiles(length: int, side: int, depth: int, padded: bool) -> list[Tensor]:
    """Indices into the image, mirrored at its ends, that each tile along one axis reads."""
    stride = kept_side(side, depth, padded)
    before = margin(depth, padded)
    extended = torch.from_numpy(mirrored(length, before, side + stride))
    return [extended[start : start + side] for start in range(0, length, stride)]


def _kept(prediction: Tensor, row: Tensor, column: Tensor, depth: int, padded: bool) -> Tensor:
    """The part of a tile's prediction that no other tile contributes."""
    first = margin(depth, padded) if padded else 0
    height, width = kept_side(len(row), depth, padded), kept_side(len(column), depth, padded)
    return prediction[..., first : first + height, first : first + width]
