"""Tile sizes, margins and mirrored borders for overlap-tile prediction (figure 2 of the paper).

    |<-------------- side -------------->|     input of the network
    | margin |<----- output ---->| margin|     output of a valid network
             |<-- kept -->|                    part of the output that is used: a multiple of 2^depth

Everything is in pixels along one axis; both axes follow the same rules.
"""

import numpy as np

# Largest kept part of a tile along an axis, unless a side is given. A window of 512 px that is rotated by any angle is
# at most 724 px wide, and one tile for it computes less context than four.
LARGEST_KEPT = 768


def shrinkage(depth: int) -> int:
    """Return by how many pixels the output side of a valid (unpadded) U-Net is smaller than its input: 184 at depth 4.

    Args:
        depth: number of poolings of the network, here and in all functions of this module.
    """
    return int(12 * 2**depth - 8)


def margin(depth: int, padded: bool = False) -> int:
    """Return the context in pixels that an output pixel needs on each side: 92 at depth 4 (§2, figure 2).

    A padded network pools from the edge of its tile, a valid one from 2 pixels further inside. So the margin of a
    padded network is 2 pixels wider, and rounded up to whole pooling windows: 96 at depth 4.
    """
    context = shrinkage(depth) // 2
    return _up_to(context + 2, 2**depth) if padded else context


def output_side(side: int, depth: int, padded: bool = False) -> int:
    """Return the side of the network's output for an input of ``side`` pixels: 388 for 572 at depth 4.

    Raises:
        ValueError: the side is not valid; the message names the nearest valid sides.
    """
    if not is_valid_side(side, depth, padded):
        nearest = " and ".join(str(near) for near in nearest_valid_sides(side, depth, padded))
        rule = f"a multiple of {2**depth}" if padded else f"{2**depth}·n + {4 * (2**depth - 1)}"
        raise ValueError(
            f"expected a tile side that a network of depth {depth} can take ({rule} pixels), but got {side}; "
            f"nearest valid: {nearest}"
        )
    return side if padded else side - shrinkage(depth)


def is_valid_side(side: int, depth: int, padded: bool = False) -> bool:
    """Return whether a network can take inputs of ``side`` pixels.

    The input of every 2×2 max-pooling must have an even side, and the output must have at least one pixel.
    """
    if padded:
        return side > 0 and side % 2**depth == 0
    return side > shrinkage(depth) and (side - 4 * (2**depth - 1)) % 2**depth == 0


def nearest_valid_sides(side: int, depth: int, padded: bool = False) -> list[int]:
    """Return the largest valid side up to ``side`` and the next larger one, or only the smallest valid side.

    The smallest valid side alone is returned if it is not below ``side``.
    """
    smallest = next(s for s in range(1, 13 * 2**depth + 1) if is_valid_side(s, depth, padded))
    below = smallest + max(0, (side - smallest) // 2**depth) * 2**depth
    return [below] if side <= smallest else [below, below + 2**depth]


def kept_side(side: int, depth: int, padded: bool = False) -> int:
    """Return the side of the part of a tile's output that is used: 384 for a tile of 572 pixels at depth 4.

    This part is not influenced by padding, and is cut to a multiple of 2^depth. If tiles followed each other at other
    distances, they would pool in different phases and disagree at their seams.

    Raises:
        ValueError: the side is not valid, or too small to keep anything.
    """
    exact = output_side(side, depth, padded) - (2 * margin(depth, padded) if padded else 0)
    if exact < 2**depth:
        smallest = covering_side(1, depth, padded)
        raise ValueError(
            f"expected a tile that keeps at least {2**depth} pixels, but got side {side}; nearest valid: {smallest}"
        )
    return int(exact // 2**depth * 2**depth)


def covering_side(length: int, depth: int, padded: bool = False, largest_kept: int = LARGEST_KEPT) -> int:
    """Return the side of equal tiles, as few as possible, whose kept parts cover an axis of ``length`` pixels.

    Each tile keeps at most ``largest_kept`` pixels of its output, rounded up to a multiple of 2^depth.
    """
    kept = _up_to(-(-length // -(-length // largest_kept)), 2**depth)
    if padded:
        return kept + 2 * margin(depth, padded)
    return next(side for side in nearest_valid_sides(kept + shrinkage(depth), depth) if side - shrinkage(depth) >= kept)


def mirrored(length: int, before: int, after: int) -> np.ndarray:
    """Return the indices that extend an axis by reflection at its first and last pixel (figure 2).

    ``mirrored(3, 2, 2)`` is ``[2, 1, 0, 1, 2, 1, 0]``. The extension may be longer than the axis.

    Args:
        length: length of the axis.
        before: number of pixels by which the axis is extended before its first pixel.
        after: number of pixels by which it is extended after its last pixel.

    Returns:
        int64 indices, ``(before + length + after,)``.
    """
    positions = np.arange(-before, length + after)
    if length == 1:
        return np.zeros_like(positions)
    folded = np.abs(positions) % (2 * (length - 1))
    return np.asarray(np.minimum(folded, 2 * (length - 1) - folded))


def _up_to(value: int, step: int) -> int:
    """Round up to a multiple of ``step``."""
    return -(-value // step) * step
