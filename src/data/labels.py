"""Label images of any tool: what their values mean, and what the network is to learn from them.

==========  ===================================================================================
binary      0 is background, one other value is foreground; cells are its components
boundary    the same, where the background is a thin line between cells (membranes, as ISBI-2012)
instances   0 is background, every other value one cell
classes     each value a class
==========  ===================================================================================
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from src.data.finding import ERROR, Finding, Refused
from src.data.stack import NO_CLASS
from src.files import limits
from src.files.arrays import strips_of, value_counts
from src.files.image import SHOWN, Reading, in_memory
from src.files.stored import Note, Stored, ramp, turned
from src.instances import component_boxes, components, pieces

KINDS = ("binary", "boundary", "instances", "classes")
MOST_CLASSES = 20  # values up to which labels may be classes
FEW_CLASSES = 4  # up to which the same values in most images are classes, even if each lies in one piece
MOST_SCATTERED = 0.75  # share of values in one piece, below which values are no cells
EDGE = 8  # pixels around an edge that smoothing or JPEG alter, at most
LARGEST_NUMBER = 2**20  # of a cell, up to which a list of all numbers is a short one
MOST_COLOURS = 20  # up to which a colour stands for a class


def read_labels(file: Path, reading: Reading = SHOWN) -> np.ndarray:
    """A label image or stack, ``(H, W)`` or ``(D, H, W)`` integers: the numbers, whatever colours show them.

    Raises:
        Refused: as of `labels_and_notes`.
    """
    return labels_and_notes(file, reading)[0]


def labels_and_notes(file: Path, reading: Reading = SHOWN) -> tuple[np.ndarray, list[Note]]:
    """The numbers of a label image or stack, ``(H, W)`` or ``(D, H, W)`` integers, and what to know of them.

    They are the stored ones under any table of colours; ImageJ shows 255 as black in its masks, and means an object.
    Only where white is 0 and a pixel is one bit, as in a fax, are they read as they are shown. Grey values that were
    saved as equal red, green and blue count as one number a pixel; of planes of which exactly one is on in each pixel
    that one is its number.

    Args:
        file: where they lie.
        reading: how the pixels of images are seen, of which orientation and axes hold for labels too.

    Raises:
        Refused: it holds colours or real numbers, is a JPEG, or cannot be decoded.
    """
    if file.suffix.lower() in (".jpg", ".jpeg"):
        found = "a JPEG, which alters the values"
        fix = "save the labels as PNG or TIFF from the program that they were drawn in"
        raise Refused(Finding("jpeg-label", ERROR, str(file), found, "labels as they were drawn", fix))
    try:
        stored = in_memory(file)
    except (ValueError, OSError) as error:
        raise Refused(unreadable(file, error)) from error
    return numbers_of(stored, file, reading)


def numbers_of(stored: Stored, file: Path, reading: Reading = SHOWN) -> tuple[np.ndarray, list[Note]]:
    """As `labels_and_notes`, of what a file holds.

    Raises:
        Refused: it holds colours or real numbers.
    """
    values = stored.array
    axes = reading.axes if reading.axes and len(reading.axes) == values.ndim else stored.axes
    if stored.orientation != 1 and reading.orientation == "shown":
        values = turned(values, axes, stored.orientation)
    if stored.unclear and axes[0] == "S" and not (values == values[:1]).all():
        axes = f"Z{axes[1:]}"  # red, green and blue would be no labels
    numbers, notes = _numbers(values, stored)
    return as_labels(numbers, axes, file), [*stored.notes, *notes]


def _numbers(values: np.ndarray, stored: Stored) -> tuple[np.ndarray, list[Note]]:
    """The numbers that were drawn, of values and what their file says of them."""
    falling = stored.white_is_zero or (stored.table is not None and ramp(stored.table) < 0)
    if stored.signed:
        return values.astype(np.int32) - 2**15, []
    if falling and stored.bits:
        found = "one bit a pixel, of which 0 is white"
        fix = "data.source.values=[1,0] takes the stored ones"
        return ~values, [Note("white-is-zero", found, "the values as they are shown: white is 1", fix)]
    if falling:
        drawn, _ = value_counts(values.reshape(-1, values.shape[-1]))
        note = Note("white-is-zero", "numbers that are shown as their negative", "the stored numbers")
        if len(drawn) == 2:
            note = note._replace(
                fix=f"data.source.values=[{drawn[1]},{drawn[0]}] takes the other of the two as the cells"
            )
        return values, [note]
    if stored.table is not None and not ramp(stored.table):
        return values, [Note("colour-table", "labels with a table of colours", "the stored numbers")]
    return values, []


def as_labels(labels: np.ndarray, axes: str, file: Path) -> np.ndarray:
    """What was read from a file, ``(H, W)`` or ``(D, H, W)`` integers, or refused as of `labels_and_notes`."""
    if "S" in axes:
        labels, axes = _grey(np.moveaxis(labels, axes.index("S"), -1), file), axes.replace("S", "")
    if labels.dtype.kind not in "iub":
        whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and not np.any(labels % 1)
        found = f"{labels.dtype} from {labels.min():g} to {labels.max():g}, {'' if whole else 'not '}all of them whole"
        cast = f"tifffile.imwrite({file.with_suffix('.tif').name!r}, labels.astype('uint16'))"
        fix = cast if whole else "choose a threshold: a probability is no label"
        raise Refused(Finding("float-label", ERROR, str(file), found, "labels of whole numbers", fix))
    if labels.ndim not in (2, 3) or 0 in labels.shape:
        expected, fix = "one number a pixel, (H, W) or (D, H, W)", "save one plane a file, or a stack of planes"
        raise Refused(Finding("label-shape", ERROR, str(file), f"shape {labels.shape}", expected, fix))
    order = [place for place, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
    labels = labels.transpose(order)
    return one_hot(labels) if labels.ndim == 3 else labels


def one_hot(planes: np.ndarray) -> np.ndarray:
    """``(H, W)`` of planes ``(K, H, W)`` of which exactly one is on in each pixel: its number. Others as they are."""
    if len(planes) < 2 or len(np.unique(planes[:, :1])) > 2:  # a row tells of nearly all stacks
        return planes
    on = planes != 0
    return on.argmax(axis=0).astype(np.uint8) if (on.sum(axis=0) == 1).all() else planes


def unreadable(file: Path, error: BaseException) -> Finding:
    """That a file cannot be decoded."""
    found = limits.reason(error.__cause__ or error)  # without the file, which stands beside it
    larger = re.search(r"max_pixels=\d+", found)
    found, _, nearest = (found, "", "") if larger else found.partition("; nearest valid: ")
    fix = f"the same command with {larger[0]}" if larger else nearest or "copy the file again"
    return Finding("unreadable", ERROR, str(file), found, "a complete image", fix)


def _grey(labels: np.ndarray, file: Path) -> np.ndarray:
    """``(…, H, W)`` of ``(…, H, W, C)`` with equal colours; what is opaque everywhere does not count.

    Raises:
        Refused: the colours differ.
    """
    colours = labels[..., :-1] if labels.shape[-1] in (2, 4) and np.ptp(labels[..., -1]) == 0 else labels
    if (colours == colours[..., :1]).all():
        return colours[..., 0]
    values, counts = np.unique(colours.reshape(-1, colours.shape[-1]), axis=0, return_counts=True)
    most = [tuple(map(int, values[place])) for place in np.argsort(-counts)[:4]]
    number = "np.unique(rgb.reshape(-1, rgb.shape[-1]), axis=0, return_inverse=True)[1].reshape(rgb.shape[:2])"
    fix = f"write {number} as uint8 PNG, for all files by the same table of colours"
    if len(values) > MOST_COLOURS:
        fix = "save the labels without smoothing, compression or overlay, one number a pixel"
    found = f"{len(values)} colours, most often {', '.join(map(str, most))}"
    raise Refused(Finding("rgb-label", ERROR, str(file), found, "one number a pixel", fix))


@dataclass(frozen=True)
class Description:
    """What one label image holds, from which follow its kind and what is wrong with it.

    Attributes:
        counts: pixels of each value.
        single: of the values but 0, the share that is one connected piece.
        pieces: connected pieces of one value.
        cells: values but 0 if there are several, else the pieces.
        side: longest side of the bounding boxes of pieces in pixels, 0 if there are none.
        area: of most cells (95 in 100) at least, in pixels; 0 if there are none.
        thin: whether 0 is a thin line between pieces.
        smoothed: whether values lie between two that dominate, as resizing and JPEG leave them.
    """

    counts: dict[int, int]
    single: float
    pieces: int
    cells: int
    side: int
    area: float
    thin: bool
    smoothed: bool


def describe(labels: np.ndarray) -> Description:
    """What a label image ``(H, W)`` of integers holds."""
    values, counts = value_counts(labels)
    cells = values[values != 0]
    found = _pieces(labels, cells)
    areas = (
        counts[values != 0] if len(cells) > 1 else np.concatenate([[], *(each[:, cv2.CC_STAT_AREA] for each in found)])
    )
    sides = [each[:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].max() for each in found]
    return Description(
        counts=dict(zip(map(int, values), map(int, counts), strict=True)),
        single=float(np.mean([len(each) == 1 for each in found])) if found else 1.0,
        pieces=sum(map(len, found)),
        cells=len(areas),
        side=int(max(sides, default=0)),
        area=float(np.percentile(areas, 5)) if len(areas) else 0.0,
        thin=_is_thin(labels == 0),
        smoothed=_is_smoothed(labels, values, counts),
    )


def _pieces(labels: np.ndarray, cells: np.ndarray) -> list[np.ndarray]:
    """Boxes of the connected pieces of each of the values ``cells``, as `instances.component_boxes` gives them.

    Each value is looked at in its bounding box, which takes less memory than numbering all pieces at once.
    """
    if len(cells) and (cells[0] < 0 or cells[-1] > LARGEST_NUMBER):
        numbers = np.empty(labels.shape, np.int32)
        for strip, part in zip(strips_of(numbers), strips_of(labels), strict=True):
            strip[:] = np.where(part != 0, np.searchsorted(cells, part) + 1, 0)
        labels, cells = numbers, np.arange(1, len(cells) + 1)
    boxes = ndimage.find_objects(labels.astype(np.uint8) if labels.dtype == bool else labels)
    found = []
    for value in cells:
        box = boxes[value - 1]
        found.append(component_boxes(labels[box] == value))
    return found


def detect(descriptions: Sequence[Description]) -> str:
    """Which of `KINDS` label images are, by their values and what lies connected."""
    values = [tuple(value for value in each.counts if value != 0) for each in descriptions]
    annotated = [found for found in values if found]
    foreground = set().union(*annotated)
    if len(foreground) <= 1:
        return "boundary" if descriptions and np.mean([each.thin for each in descriptions]) > 0.5 else "binary"
    # A cell is one piece, and each image has as many as it has; a class lies here and there, in most images.
    single = np.mean([each.single for each, found in zip(descriptions, values, strict=True) if found])
    alike = len(annotated) > 1 and len(set(annotated)) <= max(1, len(annotated) // 2)
    scattered = len(foreground) <= MOST_CLASSES and single < MOST_SCATTERED
    return "classes" if scattered or (alike and len(foreground) <= FEW_CLASSES) else "instances"


def _is_thin(background: np.ndarray) -> bool:
    """Whether the background, less than half of an image, is less than half as thick as what lies between it."""
    if background.mean() > 0.5 or not background.any():
        return False
    inside = [cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5)[part] for part in (background, ~background)]
    return bool(np.median(inside[0]) < 0.5 * np.median(inside[1]))


def _is_smoothed(labels: np.ndarray, values: np.ndarray, counts: np.ndarray) -> bool:
    first, second = values[np.argsort(-counts, kind="stable")[:2]] if len(values) > 4 else (0, 0)
    if max(first, second) <= MOST_CLASSES:
        return False
    rest = (labels != first) & (labels != second)
    near = np.ones((2 * EDGE + 1,) * 2, np.uint8)
    between = cv2.dilate((labels == first).astype(np.uint8), near) & cv2.dilate(
        (labels == second).astype(np.uint8), near
    )
    if rest.mean() > 0.4 or between[rest].mean() < 0.9:
        return False
    # Neighbouring cells may lie so too, but each of them is one piece.
    return bool(pieces(np.where(rest, labels, 0)).max() > 2 * (len(values) - 2))


def to_learn(
    labels: np.ndarray, kind: str, values: Sequence[int] | None = None, ignore: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, cells and annotated pixels of a label image.

    Args:
        labels: ``(H, W)`` integers.
        kind: one of `KINDS`.
        values: those of class 0, 1, …; None: of classes 0, 1, … themselves, else 0 and all others.
        ignore: the value of pixels that nobody has annotated.

    Returns:
        The class of each pixel ``(H, W)`` uint8, its cell ``(H, W)`` int32, and whether they are known ``(H, W)`` bool;
        both are 0 where they are not.

    Raises:
        ValueError: a class is none of ``values``, or too large a number.
    """
    unknown = labels == ignore if ignore is not None else np.zeros(labels.shape, bool)
    known = np.where(unknown, 0, labels)
    if kind == "classes":
        target = np.full(labels.shape, -1) if values else known
        for number, value in enumerate(values or ()):
            target[known == value] = number
        target = np.where(unknown, 0, target)
        if target.min() < 0 or target.max() >= NO_CLASS:
            wrong = labels[(target < 0) | (target >= NO_CLASS)][0]
            raise ValueError(f"expected labels of {list(values) if values else 'classes from 0'}, but got {wrong}")
        cells = np.zeros(labels.shape, np.int32)
        for number in np.unique(target[target > 0]):
            # Pieces that touch by a corner are one, because between two of them a ridge would be drawn.
            numbered = components(target == number, corners=True)
            cells += np.where(numbered, numbered + cells.max(), 0).astype(np.int32)
    elif kind == "instances":
        target, cells = known > 0, relabel_sequential(known)[0]
    else:
        target = known > 0 if values is None else np.isin(labels, list(values)[1:]) & ~unknown
        cells = components(target)
    return target.astype(np.uint8), cells.astype(np.int32), ~unknown
