"""A prediction in progress: a Zarr array on disk, filled block by block, that becomes a TIFF or OME-Zarr at the end.

A block is a chunk, and a chunk is a file that appears only when it is complete. So missing blocks are known, an
interrupted prediction can be continued, and several processes may fill one store. The prediction of a small image is
held in memory instead, because predicting it again takes less time than making a store.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import EllipsisType
from typing import Any

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

LARGEST_PAGE = 4096  # pixels of a side; larger TIFF pages are tiled
TIFF_TILE = 512  # pixels of the side of a tile
IN_MEMORY = 2**28  # bytes up to which an image is read once, and its prediction held in memory
MOMENT = 2**16  # pixels of a plane up to which it is predicted again rather than continued


class Store:
    """Planes ``(..., [K,] H, W)`` of one prediction, written in blocks.

    Args:
        final: the file or folder that the prediction becomes, ending in ``.tif`` or ``.zarr``.
        image: the predicted image, whose stack axes, size and pixel size are kept.
        classes: K, the leading axis of a plane; 1 for no such axis.
        dtype: of the values.
        side: of a block in pixels, unless the store exists already.
        made_from: identifies all that the prediction depends on.
        legend: of the classes in a label image.
        labels: for a label image, what it numbers, ``cells`` or ``classes``; its name in ``labels`` of an OME-Zarr.

    Raises:
        FileExistsError: there is an unfinished store that was made from something else.
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
        # Chunks of zeros are written too, because an absent chunk counts as missing.
        self.array = zarr.open_array(self.folder / self.place, mode="r+").with_config({"write_empty_chunks": True})
        self.side = self.array.chunks[-1]
        self.blocks = blocks(image.height, image.width, self.side)
        # A small store is held in memory too, so that a process need not read what it has written.
        self.held = np.empty(self.array.shape, dtype) if self.array.nbytes <= IN_MEMORY else None
        self.not_held = {(plane, window) for plane in range(image.planes) for window in self.blocks}

    def _create(self, plane: tuple[int, ...], chunk: tuple[int, ...], dtype: str) -> None:
        """Make an empty store that appears only when complete, even if another process makes it at the same time."""
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
            if not self.folder.exists():  # another process may have been first
                raise
        finally:
            shutil.rmtree(growing, ignore_errors=True)

    def _where(self, plane: int, window: Window) -> tuple[int | slice | EllipsisType, ...]:
        """The index of a window of a plane in the array."""
        top, left, height, width = window
        return (*self.image.stack_place(plane), ..., slice(top, top + height), slice(left, left + width))

    def missing(self) -> list[tuple[int, Window]]:
        """Return the planes and blocks that are not yet written, in the order of writing."""
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
            OSError: the disk is full; the error names the store.
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
    def _values(self) -> np.ndarray | zarr.Array[Any]:
        return self.array if self.held is None or self.not_held else self.held

    def claim(self) -> bool:
        """Whether this process, of all that fill the store, is the one to finish it."""
        try:
            (self.folder / "finishing").mkdir()
        except (FileExistsError, FileNotFoundError):  # claimed, or finished, by another
            return False
        return True

    def release(self) -> None:
        """Give the claim back, so that another process may finish the store."""
        shutil.rmtree(self.folder / "finishing", ignore_errors=True)

    def discard(self) -> None:
        """Remove the store without writing the final file."""
        drop(self.folder)

    def finish(self) -> None:
        """Turn the store into the final file or folder, which appears only when complete."""
        if self.final.suffix == ".zarr":
            drop(self.final)
            self.folder.rename(self.final)
            shutil.rmtree(self.final / "finishing", ignore_errors=True)  # only now, so that nobody else claims it
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
    """The prediction of a small image, in memory until it is written as a TIFF; used like a `Store`.

    Args:
        final: the file that the prediction becomes.
        image: the predicted image.
        classes: K, the leading axis of a plane; 1 for no such axis.
        made_from: identifies all that the prediction depends on.
        legend: of the classes in a label image.
    """

    def __init__(self, final: Path, image: Image, classes: int, made_from: str, legend: Legend = NUMBERS) -> None:
        self.final, self.image, self.made_from, self.legend = final, image, made_from, legend
        self.classes = classes
        self.axes = image.stack_axes + ("C" if classes > 1 else "") + "YX"
        self.side = max(image.height, image.width)
        self.blocks = blocks(image.height, image.width, self.side)
        self.values, self.written = np.empty(0), False

    @staticmethod
    def takes(final: Path, image: Image, side: int) -> bool:
        """Whether an image is small, and has no unfinished store."""
        small = (
            image.planes == 1 and image.pixels <= MOMENT and max(image.height, image.width) <= min(side, LARGEST_PAGE)
        )
        return small and final.suffix == ".tif" and not unfinished(final).exists()

    def missing(self) -> list[tuple[int, Window]]:
        """Return the only block until it is written."""
        return [] if self.written else [(0, self.blocks[0])]

    def write(self, plane: int, window: Window, values: np.ndarray) -> None:
        """Keep the only block ``([K,] height, width)``."""
        self.values, self.written = values, True

    def read(self, plane: int, window: Window) -> np.ndarray:
        """Read a window ``([K,] height, width)``."""
        top, left, height, width = window
        return self.values[..., top : top + height, left : left + width]

    def claim(self) -> bool:
        """Whether this process is the one to finish it: always, because no other process has it."""
        return True

    def release(self) -> None:
        """Do nothing, because no other process can claim it."""

    def discard(self) -> None:
        """Forget the prediction without writing the file."""
        self.values, self.written = np.empty(0), False

    def finish(self) -> None:
        """Write the file, which appears only when complete."""
        shape, size = (*self.image.stack_shape, *self.values.shape), self.image.pixel_size
        pages = self.values.reshape(-1, *self.values.shape[-2:])
        write_tiff(self.final, pages, shape, self.values.dtype, self.axes, size, self.made_from, legend=self.legend)


def unfinished(final: Path) -> Path:
    """Return the folder of the store of an unfinished prediction."""
    return final.with_name(f".{final.name}.partial")


def has_blocks(final: Path) -> bool:
    """Whether any block of an unfinished prediction is written."""
    return (unfinished(final) / "0" / "c").exists()


def made_from(final: Path) -> str | None:
    """Read what a finished prediction was made from; None if there is none, or it is not ours."""
    try:
        if final.is_dir():
            origin = zarr.open_group(final, mode="r").attrs.get("made_from")
            return origin if isinstance(origin, str) else None
        with tifffile.TiffFile(final) as tiff:
            return tiff.pages.first.software
    except Exception:  # not there, or not ours; decoders raise whatever the first wrong byte leads to
        return None


def drop(path: Path) -> None:
    """Remove a file or folder at once: its name never shows a part of it."""
    if path.is_dir():
        doomed = beside(path, ".dropped")
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)
