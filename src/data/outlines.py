"""What outlines cover, as pixels.

Coordinates lie on the edges of pixels: (0, 0) is the corner of the first one, and a pixel belongs to an outline if its
centre lies in it. A centre on the outline itself belongs to what is left of it or below it, as in ImageJ, so that
outlines that share an edge share no pixel.
"""

from collections.abc import Sequence

import numpy as np

FARTHEST = 2**24  # px, of a coordinate from the first pixel
MOST_CROSSINGS = 2**23  # of the edges of a shape with rows of pixels

Size = tuple[int, int]  # rows and columns of an image
Patch = tuple[tuple[slice, slice], np.ndarray]  # a part of an image, and which of its pixels are covered


def outline(values: object) -> np.ndarray:
    """Points ``(N, 2)``, x and y, of pairs of numbers or of numbers side by side.

    Raises:
        ValueError: they are something else, or lie near no image.
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
    """The four corners of a rectangle of which two opposite ones are given."""
    (left, top), (right, bottom) = first, second
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def filled(outlines: Sequence[np.ndarray], size: Size) -> Patch:
    """The pixels of an image that lie in an odd number of outlines, so that one within another is a hole.

    Row by row, because scikit-image takes 6 s for an outline of 3 000 points that this fills in 4 ms.

    Args:
        outlines: points ``(N, 2)`` each, of which the last one is joined to the first.
        size: rows and columns of the image.

    Raises:
        ValueError: there are more edges than any image has.
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
    # What rounding leaves of a centre on the outline lies on one side of it, always the same.
    entered = np.clip(np.floor(at + 0.5 + 1e-8), 0, width).astype(int)
    turns = np.zeros(height * (width + 1), np.uint8)
    np.add.at(turns, crossed * (width + 1) + entered, np.uint8(1))
    turns = np.add.accumulate(turns.reshape(height, width + 1), axis=1, dtype=np.uint8)
    return window, (turns[:, :width] & 1).astype(bool)


def rounded(first: np.ndarray, second: np.ndarray, radii: np.ndarray, size: Size) -> Patch:
    """What a rectangle covers whose corners are quarters of ellipses; those of half its sides make it an oval.

    Args:
        first: x and y of its upper left corner.
        second: those of its lower right one.
        radii: of the ellipses, along x and y.
        size: rows and columns of the image.
    """
    window = _window(first, second, size)
    middle, straight = (first + second) / 2, (second - first) / 2 - radii

    def beyond(along: slice, axis: int) -> np.ndarray:
        centres = np.arange(along.start, along.stop) + 0.5
        return np.maximum(np.abs(centres - middle[axis]) - straight[axis], 0) / max(radii[axis], 1e-9)

    return window, beyond(window[0], 1)[:, None] ** 2 + beyond(window[1], 0) ** 2 <= 1


def _window(low: np.ndarray, high: np.ndarray, size: Size) -> tuple[slice, slice]:
    """The part of an image in which all between two points lies."""
    left, top = np.clip(np.floor(low), 0, size[::-1]).astype(int).tolist()
    right, bottom = np.clip(np.ceil(high), (left, top), size[::-1]).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def decoded(runs: Sequence[int] | str, size: Size) -> Patch:
    """The pixels of a mask of COCO, column by column in runs of pixels outside and inside, in turn.

    Args:
        runs: their lengths, as numbers or in COCO's compressed text.
        size: rows and columns of the image.

    Raises:
        ValueError: they are of another number of pixels.
    """
    lengths = np.asarray(_lengths(runs) if isinstance(runs, str) else runs)
    pixels = size[0] * size[1]
    whole = lengths.ndim == 1 and lengths.dtype.kind in "iu" and lengths.min(initial=0) >= 0
    if not whole or lengths.max(initial=0) > pixels or lengths.sum() != pixels:
        raise ValueError(f"expected runs of {pixels:,} pixels, but got {str(runs)[:80]}")
    mask = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size[::-1]).T
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    window = tuple(slice(each[0], each[-1] + 1) if len(each) else slice(0, 1) for each in (rows, columns))
    return window, mask[window]


def _lengths(text: str) -> list[int]:
    """Lengths of runs, 5 bits a character, the lowest first; from the fourth on as differences from the last but one.

    >>> _lengths("52203")
    [5, 2, 2, 2, 5]
    """
    lengths, value, bits = [], 0, 0
    for code in text.encode():
        if not 48 <= code < 112 or bits > 40:
            raise ValueError(f"expected runs of pixels, but got {text[:80]}")
        value |= (code - 48 & 31) << bits
        bits += 5
        if code - 48 & 32:  # another character of the same number follows
            continue
        value -= (code - 48 & 16) << bits - 4  # which is negative
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = bits = 0
    if bits:
        raise ValueError(f"expected runs of pixels, but got some that are cut off, {text[-80:]}")
    return lengths
