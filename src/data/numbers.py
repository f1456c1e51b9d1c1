"""Reads label files of any program as the numbers that were drawn, whatever colours they are displayed in."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage.measure import label

from src.data.finding import ERROR, Finding, Refused
from src.files import limits
from src.files.arrays import strips_of, value_counts
from src.files.grey import is_grey
from src.files.image import in_memory
from src.files.stored import SHOWN, Note, Reading, Stored, axes_of, turned
from src.instances import pieces

FEWEST_SMOOTHED = 4  # with at least this many colours, some may result from smoothing …
FEWEST_OF_COLOUR = 10  # … if most colours have no connected component of at least this many pixels
MOST_BETWEEN = 0.001  # largest share of a mask's pixels that may have a value between its two values
LARGEST_BETWEEN = 4  # pixels in the largest connected component of such values
WHITE = tuple(2**bits - 1 for bits in (8, 16, 32))  # values by which programs mark the foreground of a mask
FURTHEST_APART = 20  # the two values of a mask differ by more; between closer values there may be a class


@dataclass(frozen=True)
class Drawn:
    """The labels that were drawn in one file.

    Attributes:
        numbers: ``(H, W)`` or ``(D, H, W)`` integers; if the labels are colours, one integer per colour, see `packed`.
        notes: what the user should know about how the labels were read.
        in_colours: whether the numbers are packed colours.
        was_grey: whether a grey image was saved as RGB; other files of the same data set may then have true colours.
        palette: the packed colours of numbers 0, 1, … if the file is a picture with a palette; else empty.
        classes: the pixel values of classes 0, 1, … if the file declares them; else empty.
        overlap: if the labels were merged from several files, the share of annotated pixels annotated in more than one.
        is_prediction: whether this program has written the file.
    """

    numbers: np.ndarray
    notes: tuple[Note, ...] = ()
    in_colours: bool = False
    was_grey: bool = False
    palette: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    overlap: float = 0.0
    is_prediction: bool = False


def read_labels(file: Path, reading: Reading = SHOWN) -> Drawn:
    """Read a label image or stack as the numbers that were drawn.

    The stored numbers are used, not the colours of a colour table: ImageJ displays the foreground (255) of its masks
    as black. Only files of one bit per pixel in which 0 is white, such as faxes, are read as displayed. RGB labels
    give one number per grey value or per colour. In one-hot planes, a pixel's number is the index of its plane. If a
    mask was drawn with smooth edges, the few pixels between its two values get the nearer value.

    Args:
        file: the label file.
        reading: how the pixels of the image are read; its orientation and axes apply to the labels too.

    Raises:
        Refused: the labels contain smoothed colours or fractions, the file is a JPEG, or it cannot be decoded.
    """
    if file.suffix.lower() == ".npy":
        found = "a file of Python objects, which may run code when it is opened"
        fix = "save the masks from Cellpose as TIFF or PNG: File, Save masks; or cellpose.io.save_masks"
        raise Refused(Finding("pickled-label", ERROR, str(file), found, "masks as TIFF or PNG", fix))
    if file.suffix.lower() in (".jpg", ".jpeg"):
        found = "a JPEG, which alters the values"
        fix = "save the labels as PNG or TIFF from the program that they were drawn in"
        raise Refused(Finding("jpeg-label", ERROR, str(file), found, "labels as they were drawn", fix))
    try:
        stored = in_memory(file)
    except (ValueError, OSError) as error:
        raise Refused(unreadable(file, error)) from error
    return drawn(stored, file, reading)


def drawn(stored: Stored, file: Path, reading: Reading = SHOWN) -> Drawn:
    """Convert the content of a label file to the numbers that were drawn, as described in `read_labels`.

    Raises:
        Refused: the labels contain smoothed colours or fractions.
    """
    values, axes = np.asarray(stored.array), axes_of(stored, reading)
    if stored.orientation != 1 and reading.orientation == "shown":
        values = turned(values, axes, stored.orientation)
    if stored.unclear and axes[0] == "S" and not (values == values[:1]).all():
        axes = f"Z{axes[1:]}"  # grey labels saved as RGB would have three equal planes
    values, notes = _numbers(values, stored)
    values, axes = _without_single(values, axes)
    in_colours, samples = False, "S" in axes and values.shape[axes.index("S")] <= 4  # more: planes of classes
    if samples:
        colours, axes = np.moveaxis(values, axes.index("S"), -1), axes.replace("S", "")
        values, in_colours = _of_colours(colours, file)
    planes, more = _whole(_ordered(values, axes, file), file)
    if not in_colours:
        planes, between = sharpened(planes)
        more += between
    table = stored.table if stored.is_picture and not stored.way else None
    palette = tuple(packed(table).tolist()) if table is not None and planes.max() < len(table) else ()
    was_grey, all_notes = samples and not in_colours, (*stored.notes, *notes, *more)
    return Drawn(planes, all_notes, in_colours, was_grey, palette, stored.classes, is_prediction=stored.is_prediction)


def _numbers(values: np.ndarray, stored: Stored) -> tuple[np.ndarray, list[Note]]:
    """Return the numbers that were drawn, given the stored values, and notes on how they were interpreted."""
    if stored.signed:
        return values.astype(np.int32) - 2**15, []
    if stored.way < 0 and stored.bits:
        found = "one bit per pixel, with 0 as white"
        fix = "data.source.values=[1,0] takes the stored ones"
        return ~values, [Note("white-is-zero", found, "the values as they are shown: white is 1", fix)]
    if stored.way < 0:
        drawn, _ = value_counts(values.reshape(-1, values.shape[-1]))
        note = Note("white-is-zero", "numbers that are shown inverted, with 0 as white", "the stored numbers")
        if len(drawn) == 2:
            note = note._replace(
                taken=f"the stored numbers: {drawn[1]} in cells, {drawn[0]} outside",
                fix=f"data.source.values=[{drawn[1]},{drawn[0]}] takes the other of the two as the cells",
            )
        return values, [note]
    if not stored.way:
        return values, [Note("colour-table", "labels with a colour table", "the stored numbers")]
    return values, []


def _without_single(values: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Remove axes of length 1 other than rows and columns; return the array and the letters of its axes."""
    single = [place for place, axis in enumerate(axes) if values.shape[place] == 1 and axis not in "YX"]
    return values.squeeze(tuple(single)), "".join(axis for place, axis in enumerate(axes) if place not in single)


def _ordered(values: np.ndarray, axes: str, file: Path) -> np.ndarray:
    """Transpose values to ``(H, W)`` or ``(D, H, W)`` and resolve one-hot planes; refuse any other shape."""
    if values.ndim not in (2, 3) or 0 in values.shape:
        expected, fix = "one number per pixel, (H, W) or (D, H, W)", "save one plane per file, or a stack of planes"
        raise Refused(Finding("label-shape", ERROR, str(file), f"shape {values.shape}", expected, fix))
    order = [place for place, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
    values = values.transpose(order)
    return one_hot(values) if values.ndim == 3 else values


def _whole(values: np.ndarray, file: Path) -> tuple[np.ndarray, list[Note]]:
    """Convert values to integers, with a note if they were saved as floats; refuse fractions."""
    if values.dtype.kind in "iub":
        return values, []
    if np.isfinite(values).all() and not np.any(values % 1) and np.abs(values).max(initial=0) < 2**53:
        small = np.abs(values).max(initial=0) < 2**31
        found = f"whole numbers saved as {values.dtype}"
        return values.astype(np.int32 if small else np.int64), [Note("float-label", found, "the numbers")]
    found = f"{values.dtype} from {values.min():g} to {values.max():g}, not all of them whole"
    fix = "apply a threshold: a probability is not a label"
    raise Refused(Finding("float-label", ERROR, str(file), found, "labels of whole numbers", fix))


def one_hot(planes: np.ndarray) -> np.ndarray:
    """Convert one-hot planes ``(K, H, W)`` to the index of each pixel's plane, ``(H, W)``; return others unchanged."""
    if len(planes) < 2 or len(np.unique(planes[:, :1])) > 2:  # the first row rules out nearly all other stacks
        return planes
    on = planes != 0
    return on.argmax(axis=0).astype(np.uint8) if (on.sum(axis=0) == 1).all() else planes


def overlaid(masks: Iterable[np.ndarray]) -> tuple[np.ndarray, float]:
    """Merge masks of equal shape into an int32 label image: 1 for the first mask, 2 for the second and so on.

    Later masks cover earlier ones. Also return, of all pixels in any mask, the share that lies in several masks.
    """
    rest = iter(masks)
    first = next(rest, None)
    if first is None:
        raise ValueError("expected at least one mask, but got none")
    labels, covered = first.astype(np.int32), first.astype(np.uint8)
    for number, mask in enumerate(rest, start=2):
        labels[mask] = number
        covered += mask & (covered < 2)
    return labels, int(np.count_nonzero(covered > 1)) / max(1, int(np.count_nonzero(covered)))


def sharpened(labels: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    """Set the few pixels between a mask's two values to the nearer one, with a note; return other labels unchanged."""
    values, counts = value_counts(labels.reshape(-1, labels.shape[-1]))
    if len(values) <= 2 or labels.dtype == bool:
        return labels, []
    low, high = (int(value) for value in sorted(values[np.argsort(-counts, kind="stable")[:2]]))
    among = int(counts[(values != low) & (values != high)].sum())
    if values[0] < low or values[-1] > high or high - low <= FURTHEST_APART or among > MOST_BETWEEN * labels.size:
        return labels, []
    planes = labels.reshape(-1, *labels.shape[-2:])
    if not all(_along_edges(plane, low, high) for plane in planes):
        return labels, []
    found = f"{among} pixels between {low} and {high}, as smooth edges leave them"
    return np.where(labels > (low + high) / 2, high, low).astype(labels.dtype), [
        Note("smooth-edges", found, f"the nearer of {low} and {high}")
    ]


def _along_edges(labels: np.ndarray, low: int, high: int) -> bool:
    """Return whether all pixels other than ``low`` and ``high`` lie in small components close to both values."""
    between = (labels != low) & (labels != high)
    if not between.any():
        return True
    near = [cv2.dilate((labels == value).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for value in (low, high)]
    sizes = np.bincount(pieces(between.astype(np.uint8)).ravel())[1:]
    return bool((near[0] & near[1])[between].all() and sizes.max() <= LARGEST_BETWEEN)


def packed(colours: np.ndarray) -> np.ndarray:
    """Pack 8-bit RGB colours ``(…, 3)`` into one integer 0xRRGGBB each, ``(…)`` int32."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    numbers: np.ndarray = red << 16 | green << 8 | blue
    return numbers


def places_of(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Return the index in ``values`` of each label, ``(…, H, W)`` int32; computed in strips to save memory.

    Args:
        labels: integers ``(…, H, W)``; the index of a label that is not in ``values`` is arbitrary.
        values: different numbers, in any order.
    """
    order = np.argsort(values, kind="stable").astype(np.int32)
    found = [np.searchsorted(values, part, sorter=order).astype(np.int32) for part in strips_of(labels)]
    return order.take(np.concatenate(found), mode="clip")


def as_colours(numbers: np.ndarray) -> np.ndarray:
    """Convert 8-bit grey values to packed colours, see `packed`."""
    return numbers.astype(np.int32) * 0x010101


def unpacked(number: int) -> tuple[int, int, int]:
    """Return the 8-bit red, green and blue of a packed colour, see `packed`.

    >>> unpacked(0x307020)
    (48, 112, 32)
    """
    return number >> 16 & 255, number >> 8 & 255, number & 255


def unreadable(file: Path, error: BaseException) -> Finding:
    """Make the finding that a file cannot be decoded."""
    found = limits.reason(error.__cause__ or error)  # without the file name, which the finding already contains
    larger = re.search(r"max_pixels=\d+", found)
    found, _, nearest = (found, "", "") if larger else found.partition("; nearest valid: ")
    fix = f"the same command with {larger[0]}" if larger else nearest or "copy the file again"
    return Finding("unreadable", ERROR, str(file), found, "a complete image", fix)


def _of_colours(colours: np.ndarray, file: Path) -> tuple[np.ndarray, bool]:
    """Convert pixels ``(…, H, W, C)`` to numbers ``(…, H, W)``, and return whether these are `packed` colours or grey.

    Transparent pixels become black; a constant alpha channel is ignored.

    Raises:
        Refused: smoothing has produced colours that nobody drew.
    """
    if colours.shape[-1] in (2, 4):
        alpha, colours = colours[..., -1:], colours[..., :-1]
        if np.ptp(alpha) > 0:
            colours = np.where(alpha == 0, 0, colours).astype(colours.dtype)
            if ((alpha > 0) & (alpha < alpha.max())).any():
                raise Refused(_smoothed_colours(colours, file, "half transparent "))
    if is_grey(colours):
        return colours[..., 0], False
    if colours.dtype.itemsize > 1 and colours.dtype.kind in "iu":
        colours = (colours >> 8 * (colours.dtype.itemsize - 1)).astype(np.uint8)  # as a display shows them
    numbers = packed(colours) if colours.dtype == np.uint8 else None
    if numbers is None or _are_smoothed(numbers.reshape(-1, *numbers.shape[-2:])):
        raise Refused(_smoothed_colours(colours, file))
    return numbers, True


def _are_smoothed(planes: np.ndarray) -> bool:
    """Return whether most packed colours occur only in connected components too small to have been drawn."""
    colours, places = np.unique(planes, return_inverse=True)
    largest = np.zeros(len(colours), np.int64)
    for plane in places.reshape(planes.shape):
        groups = label(plane, background=-1, connectivity=1)
        numbers, first = np.unique(groups, return_index=True)
        np.maximum.at(largest, plane.ravel()[first], np.bincount(groups.ravel())[numbers])
    return len(colours) >= FEWEST_SMOOTHED and bool(np.median(largest) < FEWEST_OF_COLOUR)


def _smoothed_colours(colours: np.ndarray, file: Path, what: str = "") -> Finding:
    """Make the finding that smoothing or compression has altered colours."""
    values, counts = np.unique(colours.reshape(-1, colours.shape[-1]), axis=0, return_counts=True)
    most = ", ".join(str(tuple(map(int, values[place]))) for place in np.argsort(-counts)[:4])
    fix = "save the labels without smoothing, compression or overlay, one number or one colour per class"
    found = f"{len(values)} {what}colours, most often {most}"
    return Finding("rgb-label", ERROR, str(file), found, "labels as they were drawn", fix)
