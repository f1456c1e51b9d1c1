"""Stacks of slices between disk and array: read, write, choose slices, scale grey values."""

import hashlib
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import imagecodecs
import numpy as np
import tifffile

SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True)
class Stack:
    """Annotated slices, the one form in which every data set reaches training.

    Attributes:
        images: grey values as acquired, ``(D, H, W)`` or ``(D, H, W, C)``, uint8, uint16 or float.
        targets: class of each pixel, ``(D, H, W)`` uint8; 0 is background (in EM: membrane).
        instances: cell of each pixel, ``(D, H, W)`` int32; 0 is background. Numbers are unique in
            a slice; from slice to slice the same number may or may not mean the same cell.
        names: one name a slice, used in score tables and file names.
    """

    images: np.ndarray
    targets: np.ndarray
    instances: np.ndarray
    names: list[str]

    def __post_init__(self):
        shape = self.images.shape[:3]
        if self.targets.shape != shape or self.instances.shape != shape or len(self.names) != shape[0]:
            raise ValueError(
                f"expected images, targets, instances and names of equal size, but got images {self.images.shape}, "
                f"targets {self.targets.shape}, instances {self.instances.shape}, {len(self.names)} names"
            )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: list[int]) -> "Stack":
        """The slices at ``numbers``, in that order."""
        return Stack(
            self.images[numbers], self.targets[numbers], self.instances[numbers], [self.names[i] for i in numbers]
        )


def slice_numbers(text: str, slices: int) -> list[int]:
    """Slices named by a text such as ``0-19`` (both ends included), ``0-9,15`` or nothing.

    Raises:
        ValueError: the text says something else, a slice twice, or one that the stack does not have.
    """
    numbers: list[int] = []
    for part in str(text).split(",") if str(text).strip() else ():
        match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        chosen = range(int(match[1]), int(match[2] or match[1]) + 1) if match else ()
        if not chosen or not set(chosen).isdisjoint(numbers):
            raise ValueError(f"expected slices such as 0-19 or 0-9,15, each once, but got {text!r}")
        numbers.extend(chosen)
    if numbers and max(numbers) >= slices:
        raise ValueError(f"expected slices from 0 to {slices - 1}, but got {text!r}; nearest valid: {slices - 1}")
    return numbers


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
    return np.clip((image.astype(np.float32) - low) / (high - low), 0, 1).astype(np.float32)


def content_hash(*arrays: np.ndarray) -> str:
    """SHA-256 over the content of arrays, shapes and dtypes included."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.shape}{array.dtype}".encode())
        content.update(np.ascontiguousarray(array))
    return content.hexdigest()


def read(file: str | Path) -> np.ndarray:
    """An image or stack as it is on disk, TIFF or PNG.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not TIFF or PNG, or cannot be decoded.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"expected an image file, but there is none at {file}")
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"expected a file ending in {', '.join(SUFFIXES)}, but got {file}")
    try:
        return read_png(file) if file.suffix.lower() == ".png" else _read_tiff(file)
    except Exception as error:  # decoders raise whatever the first wrong byte leads to
        raise ValueError(f"expected a complete image, but {file} cannot be decoded: {error}") from error


def read_png(file: Path) -> np.ndarray:
    """``(H, W)`` or ``(H, W, C)`` with 8 or 16 bits."""
    return imagecodecs.png_decode(file.read_bytes())


def _read_tiff(file: Path) -> np.ndarray:
    """The first series of a TIFF."""
    with tifffile.TiffFile(file) as tiff:
        check_complete_tiff(tiff, file)
        return tiff.asarray()


def check_complete_tiff(tiff: tifffile.TiffFile, file: Path) -> None:
    """Refuse a truncated TIFF, of which tifffile would return the readable part.

    Raises:
        ValueError: it is truncated.
    """
    size, first, last = file.stat().st_size, tiff.pages.first, tiff.pages[-1]
    ends = [sum(part) for page in tiff.pages for part in zip(page.dataoffsets, page.databytecounts, strict=True)]
    images = (tiff.imagej_metadata or {}).get("images", 1)
    if images > 1 and len(tiff.pages) == 1:  # one page that stands for a stack of them
        ends.append(last.dataoffsets[0] + images * last.nbytes)
    described = (tiff.shaped_metadata or [{}])[0].get("shape", tiff.series[0].shape)
    # tifffile is silent about tags and pages that it cannot read.
    lost = _directory(tiff, first)[0] != len(first.tags) or _directory(tiff, last)[1] != 0
    if lost or max(ends) > size or tuple(described) != tiff.series[0].shape:
        raise ValueError("it is truncated")


def _directory(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[int, int]:
    """How many tags the file says that a page has, and where the next page begins, 0 after the last one."""
    layout, stream = tiff.tiff, tiff.filehandle
    stream.seek(page.offset)
    (tags,) = struct.unpack(layout.tagnoformat, stream.read(layout.tagnosize))
    stream.seek(page.offset + layout.tagnosize + tags * layout.tagsize)
    (offset,) = struct.unpack(layout.offsetformat, stream.read(layout.offsetsize))
    return tags, offset


@contextmanager
def complete_file(file: str | Path) -> Iterator[Path]:
    """Write to a temporary name that becomes ``file`` when all went well, and vanishes otherwise."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_tiff(file: str | Path, array: np.ndarray) -> None:
    """Write a compressed TIFF that appears under its name only when it is complete."""
    with complete_file(file) as partial:
        tifffile.imwrite(partial, array, compression="zlib", photometric="minisblack")
