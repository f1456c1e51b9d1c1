"""What a prediction tells of its quality without the truth, from probabilities and labels that are there anyway."""

import math

import numpy as np

FEATURES = ("dice", "confidence", "spread", "contours", "entropy", "foreground", "area")
SMALLEST = 1e-12  # probability of which a logarithm is taken


def features(probability: np.ndarray, labels: np.ndarray) -> dict[str, float] | None:
    """The features of an image by their names in `FEATURES`; None of one without foreground.

    ``dice``: the expected Dice coefficient of the foreground, if probabilities mean what they say.
    ``confidence``: the mean over cells of the mean probability of their pixels; ``spread``: its standard deviation.
    ``contours``: the mean entropy of the pixels at which one cell or background becomes another, in nats.
    ``entropy``: that of all pixels, added up, for each foreground pixel.
    ``foreground``: its share of the image.
    ``area``: the logarithm of the mean area of cells in pixels.

    Args:
        probability: of cell, calibrated, ``(H, W)``.
        labels: cell of each pixel, ``(H, W)`` integers, 0 = background; of classes a mask, which is one cell.
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
