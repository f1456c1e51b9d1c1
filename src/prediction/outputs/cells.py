"""Iteration over the cells of a label image of any size, for tables and outlines: each cell once and as a whole.

A plane is read in bands of rows. A cell belongs to the band that contains its first row, and the band is read down to
the last row of its cells. A cell that is taller than a band is read on its own, and in strips if its bounding box has
more pixels than a band.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np

from src.files.image import Image
from src.files.legend import NUMBERS, Legend
from src.tiles.overlap import Window

AT_ONCE = 2**23  # pixels of a band
OVERLAP = 8  # rows that a strip shares with the strip above it


@dataclass(frozen=True)
class Cells:
    """The cells of one image; if classes are predicted, the connected components of each class.

    Attributes:
        image: the image with the channels to measure.
        numbers: returns the labels ``(height, width)`` of a window of a plane; the cells of each plane are numbered
            from 1, background is 0.
        confidence: returns, for a window of a plane, the probability ``(height, width)`` of the class predicted at each
            pixel; if cells are predicted, the probability of cell.
        kinds: one array per plane that gives the class of each label; empty if no classes are predicted.
        legend: values, names and colours of the classes.
    """

    image: Image
    numbers: Callable[[int, Window], np.ndarray]
    confidence: Callable[[int, Window], np.ndarray]
    kinds: tuple[np.ndarray, ...] = ()
    legend: Legend = NUMBERS

    def kind(self, plane: int, number: int) -> str:
        """Return the class name of a cell, given its plane and label; empty if no classes are predicted."""
        return self.legend.name(int(self.kinds[plane][number])) if self.kinds else ""

    def place(self, plane: int) -> dict[str, int]:
        """Return the position of a plane along each axis of the stack, from 0; empty if the image is not a stack."""
        return dict(zip(self.image.stack_axes, self.image.stack_place(plane), strict=True))


@dataclass(frozen=True)
class Group:
    """Several cells of a plane that are read together, each as a whole.

    Attributes:
        plane: number of the plane in the stack, from 0.
        window: the part of the plane that contains the cells.
        labels: label image ``(height, width)`` of the window, 0 for background and for cells of other groups.
    """

    plane: int
    window: Window
    labels: np.ndarray


@dataclass(frozen=True)
class Giant:
    """A cell whose bounding box has more pixels than a band, so that the cell is read in strips.

    Attributes:
        plane: number of the plane in the stack, from 0.
        window: bounding box of the cell.
        number: label of the cell.
    """

    plane: int
    window: Window
    number: int


def strips(giant: Giant, cells: Cells) -> Iterator[tuple[Window, int, np.ndarray]]:
    """Yield the strips of a very large cell, from top to bottom.

    Each strip is its window, the number of its first rows that also belong to the strip above, and the mask of the cell
    in it, ``(height, width)`` bool.
    """
    top, left, height, width = giant.window
    rows = max(OVERLAP, AT_ONCE // width)
    for first in range(top, top + height, rows):
        again = OVERLAP if first > top else 0
        window = Window(first - again, left, min(rows, top + height - first) + again, width)
        yield window, again, cells.numbers(giant.plane, window) == giant.number


def groups(cells: Cells) -> Iterator[Group | Giant]:
    """Yield all cells of an image in groups, plane by plane from top to bottom, with a plane's tallest cells last."""
    for plane in range(cells.image.planes):
        yield from _groups(cells, plane)


def _groups(cells: Cells, plane: int) -> Iterator[Group | Giant]:
    height, width = cells.image.height, cells.image.width
    rows = max(1, AT_ONCE // width)
    boxes = np.zeros((1, 4), np.int32)
    for top in range(0, height, rows):
        labels = cells.numbers(plane, Window(top, 0, min(rows, height - top), width))
        boxes = _with_room(boxes, int(labels.max()) + 1)
        _extend(boxes, labels, top)
    tops, bottoms = boxes[:, 0], boxes[:, 2]
    tall = bottoms - tops > rows
    for top in range(0, height, rows):
        own = (bottoms > 0) & ~tall & (tops >= top) & (tops < top + rows)
        if own.any():
            window = Window(top, 0, int(bottoms[own].max()) - top, width)
            labels = cells.numbers(plane, window)
            yield Group(plane, window, np.where(own[labels], labels, 0))
    for number in np.flatnonzero(tall).tolist():
        top, left, bottom, right = boxes[number].tolist()
        window = Window(top, left, bottom - top, right - left)
        if window.height * window.width > AT_ONCE:
            yield Giant(plane, window, number)
            continue
        labels = cells.numbers(plane, window)
        yield Group(plane, window, np.where(labels == number, labels, 0))


def _with_room(boxes: np.ndarray, count: int) -> np.ndarray:
    """Return the bounding boxes ``(n, 4)``, extended by empty boxes (start after end) to at least ``count`` rows."""
    if count <= len(boxes):
        return boxes
    more = np.zeros((count - len(boxes), 4), np.int32)
    more[:, :2] = np.iinfo(np.int32).max
    return np.concatenate([boxes, more])


@numba.njit(cache=True, nogil=True)
def _extend(boxes: np.ndarray, labels: np.ndarray, top: int) -> None:
    """Enlarge the bounding box of each label, in place, to include its pixels in a band.

    Args:
        boxes: for each label the first row and column, and the last row and column plus 1, ``(n, 4)``.
        labels: label image of the band, ``(height, width)``.
        top: row of the plane at which the band begins.
    """
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            number = labels[row, column]
            if number:
                box = boxes[number]
                box[0] = min(box[0], row + top)
                box[1] = min(box[1], column)
                box[2] = max(box[2], row + top + 1)
                box[3] = max(box[3], column + 1)
