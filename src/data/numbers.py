"""Label files of any tool: the numbers that were drawn, however they are shown."""

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

FEWEST_SMOOTHED = 4  # colours from which some may have been made by smoothing …
FEWEST_OF_COLOUR = 10  # … if most of them have no group of as many pixels
MOST_BETWEEN = 0.001  # share of the pixels of a mask with a value between its two
LARGEST_BETWEEN = 4  # pixels that lie together there
WHITE = tuple(2**bits - 1 for bits in (8, 16, 32))  # by which programs mark the foreground of a mask
FURTHEST_APART = 20  # a mask of two values has larger ones, so that what lies between cannot be a class


@dataclass(frozen=True)
class Drawn:
    """What was drawn in one file.

    Attributes:
        numbers: ``(H, W)`` or ``(D, H, W)`` integers; of colours the packed ones, as `packed` makes them.
        notes: what to know of them.
        in_colours: whether the numbers are colours.
        was_grey: whether each was saved as equal red, green and blue, so that it may stand beside files in colours.
        palette: the packed colour of number 0, 1, … where a picture has such a table; empty where it has none.
        classes: the values of class 0, 1, … that the file says it has; empty if it says nothing.
        overlap: share of what was drawn that lies in several of the files that it was put together from.
        is_prediction: whether the file says that this program has written it.
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
    """The numbers of a label image or stack.

    They are the stored ones under any table of colours; ImageJ shows 255 as black in its masks, and means an object.
    Only where white is 0 and a pixel is one bit, as in a fax, are they read as they are shown. Grey values that were
    saved as equal red, green and blue count as one number a pixel, other colours as one number a colour; of planes of
    which exactly one is on in each pixel that one is its number. A few pixels between the two values of a mask, as
    drawing with smooth edges leaves them, become the nearer of the two.

    Args:
        file: where they lie.
        reading: how the pixels of images are seen, of which orientation and axes hold for labels too.

    Raises:
        Refused: it holds smoothed colours or real numbers, is a JPEG, or cannot be decoded.
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
    """As `read_labels`, of what a file holds.

    Raises:
        Refused: it holds smoothed colours or real numbers.
    """
    values, axes = stored.array, axes_of(stored, reading)
    if stored.orientation != 1 and reading.orientation == "shown":
        values = turned(values, axes, stored.orientation)
    if stored.unclear and axes[0] == "S" and not (values == values[:1]).all():
        axes = f"Z{axes[1:]}"  # red, green and blue would be no labels
    values, notes = _numbers(values, stored)
    values, axes = _without_single(values, axes)
    in_colours, samples = False, "S" in axes and values.shape[axes.index("S")] <= 4  # more are planes of classes
    if samples:
        colours, axes = np.moveaxis(values, axes.index("S"), -1), axes.replace("S", "")
        values, in_colours = _of_colours(colours, file)
    planes, more = _whole(_ordered(values, axes, file), file)
    if not in_colours:
        planes, between = sharpened(planes)
        more += between
    of_picture = stored.table is not None and stored.is_picture and not stored.way
    palette = tuple(packed(stored.table).tolist()) if of_picture and planes.max() < len(stored.table) else ()
    was_grey = samples and not in_colours
    notes = (*stored.notes, *notes, *more)
    return Drawn(planes, notes, in_colours, was_grey, palette, stored.classes, is_prediction=stored.is_prediction)


def _numbers(values: np.ndarray, stored: Stored) -> tuple[np.ndarray, list[Note]]:
    """The numbers that were drawn, of values and what their file says of them."""
    if stored.signed:
        return values.astype(np.int32) - 2**15, []
    if stored.way < 0 and stored.bits:
        found = "one bit a pixel, of which 0 is white"
        fix = "data.source.values=[1,0] takes the stored ones"
        return ~values, [Note("white-is-zero", found, "the values as they are shown: white is 1", fix)]
    if stored.way < 0:
        drawn, _ = value_counts(values.reshape(-1, values.shape[-1]))
        note = Note("white-is-zero", "numbers that are shown as their negative", "the stored numbers")
        if len(drawn) == 2:
            note = note._replace(
                taken=f"the stored numbers: {drawn[1]} in cells, {drawn[0]} outside",
                fix=f"data.source.values=[{drawn[1]},{drawn[0]}] takes the other of the two as the cells",
            )
        return values, [note]
    if not stored.way:
        return values, [Note("colour-table", "labels with a table of colours", "the stored numbers")]
    return values, []


def _without_single(values: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Values without axes of length 1, but for rows and columns."""
    single = [place for place, axis in enumerate(axes) if values.shape[place] == 1 and axis not in "YX"]
    return values.squeeze(tuple(single)), "".join(axis for place, axis in enumerate(axes) if place not in single)


def _ordered(values: np.ndarray, axes: str, file: Path) -> np.ndarray:
    """``(H, W)`` or ``(D, H, W)``, or refused; planes of which exactly one is on become the number of that one."""
    if values.ndim not in (2, 3) or 0 in values.shape:
        expected, fix = "one number a pixel, (H, W) or (D, H, W)", "save one plane a file, or a stack of planes"
        raise Refused(Finding("label-shape", ERROR, str(file), f"shape {values.shape}", expected, fix))
    order = [place for place, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
    values = values.transpose(order)
    return one_hot(values) if values.ndim == 3 else values


def _whole(values: np.ndarray, file: Path) -> tuple[np.ndarray, list[Note]]:
    """Integers, also where they were saved as real numbers."""
    if values.dtype.kind in "iub":
        return values, []
    if np.isfinite(values).all() and not np.any(values % 1) and np.abs(values).max(initial=0) < 2**53:
        small = np.abs(values).max(initial=0) < 2**31
        found = f"whole numbers saved as {values.dtype}"
        return values.astype(np.int32 if small else np.int64), [Note("float-label", found, "the numbers")]
    found = f"{values.dtype} from {values.min():g} to {values.max():g}, not all of them whole"
    fix = "choose a threshold: a probability is no label"
    raise Refused(Finding("float-label", ERROR, str(file), found, "labels of whole numbers", fix))


def one_hot(planes: np.ndarray) -> np.ndarray:
    """``(H, W)`` of planes ``(K, H, W)`` of which exactly one is on in each pixel: its number. Others as they are."""
    if len(planes) < 2 or len(np.unique(planes[:, :1])) > 2:  # a row tells of nearly all stacks
        return planes
    on = planes != 0
    return on.argmax(axis=0).astype(np.uint8) if (on.sum(axis=0) == 1).all() else planes


def overlaid(masks: Iterable[np.ndarray]) -> tuple[np.ndarray, float]:
    """Masks of one shape as numbers 1, 2, …, later ones over earlier ones; and the share of them that several cover."""
    labels = covered = None
    for number, mask in enumerate(masks, start=1):
        if labels is None:
            labels, covered = np.zeros(mask.shape, np.int32), np.zeros(mask.shape, np.uint8)
        labels[mask] = number
        covered += mask & (covered < 2)
    return labels, np.count_nonzero(covered > 1) / max(1, np.count_nonzero(covered))


def sharpened(labels: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    """A mask ``(…, H, W)`` without the few pixels that lie between its two values; any other labels as they are."""
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
    """Whether all pixels with other values than two lie in small groups beside both of these."""
    between = (labels != low) & (labels != high)
    if not between.any():
        return True
    near = [cv2.dilate((labels == value).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for value in (low, high)]
    sizes = np.bincount(pieces(between.astype(np.uint8)).ravel())[1:]
    return bool((near[0] & near[1])[between].all() and sizes.max() <= LARGEST_BETWEEN)


def packed(colours: np.ndarray) -> np.ndarray:
    """One integer 0xRRGGBB a colour ``(…, 3)`` of 8 bits."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def places_of(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Where in ``values`` each number stands, int32, found in strips to save memory; of one that is none of them, any.

    Args:
        labels: ``(…, H, W)``.
        values: different ones, in any order.
    """
    order = np.argsort(values, kind="stable").astype(np.int32)
    found = [np.searchsorted(values, part, sorter=order).astype(np.int32) for part in strips_of(labels)]
    return order.take(np.concatenate(found), mode="clip")


def as_colours(numbers: np.ndarray) -> np.ndarray:
    """Grey values of 8 bits as packed colours."""
    return numbers.astype(np.int32) * 0x010101


def unpacked(number: int) -> tuple[int, int, int]:
    """Red, green and blue of 8 bits of a packed colour.

    >>> unpacked(0x307020)
    (48, 112, 32)
    """
    return number >> 16 & 255, number >> 8 & 255, number & 255


def unreadable(file: Path, error: BaseException) -> Finding:
    """That a file cannot be decoded."""
    found = limits.reason(error.__cause__ or error)  # without the file, which stands beside it
    larger = re.search(r"max_pixels=\d+", found)
    found, _, nearest = (found, "", "") if larger else found.partition("; nearest valid: ")
    fix = f"the same command with {larger[0]}" if larger else nearest or "copy the file again"
    return Finding("unreadable", ERROR, str(file), found, "a complete image", fix)


def _of_colours(colours: np.ndarray, file: Path) -> tuple[np.ndarray, bool]:
    """Numbers of colours ``(…, H, W, C)``, and whether they are packed colours, and not grey values.

    What is opaque everywhere does not count, and what is transparent is black.

    Raises:
        Refused: they are so many, or so small, that nobody has drawn them.
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
    """Whether most colours lie in groups that are too small to be drawn."""
    colours, places = np.unique(planes, return_inverse=True)
    largest = np.zeros(len(colours), np.int64)
    for plane in places.reshape(planes.shape):
        groups = label(plane, background=-1, connectivity=1)
        numbers, first = np.unique(groups, return_index=True)
        np.maximum.at(largest, plane.ravel()[first], np.bincount(groups.ravel())[numbers])
    return len(colours) >= FEWEST_SMOOTHED and bool(np.median(largest) < FEWEST_OF_COLOUR)


def _smoothed_colours(colours: np.ndarray, file: Path, what: str = "") -> Finding:
    values, counts = np.unique(colours.reshape(-1, colours.shape[-1]), axis=0, return_counts=True)
    most = ", ".join(str(tuple(map(int, values[place]))) for place in np.argsort(-counts)[:4])
    fix = "save the labels without smoothing, compression or overlay, one number or one colour a class"
    found = f"{len(values)} {what}colours, most often {most}"
    return Finding("rgb-label", ERROR, str(file), found, "labels as they were drawn", fix)
