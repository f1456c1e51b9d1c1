"""Sizes, margins and mirrored borders of overlap-tile prediction (figure 2 of the paper).

    |<-------------- side -------------->|     what the network reads
    | margin |<----- output ---->| margin|     what a valid network returns
             |<-- kept -->|                    what a tile contributes: whole multiples of 2^depth

Everything is in pixels along one axis; both axes follow the same rules.
"""

import numpy as np

# Pixels that a tile keeps along an axis at most, where no side is asked for: a window of 512 turned by any angle is at
# most 724 wide, and one tile for it has less context to convolve than four.
LARGEST_KEPT = 768


def shrinkage(depth: int) -> int:
    """Pixels that a valid U-Net of ``depth`` poolings loses along one axis: 184 at depth 4."""
    return 12 * 2**depth - 8


def margin(depth: int, padded: bool = False) -> int:
    """Context in pixels that each side of a kept pixel needs: 92 at depth 4 (§2, figure 2).

    A padded network pools from the very edge of its tile, a valid one from 2 pixels further in. So
    its padding reaches 2 pixels further, and the margin is filled up to whole pooling windows: 96.
    """
    context = shrinkage(depth) // 2
    return _up_to(context + 2, 2**depth) if padded else context


def output_side(side: int, depth: int, padded: bool = False) -> int:
    """Side that the network returns for an input of ``side`` pixels: 388 for 572 at depth 4.

    Raises:
        ValueError: no such input fits the network; names the nearest sides that do.
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
    """Whether every 2×2 max-pooling sees an even side and at least one pixel comes out."""
    if padded:
        return side > 0 and side % 2**depth == 0
    return side > shrinkage(depth) and (side - 4 * (2**depth - 1)) % 2**depth == 0


def nearest_valid_sides(side: int, depth: int, padded: bool = False) -> list[int]:
    """The next valid side from ``side`` downwards and the one above it; the smallest alone if none is below."""
    smallest = next(s for s in range(1, 13 * 2**depth + 1) if is_valid_side(s, depth, padded))
    below = smallest + max(0, (side - smallest) // 2**depth) * 2**depth
    return [below] if side <= smallest else [below, below + 2**depth]


def kept_side(side: int, depth: int, padded: bool = False) -> int:
    """Pixels of a tile that are kept: its exact output cut to a multiple of 2^depth (384 for 572).

    Tiles laid out at other strides would pool in another phase and disagree at their seams.

    Raises:
        ValueError: the tile is not valid, or too small to keep anything.
    """
    exact = output_side(side, depth, padded) - (2 * margin(depth, padded) if padded else 0)
    if exact < 2**depth:
        smallest = covering_side(1, depth, padded)
        raise ValueError(
            f"expected a tile that keeps at least {2**depth} pixels, but got side {side}; nearest valid: {smallest}"
        )
    return exact // 2**depth * 2**depth


def covering_side(length: int, depth: int, padded: bool = False, largest_kept: int = LARGEST_KEPT) -> int:
    """Side of the smallest tiles that together keep ``length`` pixels, each at most ``largest_kept`` of them."""
    kept = _up_to(-(-length // -(-length // largest_kept)), 2**depth)
    if padded:
        return kept + 2 * margin(depth, padded)
    return next(side for side in nearest_valid_sides(kept + shrinkage(depth), depth) if side - shrinkage(depth) >= kept)


def mirrored(length: int, before: int, after: int) -> np.ndarray:
    """Indices that extend an axis by mirroring at its first and last pixel (figure 2).

    ``mirrored(3, 2, 2)`` is ``[2, 1, 0, 1, 2, 1, 0]``. The extension may be longer than the axis.

    Returns:
        int64 indices, ``(before + length + after,)``.
    """
    positions = np.arange(-before, length + after)
    if length == 1:
        return np.zeros_like(positions)
    folded = np.abs(positions) % (2 * (length - 1))
    return np.minimum(folded, 2 * (length - 1) - folded)


def _up_to(value: int, step: int) -> int:
    return -(-value // step) * step
