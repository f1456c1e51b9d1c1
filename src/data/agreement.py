"""Measure how well labels fit an image, by brightness and edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from src.files.grey import one_grey

CLEAR = 0.1  # smallest difference of two agreements that counts
MIDWAY = 512  # longer side in pixels at which edges are computed for a sketch
SKETCH = 48  # side of a sketch in pixels
ALIGNED = 256  # longer side in pixels at which an offset is measured; the limits below are in pixels of that size
SMALLEST = 48  # shorter side up to which no offset is measured
FARTHEST = 40  # largest offset that is searched for
LEAST = 3  # smallest offset that is evidence of shifted labels: hand-drawn outlines are no more exact
CLEAR_PEAK = 0.25  # least correlation of edges at the offset
UNMOVED = 0.8  # largest share of that correlation at offset 0 …
# … and at the opposite offset. Outlines that are drawn too wide fit better after a shift in any direction: nuclei of
# the Data Science Bowl with such outlines keep at least 0.83.
OPPOSITE = 0.7
BRIGHT = 0.3  # correlation of labels and grey values from which brightness is evidence too
AWAY = 5  # distance from edges within which pixels belong to neither cells nor background
FEWEST = 20  # least number of pixels from which texture is measured


def agreement(image: np.ndarray, labels: np.ndarray) -> float:
    """Return how well labels fit an image, from 0 to 2: correlation of brightness plus correlation of edges.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        labels: ``(H, W)`` integers.
    """
    grey = one_grey(image)
    by_edges = _correlation(slope_of(grey), cv2.GaussianBlur(edges_of(labels), (0, 0), 1))
    return abs(_correlation(grey, labels != 0)) + max(0.0, by_edges)


def sketch(grey: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Reduce a grey image ``(H, W)`` float32 and its labels to what `agreements` compares: ``(4, pixels)`` float16."""
    step = max(1, max(labels.shape) // MIDWAY)
    labels = labels[::step, ::step]
    grey = cv2.resize(grey, labels.shape[::-1], interpolation=cv2.INTER_AREA) if step > 1 else grey
    parts = (grey, slope_of(grey), (labels != 0).astype(np.float32), edges_of(labels))
    found = []
    for part in parts:
        small = cv2.resize(part, (SKETCH, SKETCH), interpolation=cv2.INTER_AREA).ravel().astype(np.float64)
        small -= small.mean()
        norm = np.linalg.norm(small)
        found.append(small / norm if norm > 1e-6 else np.zeros_like(small))
    return np.array(found, np.float16)


def agreements(sketches: Sequence[np.ndarray]) -> np.ndarray:
    """Return approximately the `agreement` of each image (row) with the labels of each image (column)."""
    grey, slope, mask, edges = np.stack(sketches).astype(np.float32).transpose(1, 0, 2)
    found: np.ndarray = np.abs(grey @ mask.T) + np.maximum(0, slope @ edges.T)
    return found


@dataclass(frozen=True)
class Laid:
    """An image and its labels, reduced to the same small size.

    Attributes:
        grey: grey values, ``(H, W)`` float32.
        slope: magnitude of their gradient, ``(H, W)`` float32.
        edges: edges of the labels, ``(H, W)`` float32.
        labels: ``(H, W)`` int32.
        scale: side of one of these pixels in pixels of the image.
    """

    grey: np.ndarray
    slope: np.ndarray
    edges: np.ndarray
    labels: np.ndarray
    scale: float


def laid(grey: np.ndarray, labels: np.ndarray) -> Laid:
    """Reduce a grey image ``(H, W)`` float32 and its labels ``(H, W)`` to a longer side of `ALIGNED` pixels."""
    scale = max(1.0, max(grey.shape) / ALIGNED)
    size = tuple(max(1, round(side / scale)) for side in grey.shape)[::-1]
    edges = cv2.GaussianBlur(cv2.resize(edges_of(labels), size, interpolation=cv2.INTER_AREA), (0, 0), 1)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    rows, columns = (np.arange(few) * many // few for few, many in zip(small.shape, labels.shape, strict=True))
    return Laid(small, slope_of(small), edges, labels[np.ix_(rows, columns)].astype(np.int32), scale)


@dataclass(frozen=True)
class Offset:
    """How far labels are shifted against their image.

    Attributes:
        rows, columns: the shift in pixels of the image; down and to the right is positive.
        step: its precision in pixels.
        sure: whether this image alone is evidence of a shift.
    """

    rows: int
    columns: int
    step: float = 1.0
    sure: bool = True


def offset(of: Laid) -> Offset | None:
    """Find the offset of labels by cross-correlation of their edges with those of the image.

    Returns:
        None if there is no clear peak, or the image is too small.
    """
    size = of.slope.shape
    if min(size) <= SMALLEST:
        return None
    far = min(FARTHEST, min(size) // 4)
    slope = np.minimum(of.slope, np.percentile(of.slope[::2, ::2], 99))
    window = cv2.createHanningWindow(size[::-1], cv2.CV_32F)
    both = [(part - part.mean()) * window for part in (slope, of.edges)]
    norm = float(np.prod([np.linalg.norm(part) for part in both]))
    if norm == 0:
        return None
    spectra = [fft.rfft2(part) for part in both]
    surface = fft.irfft2(np.conj(spectra[0]) * spectra[1], size) / norm
    near = np.roll(surface, (far, far), (0, 1))[: 2 * far + 1, : 2 * far + 1]
    peak = near.max()
    if peak < CLEAR_PEAK:
        return None
    rows, columns = (int(place) - far for place in np.unravel_index(near.argmax(), near.shape))
    around = cv2.dilate(near.astype(np.float32), np.ones((3, 3), np.uint8))  # maximum of 3×3 pixels
    unmoved, opposite = around[far, far] / peak, around[far - rows, far - columns] / peak
    sure = max(abs(rows), abs(columns)) >= LEAST and unmoved <= UNMOVED and opposite <= OPPOSITE
    sure = bool(sure and not _brighter_unmoved(of, rows, columns))
    return Offset(round(rows * of.scale), round(columns * of.scale), of.scale, sure)


def _brighter_unmoved(of: Laid, rows: int, columns: int) -> bool:
    """Whether labels separate bright from dark pixels, and at offset 0 at least as well as after the shift."""
    low, high = np.percentile(of.grey[::2, ::2], (1, 99))
    grey, cells = np.clip(of.grey, low, high), of.labels != 0
    unmoved, moved = (abs(_correlation(grey, each)) for each in (cells, np.roll(cells, (-rows, -columns), (0, 1))))
    return unmoved >= BRIGHT and moved <= unmoved


def texture(of: Laid) -> float | None:
    """Return the median gradient within cells over that of the background, both away from edges.

    Cells have more texture than their surroundings, in fluorescence, phase contrast and electron microscopy alike: the
    ratio is 1.2 or more in all of 623 real images (ISBI-2012, T98G, nuclei of the Data Science Bowl).

    Returns:
        None if cells or background have too few pixels, or the background has no texture.
    """
    inside, kernel = (of.labels != 0).astype(np.uint8), np.ones((AWAY, AWAY), np.uint8)
    cells, ground = (of.slope[cv2.erode(side, kernel) > 0] for side in (inside, 1 - inside))
    if min(cells.size, ground.size) < FEWEST:
        return None
    typical = float(np.median(ground))
    return float(np.median(cells)) / typical if typical else None


def width(of: Laid) -> int:
    """Return the diameter of the largest disc within a cell, in pixels of the image; its border cuts cells off."""
    inside = np.pad(((of.labels != 0) & (edges_of(of.labels) == 0)).astype(np.uint8), 1)
    return round(2 * of.scale * float(cv2.distanceTransform(inside, cv2.DIST_L2, 5).max()))


def slope_of(grey: np.ndarray) -> np.ndarray:
    """Return the gradient magnitude of a grey image ``(H, W)`` float32, after a Gaussian filter of σ = 1 px."""
    blurred = cv2.GaussianBlur(grey, (0, 0), 1)
    return cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))


def edges_of(labels: np.ndarray) -> np.ndarray:
    """Count, for each pixel, how many of its left and upper neighbours have another label: ``(H, W)`` float32."""
    edges = np.zeros(labels.shape, np.float32)
    edges[1:] += labels[1:] != labels[:-1]
    edges[:, 1:] += labels[:, 1:] != labels[:, :-1]
    return edges


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = (part.astype(np.float64) - part.mean() for part in (first, second))
    norm = np.linalg.norm(first) * np.linalg.norm(second)
    return float((first * second).sum() / norm) if norm else 0.0
