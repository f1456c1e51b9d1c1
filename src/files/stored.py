"""What a file holds, what it says of its pixels, and how they are seen."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import zarr

ORIENTATIONS = ("shown", "stored")
# percentiles  the range of all pixels, which cuts off cells that cover less than a hundredth of an image
# objects      the same, widened to hold what stands out from the ground of an image
SCALINGS = ("percentiles", "objects")
OF_PREDICT, OF_RUN = "src.predict", "src.train"  # with which the software begins that our own predictions name
TURNED = {  # by the tag of EXIF and TIFF: whether rows and columns are exchanged, then rows, then columns reversed
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def known_orientation(tag: int) -> int:
    """The tag of a file, or that of an upright image if it is none of `TURNED`."""
    return tag if tag in TURNED else 1


class Note(NamedTuple):
    """Something that one should know of a file: the kind of it, what is there, what was done, what changes that."""

    code: str
    found: str
    taken: str
    fix: str = "nothing, if that is meant"


@dataclass(frozen=True)
class Stored:
    """The content of a file as it lies there.

    Attributes:
        array: its values; anything with shape and dtype that numpy-like slices read.
        axes: a letter an axis, such as ``YX``, ``ZYX``, ``TCYX`` or ``YXS``.
        pixel_size: of the axes Z, Y and X, in µm, as far as the file says.
        orientation: how viewers turn it, one of `TURNED`.
        white_is_zero: whether viewers show 0 as white.
        bits: of a value, where it is one bit; else 0.
        table: ``(N, 3)`` colours by which viewers show the values 0 … N − 1, or None.
        is_picture: whether the table may be the colours of a picture, as in GIF and PNG, and not of a display.
        signed: whether 32 768 has been added to the values (ImageJ's signed 16 bit).
        unclear: whether the first axis, of 3 or 4 planes, may be slices as well as channels.
        classes: the values of class 0, 1, … that a label image says it has; empty if it says nothing.
        made_from: what the program that wrote it says that it was made from; empty if it says nothing.
        notes: what a person should know.
    """

    array: np.ndarray | zarr.Array
    axes: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    orientation: int = 1
    white_is_zero: bool = False
    bits: int = 0
    table: np.ndarray | None = None
    is_picture: bool = False
    signed: bool = False
    unclear: bool = False
    classes: tuple[int, ...] = ()
    made_from: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def is_prediction(self) -> bool:
        """Whether this program has written it, so that nobody has drawn it."""
        return self.made_from.startswith((OF_PREDICT, OF_RUN))

    @property
    def way(self) -> int:
        """Whether viewers show larger values brighter (1), darker (-1), or in colours (0)."""
        return -1 if self.white_is_zero else 1 if self.table is None else ramp(self.table)


@dataclass(frozen=True)
class Reading:
    """How the pixels of files become those that a network sees. A checkpoint holds it; its defaults mean what
    versions did that did not yet ask.

    Attributes:
        orientation: ``shown``, turned as viewers do for the tags of EXIF and TIFF, or ``stored``.
        greys: ``shown``, where white is 0 turned round as viewers do, or ``stored``.
        axes: a letter an axis for files with as many axes, whatever they say themselves, but for pictures in colour;
            None: as they say.
        scaling: of grey values, one of `SCALINGS`.
    """

    orientation: str = "stored"
    greys: str = "stored"
    axes: str | None = None
    scaling: str = "percentiles"

    def __post_init__(self) -> None:
        for name, choices in (("orientation", ORIENTATIONS), ("greys", ORIENTATIONS), ("scaling", SCALINGS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"expected {name} to be {' or '.join(choices)}, but got {getattr(self, name)}")
        axes = self.axes
        if axes is not None and not (set("YX") <= set(axes) <= set("TZYXCS") and len(set(axes)) == len(axes)):
            raise ValueError(
                f"expected axes of the letters Y and X, and perhaps Z, T and C, each once, but got {axes}; "
                f"nearest valid: axes=ZYX for slices, axes=CYX for channels"
            )


EARLIER = Reading()
SHOWN = Reading(orientation="shown", greys="shown", scaling="objects")


def axes_of(stored: Stored, reading: Reading) -> str:
    """The axes of what a file holds, as a reading sees them: samples that lie side by side are colours in any case."""
    chosen = reading.axes and len(reading.axes) == stored.array.ndim and not stored.axes.endswith("S")
    return reading.axes if chosen else stored.axes


def stacked_axes(axes: str) -> str:
    """Axes of which those that no reader knows, such as positions, become Z, then T.

    >>> stacked_axes("QYX"), stacked_axes("ZRYXS")
    ('ZYX', 'ZTYXS')
    """
    free = [axis for axis in "ZT" if axis not in axes]
    return "".join(free.pop(0) if axis not in "YXZTCS" and free else axis for axis in axes)


def turned(array: np.ndarray, axes: str, orientation: int) -> np.ndarray:
    """Values as viewers show them: rows and columns exchanged and reversed as the tag says; a view."""
    swapped, rows, columns = TURNED[orientation]
    y, x = axes.index("Y"), axes.index("X")
    array = np.swapaxes(array, y, x) if swapped else array
    array = np.flip(array, y) if rows else array
    return np.flip(array, x) if columns else array


def ramp(table: np.ndarray) -> int:
    """Whether a table ``(N, 3)`` goes from black to white (1), from white to black (-1) or neither (0).

    >>> ramp(np.arange(256).repeat(3).reshape(256, 3))
    1
    """
    if not (table == table[:, :1]).all() or len(table) < 2:
        return 0
    steps = np.diff(table[:, 0].astype(int))
    if not steps.any():
        return 0
    return 1 if (steps >= 0).all() else -1 if (steps <= 0).all() else 0


def is_intensity(values: np.ndarray, table: np.ndarray) -> bool:
    """Whether numbers with a table of colours are grey values that a display colours, and not a picture of few colours.

    In a picture it is the brightness that goes smoothly from pixel to pixel, and the order of the colours is any.

    Args:
        values: ``(…, H, W)``.
        table: ``(N, 3)``.
    """
    if values.max(initial=0) >= len(table):
        return True
    brightness = (table @ np.array([0.299, 0.587, 0.114]))[values]
    return _smoothness(values.astype(np.float64)) >= _smoothness(brightness) - 0.05


def _smoothness(grey: np.ndarray) -> float:
    """The correlation of pixels with their right and lower neighbours."""
    grey = grey - grey.mean()
    spread = grey.var()
    if not spread:
        return 1.0
    right, below = grey[..., 1:] * grey[..., :-1], grey[..., 1:, :] * grey[..., :-1, :]
    return float((right.mean() + below.mean()) / 2 / spread)
