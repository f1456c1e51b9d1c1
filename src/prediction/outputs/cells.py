"""The cells of a label image of any size, each once and whole, for tables and outlines.

A plane is read in bands of rows. A cell belongs to the band of its first row, and a band is read down to the last row
of its cells. A cell that is taller than a band is read alone, and in strips if it has more pixels than a band.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np

from src.files.image import Image
from src.files.legend import NUMBERS, Legend
from src.tiles.overlap import Window

AT_ONCE = 2**23  # pixels of a band
OVERLAP = 8  # rows that a strip shares with the one above


@dataclass(frozen=True)
class Cells:
    """The cells of one image; if classes are predicted, the connected components of each class.

    Attributes:
        image: the image with the channels to measure.
        numbers: returns the label image ``(height, width)`` of a window of a plane; the cells of each plane are
            numbered from 1, background is 0.
        confidence: returns the probability ``(height, width)`` of the predicted class of each pixel.
        kinds: of each plane, the class of each number; empty if no classes are predicted.
        legend: of the classes.
    """

    image: Image
    numbers: Callable[[int, Window], np.ndarray]
    confidence: Callable[[int, Window], np.ndarray]
    kinds: tuple[np.ndarray, ...] = ()
    legend: Legend = NUMBERS

    def kind(self, plane: int, number: int) -> str:
        """Return the name of the class of a cell; empty if there are no classes."""
        return self.legend.name(int(self.kinds[plane][number])) if self.kinds else ""

    def place(self, plane: int) -> dict[str, int]:
        """Return the position of a plane in its stack by axis, from 0; empty if there is no stack."""
        return dict(zip(self.image.stack_axes, self.image.stack_place(plane), strict=True))


@dataclass(frozen=True)
class Group:
    """Whole cells of a plane that are read together.

    Attributes:
        plane: its number in the stack.
        window: the part of the plane that holds them.
        labels: its label image ``(height, width)``, with 0 for all other cells.
    """

    plane: int
    window: Window
    labels: np.ndarray


@dataclass(frozen=True)
class Giant:
    """A cell with more pixels than a band, which is read in strips.

    Attributes:
        plane: its number in the stack.
        window: its bounding box.
        number: of the cell.
    """

    plane: int
    window: Window
    number: int


def strips(giant: Giant, cells: Cells) -> Iterator[tuple[Window, int, np.ndarray]]:
    """Yield the strips of a giant: the window, how many of its rows it shares with the strip above, and the mask."""
    top, left, height, width = giant.window
    rows = max(OVERLAP, AT_ONCE // width)
    for first in range(top, top + height, rows):
        again = OVERLAP if first > top else 0
        window = Window(first - again, left, min(rows, top + height - first) + again, width)
        yield window, again, cells.numbers(giant.plane, window) == giant.number


def groups(cells: Cells) -> Iterator[Group | Giant]:
    """Yield all cells of an image, plane by plane from top to bottom, with cells taller than a band last."""
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
    """Return the boxes with room for at least ``count`` numbers; a new box is empty: its start lies after its end."""
    if count <= len(boxes):
        return boxes
    more = np.zeros((count - len(boxes), 4), np.int32)
    more[:, :2] = np.iinfo(np.int32).max
    return np.concatenate([boxes, more])


@numba.njit(cache=True, nogil=True)
def _extend(boxes: np.ndarray, labels: np.ndarray, top: int) -> None:
    """Extend the box of each number (first row and column, row and column after the last) by the pixels of a band."""
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            number = labels[row, column]
            if number:
                box = boxes[number]
                box[0] = min(box[0], row + top)
                box[1] = min(box[1], column)
                box[2] = max(box[2], row + top + 1)
                box[3] = max(box[3], column + 1)
