"""The content and metadata of an image file, and settings for interpreting them."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from zarr.types import AnyArray

ORIENTATIONS = ("shown", "stored")
# percentiles  from the 0.5th to the 99.5th percentile, which clips cells that cover less than a hundredth of an image
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
    """Return an orientation tag of EXIF or TIFF unchanged, or 1 (upright) if the tag is invalid."""
    return tag if tag in TURNED else 1


class Note(NamedTuple):
    """Something unusual in a file that the user should know.

    Attributes:
        code: kind of the note, such as ``colour-table``.
        found: what the file contains.
        taken: what the program reads from the file.
        fix: what the user can do if the program should read something else.
    """

    code: str
    found: str
    taken: str
    fix: str = "nothing, if that is meant"


@dataclass(frozen=True)
class Stored:
    """The content and metadata of an image file as they are stored.

    Attributes:
        array: pixel values; a part of the array is read from disk when it is indexed.
        axes: one letter for each axis of ``array``, such as ``YX``, ``ZYX``, ``TCYX`` or ``YXS``.
        pixel_size: pixel size in µm along Z, Y and X; without the axes for which the file states none.
        orientation: tag that says how viewers rotate and mirror the image, a key of `TURNED`.
        white_is_zero: whether viewers show 0 as white.
        bits: 1 if each value is stored in one bit, else 0.
        table: colours ``(N, 3)`` in which viewers show the values 0 … N − 1; None if the file has no colour table.
        is_picture: whether ``table`` may be the palette of a picture, as in GIF and PNG, and not only a look-up table
            for display.
        signed: whether 32 768 has been added to the values, as ImageJ does for signed 16-bit images.
        unclear: whether the first axis, of length 3 or 4, may be slices as well as channels.
        classes: pixel values of class 0, 1, … if the file is a label image that states them, else empty.
        made_from: software that wrote the file, as the file states it; else empty.
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
        """Whether this program has written the file, so that the file cannot be an annotation."""
        return self.made_from.startswith((OF_PREDICT, OF_RUN))

    @property
    def way(self) -> int:
        """1 if viewers show larger values brighter, -1 if they show them darker, 0 if they show colours."""
        return -1 if self.white_is_zero else 1 if self.table is None else ramp(self.table)


@dataclass(frozen=True)
class Reading:
    """Settings for interpreting the pixels of image files.

    Checkpoints store these settings. The defaults reproduce the behaviour of early versions.

    Attributes:
        orientation: ``shown`` rotates images as viewers do for the tags of EXIF and TIFF; ``stored`` does not.
        greys: ``shown`` inverts images in which 0 is white, as viewers do; ``stored`` does not.
        axes: one letter for each axis, which replace the axes that a file states. Files with another number of axes
            and colour pictures keep the axes that they state. None: all files keep them.
        scaling: how grey values are scaled to [0, 1], one of `SCALINGS`.
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
    """Return the axes of a file, one letter each, as ``reading`` interprets them.

    The axes in ``reading``, if any, replace those of the file, unless the file has another number of axes or is a
    colour picture (its last axis is S).
    """
    if reading.axes and len(reading.axes) == stored.array.ndim and not stored.axes.endswith("S"):
        return reading.axes
    return stored.axes


def stacked_axes(axes: str) -> str:
    """Rename unknown axes, such as positions, to Z or, if Z is already used, to T.

    >>> stacked_axes("QYX"), stacked_axes("ZRYXS")
    ('ZYX', 'ZTYXS')
    """
    free = [axis for axis in "ZT" if axis not in axes]
    return "".join(free.pop(0) if axis not in "YXZTCS" and free else axis for axis in axes)


def turned(array: np.ndarray, axes: str, orientation: int) -> np.ndarray:
    """Rotate and mirror an array as viewers do for an orientation tag, and return the result as a view.

    Args:
        array: pixel values.
        axes: one letter for each axis of ``array``.
        orientation: a key of `TURNED`.
    """
    swapped, rows, columns = TURNED[orientation]
    y, x = axes.index("Y"), axes.index("X")
    array = np.swapaxes(array, y, x) if swapped else array
    array = np.flip(array, y) if rows else array
    return np.flip(array, x) if columns else array


def ramp(table: np.ndarray) -> int:
    """Return 1 if a colour table ``(N, 3)`` goes from dark to light greys, -1 if from light to dark, else 0.

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
    """Return whether pixel values with a colour table are intensities rather than indices into a palette.

    The colour table of intensities is only a look-up table for display. With a palette, the brightness of the colours
    varies more smoothly from pixel to pixel than the indices, because the colours of a palette are in arbitrary order.

    Args:
        values: pixel values ``(…, H, W)``.
        table: colours ``(N, 3)`` of the values 0 … N − 1.
    """
    if values.max(initial=0) >= len(table):
        return True
    brightness = (table @ np.array([0.299, 0.587, 0.114]))[values]
    return _smoothness(values.astype(np.float64)) >= _smoothness(brightness) - 0.05


def _smoothness(grey: np.ndarray) -> float:
    """Return the correlation of pixels ``(…, H, W)`` with their right and lower neighbours; 1 for a constant image."""
    grey = grey - grey.mean()
    spread = grey.var()
    if not spread:
        return 1.0
    right, below = grey[..., 1:] * grey[..., :-1], grey[..., 1:, :] * grey[..., :-1, :]
    return float((right.mean() + below.mean()) / 2 / spread)
