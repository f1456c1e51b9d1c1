"""Features of a prediction that indicate the quality of the prediction without annotation."""

import math

import numpy as np

FEATURES = ("dice", "confidence", "spread", "contours", "entropy", "foreground", "area")
SMALLEST = 1e-12  # probability in logarithms


def features(probability: np.ndarray, labels: np.ndarray) -> dict[str, float] | None:
    """Compute features that indicate how good a predicted segmentation is; None if it has no foreground.

    The features, by name, are:
    ``dice``: expected Dice coefficient of the foreground, if the probabilities are calibrated.
    ``confidence``: mean, over cells, of the mean probability of cell within each cell.
    ``spread``: standard deviation, over cells, of the mean probability of cell within each cell.
    ``contours``: mean entropy of the pixels on contours of cells, in nats.
    ``entropy``: sum of the entropy of all pixels, divided by the number of foreground pixels.
    ``foreground``: fraction of pixels that are foreground.
    ``area``: natural logarithm of the mean area of cells in pixels.

    Args:
        probability: calibrated probability of cell, ``(H, W)``.
        labels: predicted cell of each pixel, ``(H, W)`` integers, 0 = background. For semantic classes, pass a mask of
            the foreground, which counts as one cell.
    """
    cells = labels > 0
    if not cells.any():
        return None
    probability = probability.astype(np.float64)
    other = 1 - probability
    entropy = -probability * np.log(np.maximum(probability, SMALLEST)) - other * np.log(np.maximum(other, SMALLEST))
    contour = np.zeros(labels.shape, bool)
    contour[:-1] |= labels[:-1] != labels[1:]
    contour[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    numbers, inside = labels[cells], probability[cells]
    areas = np.bincount(numbers)
    there = areas > 0
    means = np.bincount(numbers, inside)[there] / areas[there]
    found = (
        2 * inside.sum() / (cells.sum() + probability.sum()),
        means.mean(),
        means.std(),
        entropy[contour].mean() if contour.any() else 0,
        entropy.sum() / cells.sum(),
        cells.mean(),
        math.log(areas[there].mean()),
    )
    return dict(zip(FEATURES, map(float, found), strict=True))
