"""From probabilities to a label image: the choices of ``conf/instances``.

Each takes class probabilities ``(K, H, W)`` and a threshold and gives ``(H, W)`` int32.
"""

import cv2
import numpy as np
from skimage.measure import regionprops
from skimage.segmentation import watershed as flood


def classes(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Name the class of each pixel: of two, class 1 above the threshold; of more, the most probable."""
    if len(probabilities) == 2:
        return (probabilities[1] > threshold).astype(np.int32)
    return probabilities.argmax(axis=0).astype(np.int32)


def components(probabilities: np.ndarray, threshold: float, min_size: int = 0, fill_holes: bool = False) -> np.ndarray:
    """Number the 4-connected components of what is not background.

    Args:
        probabilities: of each class, ``(K, H, W)``; class 0 is background.
        threshold: probability above which a pixel belongs to a cell.
        min_size: pixels; a smaller cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of it.
    """
    return _tidy(four_connected(cell_probability(probabilities) > threshold), min_size, fill_holes)


def watershed(
    probabilities: np.ndarray,
    threshold: float,
    marker: float,
    boundary: int | None = None,
    min_size: int = 0,
    fill_holes: bool = False,
) -> np.ndarray:
    """Number the cells, and part those that touch where the probability of cell is low between them.

    A marker is a component of the pixels that are surest to be a cell; from the markers, cells grow
    downhill to the threshold. Where no pixel is that sure, the component stays one cell. A marker from
    which less than ``min_size`` would grow is none, so that its pixels go to the cells around it.

    Args:
        probabilities: of each class, ``(K, H, W)``; class 0 is background.
        threshold: probability above which a pixel belongs to a cell, its boundary included.
        marker: how much surer a marker must be: 0 as sure as the threshold, 1 certain.
        boundary: the class, if there is one, of the boundary between cells. It belongs to cells but
            not to markers.
        min_size: pixels; a smaller cell that touches no other one becomes background.
        fill_holes: whether background that one cell encloses becomes part of it.

    Raises:
        ValueError: ``marker`` is not from 0 to 1; ``boundary`` is no class, the background, or the only one beside it.
    """
    if not 0 <= marker <= 1:
        raise ValueError(
            f"expected instances.marker from 0 to 1, but got {marker}; nearest valid: {min(max(marker, 0), 1)}"
        )
    if boundary is not None and not (len(probabilities) > 2 and 0 < boundary < len(probabilities)):
        raise ValueError(
            f"expected instances.boundary to be one of several classes from 1 to {len(probabilities) - 1}, "
            f"but got {boundary}; nearest valid: null"
        )
    cell = cell_probability(probabilities)
    inside = cell if boundary is None else cell - probabilities[boundary]
    foreground = cell > threshold
    markers = four_connected(foreground & (inside > threshold + marker * (1 - threshold)))
    cells = _grown(inside, markers, foreground)
    small = np.bincount(cells.ravel()) < min_size
    if small[1:].any():
        markers[small[cells]] = 0
        cells = _grown(inside, markers, foreground)
    return _tidy(cells, min_size, fill_holes)


def _grown(inside: np.ndarray, markers: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Cells grown from markers over the foreground; a component without a marker is one cell."""
    whole = four_connected(foreground)
    unmarked = ~np.isin(whole, whole[markers > 0]) & foreground
    markers = np.where(unmarked, whole + markers.max(), markers)
    return flood(-inside, markers, mask=foreground).astype(np.int32)


def cell_probability(probabilities: np.ndarray) -> np.ndarray:
    """Probability of not being class 0, ``(H, W)``, of class probabilities ``(K, H, W)``."""
    return probabilities[1] if len(probabilities) == 2 else 1 - probabilities[0]


def four_connected(foreground: np.ndarray) -> np.ndarray:
    """Number the 4-connected components of a mask ``(H, W)`` from 1, as int32."""
    return cv2.connectedComponents(foreground.astype(np.uint8), connectivity=4)[1]


def _tidy(labels: np.ndarray, min_size: int, fill_holes: bool) -> np.ndarray:
    """Fill the holes of each cell, drop small cells, and number the rest from 1."""
    if fill_holes:
        labels = _filled(labels)
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(min_size, 1)
    kept[0] = False
    tidy = np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]
    return _filled(tidy) if fill_holes else tidy  # where a small cell was dropped from a hole


def _filled(labels: np.ndarray) -> np.ndarray:
    filled = labels.copy()
    # From the inside, so that the hole of a cell within the hole of another is its own.
    for cell in sorted(regionprops(labels), key=lambda cell: cell.area_bbox):
        around = filled[cell.slice]
        around[cell.image_filled & (around == 0)] = cell.label
    return filled
