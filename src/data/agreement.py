"""How well labels lie on an image: by what tells areas apart, brightness and edges."""

import cv2
import numpy as np

CLEAR = 0.1  # by which one reading has to agree better than another, to be believed


def agreement(image: np.ndarray, labels: np.ndarray) -> float:
    """How much of an image its labels explain, from 0 to 2: by brightness, plus by edges.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        labels: ``(H, W)`` integers.
    """
    grey = image.astype(np.float32) if image.ndim == 2 else image.mean(axis=2, dtype=np.float32)
    blurred = cv2.GaussianBlur(grey, (0, 0), 1)
    slope = cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    by_edges = _correlation(slope, cv2.GaussianBlur(edges_of(labels), (0, 0), 1))
    return abs(_correlation(grey, labels != 0)) + max(0.0, by_edges)


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
