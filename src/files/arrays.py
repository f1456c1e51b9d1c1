"""Hashes of arrays, and counts of their values, computed strip by strip to save memory."""

import hashlib
from collections.abc import Iterator

import numpy as np

STRIP = 2**20  # pixels to process at a time where processing a whole image would take too much memory


def content_hash(*arrays: np.ndarray) -> str:
    """Return the SHA-256 hash of the values, shapes and dtypes of arrays."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.shape}{array.dtype}".encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def value_counts(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of an integer image, sorted, and the number of pixels with each value.

    The image is processed in strips of rows to save memory.
    """
    strips = [_counted(strip) for strip in strips_of(image)]
    values, places = np.unique(np.concatenate([values for values, _ in strips]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([counts for _, counts in strips]))
    return values, counts


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what `value_counts` returns, without splitting the image into strips.

    Small values are counted in a look-up table, which is faster than sorting them.
    """
    if values.dtype.kind not in "iu" or not values.size or values.min() < 0 or values.max() > values.size:
        return np.unique(values, return_counts=True)
    counts = np.bincount(values.ravel())
    found = np.flatnonzero(counts)
    return found.astype(values.dtype), counts[found]


def strips_of(image: np.ndarray) -> Iterator[np.ndarray]:
    """Split an image ``(H, W)`` or ``(H, W, C)`` into strips of consecutive rows with about `STRIP` values each."""
    rows = max(1, STRIP // max(1, image[0].size))
    return (image[top : top + rows] for top in range(0, len(image), rows))
