"""From label images to what the network is to learn."""

from collections.abc import Sequence

import numpy as np
from skimage.segmentation import relabel_sequential

from src.data.numbers import places_of
from src.data.stack import NO_CLASS
from src.instances import components


def to_learn(
    labels: np.ndarray, kind: str, values: Sequence[int] | None = None, ignore: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, cells and annotated pixels of a label image.

    Args:
        labels: ``(H, W)`` integers.
        kind: one of `kinds.KINDS`.
        values: as of `kinds.Judgement`.
        ignore: the value of pixels that nobody has annotated.

    Returns:
        The class of each pixel ``(H, W)`` uint8, its cell ``(H, W)`` int32, and whether they are known ``(H, W)`` bool;
        both are 0 where they are not.

    Raises:
        ValueError: a class is none of ``values``, or too large a number.
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
        # Pieces of classes that touch by a corner are one, because between two of them a ridge would be drawn.
        numbered = components(target == number, corners=kind == "classes")
        cells += np.where(numbered, numbered + cells.max(), 0).astype(np.int32)
    return target.astype(np.uint8), cells, known


def coded(labels: np.ndarray, kind: str, values: Sequence[int] | None) -> np.ndarray:
    """The class of each pixel ``(H, W)``; -1 where its value is that of none.

    Args:
        labels: ``(H, W)`` integers.
        kind: one of `kinds.KINDS`.
        values: as of `kinds.Judgement`.
    """
    if values is None:
        return labels if kind == "classes" else (labels > 0).astype(np.int16)
    if len(values) == 1:
        return (labels != values[0]).astype(np.int16)
    if kind != "classes":
        return np.isin(labels, list(values)[1:]).astype(np.int16)
    classes = places_of(labels, values)
    return np.where(np.asarray(values)[classes] == labels, classes, -1).astype(np.int16)
