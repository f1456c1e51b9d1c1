"""Label images of any tool: what their values mean, and what the network is to learn from them.

==========  ===================================================================================
binary      0 is background, one other value is foreground; cells are its components
boundary    the same, where the background is a thin line between cells (membranes, as ISBI-2012)
instances   0 is background, every other value one cell
classes     each value a class
==========  ===================================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from src.data.stack import NO_CLASS
from src.files.arrays import strips_of, value_counts
from src.instances import component_boxes, components, pieces

KINDS = ("binary", "boundary", "instances", "classes")
MOST_CLASSES = 20  # values up to which labels may be classes
FEW_CLASSES = 4  # up to which the same values in most images are classes, even if each lies in one piece
MOST_SCATTERED = 0.75  # share of values in one piece, below which values are no cells
EDGE = 8  # pixels around an edge that smoothing or JPEG alter, at most
LARGEST_NUMBER = 2**20  # of a cell, up to which a list of all numbers is a short one


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
