"""Post-processing of label images: fills holes, removes small cells, renumbers."""

import cv2
import numpy as np
from scipy import ndimage


def tidy(labels: np.ndarray, min_size: int = 0, fill_holes: bool = False) -> np.ndarray:
    """Fill holes in each cell if requested, remove small cells, and number the remaining cells from 1.

    Args:
        labels: label image ``(H, W)``, integers; 0 is background.
        min_size: smallest area of a cell in pixels; a smaller cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of the cell.

    Returns:
        The new label image, ``(H, W)`` int32.
    """
    if fill_holes:
        labels = _filled(labels)
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(min_size, 1)
    kept[0] = False
    numbered = np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]
    dropped = np.count_nonzero(kept) < np.count_nonzero(sizes[1:])
    return _filled(numbered) if fill_holes and dropped else numbered  # a cell removed from inside another leaves a hole


def _filled(labels: np.ndarray) -> np.ndarray:
    around = _around_holes(labels)
    if not around.size:
        return labels
    filled, places = labels.copy(), ndimage.find_objects(labels)
    boxes = {cell: places[cell - 1] for cell in around.tolist()}
    # Small cells first, so that a cell inside a hole of another cell fills its own holes.
    for cell, (rows, columns) in sorted(boxes.items(), key=lambda item: np.prod([p.stop - p.start for p in item[1]])):
        there = filled[rows, columns]
        there[_without_holes(labels[rows, columns] == cell) & (there == 0)] = cell
    return filled


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of a mask ``(H, W)``: background that has no 4-connected path to the border of the image."""
    around = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(around, None, (0, 0), 2, flags=4)
    filled: np.ndarray = around[1:-1, 1:-1] != 2
    return filled


def _around_holes(labels: np.ndarray) -> np.ndarray:
    """Return the numbers of the cells that touch enclosed background; only these cells can have holes.

    Enclosed background is a 4-connected component of the background that does not reach the image border.
    """
    background = (labels == 0).astype(np.uint8)
    _, numbers, boxes, _ = cv2.connectedComponentsWithStats(background, connectivity=4, ltype=cv2.CV_32S)
    height, width = labels.shape
    left, top, wide, high = boxes[:, :4].T
    enclosed = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    enclosed[0] = False  # number 0 is the foreground
    if not enclosed.any():
        return np.zeros(0, int)
    beside = cv2.dilate(enclosed[numbers].astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    found = np.unique(labels[beside > 0])
    return found[found > 0]
