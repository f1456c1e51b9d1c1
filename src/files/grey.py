"""Grey values: from which range they are scaled to [0, 1], and how; the same in training and in prediction."""

from pathlib import Path

import numpy as np

from src.files.image import Image

PERCENTILES = (0.5, 99.5)  # that become 0 and 1
MOST_GREY_VALUES = 2**25  # of a plane with real numbers, to find its range from


def normalise(image: np.ndarray) -> np.ndarray:
    """Scale grey values so that the 0.5th percentile becomes 0 and the 99.5th 1; clip to [0, 1].

    Each image by itself, so that stain and exposure may differ from slice to slice.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any real dtype.

    Returns:
        float32 of the same shape; zeros for a constant image.
    """
    return scaled(image, *np.percentile(image, PERCENTILES))


def scaled(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey values from ``low`` to ``high`` as float32 from 0 to 1, clipped; zeros where there is no such range."""
    if low == high:
        return np.zeros(image.shape, np.float32)
    # In the precision of the image, before it is cast: a large offset would else take up all of float32.
    exact = image.astype(np.promote_types(image.dtype, np.float32))
    return np.clip((exact - low) / (high - low), 0, 1).astype(np.float32)


def check_finite(values: np.ndarray, file: Path) -> None:
    """Refuse an image with grey values that are none.

    Raises:
        ValueError: names the file.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"expected finite grey values, but {file} holds NaN or infinity")


def grey_range(image: Image, plane: int, rows: int = 512) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of a plane, from bands of rows.

    Exact for integers of up to 16 bits; of a plane with more than `MOST_GREY_VALUES` real numbers, of every
    n-th row.

    Raises:
        ValueError: it holds NaN or infinity.
    """
    if image.array.dtype.itemsize <= 2 and image.array.dtype.kind in "iub":
        lowest = 0 if image.array.dtype.kind in "ub" else np.iinfo(image.array.dtype).min
        counts = np.zeros(2 ** (8 * image.array.dtype.itemsize), np.int64)
        rows = -(-rows // image.chunk_rows) * image.chunk_rows  # so that nothing is decoded twice
        for top in range(0, image.height, rows):
            values = image.band(plane, top, min(top + rows, image.height)).astype(np.int64) - lowest
            counts += np.bincount(values.ravel(), minlength=len(counts))
        return tuple(lowest + _percentile(counts, percent) for percent in PERCENTILES)
    step = -(-image.height * image.width * image.in_channels // MOST_GREY_VALUES)
    values = image.band(plane, 0, image.height, step)
    check_finite(values, image.file)
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.percentile(values, PERCENTILES)
        wide = not np.isfinite(float(high) - float(low))
    if wide:
        raise ValueError(f"expected grey values of a finite range, but {image.file} has {low:g} to {high:g}")
    return low, high


def _percentile(counts: np.ndarray, percent: float) -> float:
    """A percentile of integers of which there are ``counts``, interpolated as `numpy.percentile` does."""
    below = np.cumsum(counts)
    rank = (below[-1] - 1) * (percent / 100)
    low, high = (int(np.searchsorted(below, place, side="right")) for place in (np.floor(rank), np.ceil(rank)))
    share = rank - np.floor(rank)
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)
