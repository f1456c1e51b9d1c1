"""Images of any size, read from disk in bands of rows, with orientation and grey values as viewers show them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr
from zarr.types import AnyArray

from src.files import guard, limits, microscopes, omezarr, pictures, tiffs
from src.files.names import IMAGE_SUFFIXES, image_name
from src.files.stored import SHOWN, TURNED, Note, Reading, Stored, axes_of, is_intensity, ramp, turned

CHANNEL_AXES = "CS"  # C in microscope files, S (samples) in colour pictures
DISPLAY = 256  # entries of a look-up table for display; palettes of pictures may have fewer
LOOKED_AT = 2**28  # bytes; in larger images, only some rows are read to find whether the alpha channel is constant


@dataclass(frozen=True)
class Image:
    """An image or stack on disk, which is read one band of rows at a time.

    Attributes:
        file: file of the image.
        array: pixel values; a part of the array is read from disk when it is indexed.
        axes: one letter for each axis of ``array``, such as ``YX``, ``ZYX``, ``TCYX`` or ``YXS``.
        pixel_size: pixel size in µm along Z, Y and X; without the axes for which the file states none.
        channels: indices of the channels that `band` returns; None returns all.
        negative: whether `band` inverts the grey values (see the function `negative`).
        unclear: whether the planes may be slices as well as channels.
        scaling: how grey values are scaled to [0, 1], one of `files.stored.SCALINGS`.
        notes: what the user should know about the file.
        parts: all files of the image, beginning with `file`, if each file holds one channel; else empty.
    """

    file: Path
    array: np.ndarray | AnyArray
    axes: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    channels: tuple[int, ...] | None = None
    negative: bool = False
    unclear: bool = False
    scaling: str = "objects"
    notes: tuple[Note, ...] = ()
    parts: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Name of the file without suffix, and without the ending for a channel if there are several `parts`."""
        return image_name(self.parts or (self.file,))

    @property
    def height(self) -> int:
        """Number of rows of a plane."""
        return self.array.shape[self.axes.index("Y")]

    @property
    def width(self) -> int:
        """Number of columns of a plane."""
        return self.array.shape[self.axes.index("X")]

    @property
    def channel_axis(self) -> int | None:
        """Index of the channel axis in `axes`, or None if the image has no channel axis."""
        return next((place for place, axis in enumerate(self.axes) if axis in CHANNEL_AXES), None)

    @property
    def stack_axes(self) -> str:
        """Axes along which planes are stacked, such as ``Z`` or ``TZ``; empty if the image is a single plane."""
        return "".join(axis for axis in self.axes if axis not in f"YX{CHANNEL_AXES}")

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Length of each of the `stack_axes`."""
        return tuple(self.array.shape[self.axes.index(axis)] for axis in self.stack_axes)

    @property
    def planes(self) -> int:
        """Number of planes in the stack."""
        return int(np.prod(self.stack_shape, dtype=int))

    @property
    def pixels(self) -> int:
        """Number of pixels in all planes together."""
        return self.planes * self.height * self.width

    def stack_place(self, plane: int) -> tuple[int, ...]:
        """Return the index along each of the `stack_axes` of plane number ``plane`` (counted from 0)."""
        return tuple(map(int, np.unravel_index(plane, self.stack_shape))) if self.stack_shape else ()

    @cached_property
    def in_channels(self) -> int:
        """Number of channels that `band` returns."""
        stored = 1 if self.channel_axis is None else self.array.shape[self.channel_axis]
        return stored if self.channels is None else len(self.channels)

    @cached_property
    def missing_chunks(self) -> int:
        """Number of chunks that a Zarr file does not store; missing chunks are read as the fill value."""
        if isinstance(self.array, zarr.Array) and self.file.suffix == ".zarr":
            return guard.missing_chunks(self.array)
        return 0

    @cached_property
    def chunk_rows(self) -> int:
        """Number of rows in a chunk of the file, which are decoded together; 1 if the file has no chunks."""
        return self.array.chunks[self.axes.index("Y")] if isinstance(self.array, zarr.Array) else 1

    @cached_property
    def ranges(self) -> dict[int, tuple[float, float]]:
        """Grey values that become 0 and 1, by number of the plane; `grey.grey_range` stores its results here."""
        return {}

    def in_memory(self) -> "Image":
        """Return the same image with all pixel values in memory, so that each is read from disk only once.

        Raises:
            ValueError: the file cannot be decoded.
        """
        with limits.decoding(self.file):
            return replace(self, array=np.array(self.array[...]))

    def close(self) -> None:
        """Close the file if it is still open."""
        if isinstance(self.array, zarr.Array):
            self.array.store.close()

    def choose(self, channels: tuple[int, ...]) -> "Image":
        """Return the same image with only some of its channels, given as indices below `in_channels`."""
        own = range(self.in_channels) if self.channels is None else self.channels
        return replace(self, channels=tuple(own[channel] for channel in channels))

    def band(self, plane: int, top: int, bottom: int) -> np.ndarray:
        """Read rows ``top`` to ``bottom`` (excluded) of a plane as an array ``(C, bottom − top, W)``.

        Raises:
            ValueError: the rows cannot be decoded.
        """
        stacked = dict(zip(self.stack_axes, self.stack_place(plane), strict=True))
        where = [stacked.get(axis, slice(top, bottom) if axis == "Y" else slice(None)) for axis in self.axes]
        with limits.decoding(self.file):
            found = np.asarray(self.array[tuple(where)])
        left = [axis for axis in self.axes if axis not in stacked]
        order = [left.index(axis) for axis in (*(a for a in left if a in CHANNEL_AXES), "Y", "X")]
        found = found.transpose(order).reshape(-1, *(found.shape[left.index(axis)] for axis in "YX"))
        found = found if self.channels is None else found[list(self.channels)]
        return found if not self.negative else negative(found)

    def bands(self, plane: int, rows: int) -> Iterator[np.ndarray]:
        """Read a plane in bands of about ``rows`` rows, so that no chunk is decoded twice and no 2×2 block is split."""
        step = 2 * self.chunk_rows
        rows = -(-rows // step) * step
        return (self.band(plane, top, min(top + rows, self.height)) for top in range(0, self.height, rows))


def negative(values: np.ndarray) -> np.ndarray:
    """Invert grey values in the same dtype: the smallest integer becomes the largest; real numbers change sign."""
    return np.asarray(-values if values.dtype.kind == "f" else ~values)


OPENERS: dict[str, Callable[[Path], Stored]] = {
    ".png": pictures.open_png,
    **dict.fromkeys((".jpg", ".jpeg"), pictures.open_jpeg),
    **dict.fromkeys((".jp2", ".j2k"), pictures.open_jpeg2000),
    **dict.fromkeys((".bmp", ".gif", ".webp"), pictures.open_other),
    ".zarr": omezarr.open_zarr,
    ".czi": microscopes.open_czi,
    ".lif": microscopes.open_lif,
    ".nd2": microscopes.open_nd2,
}


def open_stored(file: Path) -> Stored:
    """Read the metadata of an image; the pixels stay on disk if the format allows reading parts of an image.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the format, the axes or the dtype are not supported, or the file is truncated.
    """
    # A group inside an OME-Zarr, such as its labels, has no suffix.
    within = any((file / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))
    if not within:
        limits.check_regular(file)
    ending = ".zarr" if within else file.suffix.lower()
    if ending not in IMAGE_SUFFIXES:
        raise ValueError(f"expected an image ending in {', '.join(IMAGE_SUFFIXES)}, but got {file}")
    with limits.decoding(file):
        stored = OPENERS.get(ending, tiffs.open_tiff)(file)
    letters, shape = stored.axes, stored.array.shape
    unclear = len(letters) != len(shape) or len(set(letters)) < len(letters) or {"C", "S"} <= set(letters)
    if unclear or not {"Y", "X"} <= set(letters) <= set(f"TZYX{CHANNEL_AXES}") or 0 in shape:
        raise ValueError(
            f"expected an image with axes Y and X, and optionally Z, T and one of channels, but {file} has shape "
            f"{shape} ({letters or 'axes without names'})"
        )
    if stored.array.dtype.kind not in "fiub":
        raise ValueError(f"expected grey values, but {file} contains {stored.array.dtype}")
    return stored


def open_image(file: str | Path, reading: Reading = SHOWN) -> Image:
    """Open an image; pixels are read later, except those of pictures (PNG, JPEG, …) and of images to be rotated.

    Args:
        file: file of the image.
        reading: how to interpret the pixels.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file cannot be read, or its format is not supported.
    """
    return image_of(Path(file), open_stored(Path(file)), reading)


def in_memory(file: Path) -> Stored:
    """Read the metadata and all pixel values of an image into memory.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file cannot be read, or its format is not supported.
    """
    return _loaded(file, open_stored(file))


def _loaded(file: Path, stored: Stored) -> Stored:
    try:
        with limits.decoding(file):
            return replace(stored, array=np.array(stored.array[...]))
    finally:
        if isinstance(stored.array, zarr.Array):
            stored.array.store.close()


def image_of(file: Path, stored: Stored, reading: Reading) -> Image:
    """Make an image from the stored content of a file, interpreted as ``reading`` says."""
    axes = axes_of(stored, reading)
    array, pixel_size, notes = stored.array, stored.pixel_size, list(stored.notes)
    if stored.orientation != 1 and reading.orientation == "shown":
        stored = stored if isinstance(array, np.ndarray) and not isinstance(array, np.memmap) else _loaded(file, stored)
        array = turned(np.asarray(stored.array), axes, stored.orientation)
        if TURNED[stored.orientation][0]:
            pixel_size = {{"Y": "X", "X": "Y"}.get(axis, axis): size for axis, size in pixel_size.items()}
    unclear = stored.unclear and reading.axes is None
    image = Image(file, array, axes, pixel_size, unclear=unclear, scaling=reading.scaling)
    if image.in_channels == 1 and reading.greys == "shown":
        image = _greys_shown(image, stored, notes)
    image = _without_opaque_alpha(image)
    return replace(image, notes=tuple(notes))


def _greys_shown(image: Image, stored: Stored, notes: list[Note]) -> Image:
    """Return a one-channel image with greys or colours as viewers show them, and append remarks to ``notes``."""
    table, way = stored.table, stored.way
    if way and (not stored.is_picture or table is None or len(table) == DISPLAY):
        if way == -1:
            notes.append(Note("white-is-zero", "a file in which 0 is white", "inverted grey values, as in viewers"))
        return replace(image, negative=way == -1)
    if stored.is_picture and table is not None:
        values = np.asarray(image.array[...])
        if values.max() < len(table) and ramp(table[: int(values.max()) + 1]):
            return replace(image, array=table[values][..., 0])  # the palette lists the greys that occur
        if not is_intensity(values, table):
            notes.append(Note("colour-table", "a picture with a palette", "its colours"))
            return replace(image, array=table[values], axes=f"{image.axes}S")
    found = "grey values with a colour table for display"
    notes.append(Note("colour-table", found, "the stored values, which are the intensities"))
    return image


def _without_opaque_alpha(image: Image) -> Image:
    """Return the image without its alpha channel if the alpha channel is constant."""
    place = image.axes.find("S")
    if place < 0 or image.array.shape[place] not in (2, 4):
        return image
    small = image.array.nbytes <= LOOKED_AT
    alpha = image.choose((image.in_channels - 1,))
    tops = range(0, image.height, 512 if small else max(512, image.height // 8))
    seen = {value for top in tops for value in _extremes(alpha.band(0, top, min(top + 512, image.height)))}
    return image.choose(tuple(range(image.in_channels - 1))) if len(seen) == 1 else image


def _extremes(values: np.ndarray) -> tuple[float, float]:
    return values.min(), values.max()


def read_image(file: str | Path, reading: Reading = SHOWN) -> tuple[np.ndarray, str]:
    """Return all pixel values of an image, and its axes as one letter for each axis of the array.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file cannot be read, or its format is not supported.
    """
    with closing(open_image(file, reading)) as opened:
        image = opened.in_memory()
    array = np.asarray(image.array)
    array = array if image.channels is None else array.take(image.channels, image.channel_axis)
    return negative(array) if image.negative else array, image.axes
