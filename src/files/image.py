"""Images of any size on disk, read window by window, with their pixels as people see them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from src.files import guard, limits, microscopes, omezarr, pictures, tiffs
from src.files.names import IMAGE_SUFFIXES, image_name
from src.files.stored import SHOWN, TURNED, Note, Reading, Stored, axes_of, is_intensity, ramp, turned

CHANNEL_AXES = "CS"  # C of microscopes, S (samples) of colour pictures
DISPLAY = 256  # entries of a table by which a display shows grey values; pictures also have shorter ones
LOOKED_AT = 2**28  # bytes of an image, up to which all of its alpha is looked at, and beyond which some rows are


@dataclass(frozen=True)
class Image:
    """An image or stack on disk, of which a band of rows at a time is in memory.

    Attributes:
        file: where it lies.
        array: its values; anything with shape and dtype that numpy-like slices read.
        axes: a letter an axis, such as ``YX``, ``ZYX``, ``TCYX`` or ``YXS``.
        pixel_size: of the axes Z, Y and X, in µm, as far as the file says.
        channels: which channels to read; None reads all.
        negative: whether `band` gives the negative of the values.
        unclear: whether nobody can tell from the file if its planes are slices or channels.
        scaling: of its grey values, one of `files.stored.SCALINGS`.
        notes: what a person should know of the file.
        parts: the files that it is of, if its channels lie in a file each, `file` the first of them.
    """

    file: Path
    array: np.ndarray | zarr.Array
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
        """The name of its file without what stands for the format, or for the channel of one of several."""
        return image_name(self.parts or (self.file,))

    @property
    def height(self) -> int:
        return self.array.shape[self.axes.index("Y")]

    @property
    def width(self) -> int:
        return self.array.shape[self.axes.index("X")]

    @property
    def channel_axis(self) -> int | None:
        """Where the channels stand, None if there is no such axis."""
        return next((place for place, axis in enumerate(self.axes) if axis in CHANNEL_AXES), None)

    @property
    def stack_axes(self) -> str:
        """The axes along which planes are stacked, such as ``Z`` or ``TZ``; empty for one plane."""
        return "".join(axis for axis in self.axes if axis not in f"YX{CHANNEL_AXES}")

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """The lengths of `stack_axes`."""
        return tuple(self.array.shape[self.axes.index(axis)] for axis in self.stack_axes)

    @property
    def planes(self) -> int:
        return int(np.prod(self.stack_shape, dtype=int))

    @property
    def pixels(self) -> int:
        """Pixels of all planes."""
        return self.planes * self.height * self.width

    def stack_place(self, plane: int) -> tuple[int, ...]:
        """Where plane number ``plane`` stands along each of `stack_axes`."""
        return tuple(map(int, np.unravel_index(plane, self.stack_shape))) if self.stack_shape else ()

    @cached_property
    def in_channels(self) -> int:
        """Channels that `band` gives."""
        stored = 1 if self.channel_axis is None else self.array.shape[self.channel_axis]
        return stored if self.channels is None else len(self.channels)

    @cached_property
    def missing_chunks(self) -> int:
        """Chunks of a Zarr that are not there and are read as its fill value."""
        stored_so = isinstance(self.array, zarr.Array) and self.file.suffix == ".zarr"
        return guard.missing_chunks(self.array) if stored_so else 0

    @cached_property
    def chunk_rows(self) -> int:
        """Rows that are decoded together."""
        return self.array.chunks[self.axes.index("Y")] if isinstance(self.array, zarr.Array) else 1

    @cached_property
    def ranges(self) -> dict[int, tuple[float, float]]:
        """The grey values of each plane that become 0 and 1, once `grey.grey_range` has found them."""
        return {}

    def in_memory(self) -> "Image":
        """The same with all values in memory, so that each is read from disk once.

        Raises:
            ValueError: they cannot be decoded.
        """
        with limits.decoding(self.file):
            return replace(self, array=np.array(self.array[...]))

    def close(self) -> None:
        """Close the file, where it stays open for reading."""
        if isinstance(self.array, zarr.Array):
            self.array.store.close()

    def choose(self, channels: tuple[int, ...]) -> "Image":
        """The same with some of its channels."""
        own = range(self.in_channels) if self.channels is None else self.channels
        return replace(self, channels=tuple(own[channel] for channel in channels))

    def band(self, plane: int, top: int, bottom: int) -> np.ndarray:
        """Rows ``top`` to ``bottom`` (excluded) of a plane, ``(C, bottom − top, W)``.

        Raises:
            ValueError: they cannot be decoded.
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
        """A plane band by band of about ``rows`` rows: nothing is decoded twice, no block of 2×2 pixels is parted."""
        step = 2 * self.chunk_rows
        rows = -(-rows // step) * step
        return (self.band(plane, top, min(top + rows, self.height)) for top in range(0, self.height, rows))


def has_equal_channels(image: Image, rows: int = 512) -> bool:
    """Whether all channels of an image are the same, so that it is grey."""
    return all((band == band[:1]).all() for plane in range(image.planes) for band in image.bands(plane, rows))


def negative(values: np.ndarray) -> np.ndarray:
    """Grey values turned round, of the same dtype: 0 becomes the largest integer; of real numbers the sign changes."""
    return -values if values.dtype.kind == "f" else ~values


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
    """What a file holds and says, without reading its pixels where it has windows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image of a kind that we read, is truncated, or has no rows and columns.
    """
    # A group within an OME-Zarr, such as one of its labels, has no ending.
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
            f"expected an image with axes Y and X, and perhaps Z, T and one of channels, but {file} has shape {shape} "
            f"({letters or 'axes without names'})"
        )
    if stored.array.dtype.kind not in "fiub":
        raise ValueError(f"expected grey values, but {file} holds {stored.array.dtype}")
    return stored


def open_image(file: str | Path, reading: Reading = SHOWN) -> Image:
    """Open an image without reading its pixels (but of a picture, which has no windows, and of one that is turned).

    Args:
        file: where it lies.
        reading: how its pixels are to be seen.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `open_stored`.
    """
    return image_of(Path(file), open_stored(Path(file)), reading)


def in_memory(file: Path) -> Stored:
    """What a file holds, with all of its values in memory.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `open_stored`, or it cannot be decoded.
    """
    return _held(file, open_stored(file))


def _held(file: Path, stored: Stored) -> Stored:
    try:
        with limits.decoding(file):
            return replace(stored, array=np.array(stored.array[...]))
    finally:
        if isinstance(stored.array, zarr.Array):
            stored.array.store.close()


def image_of(file: Path, stored: Stored, reading: Reading) -> Image:
    """An image as a reading sees what a file holds."""
    axes = axes_of(stored, reading)
    array, pixel_size, notes = stored.array, stored.pixel_size, list(stored.notes)
    if stored.orientation != 1 and reading.orientation == "shown":
        stored = stored if isinstance(array, np.ndarray) and not isinstance(array, np.memmap) else _held(file, stored)
        array = turned(stored.array, axes, stored.orientation)
        if TURNED[stored.orientation][0]:
            pixel_size = {{"Y": "X", "X": "Y"}.get(axis, axis): size for axis, size in pixel_size.items()}
    unclear = stored.unclear and reading.axes is None
    image = Image(file, array, axes, pixel_size, unclear=unclear, scaling=reading.scaling)
    if image.in_channels == 1 and reading.greys == "shown":
        image = _greys_shown(image, stored, notes)
    image = _without_opaque_alpha(image)
    return replace(image, notes=tuple(notes))


def _greys_shown(image: Image, stored: Stored, notes: list[Note]) -> Image:
    """An image of one channel with grey values as viewers show them; colours of a display do not count."""
    table, way = stored.table, stored.way
    if way and (not stored.is_picture or table is None or len(table) == DISPLAY):
        if way == -1:
            taken = "grey values turned round, as viewers do"
            notes.append(Note("white-is-zero", "a file in which 0 is white", taken))
        return replace(image, negative=way == -1)
    values = np.asarray(image.array[...]) if stored.is_picture else None
    if values is not None and values.max() < len(table) and ramp(table[: int(values.max()) + 1]):
        return replace(image, array=table[values][..., 0])  # a list of the greys that occur
    if values is None or is_intensity(values, table):
        found = "grey values with a table of colours, which is for display"
        notes.append(Note("colour-table", found, "the stored values, which are the intensities"))
        return image
    notes.append(Note("colour-table", "a picture with a palette", "its colours"))
    return replace(image, array=table[values], axes=f"{image.axes}S")


def _without_opaque_alpha(image: Image) -> Image:
    """The image without its last channel, if that is a transparency that is the same everywhere."""
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
    """All values of an image, and its axes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `open_image`, or it cannot be decoded.
    """
    with closing(open_image(file, reading)) as opened:
        image = opened.in_memory()
    array = image.array if image.channels is None else image.array.take(image.channels, image.channel_axis)
    return negative(array) if image.negative else array, image.axes
