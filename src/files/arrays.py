"""Arrays between disk and memory: whole images read, and looked at strip by strip where they are large."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from src.files import guard, limits
from src.files.whole import complete_file

SUFFIXES = (".tif", ".tiff", ".png")


STRIP = 2**20  # pixels that are worked on at a time where all of an image would take too much memory


def scaled(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey values from ``low`` to ``high`` as float32 from 0 to 1, clipped; zeros where there is no such range."""
    if low == high:
        return np.zeros(image.shape, np.float32)
    # In the precision of the image, before it is cast: a large offset would else take up all of float32.
    exact = image.astype(np.promote_types(image.dtype, np.float32))
    return np.clip((exact - low) / (high - low), 0, 1).astype(np.float32)


def content_hash(*arrays: np.ndarray) -> str:
    """SHA-256 over the content of arrays, shapes and dtypes included."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.shape}{array.dtype}".encode())
        content.update(np.ascontiguousarray(array))
    return content.hexdigest()


def value_counts(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of an image of integers, in order, and how many pixels each has; counted in strips, to save memory."""
    strips = [np.unique(strip, return_counts=True) for strip in strips_of(image)]
    values, places = np.unique(np.concatenate([values for values, _ in strips]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([counts for _, counts in strips]))
    return values, counts


def strips_of(image: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of an image ``(H, …)``, some `STRIP` pixels at a time."""
    rows = max(1, STRIP // max(1, image[0].size))
    return (image[top : top + rows] for top in range(0, len(image), rows))


def file_hash(file: Path) -> bytes:
    """SHA-256 over the bytes of a file; read once as long as its size and time stay the same."""
    seen = file.stat()
    return _file_hash(str(file.absolute()), seen.st_size, seen.st_mtime_ns)


@functools.cache
def _file_hash(file: str, size: int, time: int) -> bytes:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def read(file: str | Path) -> np.ndarray:
    """An image or stack as it is on disk, TIFF or PNG.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not TIFF or PNG, or cannot be decoded.
    """
    file = Path(file)
    limits.check_regular(file)
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"expected a file ending in {', '.join(SUFFIXES)}, but got {file}")
    with limits.decoding(file):
        return read_png(file) if file.suffix.lower() == ".png" else _read_tiff(file)


def read_png(file: Path) -> np.ndarray:
    """``(H, W)`` or ``(H, W, C)`` with 8 or 16 bits."""
    data = file.read_bytes()
    guard.check_png(data)
    return imagecodecs.png_decode(data)


def _read_tiff(file: Path) -> np.ndarray:
    """The first series of a TIFF."""
    with tifffile.TiffFile(file) as tiff:
        guard.check_tiff(tiff, file)
        return tiff.asarray()


def write_tiff(file: str | Path, array: np.ndarray) -> None:
    """Write a compressed TIFF that appears under its name only when it is complete."""
    with complete_file(file) as partial:
        tifffile.imwrite(partial, array, compression="zlib", photometric="minisblack")
