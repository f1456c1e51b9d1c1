"""Measure each label image once, so that later decisions about all label images need not read the pixels again."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy import ndimage

from src.files.arrays import STRIP, strips_of, value_counts
from src.instances import components, pieces

MOST_CLASSES = 20  # labels with more values than this (besides 0) are not classes
MAIN_PIECE = 0.9  # if the largest piece of a value has this share of its pixels, the other pieces are stray pixels
EDGE = 8  # largest distance in pixels from an edge at which smoothing or JPEG alters values
LARGEST_NUMBER = 2**20  # largest number of a cell for which a list with an entry for each number fits in memory
LONG = 1 / 3  # share of the longer side of an image; pieces at least this long may be vessels or fibres
STRETCHED = 8  # least area of a vessel or fibre over the square of its largest half-width; a disc has 3.1
HOLLOW = 0.45  # solidity (share of the convex hull) below which a piece branches or winds
SLENDER = 8  # least length over width of a straight vessel or fibre
FEWEST_MESHES = 6  # least number of cells that a net of lines must separate
LARGEST_MESH = 0.5  # largest share of the area between the lines that one cell may cover
COMPACT = 0.6  # least mean solidity of cells, even if they touch; membranes have about 0.25
INTERPOLATED = 0.2  # labels were resized if this share of the pixels along edges has values between those on both sides
ONE_VALUE = 0.8  # … unless this share of those pixels has the same value, which is then a class drawn around others
EIGHT_BITS = 255


@dataclass(frozen=True)
class Area:
    """Position, size and brightness of the area that one label value covers in an image.

    Attributes:
        y, x: centroid of the area, as shares of the height and width of the image.
        share: share of the image's pixels that the area covers.
        grey: median grey value of the area, in standard deviations from the mean of the image; 0 without an image.
        spans: whether the area touches two opposite borders of the image.
        border: share of the image's border pixels that the area covers.
    """

    y: float
    x: float
    share: float
    grey: float
    spans: bool
    border: float


@dataclass(frozen=True)
class Description:
    """Measurements of one label image, from which its kind and its errors are inferred.

    "Foreground" means all pixels that are not 0; a piece is a 4-connected component of one value other than 0.

    Attributes:
        counts: number of pixels of each value.
        single: share of the foreground values that have a single piece.
        pieces: number of pieces.
        cells: number of foreground values if there are several, else of pieces (8-connected if `is_branching`).
        side: longest side in pixels of the bounding box of any piece; 0 without pieces.
        area: 5th percentile of the areas of cells in pixels; 0 without cells.
        thin: whether the background is thin lines between pieces.
        smoothed: whether many values lie between two dominant ones, as after resizing or JPEG compression of a mask.
        whole: share of the foreground values whose largest piece contains at least `MAIN_PIECE` of their pixels.
        areas: position, size and brightness of each value; empty if more than `MOST_CLASSES` values besides 0 occur.
        is_net: whether the foreground is a net of thin lines around cells.
        is_branching: whether most of the foreground is long and thin, such as vessels and fibres.
        has_blobs: whether the background is several compact pieces surrounded by foreground.
        interpolated: whether values lie between those of neighbouring cells, as after resizing with interpolation.
        wrapped: whether numbers repeat because there are more cells than numbers in 8 bits.
    """

    counts: dict[int, int]
    single: float
    pieces: int
    cells: int
    side: int
    area: float
    thin: bool
    smoothed: bool
    whole: float = 1.0
    areas: dict[int, Area] = field(default_factory=dict)
    is_net: bool = False
    is_branching: bool = False
    has_blobs: bool = False
    interpolated: bool = False
    wrapped: bool = False


def describe(labels: np.ndarray, image: np.ndarray | None = None) -> Description:
    """Measure a label image.

    Args:
        labels: ``(H, W)`` integers.
        image: the annotated image, ``(H, W)``; if None, the grey values of areas are 0.
    """
    values, counts = value_counts(labels)
    cells = values[values != 0]
    found = _pieces(labels, cells)
    of_pieces = np.concatenate([[], *(each[:, cv2.CC_STAT_AREA] for each in found)])
    areas = counts[values != 0] if len(cells) > 1 else of_pieces
    main = [each[:, cv2.CC_STAT_AREA].max() / each[:, cv2.CC_STAT_AREA].sum() for each in found]
    sides = [each[:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].max() for each in found]
    is_mask = len(cells) == 1 and len(values) == 2
    is_net = is_mask and _is_net(labels != 0)
    branching = is_mask and not is_net and _is_branching(labels != 0)
    return Description(
        counts=dict(zip(map(int, values), map(int, counts), strict=True)),
        single=float(np.mean([len(each) == 1 for each in found])) if found else 1.0,
        pieces=len(of_pieces),
        # Parts of branches that are one pixel wide may touch only at corners.
        cells=int(components(labels != 0, corners=True).max()) if branching else len(areas),
        side=int(max(sides, default=0)),
        area=float(np.percentile(areas, 5)) if len(areas) else 0.0,
        # The background counts as thin lines only if it separates several cells and is connected.
        thin=_is_thin(labels == 0) and len(of_pieces) >= max(2, components(labels == 0, corners=True).max()),
        smoothed=_is_smoothed(labels, values, counts),
        whole=float(np.mean(np.array(main) >= MAIN_PIECE)) if found else 1.0,
        areas=_areas(labels, values, image) if len(values) <= MOST_CLASSES + 1 else {},
        is_net=is_net,
        is_branching=branching,
        has_blobs=is_mask and _has_blobs(labels == 0),
        interpolated=_is_interpolated(labels, len(cells)),
        wrapped=_is_wrapped(cells, found),
    )


def is_mixed(labels: np.ndarray) -> bool:
    """Return whether cell numbers in a label image ``(H, W)`` are wrong because of interpolation or 8-bit overflow."""
    values, _ = value_counts(labels)
    cells = values[values != 0]
    return _is_interpolated(labels, len(cells)) or (
        _fills_eight_bits(cells) and _is_wrapped(cells, _pieces(labels, cells))
    )


def _pieces(labels: np.ndarray, cells: np.ndarray) -> list[np.ndarray]:
    """Return the bounding boxes and areas of the pieces of each value, as from `component_boxes`.

    Searching each value within its own bounding box takes less memory than numbering all pieces at once.
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


def _areas(labels: np.ndarray, values: np.ndarray, image: np.ndarray | None) -> dict[int, Area]:
    height, width = labels.shape
    mean, deviation = (
        (0.0, 1.0) if image is None else (image.mean(dtype=np.float64), image.std(dtype=np.float64) or 1.0)
    )
    border = _border(labels)
    found = {}
    for value in values:
        inside = labels == value
        rows, columns = inside.sum(axis=1), inside.sum(axis=0)
        count = int(rows.sum())
        found[int(value)] = Area(
            y=float(np.arange(height) @ rows / count / height),
            x=float(np.arange(width) @ columns / count / width),
            share=count / labels.size,
            grey=0.0 if image is None else float((np.median(image[inside]) - mean) / deviation),
            spans=bool((rows[0] and rows[-1]) or (columns[0] and columns[-1])),
            border=float(np.mean(border == value)),
        )
    return found


def _border(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _widths(mask: np.ndarray) -> np.ndarray:
    """Return the distance from each foreground pixel of a mask ``(H, W)`` bool to the background, ``(pixels,)``."""
    distances: np.ndarray = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)[mask]
    return distances


def _is_thin(background: np.ndarray) -> bool:
    """Return whether a background mask covers at most half the image and is less than half as thick as the rest."""
    if background.mean() > 0.5 or not background.any():
        return False
    return bool(np.median(_widths(background)) < 0.5 * np.median(_widths(~background)))


def _is_net(lines: np.ndarray) -> bool:
    """Return whether a mask is a net of thin lines that divides the image into many cells, none of them dominant."""
    if not _is_thin(lines):
        return False
    meshes = component_boxes(~lines)[:, cv2.CC_STAT_AREA]
    large = meshes[meshes > meshes.sum() / 1000]
    return len(large) >= FEWEST_MESHES and bool(large.max() < LARGEST_MESH * meshes.sum())


def _is_branching(mask: np.ndarray) -> bool:
    """Return whether most of a mask consists of long pieces that branch, wind, or are straight and narrow."""
    long = 0
    numbers = components(mask, corners=True)
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        sides = [part.stop - part.start for part in box]
        if max(sides) < LONG * max(mask.shape):
            continue
        piece = np.pad(numbers[box] == number, 1)
        area, width = int(np.count_nonzero(piece)), 2 * _widths(piece).max()
        if area < STRETCHED * width**2 / 4:
            continue
        (_, axes, _), solid = cv2.minAreaRect(_contour(piece)), _solidity(piece)
        if solid < HOLLOW or max(axes) > SLENDER * (min(axes) + 1):
            long += area
    return long > 0.5 * int(np.count_nonzero(mask))


def _has_blobs(zero: np.ndarray) -> bool:
    """Return whether a background mask is compact pieces within one foreground piece that covers most of the border."""
    if not 0 < zero.mean() < 0.5:
        return False
    numbers = components(zero)
    found = ndimage.find_objects(numbers)
    others = component_boxes(~zero)[:, cv2.CC_STAT_AREA]
    if _border(zero).mean() > 0.4 or len(found) < 3 or others.max() < 0.95 * others.sum():
        return False
    drawn = [np.pad(numbers[box] == number, 1) for number, box in enumerate(found, start=1)]
    areas = np.array([np.count_nonzero(piece) for piece in drawn])
    return bool(areas @ np.array([_solidity(piece) for piece in drawn]) > COMPACT * areas.sum())


def _contour(piece: np.ndarray) -> np.ndarray:
    found, _ = cv2.findContours(piece.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return np.concatenate(found)


def _solidity(piece: np.ndarray) -> float:
    """Return the area of a piece divided by the area of its convex hull."""
    hull = np.zeros(piece.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(_contour(piece)), 1)
    return int(np.count_nonzero(piece)) / max(1, int(np.count_nonzero(hull)))


def _is_smoothed(labels: np.ndarray, values: np.ndarray, counts: np.ndarray) -> bool:
    first, second = values[np.argsort(-counts, kind="stable")[:2]] if len(values) > 4 else (0, 0)
    if max(first, second) <= MOST_CLASSES:
        return False
    rest = (labels != first) & (labels != second)
    near = np.ones((2 * EDGE + 1,) * 2, np.uint8)
    near_first, near_second = (cv2.dilate((labels == value).astype(np.uint8), near) > 0 for value in (first, second))
    between = near_first & near_second
    if rest.mean() > 0.4 or between[rest].mean() < 0.9:
        return False
    # Cells may touch in the same way, but each of them is one piece.
    return bool(pieces(np.where(rest, labels, 0)).max() > 2 * (len(values) - 2))


def _is_interpolated(labels: np.ndarray, cells: int) -> bool:
    """Return whether many pixels along edges have varying values that lie between the values on both sides."""
    if cells < 4 or min(labels.shape) < 3:
        return False
    along, found = 0, []
    rows = max(1, STRIP // labels.shape[1])
    for top in range(0, len(labels) - 2, rows):
        part = labels[top : top + rows + 2]
        middle = part[1:-1, 1:-1]
        along += int(np.count_nonzero((middle != part[:-2, 1:-1]) | (middle != part[1:-1, :-2])))
        between = np.zeros(middle.shape, bool)
        for one, other in ((part[1:-1, :-2], part[1:-1, 2:]), (part[:-2, 1:-1], part[2:, 1:-1])):
            between |= (np.minimum(one, other) < middle) & (middle < np.maximum(one, other))
        found.append(middle[between])
    values = np.concatenate(found)
    if not along or len(values) < INTERPOLATED * along / 2:  # an edge has a pixel on each side
        return False
    return bool(value_counts(values[None])[1].max() < ONE_VALUE * len(values))


def _is_wrapped(cells: np.ndarray, found: list[np.ndarray]) -> bool:
    """Return whether nearly all 8-bit numbers occur and some occur in several cells, because numbers overflowed at 256.

    Args:
        cells: the foreground values in ascending order.
        found: `component_boxes` of each value.
    """
    if not _fills_eight_bits(cells):
        return False
    usual = np.median([each[:, cv2.CC_STAT_AREA].max() for each in found])
    again = [int(np.count_nonzero(each[:, cv2.CC_STAT_AREA] > usual / 4)) - 1 for each in found]
    return sum(max(0, each) for each in again) >= 3


def _fills_eight_bits(cells: np.ndarray) -> bool:
    return len(cells) >= EIGHT_BITS - 5 and cells[-1] <= EIGHT_BITS and cells[0] >= 0


def component_boxes(foreground: np.ndarray) -> np.ndarray:
    """Return left, top, width, height and area of each 4-connected component of a mask, ``(components, 5)`` int32."""
    return cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)[2][1:]
