"""Measure how well labels fit an image, by brightness and edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from src.files.grey import one_grey

CLEAR = 0.1  # smallest difference between two agreements that is significant
MIDWAY = 512  # longer side in pixels to which images are reduced before the edges of a sketch are computed
SKETCH = 48  # side of a sketch in pixels
ALIGNED = 256  # longer side in pixels at which an offset is measured; the limits below are in pixels of that size
SMALLEST = 48  # images whose shorter side is this short or shorter are not measured
FARTHEST = 40  # largest offset that is searched for
LEAST = 3  # smallest offset that is evidence of shifted labels: hand-drawn outlines are no more exact
CLEAR_PEAK = 0.25  # least correlation of image and label edges at the offset
# An offset is sure only if the correlation at offset 0 and at the opposite offset is at most this share of the peak.
# Outlines that are drawn too wide fit better after a shift in any direction: nuclei of the Data Science Bowl with such
# outlines keep at least 0.83 of the peak at the opposite offset.
UNMOVED = 0.8
OPPOSITE = 0.7
BRIGHT = 0.3  # least correlation of labels and grey values at which brightness is used as evidence as well
AWAY = 5  # side in pixels of the square by which cells and background are eroded to keep away from edges
FEWEST = 20  # least number of pixels for measuring texture


def agreement(image: np.ndarray, labels: np.ndarray) -> float:
    """Return how well labels fit an image, from 0 to 2.

    The agreement is the absolute correlation of the grey values with the foreground, plus the correlation of the
    image's gradient magnitude with the edges of the labels (0 if negative).

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        labels: ``(H, W)`` integers, 0 = background.
    """
    grey = one_grey(image)
    by_edges = _correlation(slope_of(grey), cv2.GaussianBlur(edges_of(labels), (0, 0), 1))
    return abs(_correlation(grey, labels != 0)) + max(0.0, by_edges)


def sketch(grey: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Reduce an image and its labels to a small sketch, so that `agreements` can compare many images quickly.

    Args:
        grey: grey values, ``(H, W)`` float32.
        labels: ``(H, W)`` integers, 0 = background.

    Returns:
        Grey values, gradient magnitude, foreground and label edges, `SKETCH` × `SKETCH` pixels each, with mean 0 and
        norm 1 (all zeros if constant): ``(4, pixels)`` float16.
    """
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
    """Return a matrix of approximate `agreement` values; entry (i, j) compares image i with the labels of image j.

    Args:
        sketches: the `sketch` of each of N images.

    Returns:
        ``(N, N)`` float32.
    """
    grey, slope, mask, edges = np.stack(sketches).astype(np.float32).transpose(1, 0, 2)
    found: np.ndarray = np.abs(grey @ mask.T) + np.maximum(0, slope @ edges.T)
    return found


@dataclass(frozen=True)
class Laid:
    """An image and its labels, downscaled to the same small size.

    Attributes:
        grey: grey values, ``(H, W)`` float32.
        slope: gradient magnitude of the grey values, ``(H, W)`` float32.
        edges: strength of the edges of the labels, ``(H, W)`` float32.
        labels: the labels, ``(H, W)`` int32.
        scale: factor by which the image was downscaled, 1 or more.
    """

    grey: np.ndarray
    slope: np.ndarray
    edges: np.ndarray
    labels: np.ndarray
    scale: float


def laid(grey: np.ndarray, labels: np.ndarray) -> Laid:
    """Downscale an image and its labels so that the longer side has at most `ALIGNED` pixels.

    Args:
        grey: grey values, ``(H, W)`` float32.
        labels: ``(H, W)`` integers.
    """
    scale = max(1.0, max(grey.shape) / ALIGNED)
    size = tuple(max(1, round(side / scale)) for side in grey.shape)[::-1]
    edges = cv2.GaussianBlur(cv2.resize(edges_of(labels), size, interpolation=cv2.INTER_AREA), (0, 0), 1)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    rows, columns = (np.arange(few) * many // few for few, many in zip(small.shape, labels.shape, strict=True))
    return Laid(small, slope_of(small), edges, labels[np.ix_(rows, columns)].astype(np.int32), scale)


@dataclass(frozen=True)
class Offset:
    """The shift of labels from their image.

    Attributes:
        rows, columns: the shift in pixels of the image; down and to the right are positive.
        step: precision of the shift in pixels of the image.
        sure: whether the measurement of this image alone proves the shift.
    """

    rows: int
    columns: int
    step: float = 1.0
    sure: bool = True


def offset(of: Laid) -> Offset | None:
    """Measure the offset of labels from their image by cross-correlation of label edges and image edges.

    Args:
        of: the image and its labels, reduced by `laid`.

    Returns:
        The offset, or None if the cross-correlation has no clear peak or the image is too small.
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
    """Return whether unmoved labels separate bright from dark pixels, at least as well as labels moved back by a shift.

    Args:
        of: the image and its labels.
        rows: shift of the labels downwards, in pixels of the reduced image.
        columns: shift of the labels to the right, in pixels of the reduced image.
    """
    low, high = np.percentile(of.grey[::2, ::2], (1, 99))
    grey, cells = np.clip(of.grey, low, high), of.labels != 0
    unmoved, moved = (abs(_correlation(grey, each)) for each in (cells, np.roll(cells, (-rows, -columns), (0, 1))))
    return unmoved >= BRIGHT and moved <= unmoved


def texture(of: Laid) -> float | None:
    """Return the ratio of the median gradient magnitude of cells to that of the background, both away from edges.

    Cells have more texture than their surroundings, in fluorescence, phase contrast and electron microscopy alike: the
    ratio is 1.2 or more in all of 623 real images (ISBI-2012, T98G, nuclei of the Data Science Bowl).

    Args:
        of: the image and its labels, reduced by `laid`.

    Returns:
        The ratio, or None if cells or background have too few pixels or the background has no texture.
    """
    inside, kernel = (of.labels != 0).astype(np.uint8), np.ones((AWAY, AWAY), np.uint8)
    cells, ground = (of.slope[cv2.erode(side, kernel) > 0] for side in (inside, 1 - inside))
    if min(cells.size, ground.size) < FEWEST:
        return None
    typical = float(np.median(ground))
    return float(np.median(cells)) / typical if typical else None


def width(of: Laid) -> int:
    """Return the diameter of the largest disc that fits into a cell, in pixels of the original image.

    The part of a cell outside the image does not count.

    Args:
        of: the image and its labels, reduced by `laid`.
    """
    inside = np.pad(((of.labels != 0) & (edges_of(of.labels) == 0)).astype(np.uint8), 1)
    return round(2 * of.scale * float(cv2.distanceTransform(inside, cv2.DIST_L2, 5).max()))


def slope_of(grey: np.ndarray) -> np.ndarray:
    """Return the gradient magnitude of an image after a Gaussian filter of σ = 1 px, both ``(H, W)`` float32."""
    blurred = cv2.GaussianBlur(grey, (0, 0), 1)
    return cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))


def edges_of(labels: np.ndarray) -> np.ndarray:
    """Count for each pixel how many of its left and upper neighbours (0 to 2) have another label: ``(H, W)`` float32.

    Args:
        labels: ``(H, W)`` integers.
    """
    edges = np.zeros(labels.shape, np.float32)
    edges[1:] += labels[1:] != labels[:-1]
    edges[:, 1:] += labels[:, 1:] != labels[:, :-1]
    return edges


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = (part.astype(np.float64) - part.mean() for part in (first, second))
    norm = np.linalg.norm(first) * np.linalg.norm(second)
    return float((first * second).sum() / norm) if norm else 0.0
