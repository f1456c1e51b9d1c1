"""From probabilities to a label image."""

import cv2
import numpy as np


def label_image(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Number the cells of an image with two classes, or name the class of each pixel of one with more.

    Args:
        probabilities: of each class, ``(K, H, W)``.
        threshold: for two classes, the probability of class 1 above which a pixel is a cell.

    Returns:
        ``(H, W)`` int32: for two classes the 4-connected components of cell, numbered from 1, with 0
        as background; for more, the most probable class.
    """
    if len(probabilities) > 2:
        return probabilities.argmax(axis=0).astype(np.int32)
    return cv2.connectedComponents((probabilities[1] > threshold).astype(np.uint8), connectivity=4)[1]
