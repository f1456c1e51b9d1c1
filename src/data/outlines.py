"""Rasterises outlines, rounded rectangles and run-length encoded masks.

Coordinates refer to the edges of pixels: (0, 0) is the outer corner of the first pixel, and a pixel belongs to an
outline if its centre lies inside. A centre exactly on an edge belongs to the area to the left of the edge or below it,
as in ImageJ, so that outlines with a common edge share no pixel.
"""

from collections.abc import Sequence

import numpy as np

FARTHEST = 2**24  # largest coordinate in pixels
MOST_CROSSINGS = 2**23  # largest number of crossings between the edges of one shape and rows of pixels

Size = tuple[int, int]  # rows and columns of an image
Patch = tuple[tuple[slice, slice], np.ndarray]  # a window (rows, columns), and a mask of the covered pixels within it


def outline(values: object) -> np.ndarray:
    """Convert the points of an outline to an array ``(N, 2)`` of x and y, float64.

    Args:
        values: pairs of numbers, or one flat list of x, y, x, y and so on.

    Raises:
        ValueError: the values have another form, or a coordinate is too large for any image.
    """
    points = np.asarray(values)
    if points.size and points.dtype.kind not in "iuf":
        raise ValueError(f"expected coordinates in numbers, but got {str(values)[:80]}")
    if points.ndim == 2 and points.shape[1] != 2:
        raise ValueError(f"expected points of two coordinates, but got {points.shape[1]}")
    points = points.astype(np.float64).reshape(-1, 2)
    if not (np.abs(points) <= FARTHEST).all():
        raise ValueError(f"expected coordinates up to {FARTHEST:,} px, but got {str(values)[:80]}")
    return points


def corners(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the four corners ``(4, 2)`` of a rectangle, given two opposite corners."""
    (left, top), (right, bottom) = first, second
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def filled(outlines: Sequence[np.ndarray], size: Size) -> Patch:
    """Fill outlines by the even-odd rule, so that an outline inside another one is a hole.

    This works row by row: for an outline of 3 000 points it takes 4 ms, scikit-image 6 s.

    Args:
        outlines: points ``(N, 2)`` each; the last point is joined to the first.
        size: rows and columns of the image.

    Returns:
        A window of the image, and the mask of the filled pixels within the window.

    Raises:
        ValueError: the edges cross more rows of pixels than those of any hand-drawn shape.
    """
    points = np.concatenate(outlines)
    window = _window(points.min(axis=0), points.max(axis=0), size)
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    starts, ends = points, np.concatenate([np.roll(each, -1, axis=0) for each in outlines])
    down = (starts[:, 1] <= ends[:, 1])[:, None]
    (x, upper), (end, lower) = np.where(down, starts, ends).T, np.where(down, ends, starts).T
    first, last = (np.clip(np.ceil(y - 0.5) - rows.start, 0, height).astype(int) for y in (upper, lower))
    counts = last - first
    if counts.sum() > MOST_CROSSINGS:
        raise ValueError(f"expected an outline, but got one that crosses {counts.sum():,} rows of pixels")
    edges = np.repeat(np.arange(len(counts)), counts)
    crossed = np.arange(len(edges)) + (first - np.cumsum(counts) + counts)[edges]
    slopes = np.divide(end - x, lower - upper, out=np.zeros(len(x)), where=lower > upper)
    at = x[edges] + (crossed + rows.start + 0.5 - upper[edges]) * slopes[edges] - columns.start
    # A pixel centre exactly on the outline always falls on the same side, despite rounding errors.
    entered = np.clip(np.floor(at + 0.5 + 1e-8), 0, width).astype(int)
    turns = np.zeros(height * (width + 1), np.uint8)
    np.add.at(turns, crossed * (width + 1) + entered, np.uint8(1))
    turns = np.add.accumulate(turns.reshape(height, width + 1), axis=1, dtype=np.uint8)
    return window, (turns[:, :width] & 1).astype(bool)


def rounded(first: np.ndarray, second: np.ndarray, radii: np.ndarray, size: Size) -> Patch:
    """Fill a rectangle with rounded corners, or an ellipse if the radii are half the sides.

    Args:
        first: x and y of the upper left corner of the rectangle.
        second: x and y of its lower right corner.
        radii: radii of the elliptic corners along x and y.
        size: rows and columns of the image.

    Returns:
        A window of the image, and the mask of the filled pixels within the window.
    """
    window = _window(first, second, size)
    middle, straight = (first + second) / 2, (second - first) / 2 - radii

    def beyond(along: slice, axis: int) -> np.ndarray:
        centres = np.arange(along.start, along.stop) + 0.5
        distances: np.ndarray = np.maximum(np.abs(centres - middle[axis]) - straight[axis], 0) / max(radii[axis], 1e-9)
        return distances

    return window, beyond(window[0], 1)[:, None] ** 2 + beyond(window[1], 0) ** 2 <= 1


def _window(low: np.ndarray, high: np.ndarray, size: Size) -> tuple[slice, slice]:
    """Return the window of the image that a rectangle touches, given its upper left and lower right corners (x, y)."""
    left, top = np.clip(np.floor(low), 0, size[::-1]).astype(int).tolist()
    right, bottom = np.clip(np.ceil(high), (left, top), size[::-1]).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def decoded(runs: Sequence[int] | str, size: Size) -> Patch:
    """Decode a COCO mask, which is stored column by column as alternating runs of background and foreground pixels.

    Args:
        runs: the lengths of the runs, as numbers or in COCO's compressed text format.
        size: rows and columns of the image.

    Returns:
        The bounding box of the foreground as a window of the image, and the mask within the window.

    Raises:
        ValueError: the runs do not fill the image exactly.
    """
    lengths = np.asarray(_lengths(runs) if isinstance(runs, str) else runs)
    pixels = size[0] * size[1]
    whole = lengths.ndim == 1 and lengths.dtype.kind in "iu" and lengths.min(initial=0) >= 0
    if not whole or lengths.max(initial=0) > pixels or lengths.sum() != pixels:
        raise ValueError(f"expected runs of {pixels:,} pixels, but got {str(runs)[:80]}")
    mask = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size[::-1]).T
    rows, columns = (
        slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        for used in (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    )
    return (rows, columns), mask[rows, columns]


def _lengths(text: str) -> list[int]:
    """Decode the lengths of runs from COCO's compressed text.

    Each character holds 5 bits of a number, lowest bits first. From the fourth run on, the number is the difference
    from the length of the last run but one.

    >>> _lengths("52203")
    [5, 2, 2, 2, 5]
    """
    lengths: list[int] = []
    value = bits = 0
    for code in text.encode():
        if not 48 <= code < 112 or bits > 40:
            raise ValueError(f"expected runs of pixels, but got {text[:80]}")
        value |= (code - 48 & 31) << bits
        bits += 5
        if code - 48 & 32:  # another character of the same number follows
            continue
        value -= (code - 48 & 16) << bits - 4  # the sign bit
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = bits = 0
    if bits:
        raise ValueError(f"expected runs of pixels, but got some that are cut off, {text[-80:]}")
    return lengths
