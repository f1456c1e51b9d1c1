"""Images of any size on disk, read window by window: TIFF, OME-TIFF, PNG, OME-Zarr."""

import math
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr

from src.files import guard, limits
from src.files.names import IMAGE_SUFFIXES

CHANNEL_AXES = "CS"  # C of microscopes, S (samples) of colour pictures


@dataclass(frozen=True)
class Image:
    """An image or stack on disk, of which a band of rows at a time is in memory.

    Attributes:
        file: where it lies.
        array: its values; anything with shape and dtype that numpy-like slices read.
        axes: a letter an axis, such as ``YX``, ``ZYX``, ``TCYX`` or ``YXS``.
        pixel_size: of the axes Z, Y and X, in µm, as far as the file says.
        channels: which channels to read; None reads all.
    """

    file: Path
    array: np.ndarray | zarr.Array
    axes: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    channels: tuple[int, ...] | None = None

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

    def band(self, plane: int, top: int, bottom: int, step: int = 1) -> np.ndarray:
        """Rows ``top`` to ``bottom`` (excluded) of a plane as they are on disk, ``(C, bottom − top, W)``.

        Raises:
            ValueError: they cannot be decoded.
        """
        stacked = dict(zip(self.stack_axes, self.stack_place(plane), strict=True))
        where = [stacked.get(axis, slice(top, bottom, step) if axis == "Y" else slice(None)) for axis in self.axes]
        with limits.decoding(self.file):
            found = np.asarray(self.array[tuple(where)])
        left = [axis for axis in self.axes if axis not in stacked]
        order = [left.index(axis) for axis in (*(a for a in left if a in CHANNEL_AXES), "Y", "X")]
        found = found.transpose(order).reshape(-1, *(found.shape[left.index(axis)] for axis in "YX"))
        return found if self.channels is None else found[list(self.channels)]


def open_image(file: str | Path) -> Image:
    """Open an image without reading its pixels (but of a PNG, which has no windows).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image of a kind that we read, is truncated, or has no rows and columns.
    """
    file = Path(file)
    limits.check_regular(file)
    if file.suffix.lower() not in IMAGE_SUFFIXES:
        raise ValueError(f"expected an image ending in {', '.join(IMAGE_SUFFIXES)}, but got {file}")
    kinds = {".png": _open_png, ".jpg": _open_jpeg, ".jpeg": _open_jpeg, ".zarr": _open_zarr}
    with limits.decoding(file):
        image = kinds.get(file.suffix.lower(), _open_tiff)(file)
    letters, shape = image.axes, image.array.shape
    unclear = len(letters) != len(shape) or len(set(letters)) < len(letters) or {"C", "S"} <= set(letters)
    if unclear or not {"Y", "X"} <= set(letters) <= set(f"TZYX{CHANNEL_AXES}") or 0 in shape:
        raise ValueError(
            f"expected an image with axes Y and X, and perhaps Z, T and one of channels, but {file} has shape {shape} "
            f"({letters or 'axes without names'})"
        )
    if image.array.dtype.kind not in "fiub":
        raise ValueError(f"expected grey values, but {file} holds {image.array.dtype}")
    return image


def read_image(file: str | Path) -> tuple[np.ndarray, str]:
    """All values of an image as they are on disk, and its axes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `open_image`, or it cannot be decoded.
    """
    with closing(open_image(file)) as image:
        return image.in_memory().array, image.axes


def _open_png(file: Path) -> Image:
    data = file.read_bytes()
    guard.check_png(data)
    array = imagecodecs.png_decode(data)
    # A transparency that is the same everywhere is no channel.
    if array.ndim == 3 and array.shape[2] in (2, 4) and np.ptp(array[..., -1]) == 0:
        array = array[..., 0] if array.shape[2] == 2 else array[..., :-1]
    return Image(file, array, "YXS"[: array.ndim])


def _open_jpeg(file: Path) -> Image:
    data = file.read_bytes()
    guard.check_jpeg(data)
    array = imagecodecs.jpeg_decode(data)
    return Image(file, array, "YXS"[: array.ndim])


def _open_tiff(file: Path) -> Image:
    with tifffile.TiffFile(file) as tiff:
        guard.check_tiff(tiff, file)
        series = tiff.series[0]
        axes, pixel_size = _named(series.axes), _tiff_pixel_size(tiff)
        if series.dataoffset is not None:
            return Image(file, tifffile.memmap(file, mode="r", series=0), axes, pixel_size)
    return Image(
        file, zarr.open_array(tifffile.imread(file, aszarr=True, series=0, level=0), mode="r"), axes, pixel_size
    )


def _named(axes: str) -> str:
    """TIFF axes of which those that the file does not name, and other stacks, become Z, then T."""
    free = [axis for axis in "ZT" if axis not in axes]
    return "".join(free.pop(0) if axis not in f"YXZT{CHANNEL_AXES}" and free else axis for axis in axes)


def _tiff_pixel_size(tiff: tifffile.TiffFile) -> dict[str, float]:
    """Micrometres a pixel as OME, ImageJ or the resolution tags of the first page say."""
    if tiff.is_ome:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
        named = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"}
        units = {axis: pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"}
        return _possible({a: _number(s) * MICROMETRES.get(units[a], math.nan) for a, s in named.items()})
    page, imagej = tiff.pages.first, tiff.imagej_metadata or {}
    # Inches tell how large to print, not how large a cell is.
    unit = imagej.get("unit", "cm" if page.tags.valueof("ResolutionUnit", default=1) == 3 else None)
    if unit not in MICROMETRES:
        return {}
    sizes = {"Z": imagej.get("spacing")}
    for axis, tag in (("Y", "YResolution"), ("X", "XResolution")):
        numerator, denominator = page.tags.valueof(tag, default=(0, 1))
        sizes[axis] = denominator / numerator if numerator else None
    return _possible({axis: abs(_number(size)) * MICROMETRES[unit] for axis, size in sizes.items()})


def _number(text: object) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _possible(sizes: dict[str, float]) -> dict[str, float]:
    """Sizes of a pixel without those that no pixel has: a file may say 0, −1 or NaN where nobody knew."""
    return {axis: size for axis, size in sizes.items() if math.isfinite(size) and size > 0}


MICROMETRES = {
    **dict.fromkeys(("µm", "μm", r"\u00B5m", "um", "micron", "microns", "micrometer"), 1.0),  # ImageJ writes the third
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("Å", "angstrom"), 1e-4),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    "inch": 25_400.0,
}


def _open_zarr(file: Path) -> Image:
    node = zarr.open(file, mode="r")
    if isinstance(node, zarr.Array):
        guard.check_zarr(node)
        return Image(file, node, {2: "YX", 3: "ZYX"}.get(node.ndim, ""))
    multiscales = node.attrs.get("ome", node.attrs).get("multiscales")
    if not multiscales or multiscales[0]["datasets"][0]["path"] not in node:
        raise ValueError("it is no OME-Zarr image (no multiscales, or no array where they point)")
    described = multiscales[0]
    level = described["datasets"][0]
    # The size of a pixel of this level, and what holds for all levels.
    scales = [
        step["scale"]
        for transformations in (level, described)
        for step in transformations.get("coordinateTransformations", ())
        if step["type"] == "scale"
    ]
    scale = np.prod(scales, axis=0).tolist() if scales else ()
    letters, sizes = "", {}
    for place, axis in enumerate(described["axes"]):
        letter = (axis if isinstance(axis, str) else axis["name"]).upper()
        letters += letter
        unit = axis.get("unit") if isinstance(axis, dict) else None
        if letter in "ZYX" and unit in MICROMETRES and scale:
            sizes[letter] = scale[place] * MICROMETRES[unit]
    guard.check_zarr(node[level["path"]])
    return Image(file, node[level["path"]], letters, _possible(sizes))
