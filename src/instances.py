"""Decoders, which convert probabilities to label images: the choices of ``conf/instances``, and steps that they share.

Each choice is a frozen dataclass of parameters and independent of the network. Called with class probabilities
``(K, H, W)`` and a threshold, a choice returns a label image ``(H, W)`` int32.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from skimage.measure import label
from skimage.segmentation import watershed

from src.tidying import tidy


@dataclass(frozen=True)
class Classes:
    """A decoder that labels each pixel with its class (semantic segmentation)."""

    of_classes: ClassVar[bool] = True

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """Return the class of each pixel, as computed by `classes`."""
        return classes(probabilities, threshold).astype(np.int32)


@dataclass(frozen=True)
class Components:
    """A decoder that takes the 4-connected components of the foreground as cells.

    Attributes:
        min_size: smallest area of a cell in pixels; a smaller cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of the cell.
    """

    min_size: int = 0
    fill_holes: bool = False
    of_classes: ClassVar[bool] = False

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """Return the cell number at each pixel, 0 for background."""
        return tidy(components(cell_probability(probabilities) > threshold), self.min_size, self.fill_holes)


@dataclass(frozen=True)
class Watershed:
    """A decoder that separates touching cells where the cell probability between them is low, by a marker watershed.

    Markers are the connected components of pixels with a high cell probability. From the markers, cells grow downhill
    until the probability falls to the threshold. A connected component of the foreground without a marker becomes one
    cell. If the cell of a marker would be smaller than ``min_size``, it is merged with the cells around it.

    Attributes:
        marker: minimum cell probability of marker pixels, on a scale from 0 (the threshold) to 1 (certainty).
        boundary: number of the boundary class, if there is one. Boundary pixels belong to cells but not to markers.
        min_size: smallest area of a cell in pixels; a smaller cell that touches no other cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of the cell.

    Raises:
        ValueError: ``marker`` is not from 0 to 1.
    """

    marker: float
    boundary: int | None = None
    min_size: int = 0
    fill_holes: bool = False
    of_classes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.marker <= 1:
            near = min(max(self.marker, 0), 1)
            raise ValueError(f"expected instances.marker from 0 to 1, but got {self.marker}; nearest valid: {near}")

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """Return the cell number at each pixel; raise ValueError if ``boundary`` is no valid class."""
        cell, inside = _cell_and_inside(probabilities, self.boundary)
        foreground = cell > threshold
        markers = components(foreground & (inside > threshold + self.marker * (1 - threshold)))
        cells = _grown(inside, markers, foreground)
        small = np.bincount(cells.ravel()) < self.min_size
        if small[1:].any():
            markers[small[cells]] = 0
            cells = _grown(inside, markers, foreground)
        return tidy(cells, self.min_size, self.fill_holes)


@dataclass(frozen=True)
class Distance:
    """A decoder that separates touching cells at necks: a watershed from h-maxima of the smoothed distance transform.

    In the map of distances from foreground pixels to the background, a cell is a peak and the neck between two cells is
    a saddle. Two cells are separated if the lower peak rises more than ``depth`` above the saddle.

    Attributes:
        depth: minimum difference in half-width, in pixels, between a neck and each of the two cells that it joins.
        smoothing: standard deviation in pixels of the Gaussian that smooths the distance map.
        probability: whether the distance is multiplied by the cell probability, so that a line of low probability
            across a neck separates cells too.
        boundary: number of the boundary class, if there is one. In this case, the distance is measured to boundary or
            background, and the cell probability excludes that of the boundary.
        whole: whether distances are nevertheless measured to the background alone.
        min_size: smallest area of a cell in pixels; a smaller cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of the cell.

    Raises:
        ValueError: ``depth`` or ``smoothing`` is below 0.
    """

    depth: float
    smoothing: float = 1.0
    probability: bool = True
    boundary: int | None = None
    min_size: int = 0
    fill_holes: bool = False
    whole: bool = False
    of_classes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("depth", "smoothing"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"expected instances.{name} of at least 0, but got {value}; nearest valid: 0")

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """Return the cell number at each pixel; raise ValueError if ``boundary`` is no valid class."""
        from src.flooding import basins

        cell, inside = _cell_and_inside(probabilities, self.boundary)
        mask = (cell if self.whole else inside) > threshold
        surface = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        surface = surface * inside if self.probability else surface
        surface = cv2.GaussianBlur(surface, (0, 0), self.smoothing) if self.smoothing else surface
        return tidy(basins(surface, cell > threshold, self.depth), self.min_size, self.fill_holes)


@dataclass(frozen=True)
class Membranes:
    """A decoder for cells enclosed by membranes: cells grow until only a line of background is left between them.

    Cells grow from the connected components of the foreground, downhill in the cell probability, so that the lines lie
    where a membrane is most probable. Components smaller than ``min_size`` become part of the cells around them.

    Attributes:
        line: width in pixels of the lines of background between cells; with 0, there are no lines.
        min_size: smallest area in pixels of a connected component from which a cell grows.

    Raises:
        ValueError: ``line`` or ``min_size`` is below 0.
    """

    line: int = 1
    min_size: int = 0
    of_classes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("line", "min_size"):
            value = getattr(self, name)
            if value < 0:
                raise ValueError(f"expected instances.{name} of at least 0, but got {value}; nearest valid: 0")

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """Return the cell number at each pixel, 0 on lines; 0 everywhere if no component is large enough."""
        cell = cell_probability(probabilities)
        seeds = tidy(components(cell > threshold), self.min_size)
        if not seeds.any():
            return seeds
        grown = watershed(-cell, seeds, watershed_line=self.line > 0).astype(np.int32)
        wide = cv2.dilate((grown == 0).astype(np.uint8), np.ones((self.line, self.line), np.uint8)) if self.line else 0
        return tidy(np.where(wide, 0, grown))


@dataclass(frozen=True)
class Auto:
    """A placeholder for the decoder that scores best on the validation images, which is chosen after training.

    The checkpoint stores the chosen decoder. Until one is chosen, `meanwhile` segments the cells.

    Attributes:
        boundary: as in `Watershed`.
        min_size: smallest area of a cell in pixels to try; larger values are tried too.
        fill_holes: whether background that one cell encloses becomes part of the cell.
    """

    boundary: int | None = None
    min_size: int = 0
    fill_holes: bool = False
    of_classes: ClassVar[bool] = False

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """Return the cell number at each pixel, 0 for background."""
        return self.meanwhile(probabilities, threshold)

    @property
    def meanwhile(self) -> Distance:
        """The decoder to use until the best one is chosen."""
        if self.boundary is None:
            return Distance(1.0, 2.0, min_size=self.min_size, fill_holes=self.fill_holes)
        return Distance(0.5, 1.0, True, self.boundary, self.min_size, self.fill_holes, whole=True)


Numbering = Classes | Components | Watershed | Distance | Membranes | Auto


def with_boundary(numbering: Numbering, like: Numbering) -> Numbering:
    """Return a decoder, with the boundary class of ``like`` if the decoder can use a boundary class but has none."""
    if isinstance(numbering, Watershed | Distance | Auto) and numbering.boundary is None:
        return replace(numbering, boundary=getattr(like, "boundary", None))
    return numbering


def names_classes(numbering: str) -> bool:
    """Return whether the decoder with this class name labels classes, not cells."""
    return numbering == Classes.__name__


@dataclass(frozen=True)
class Decoder:
    """A decoder with its threshold, which converts probabilities to label images.

    Attributes:
        numbering: the decoder, one of the choices of ``conf/instances``.
        threshold: cell probability above which a pixel is foreground.
    """

    numbering: Numbering
    threshold: float

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Convert class probabilities ``(K, H, W)`` to a label image ``(H, W)`` int32."""
        return self.numbering(probabilities, self.threshold)


def classes(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Return the class of each pixel, ``(H, W)``, from class probabilities ``(K, H, W)``.

    If there are two classes, class 1 where its probability exceeds the threshold; else the most probable class.
    """
    if len(probabilities) == 2:
        return np.asarray(probabilities[1] > threshold, np.uint8)
    return np.asarray(probabilities.argmax(axis=0))


def cell_probability(probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of any class but 0, ``(H, W)``, from class probabilities ``(K, H, W)``."""
    cell: np.ndarray = probabilities[1] if len(probabilities) == 2 else 1 - probabilities[0]
    return cell


def components(foreground: np.ndarray, corners: bool = False) -> np.ndarray:
    """Number the connected components of a mask ``(H, W)`` from 1 in reading order, as int32.

    Args:
        foreground: the mask.
        corners: whether components are 8-connected. The default is 4-connected, because diagonal steps would cross
            membranes that are one pixel wide.
    """
    found: np.ndarray = cv2.connectedComponents(foreground.astype(np.uint8), connectivity=8 if corners else 4)[1]
    if not corners:
        return found
    values, first = np.unique(found, return_index=True)  # OpenCV's order follows blocks of pixels
    number = np.zeros(found.max() + 1, np.int32)
    number[values[values > 0][np.argsort(first[values > 0])]] = np.arange(1, np.count_nonzero(values) + 1)
    return np.asarray(number[found])


def pieces(labels: np.ndarray) -> np.ndarray:
    """Number the 4-connected components of pixels with equal value in an integer image ``(H, W)``; 0 is background."""
    return np.asarray(label(labels, background=0, connectivity=1))


def numbered(cells: np.ndarray) -> np.ndarray:
    """Return a label image ``(H, W)`` unchanged; number the 4-connected components of a mask of 0 and 1."""
    return cells if cells.max() > 1 else components(cells > 0)


def _cell_and_inside(probabilities: np.ndarray, boundary: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell probability, and that of cell interior (without the boundary class), ``(H, W)`` each.

    Raises:
        ValueError: ``boundary`` is not a class, is the background, or is the only class other than the background.
    """
    count, cell = len(probabilities), cell_probability(probabilities)
    if boundary is None:
        return cell, cell
    if not (count > 2 and 0 < boundary < count):
        raise ValueError(
            f"expected instances.boundary to be one of several classes from 1 to {count - 1}, "
            f"but got {boundary}; nearest valid: null"
        )
    return cell, cell - probabilities[boundary]


def _grown(inside: np.ndarray, markers: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Grow cells from markers over the foreground; a foreground component without a marker becomes one cell."""
    whole = components(foreground)
    unmarked = ~np.isin(whole, whole[markers > 0]) & foreground
    markers = np.where(unmarked, whole + markers.max(), markers)
    return np.asarray(watershed(-inside, markers, mask=foreground), np.int32)
