"""How well labels lie on an image: by what tells areas apart, brightness and edges."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.files.grey import one_grey

CLEAR = 0.1  # by which one reading has to agree better than another, to be believed
MIDWAY = 512  # pixels of the longer side at which edges are looked for
SKETCH = 48  # pixels of a side of what is left


def agreement(image: np.ndarray, labels: np.ndarray) -> float:
    """How much of an image its labels explain, from 0 to 2: by brightness, plus by edges.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        labels: ``(H, W)`` integers.
    """
    grey = one_grey(image)
    by_edges = _correlation(slope_of(grey), cv2.GaussianBlur(edges_of(labels), (0, 0), 1))
    return abs(_correlation(grey, labels != 0)) + max(0.0, by_edges)


def sketch(grey: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What `agreements` needs of a grey image ``(H, W)`` float32 and of its labels, small: ``(4, pixels)`` float16."""
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
    """How much of each image, a row, the labels of each image, a column, explain: as `agreement`, roughly."""
    grey, slope, mask, edges = np.stack(sketches).astype(np.float32).transpose(1, 0, 2)
    return np.abs(grey @ mask.T) + np.maximum(0, slope @ edges.T)


def slope_of(grey: np.ndarray) -> np.ndarray:
    """How steeply grey values ``(H, W)`` float32 rise at each pixel, float32; noise is smoothed first."""
    blurred = cv2.GaussianBlur(grey, (0, 0), 1)
    return cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))


def edges_of(labels: np.ndarray) -> np.ndarray:
    """How many of its left and upper neighbours each pixel differs from, ``(H, W)`` float32."""
    edges = np.zeros(labels.shape, np.float32)
    edges[1:] += labels[1:] != labels[:-1]
    edges[:, 1:] += labels[:, 1:] != labels[:, :-1]
    return edges


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = (part.astype(np.float64) - part.mean() for part in (first, second))
    norm = np.linalg.norm(first) * np.linalg.norm(second)
    return float((first * second).sum() / norm) if norm else 0.0
