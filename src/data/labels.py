"""Convert label images to the classes and cells that a network learns."""

from collections.abc import Sequence

import numpy as np
from skimage.segmentation import relabel_sequential

from src.data.numbers import places_of
from src.data.stack import NO_CLASS
from src.instances import components


def to_learn(
    labels: np.ndarray, kind: str, values: Sequence[int] | None = None, ignore: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert a label image to an image of classes, an image of cells, and a mask of annotated pixels.

    Args:
        labels: ``(H, W)`` integers.
        kind: kind of the labels, one of `kinds.KINDS`.
        values: label values of class 0, 1, … (for instances, only of the background); None: 0 is background and all
            other values are foreground, or the values are class numbers if ``kind`` is classes.
        ignore: label value of unannotated pixels; None: all pixels are annotated.

    Returns:
        Classes ``(H, W)`` uint8, cells ``(H, W)`` int32, and annotated pixels ``(H, W)`` bool. Classes and cells are 0
        in unannotated pixels.

    Raises:
        ValueError: a label is not in ``values``, or is too large for a class.
    """
    known = labels != ignore if ignore is not None else np.ones(labels.shape, bool)
    if kind == "instances":
        numbers = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + 1
        cells = relabel_sequential(np.where(known & (labels != (values[0] if values else 0)), numbers, 0))[0]
        return (cells > 0).astype(np.uint8), cells.astype(np.int32), known
    target = np.where(known, coded(labels, kind, values), 0)
    if target.min() < 0 or target.max() >= NO_CLASS:
        wrong = labels[(target < 0) | (target >= NO_CLASS)][0]
        raise ValueError(f"expected labels of {list(values) if values else 'classes from 0'}, but got {wrong}")
    cells = np.zeros(labels.shape, np.int32)
    for number in np.unique(target[target > 0]):
        # In classes, pieces that touch at a corner are one cell: otherwise a ridge of background would separate them.
        numbered = components(target == number, corners=kind == "classes")
        cells += np.where(numbered, numbered + cells.max(), 0).astype(np.int32)
    return target.astype(np.uint8), cells, known


def coded(labels: np.ndarray, kind: str, values: Sequence[int] | None) -> np.ndarray:
    """Map a label image to class numbers ``(H, W)``; values that belong to no class become -1.

    Args:
        labels: ``(H, W)`` integers.
        kind: kind of the labels, one of `kinds.KINDS`.
        values: label values of class 0, 1, …; a single value is the background, and all others are foreground. None: 0
            is background and all positive values are foreground, or values are class numbers if ``kind`` is classes.
    """
    if values is None:
        return labels if kind == "classes" else (labels > 0).astype(np.int16)
    if len(values) == 1:
        return np.asarray(labels != values[0], np.int16)
    if kind != "classes":
        return np.isin(labels, list(values)[1:]).astype(np.int16)
    classes = places_of(labels, values)
    known: np.ndarray = np.asarray(values)[classes] == labels
    return np.where(known, classes, -1).astype(np.int16)
