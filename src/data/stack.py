"""Stacks of slices between disk and array: read, write, choose slices, scale grey values."""

import functools
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from src.data import guard
from src.data.incomplete import beside

SUFFIXES = (".tif", ".tiff", ".png")
STRIP = 2**20  # pixels that are worked on at a time where all of an image would take too much memory
IGNORED = 255  # target of a pixel that nobody has annotated: no loss, no weight, no score

Slices = np.ndarray | list[np.ndarray]  # an array where all slices have one shape, else a list


@dataclass(frozen=True)
class Stack:
    """Annotated slices, the one form in which every data set reaches training.

    Attributes:
        images: grey values as acquired, each ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float.
        targets: class of each pixel, each ``(H, W)`` uint8; 0 is background (in EM: membrane), `IGNORED` unknown.
        instances: cell of each pixel, each ``(H, W)`` int32; 0 is background. Numbers are unique in
            a slice; from slice to slice the same number may or may not mean the same cell.
        names: one name a slice, used in score tables and file names.
        files: the file of each slice, for a split that keeps neighbours together; None: all are of one.
    """

    images: Slices
    targets: Slices
    instances: Slices
    names: list[str]
    files: list[str] | None = None

    def __post_init__(self):
        parts = {"images": self.images, "targets": self.targets, "instances": self.instances}
        shapes = {name: [each.shape[:2] for each in slices] for name, slices in parts.items()}
        equal = shapes["images"] == shapes["targets"] == shapes["instances"]
        if not equal or len(self.names) != len(self.images):
            got = ", ".join(f"{len(each)} {name} of {sorted(set(each))}" for name, each in shapes.items())
            raise ValueError(
                f"expected images, targets, instances and names of equal size, but got {got}, {len(self.names)} names"
            )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: list[int]) -> "Stack":
        """The slices at ``numbers``, in that order."""
        parts = (self.images, self.targets, self.instances)
        chosen = [
            slices[numbers] if isinstance(slices, np.ndarray) else [slices[number] for number in numbers]
            for slices in parts
        ]
        return Stack(*chosen, *(names and [names[number] for number in numbers] for names in (self.names, self.files)))

    @property
    def content(self) -> str:
        """A hash of images and targets."""
        parts = (self.images, self.targets)
        return content_hash(*(each for part in parts for each in ([part] if isinstance(part, np.ndarray) else part)))


def stacked(slices: list[np.ndarray]) -> Slices:
    """One array where all slices have one shape, else the list."""
    return np.stack(slices) if len({each.shape for each in slices}) == 1 else slices


def normalise(image: np.ndarray) -> np.ndarray:
    """Scale grey values so that the 0.5th percentile becomes 0 and the 99.5th 1; clip to [0, 1].

    Each image by itself, so that stain and exposure may differ from slice to slice.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any real dtype.

    Returns:
        float32 of the same shape; zeros for a constant image.
    """
    return scaled(image, *np.percentile(image, (0.5, 99.5)))


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
    guard.check_regular(file)
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"expected a file ending in {', '.join(SUFFIXES)}, but got {file}")
    with guard.decoding(file):
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


@contextmanager
def complete_file(file: str | Path) -> Iterator[Path]:
    """Write to a temporary name that becomes ``file`` when all went well, and vanishes otherwise.

    Raises:
        OSError: it cannot be written; names ``file``.
    """
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(file)
    try:
        yield partial
        partial.replace(file)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(partial)):  # to write names none, to open this one
            error.filename = str(file)
        raise
    finally:
        partial.unlink(missing_ok=True)


def spreadsheet_safe(name: object) -> object:
    """A name as it may stand in a CSV file: a spreadsheet takes one that begins as a formula for one."""
    return f"'{name}" if isinstance(name, str) and name.startswith(tuple("=+-@\t\r")) else name


def write_tiff(file: str | Path, array: np.ndarray) -> None:
    """Write a compressed TIFF that appears under its name only when it is complete."""
    with complete_file(file) as partial:
        tifffile.imwrite(partial, array, compression="zlib", photometric="minisblack")
