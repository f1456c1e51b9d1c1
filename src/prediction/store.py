"""A prediction in progress: a Zarr array on disk, filled block by block, that becomes a TIFF or OME-Zarr at the end.

Each block is one Zarr chunk, stored in a file that appears only when it is complete. So missing blocks are known, an
interrupted prediction can be continued, and several processes may fill the same store. The prediction of a small image
is held in memory instead, because predicting the image again takes less time than creating a store.
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

LARGEST_PAGE = 4096  # pixels along an axis; larger TIFF pages are tiled
TIFF_TILE = 512  # side of a tile in pixels
IN_MEMORY = 2**28  # bytes up to which an image, or a prediction, is held in memory
MOMENT = 2**16  # pixels up to which an image is predicted again rather than continued


class Store:
    """The prediction of one image, ``(..., [K,] H, W)``, as a Zarr array on disk that is written block by block.

    Args:
        final: the file or folder that the store becomes when it is finished, ending in ``.tif`` or ``.zarr``.
        image: the predicted image, whose stack axes, size and pixel size are kept.
        classes: number of class probabilities K per pixel; 1 (for two classes, or a label image) omits this axis.
        dtype: data type of the values.
        side: side of a block in pixels; ignored if the store exists already.
        made_from: text that identifies everything the prediction depends on; it is stored with the prediction.
        legend: values, names and colours of the classes in a label image.
        labels: ``cells`` or ``classes`` for a label image, its name in the folder ``labels`` of an OME-Zarr; empty for
            probabilities.

    Raises:
        FileExistsError: there is an unfinished store for ``final`` with another ``made_from``.
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
        # Chunks that are all zero are written too, because an absent chunk counts as missing.
        self.array = zarr.open_array(self.folder / self.place, mode="r+").with_config({"write_empty_chunks": True})
        self.side = self.array.chunks[-1]
        self.blocks = blocks(image.height, image.width, self.side)
        # A small store is also held in memory, so that a process need not read back what it has written.
        self.held = np.empty(self.array.shape, dtype) if self.array.nbytes <= IN_MEMORY else None
        self.not_held = {(plane, window) for plane in range(image.planes) for window in self.blocks}

    def _create(self, plane: tuple[int, ...], chunk: tuple[int, ...], dtype: str) -> None:
        """Create an empty store, which appears only when complete, even if two processes create the store at once."""
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
        """Return the index of a plane's window in the array."""
        top, left, height, width = window
        return (*self.image.stack_place(plane), ..., slice(top, top + height), slice(left, left + width))

    def missing(self) -> list[tuple[int, Window]]:
        """Return the blocks not yet written, as pairs of plane number and window, in the order of writing."""
        classes = (0,) if "C" in self.axes else ()
        found = []
        for plane in range(self.image.planes):
            for window in self.blocks:
                chunk = (*self.image.stack_place(plane), *classes, window.top // self.side, window.left // self.side)
                if not self.folder.joinpath(self.place, "c", *map(str, chunk)).exists():
                    found.append((plane, window))
        return found

    def write(self, plane: int, window: Window, values: np.ndarray) -> None:
        """Write the values ``([K,] height, width)`` of one block.

        Raises:
            OSError: the block cannot be written, for example because the disk is full; names the store.
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
        """Return the values ``([K,] height, width)`` of a window of a plane."""
        return np.asarray(self._values[self._where(plane, window)])

    @property
    def _values(self) -> np.ndarray | zarr.Array[Any]:
        return self.array if self.held is None or self.not_held else self.held

    def claim(self) -> bool:
        """Claim the right to finish the store; return False if another of the processes that fill it has claimed it."""
        try:
            (self.folder / "finishing").mkdir()
        except (FileExistsError, FileNotFoundError):  # claimed, or finished, by another
            return False
        return True

    def release(self) -> None:
        """Withdraw the claim, so that another process may finish the store."""
        shutil.rmtree(self.folder / "finishing", ignore_errors=True)

    def discard(self) -> None:
        """Remove the store without writing the final file."""
        drop(self.folder)

    def finish(self) -> None:
        """Convert the store to the final file or folder, which appears only when it is complete."""
        if self.final.suffix == ".zarr":
            drop(self.final)
            self.folder.rename(self.final)
            shutil.rmtree(self.final / "finishing", ignore_errors=True)  # only now, so that no other process claims it
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
        final: the TIFF file to write when the prediction is finished.
        image: the predicted image.
        classes: number of class probabilities K per pixel; 1 (for two classes, or a label image) omits this axis.
        made_from: identifies everything that the prediction depends on.
        legend: values, names and colours of the classes in a label image.
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
        """Return whether to predict an image in memory: it is small, fits one block, and has no unfinished store."""
        small = (
            image.planes == 1 and image.pixels <= MOMENT and max(image.height, image.width) <= min(side, LARGEST_PAGE)
        )
        return small and final.suffix == ".tif" and not unfinished(final).exists()

    def missing(self) -> list[tuple[int, Window]]:
        """Return the only block, with its plane number 0, or nothing once it is written."""
        return [] if self.written else [(0, self.blocks[0])]

    def write(self, plane: int, window: Window, values: np.ndarray) -> None:
        """Keep the values ``([K,] height, width)`` of the only block."""
        self.values, self.written = values, True

    def read(self, plane: int, window: Window) -> np.ndarray:
        """Return the values ``([K,] height, width)`` of a window of a plane."""
        top, left, height, width = window
        return self.values[..., top : top + height, left : left + width]

    def claim(self) -> bool:
        """Return True, because no other process shares the prediction."""
        return True

    def release(self) -> None:
        """Do nothing, because no other process shares the prediction."""

    def discard(self) -> None:
        """Delete the prediction from memory without writing the file."""
        self.values, self.written = np.empty(0), False

    def finish(self) -> None:
        """Write the final TIFF, which appears only when it is complete."""
        shape, size = (*self.image.stack_shape, *self.values.shape), self.image.pixel_size
        pages = self.values.reshape(-1, *self.values.shape[-2:])
        write_tiff(self.final, pages, shape, self.values.dtype, self.axes, size, self.made_from, legend=self.legend)


def unfinished(final: Path) -> Path:
    """Return the hidden folder in which the store for a final file or folder is kept until it is finished."""
    return final.with_name(f".{final.name}.partial")


def has_blocks(final: Path) -> bool:
    """Return whether the unfinished prediction for a final file or folder exists and has any block of probabilities."""
    return (unfinished(final) / "0" / "c").exists()


def made_from(final: Path) -> str | None:
    """Read the ``made_from`` text that is stored in a TIFF or Zarr; None if it has none or does not exist."""
    try:
        if final.is_dir():
            origin = zarr.open_group(final, mode="r").attrs.get("made_from")
            return origin if isinstance(origin, str) else None
        with tifffile.TiffFile(final) as tiff:
            return tiff.pages.first.software
    except Exception:  # no file, or not ours; decoders raise all kinds of errors for damaged files
        return None


def drop(path: Path) -> None:
    """Delete a file or folder; a folder is renamed first, so that a partly deleted one never has its old name."""
    if path.is_dir():
        doomed = beside(path, ".dropped")
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)
