"""Label images of any tool: what their values mean, and what the network is to learn from them.

==========  ===================================================================================
binary      0 is background, one other value is foreground; cells are its components
boundary    the same, where the background is a thin line between cells (membranes, as ISBI-2012)
instances   0 is background, every other value one cell
classes     each value a class
==========  ===================================================================================
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import measure
from skimage.segmentation import relabel_sequential

from src.data import stack
from src.data.stack import IGNORED

KINDS = ("binary", "boundary", "instances", "classes")
MOST_CLASSES = 20  # values up to which labels may be classes
THIN = 4  # pixels from a boundary to the nearest cell, at most


def read_labels(file: Path) -> np.ndarray:
    """A label image or stack, ``(H, W)`` or ``(D, H, W)`` integers; of a palette PNG the numbers, not the colours.

    Raises:
        ValueError: it holds colours or real numbers, or cannot be decoded.
    """
    if file.suffix.lower() in (".jpg", ".jpeg"):
        raise ValueError(f"expected labels as they were drawn, but {file} is a JPEG, which alters them")
    labels = _read_png(file) if file.suffix.lower() == ".png" else stack.read(file)
    if labels.dtype.kind not in "iub":
        raise ValueError(f"expected labels of whole numbers, but {file} holds {labels.dtype}")
    if labels.ndim not in (2, 3) or (file.suffix.lower() == ".png" and labels.ndim == 3) or labels.shape[-1] in (3, 4):
        raise ValueError(
            f"expected one number a pixel, (H, W) or (D, H, W), but {file} has shape {labels.shape}: colours?"
        )
    return labels.astype(np.int64)


def _read_png(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            return np.asarray(image)
    except Exception as error:  # decoders raise whatever the first wrong byte leads to
        raise ValueError(f"expected a complete image, but {file} cannot be decoded: {error}") from error


def detect(labels: Sequence[np.ndarray]) -> str:
    """Which of `KINDS` label images are, by their values and what lies connected."""
    values = [np.unique(each) for each in labels]
    foreground = {int(value) for each in values for value in each if value != 0}
    if len(foreground) <= 1:
        return "boundary" if np.mean([_is_boundary(each) for each in labels]) > 0.5 else "binary"
    # A cell is one piece, and each image has cells of its own; a class lies here and there, in most images.
    pieces = [_share_of_single_pieces(each) for each in labels]
    alike = len({tuple(each) for each in values}) <= max(1, len(values) // 2)
    few = max(foreground) <= MOST_CLASSES
    return "classes" if few and (np.mean(pieces) < 0.9 or (alike and len(values) > 1)) else "instances"


def _is_boundary(labels: np.ndarray) -> bool:
    cell = (labels > 0).astype(np.uint8)
    if cell.mean() < 0.5 or cell.all():
        return False
    distance = np.stack([cv2.distanceTransform(1 - each, cv2.DIST_L2, 5) for each in np.atleast_3d(cell.T).T])
    return bool(np.percentile(distance[distance > 0], 90) <= THIN)


def _share_of_single_pieces(labels: np.ndarray) -> float:
    """Of the values that occur, the share that is one connected piece."""
    plane = labels if labels.ndim == 2 else labels[0]
    pieces, first = np.unique(measure.label(plane, background=0), return_index=True)
    values = plane.ravel()[first][pieces > 0]
    return float(np.mean(np.unique(values, return_counts=True)[1] == 1)) if len(values) else 1.0


def to_learn(
    labels: np.ndarray, kind: str, values: Sequence[int] | None = None, ignore: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Target and cells of a label image.

    Args:
        labels: ``(H, W)`` integers.
        kind: one of `KINDS`.
        values: of labels of classes, those of class 0, 1, …; None: they are 0, 1, … themselves.
        ignore: the value of pixels that nobody has annotated.

    Returns:
        The class of each pixel ``(H, W)`` uint8, `IGNORED` where nobody knows, and its cell ``(H, W)`` int32.
    """
    unknown = labels == ignore if ignore is not None else np.zeros(labels.shape, bool)
    known = np.where(unknown, 0, labels)
    if kind == "classes":
        target = known if values is None else sum(number * (known == value) for number, value in enumerate(values))
        cells = np.zeros(labels.shape, np.int32)
        for number in np.unique(target[target > 0]):
            pieces, _ = ndimage.label(target == number)
            cells += np.where(pieces, pieces + cells.max(), 0).astype(np.int32)
    elif kind == "instances":
        target, cells = known > 0, relabel_sequential(known)[0]
    else:
        target = known > 0
        cells, _ = ndimage.label(target)
    return np.where(unknown, IGNORED, target).astype(np.uint8), cells.astype(np.int32)
