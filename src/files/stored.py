"""The content of an image file with its metadata, and how to interpret them."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from zarr.types import AnyArray

ORIENTATIONS = ("shown", "stored")
# percentiles  the 0.5th to 99.5th percentile, which clips cells that cover less than a hundredth of an image
# objects      the same range, widened to include objects brighter or darker than the background
SCALINGS = ("percentiles", "objects")
OF_PREDICT, OF_RUN = "src.predict", "src.train"  # the software tag of our predictions begins with one of these
TURNED = {  # orientation tag of EXIF and TIFF: whether to transpose, then to reverse rows, then columns
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
    """The orientation tag of a file, or 1 (upright) if its value is invalid."""
    return tag if tag in TURNED else 1


class Note(NamedTuple):
    """Something that the user should know about a file.

    Attributes:
        code: kind of the note.
        found: what the file contains.
        taken: how it is interpreted.
        fix: how to change that.
    """

    code: str
    found: str
    taken: str
    fix: str = "nothing, if that is meant"


@dataclass(frozen=True)
class Stored:
    """The content of a file as it is stored.

    Attributes:
        array: values; slices of it are read from disk when they are asked for.
        axes: one letter for each axis, such as ``YX``, ``ZYX``, ``TCYX`` or ``YXS``.
        pixel_size: pixel size along Z, Y and X in µm, where the file states it.
        orientation: how viewers rotate the image, one of `TURNED`.
        white_is_zero: whether viewers show 0 as white.
        bits: 1 if a value is stored in one bit, else 0.
        table: colours ``(N, 3)`` in which viewers show the values 0 … N − 1, or None.
        is_picture: whether the table may be the palette of a picture, as in GIF and PNG, not a look-up table for
            display.
        signed: whether 32 768 has been added to the values (ImageJ's signed 16 bit).
        unclear: whether the first axis, of length 3 or 4, may be slices as well as channels.
        classes: values of class 0, 1, … if a label image states them, else empty.
        made_from: software tag of the file, or empty.
        notes: what the user should know about the file.
    """

    array: np.ndarray | AnyArray
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
        """Whether this program has written the file, so that it is no annotation."""
        return self.made_from.startswith((OF_PREDICT, OF_RUN))

    @property
    def way(self) -> int:
        """Whether viewers show larger values brighter (1), darker (-1), or in colours (0)."""
        return -1 if self.white_is_zero else 1 if self.table is None else ramp(self.table)


@dataclass(frozen=True)
class Reading:
    """How to interpret the pixels of files. Checkpoints store it; its defaults are the behaviour of early versions.

    Attributes:
        orientation: ``shown`` rotates images as viewers do for the tags of EXIF and TIFF; ``stored`` does not.
        greys: ``shown`` inverts images in which 0 is white, as viewers do; ``stored`` does not.
        axes: one letter for each axis, instead of the axes that a file states; applies to files with that many axes,
            except colour pictures. None: the axes that the file states.
        scaling: scaling of grey values, one of `SCALINGS`.
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
                f"expected axes of the letters Y and X, and optionally Z, T and C, each once, but got {axes}; "
                f"nearest valid: axes=ZYX for slices, axes=CYX for channels"
            )


EARLIER = Reading()
SHOWN = Reading(orientation="shown", greys="shown", scaling="objects")


def axes_of(stored: Stored, reading: Reading) -> str:
    """The axes of a file under a reading; interleaved samples are colours in any case."""
    if reading.axes and len(reading.axes) == stored.array.ndim and not stored.axes.endswith("S"):
        return reading.axes
    return stored.axes


def stacked_axes(axes: str) -> str:
    """Rename unknown axes, such as positions, to Z, then T.

    >>> stacked_axes("QYX"), stacked_axes("ZRYXS")
    ('ZYX', 'ZTYXS')
    """
    free = [axis for axis in "ZT" if axis not in axes]
    return "".join(free.pop(0) if axis not in "YXZTCS" and free else axis for axis in axes)


def turned(array: np.ndarray, axes: str, orientation: int) -> np.ndarray:
    """Rotate and mirror values as viewers do for an orientation tag; returns a view."""
    swapped, rows, columns = TURNED[orientation]
    y, x = axes.index("Y"), axes.index("X")
    array = np.swapaxes(array, y, x) if swapped else array
    array = np.flip(array, y) if rows else array
    return np.flip(array, x) if columns else array


def ramp(table: np.ndarray) -> int:
    """Whether a colour table ``(N, 3)`` goes from dark to light greys (1), from light to dark (-1) or neither (0).

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
    """Whether values with a colour table are intensities with a look-up table for display, not indices of a palette.

    In a picture, the brightness of the colours varies smoothly from pixel to pixel, whereas indices are in any order.

    Args:
        values: indices into the table ``(…, H, W)``.
        table: colours ``(N, 3)``.
    """
    if values.max(initial=0) >= len(table):
        return True
    brightness = (table @ np.array([0.299, 0.587, 0.114]))[values]
    return _smoothness(values.astype(np.float64)) >= _smoothness(brightness) - 0.05


def _smoothness(grey: np.ndarray) -> float:
    """Correlation of pixels with their right and lower neighbours."""
    grey = grey - grey.mean()
    spread = grey.var()
    if not spread:
        return 1.0
    right, below = grey[..., 1:] * grey[..., :-1], grey[..., 1:, :] * grey[..., :-1, :]
    return float((right.mean() + below.mean()) / 2 / spread)
