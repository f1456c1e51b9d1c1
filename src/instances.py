"""From probabilities to a label image: the choices of ``conf/instances``, and the words that they are made of.

A choice is a value: it knows its parameters and how to number, and nothing of the network. Each takes class
probabilities ``(K, H, W)`` and a threshold and gives ``(H, W)`` int32.
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
    """Name the class of each pixel instead of numbering cells."""

    of_classes: ClassVar[bool] = True

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """The class of each pixel, as `classes` finds it."""
        return classes(probabilities, threshold).astype(np.int32)


@dataclass(frozen=True)
class Components:
    """Number the 4-connected components of what is not background.

    Attributes:
        min_size: pixels; a smaller cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of it.
    """

    min_size: int = 0
    fill_holes: bool = False
    of_classes: ClassVar[bool] = False

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """The cell of each pixel."""
        return tidy(components(cell_probability(probabilities) > threshold), self.min_size, self.fill_holes)


@dataclass(frozen=True)
class Watershed:
    """Number the cells, and part those that touch where the probability of cell is low between them.

    A marker is a component of the pixels that are surest to be a cell; from the markers, cells grow
    downhill to the threshold. Where no pixel is that sure, the component stays one cell. A marker from
    which less than ``min_size`` would grow is none, so that its pixels go to the cells around it.

    Attributes:
        marker: how much surer a marker must be: 0 as sure as the threshold, 1 certain.
        boundary: the class, if there is one, of the boundary between cells. It belongs to cells but
            not to markers.
        min_size: pixels; a smaller cell that touches no other one becomes background.
        fill_holes: whether background that one cell encloses becomes part of it.

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
        """The cell of each pixel; raises ValueError if ``boundary`` is none of several classes."""
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
    """Number the cells, and part those that touch where they are narrow between them.

    The distance of each pixel of a cell to the background is a landscape, in which each cell is a summit and the neck
    between two cells a saddle. Two cells are parted if the lower summit rises more than ``depth`` above the saddle:
    a watershed from the h-maxima of the smoothed distance.

    Attributes:
        depth: pixels by which a neck has to be narrower, from its middle to its border, than the cells that it joins.
        smoothing: standard deviation in pixels of the Gaussian that smooths the distance.
        probability: whether the distance is multiplied by the probability of cell, so that a dark line across a neck
            parts it too.
        boundary: as of `Watershed`; the distance is that to the boundary or the background, the probability that of
            neither.
        whole: whether the distance is that to the background alone, where there is a boundary.
        min_size: pixels; a smaller cell becomes background.
        fill_holes: whether background that one cell encloses becomes part of it.

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
                raise ValueError(f"expected instances.{name} from 0 on, but got {value}; nearest valid: 0")

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """The cell of each pixel; raises ValueError if ``boundary`` is none of several classes."""
        from src.flooding import basins

        cell, inside = _cell_and_inside(probabilities, self.boundary)
        mask = (cell if self.whole else inside) > threshold
        surface = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        surface = surface * inside if self.probability else surface
        surface = cv2.GaussianBlur(surface, (0, 0), self.smoothing) if self.smoothing else surface
        return tidy(basins(surface, cell > threshold, self.depth), self.min_size, self.fill_holes)


@dataclass(frozen=True)
class Membranes:
    """Number what membranes enclose: segments that grow until lines as wide as asked for are left between them.

    They grow downhill in the probability of cell, so that lines lie where a membrane is surest, and what is too small
    to be a cell belongs to one.

    Attributes:
        line: width of the background between segments in pixels: 1, or more; 0 leaves none.
        min_size: pixels; a smaller piece of what is no membrane is flooded by the segments around it.

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
                raise ValueError(f"expected instances.{name} from 0 on, but got {value}; nearest valid: 0")

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """The segment of each pixel, 0 on lines; 0 everywhere where no segment is large enough."""
        cell = cell_probability(probabilities)
        seeds = tidy(components(cell > threshold), self.min_size)
        if not seeds.any():
            return seeds
        grown = watershed(-cell, seeds, watershed_line=self.line > 0).astype(np.int32)
        wide = cv2.dilate((grown == 0).astype(np.uint8), np.ones((self.line, self.line), np.uint8)) if self.line else 0
        return tidy(np.where(wide, 0, grown))


@dataclass(frozen=True)
class Auto:
    """Number the cells in the way that turns out best on the validation slices, once training has ended.

    A checkpoint holds what was chosen. Until then cells are parted by their width, as `Distance` does.

    Attributes:
        boundary: as of `Watershed`.
        min_size: pixels of the smallest cells to expect; larger sizes are tried too.
        fill_holes: whether background that one cell encloses becomes part of it.
    """

    boundary: int | None = None
    min_size: int = 0
    fill_holes: bool = False
    of_classes: ClassVar[bool] = False

    def __call__(self, probabilities: np.ndarray, threshold: float) -> np.ndarray:
        """The cell of each pixel."""
        return self.meanwhile(probabilities, threshold)

    @property
    def meanwhile(self) -> Distance:
        """What numbers the cells before anything is chosen."""
        size = {"min_size": self.min_size, "fill_holes": self.fill_holes}
        if self.boundary is None:
            return Distance(1.0, 2.0, True, **size)
        return Distance(0.5, 1.0, True, self.boundary, whole=True, **size)


Numbering = Classes | Components | Watershed | Distance | Membranes | Auto


def with_boundary(numbering: Numbering, like: Numbering) -> Numbering:
    """A way of numbering that knows the class of boundaries that another one knows, where it takes one and has none."""
    known = getattr(like, "boundary", None)
    return replace(numbering, boundary=known) if getattr(numbering, "boundary", 0) is None else numbering


def names_classes(numbering: str) -> bool:
    """Whether the choice of this name makes label images of classes, not of cells."""
    return numbering == Classes.__name__


@dataclass(frozen=True)
class Decoder:
    """What makes label images of probabilities: a way of numbering, and the threshold that it takes.

    Attributes:
        numbering: one of the choices above.
        threshold: probability above which a pixel is foreground.
    """

    numbering: Numbering
    threshold: float

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """The label image ``(H, W)`` of class probabilities ``(K, H, W)``."""
        return self.numbering(probabilities, self.threshold)


def classes(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Class of each pixel ``(H, W)``: of two, class 1 above the threshold; of more, the most probable."""
    if len(probabilities) == 2:
        return (probabilities[1] > threshold).astype(np.uint8)
    return probabilities.argmax(axis=0)


def cell_probability(probabilities: np.ndarray) -> np.ndarray:
    """Probability of not being class 0, ``(H, W)``, of class probabilities ``(K, H, W)``."""
    return probabilities[1] if len(probabilities) == 2 else 1 - probabilities[0]


def components(foreground: np.ndarray, corners: bool = False) -> np.ndarray:
    """Number the connected components of a mask ``(H, W)`` from 1, row by row as one meets them, as int32.

    Args:
        foreground: the mask.
        corners: whether pixels that touch by a corner are connected. Membranes are drawn as thin as one pixel, and
            a diagonal step would leap across them.
    """
    found = cv2.connectedComponents(foreground.astype(np.uint8), connectivity=8 if corners else 4)[1]
    if not corners:
        return found
    values, first = np.unique(found, return_index=True)  # OpenCV looks at squares of pixels and numbers by them
    number = np.zeros(found.max() + 1, np.int32)
    number[values[values > 0][np.argsort(first[values > 0])]] = np.arange(1, np.count_nonzero(values) + 1)
    return number[found]


def pieces(labels: np.ndarray) -> np.ndarray:
    """Number the 4-connected pieces of equal value of an image ``(H, W)`` of integers; 0 stays background."""
    return label(labels, background=0, connectivity=1)


def numbered(cells: np.ndarray) -> np.ndarray:
    """Cells ``(H, W)`` as they are if they are numbered, or of a mask of 0 and 1 its components."""
    return cells if cells.max() > 1 else components(cells > 0)


def _cell_and_inside(probabilities: np.ndarray, boundary: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Probability of cell, and of cell but for a class of boundaries between cells, ``(H, W)`` each.

    Raises:
        ValueError: ``boundary`` is no class, the background, or the only one beside it.
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
    """Cells grown from markers over the foreground; a component without a marker is one cell."""
    whole = components(foreground)
    unmarked = ~np.isin(whole, whole[markers > 0]) & foreground
    markers = np.where(unmarked, whole + markers.max(), markers)
    return watershed(-inside, markers, mask=foreground).astype(np.int32)
