"""How sure one may be of a single predicted cell: how many cells like it matched a true one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from src.metrics.calibration import Calibration, fitted, tally
from src.metrics.instance import overlap


@dataclass(frozen=True)
class Cells:
    """The predicted cells of an image, ``(N,)`` each.

    Attributes:
        numbers: in the label image.
        pixels: of each cell.
        inside: the mean probability of cell in it.
        matched: whether it shares more than half of its union with a true cell.
    """

    numbers: np.ndarray
    pixels: np.ndarray
    inside: np.ndarray
    matched: np.ndarray


def cells_of(labels: np.ndarray, probability: np.ndarray, instances: np.ndarray, known: np.ndarray) -> Cells:
    """Compare the predicted cells of an image with the true ones.

    Args:
        labels: predicted cell of each pixel, ``(H, W)``, 0 = background.
        probability: of cell, ``(H, W)``.
        instances: true cell of each pixel, ``(H, W)``.
        known: where the truth is known, ``(H, W)``; what lies elsewhere is left out.
    """
    labels, instances = labels * known, instances * known
    numbers, pixels = np.unique(labels[labels > 0], return_counts=True)
    found = overlap(labels, instances)
    matched = np.zeros(len(numbers), bool)
    matched[found.predicted[found.iou > 0.5]] = True
    inside = ndimage.mean(probability, labels, numbers) if len(numbers) else np.zeros(0)
    return Cells(numbers, pixels, np.asarray(inside), matched)


def confidences(folds: Sequence[Sequence[Cells]]) -> tuple[list[list[np.ndarray]], Calibration]:
    """Tell of each cell how probably it matches a true one, by the mean probability of its pixels.

    Args:
        folds: of each fold the cells of its images.

    Returns:
        Of each image of each fold the confidence of its cells, told by those of the other folds; and what tells it by
        those of all.
    """
    tallies = [sum(tally(cells.inside, cells.matched) for cells in images) for images in folds]
    total = sum(tallies)
    each = [
        [fitted(total - own).of_cell(cells.inside) for cells in images]
        for own, images in zip(tallies, folds, strict=True)
    ]
    return each, fitted(total)


def held(confidence: np.ndarray, matched: np.ndarray) -> list[dict[str, float]]:
    """Tell of cells that were said to be about as sure, by tenths, how many there are and which share matched.

    Args:
        confidence: of cells.
        matched: whether each matched.
    """
    tenths = np.round(confidence * 10).astype(int)
    return [
        {"said": tenth / 10, "cells": int((tenths == tenth).sum()), "matched": float(matched[tenths == tenth].mean())}
        for tenth in np.unique(tenths)[::-1].tolist()
    ]
