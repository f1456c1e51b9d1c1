"""Confidence of predicted cells: the calibrated probability that a predicted cell matches a true cell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from src.metrics.calibration import BINS, Calibration, fitted, tally
from src.metrics.instance import overlap


@dataclass(frozen=True)
class Cells:
    """Properties of the N predicted cells of an image, as arrays ``(N,)``.

    Attributes:
        numbers: number of each cell in the label image.
        pixels: area of each cell in pixels.
        inside: mean predicted probability of cell over the pixels of each cell.
        matched: whether the IoU of each cell with a true cell is above 0.5.
    """

    numbers: np.ndarray
    pixels: np.ndarray
    inside: np.ndarray
    matched: np.ndarray


def cells_of(labels: np.ndarray, probability: np.ndarray, instances: np.ndarray, known: np.ndarray) -> Cells:
    """Measure the predicted cells of an image and match them to the true cells.

    Args:
        labels: predicted cell of each pixel, ``(H, W)`` integers, 0 = background.
        probability: predicted probability of cell, ``(H, W)``.
        instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
        known: whether each pixel is annotated, ``(H, W)`` booleans; other pixels are ignored.
    """
    labels, instances = labels * known, instances * known
    numbers, pixels = np.unique(labels[labels > 0], return_counts=True)
    found = overlap(labels, instances)
    matched = np.zeros(len(numbers), bool)
    matched[found.predicted[found.iou > 0.5]] = True
    inside = ndimage.mean(probability, labels, numbers) if len(numbers) else np.zeros(0)
    return Cells(numbers, pixels, np.asarray(inside), matched)


def confidences(folds: Sequence[Sequence[Cells]]) -> tuple[list[list[np.ndarray]], Calibration]:
    """Calibrate the mean probability inside each predicted cell to the probability that the cell matches a true cell.

    Args:
        folds: predicted cells of each image, grouped by fold.

    Returns:
        Confidence of each cell of each image, grouped by fold like ``folds`` and calibrated on the other folds; and
        the calibration that is fitted to all folds.
    """
    nothing = np.zeros((2, BINS), np.int64)
    tallies = [sum((tally(cells.inside, cells.matched) for cells in images), nothing) for images in folds]
    total = sum(tallies, nothing)
    each = [
        [fitted(total - own).of_cell(cells.inside) for cells in images]
        for own, images in zip(tallies, folds, strict=True)
    ]
    return each, fitted(total)


def by_tenths(confidence: np.ndarray, matched: np.ndarray) -> list[dict[str, float]]:
    """Compare the confidence of cells, rounded to tenths, with the fraction of cells that match a true cell.

    Args:
        confidence: confidence of each predicted cell, ``(N,)``.
        matched: whether each predicted cell matches a true cell, ``(N,)`` booleans.

    Returns:
        A dictionary for each rounded confidence that occurs, highest first: ``said`` is the rounded confidence,
        ``cells`` the number of cells with this confidence, and ``matched`` the fraction of these that match.
    """
    tenths = np.round(confidence * 10).astype(int)
    return [
        {"said": tenth / 10, "cells": int((tenths == tenth).sum()), "matched": float(matched[tenths == tenth].mean())}
        for tenth in np.unique(tenths)[::-1].tolist()
    ]
