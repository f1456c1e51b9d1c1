"""A prediction while it grows: a Zarr array on disk, block by block, that becomes a TIFF or OME-Zarr when it is whole.

A block is a chunk, and a chunk is a file that appears only when it is complete. So what is missing can
be seen, an interrupted prediction goes on, and several processes may fill one store.
A small image is held in memory instead, because it is predicted anew in less time than a store is made.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
import zarr

from src.files.image import Image
from src.files.incomplete import beside
from src.files.legend import NUMBERS, Legend
from src.files.omezarr import VERSION, image_label, multiscales
from src.prediction.tiff import write_tiff
from src.tiles.blocks import blocks
from src.tiles.overlap import Window

LARGEST_PAGE = 4096  # pixels a side; larger TIFF pages are tiled …
TIFF_TILE = 512  # … in squares of this side
IN_MEMORY = 2**28  # bytes up to which an image is read once, and what is predicted for it is held
MOMENT = 2**16  # pixels of a plane up to which it is predicted anew rather than gone on with


class Store:
    """Planes ``(..., [K,] H, W)`` of one prediction, written in blocks.

    Args:
        final: the file or folder that the prediction becomes, ending in ``.tif`` or ``.zarr``.
        image: what is predicted; its stack axes, size and pixel size are kept.
        classes: K, the leading axis of a plane; 1 for none.
        dtype: of the values.
        side: of a block in pixels, unless the store lies there already.
        made_from: names what the prediction depends on.
        legend: of the classes that its values are.
        labels: what its values number, if they are labels; an OME-Zarr has them under that name in its ``labels``.

    Raises:
        FileExistsError: an unfinished store lies there that was made from something else.
    """

    def __init__(
        self,
        final: Path,
        image: Image,
        classes: int,
        dtype: str,
        side: int,
        made_from: str,
        legend: Legend = NUMBERS,
        labels: str = "",
    ) -> None:
        self.final, self.image, self.made_from, self.legend, self.labels = final, image, made_from, legend, labels
        self.classes, self.place = classes, f"labels/{labels}/0" if labels else "0"
        self.folder = unfinished(final)
        self.axes = image.stack_axes + ("C" if classes > 1 else "") + "YX"
        if not self.folder.exists():
            leading = (classes,) if classes > 1 else ()
            self._create((*leading, image.height, image.width), (*leading, side, side), dtype)
        group = zarr.open_group(self.folder, mode="r")
        if group.attrs["made_from"] != made_from:
            raise FileExistsError(
                f"expected no unfinished prediction of another kind, but got {self.folder}; overwrite=true replaces it"
            )
        # Chunks of zeros are written too, because a chunk that is not there is one that is missing.
        self.array = zarr.open_array(self.folder / self.place, mode="r+").with_config({"write_empty_chunks": True})
        self.side = self.array.chunks[-1]
        self.blocks = blocks(image.height, image.width, self.side)
        # A small one is held too, so that what this process has written alone need not be read again.
        self.held = np.empty(self.array.shape, dtype) if self.array.nbytes <= IN_MEMORY else None
        self.not_held = {(plane, window) for plane in range(image.planes) for window in self.blocks}

    def _create(self, plane: tuple[int, ...], chunk: tuple[int, ...], dtype: str) -> None:
        """Make an empty store that appears whole, also where another process makes it at the same time."""
        growing = beside(self.folder)
        growing.parent.mkdir(parents=True, exist_ok=True)
        stack = self.image.stack_shape
        try:
            group = zarr.open_group(growing, mode="w", zarr_format=3)
            described = partial(multiscales, self.axes, self.image.pixel_size, self.final.stem)
            group.attrs.update({"made_from": self.made_from, "ome": described(self.place)})
            if self.labels:
                group.create_group("labels").attrs["ome"] = {"version": VERSION, "labels": [self.labels]}
                own = described("0") | {"image-label": image_label(self.legend)}
                group.create_group(f"labels/{self.labels}").attrs.update({"made_from": self.made_from, "ome": own})
            group.create_array(
                self.place,
                shape=(*stack, *plane),
                chunks=(*(1 for _ in stack), *chunk),
                dtype=dtype,
                dimension_names=tuple(self.axes.lower()),
            )
            growing.rename(self.folder)
        except OSError:
            if not self.folder.exists():  # it does where another process was first
                raise
        finally:
            shutil.rmtree(growing, ignore_errors=True)

    def _where(self, plane: int, window: Window) -> tuple:
        """Where a window of a plane stands in the array."""
        top, left, height, width = window
        return (*self.image.stack_place(plane), ..., slice(top, top + height), slice(left, left + width))

    def missing(self) -> list[tuple[int, Window]]:
        """Planes and blocks that are still to be written, in the order in which they are written."""
        classes = (0,) if "C" in self.axes else ()
        found = []
        for plane in range(self.image.planes):
            for window in self.blocks:
                chunk = (*self.image.stack_place(plane), *classes, window.top // self.side, window.left // self.side)
                if not self.folder.joinpath(self.place, "c", *map(str, chunk)).exists():
                    found.append((plane, window))
        return found

    def write(self, plane: int, window: Window, values: np.ndarray) -> None:
        """Write a block ``([K,] height, width)``.

        Raises:
            OSError: there is no room for it; names the store.
        """
        try:
            self.array[self._where(plane, window)] = values
            if self.held is not None:
                self.held[self._where(plane, window)] = values
                self.not_held.discard((plane, window))
        except OSError as error:
            error.filename = error.filename or str(self.folder)
            raise

    def read(self, plane: int, window: Window) -> np.ndarray:
        """Read a window ``([K,] height, width)``."""
        return np.asarray(self._values[self._where(plane, window)])

    @property
    def _values(self) -> np.ndarray | zarr.Array:
        return self.array if self.held is None or self.not_held else self.held

    def claim(self) -> bool:
        """Whether this process, and none of those that fill the store with it, is to finish it."""
        try:
            (self.folder / "finishing").mkdir()
        except (FileExistsError, FileNotFoundError):  # claimed, or finished, by another
            return False
        return True

    def release(self) -> None:
        """Give the claim back, so that another may finish the store."""
        shutil.rmtree(self.folder / "finishing", ignore_errors=True)

    def discard(self) -> None:
        """Remove the store, of which nothing was asked for."""
        drop(self.folder)

    def finish(self) -> None:
        """Turn the store into the final file or folder, which appears whole."""
        if self.final.suffix == ".zarr":
            drop(self.final)
            self.folder.rename(self.final)
            shutil.rmtree(self.final / "finishing", ignore_errors=True)  # not before: none else may claim it
            return
        tiled = max(self.array.shape[-2:]) > LARGEST_PAGE
        write_tiff(
            self.final,
            self._tiles() if tiled else self._pages(),
            self.array.shape,
            self.array.dtype,
            self.axes,
            self.image.pixel_size,
            self.made_from,
            TIFF_TILE if tiled else None,
            self.legend,
        )
        drop(self.folder)

    def _pages(self) -> Iterator[np.ndarray]:
        for place in np.ndindex(self.array.shape[:-2]):
            yield np.asarray(self._values[place])

    def _tiles(self) -> Iterator[np.ndarray]:
        for place in np.ndindex(self.array.shape[:-2]):
            for top, left, height, width in blocks(self.image.height, self.image.width, TIFF_TILE):
                tile = np.asarray(self._values[(*place, slice(top, top + height), slice(left, left + width))])
                yield np.pad(tile, ((0, TIFF_TILE - height), (0, TIFF_TILE - width)))


class Held:
    """The prediction of a small image, in memory until it is written as a TIFF.

    It is used as a `Store` is.

    Args:
        final: the file that the prediction becomes.
        image: what is predicted.
        classes: K, the leading axis of a plane; 1 for none.
        made_from: names what the prediction depends on.
        legend: of the classes that its values are.
    """

    def __init__(self, final: Path, image: Image, classes: int, made_from: str, legend: Legend = NUMBERS) -> None:
        self.final, self.image, self.made_from, self.legend = final, image, made_from, legend
        self.classes = classes
        self.axes = image.stack_axes + ("C" if classes > 1 else "") + "YX"
        self.side = max(image.height, image.width)
        self.blocks = blocks(image.height, image.width, self.side)
        self.values: np.ndarray | None = None

    @staticmethod
    def takes(final: Path, image: Image, side: int) -> bool:
        """Whether an image is predicted in a moment, and nothing of it lies in a store already."""
        small = (
            image.planes == 1 and image.pixels <= MOMENT and max(image.height, image.width) <= min(side, LARGEST_PAGE)
        )
        return small and final.suffix == ".tif" and not unfinished(final).exists()

    def missing(self) -> list[tuple[int, Window]]:
        return [(0, self.blocks[0])] if self.values is None else []

    def write(self, plane: int, window: Window, values: np.ndarray) -> None:
        self.values = values

    def read(self, plane: int, window: Window) -> np.ndarray:
        top, left, height, width = window
        return self.values[..., top : top + height, left : left + width]

    def release(self) -> None:
        """Nobody else may claim it."""

    def discard(self) -> None:
        self.values = None

    def finish(self) -> None:
        """Write the file, which appears whole."""
        shape, size = (*self.image.stack_shape, *self.values.shape), self.image.pixel_size
        pages = self.values.reshape(-1, *self.values.shape[-2:])
        write_tiff(self.final, pages, shape, self.values.dtype, self.axes, size, self.made_from, legend=self.legend)


def unfinished(final: Path) -> Path:
    """Where the store of a prediction lies until it is whole."""
    return final.with_name(f".{final.name}.partial")


def has_blocks(final: Path) -> bool:
    """Whether any block of a prediction is written already."""
    return (unfinished(final) / "0" / "c").exists()


def made_from(final: Path) -> str | None:
    """What a finished prediction was made from; None if there is none, or we did not write it."""
    try:
        if final.is_dir():
            return zarr.open_group(final, mode="r").attrs.get("made_from")
        with tifffile.TiffFile(final) as tiff:
            return tiff.pages.first.software
    except Exception:  # not there, or not ours; decoders raise whatever the first wrong byte leads to
        return None


def drop(path: Path) -> None:
    """Remove a file or folder; what is under its name is whole or gone, never a part."""
    if path.is_dir():
        doomed = beside(path, ".dropped")
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)
