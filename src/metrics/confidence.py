"""Confidence of predicted cells: the calibrated probability that a cell matches a true one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from src.metrics.calibration import BINS, Calibration, fitted, tally
from src.metrics.instance import overlap


@dataclass(frozen=True)
class Cells:
    """The predicted cells of an image; each array is ``(N,)``.

    Attributes:
        numbers: numbers in the label image.
        pixels: areas in pixels.
        inside: mean probability of cell inside each cell.
        matched: whether the IoU with a true cell is above 0.5.
    """

    numbers: np.ndarray
    pixels: np.ndarray
    inside: np.ndarray
    matched: np.ndarray


def cells_of(labels: np.ndarray, probability: np.ndarray, instances: np.ndarray, known: np.ndarray) -> Cells:
    """Match the predicted cells of an image to the true ones.

    Args:
        labels: predicted cell of each pixel, ``(H, W)``, 0 = background.
        probability: predicted probability of cell, ``(H, W)``.
        instances: true cell of each pixel, ``(H, W)``.
        known: where the image is annotated, ``(H, W)`` booleans; the rest is ignored.
    """
    labels, instances = labels * known, instances * known
    numbers, pixels = np.unique(labels[labels > 0], return_counts=True)
    found = overlap(labels, instances)
    matched = np.zeros(len(numbers), bool)
    matched[found.predicted[found.iou > 0.5]] = True
    inside = ndimage.mean(probability, labels, numbers) if len(numbers) else np.zeros(0)
    return Cells(numbers, pixels, np.asarray(inside), matched)


def confidences(folds: Sequence[Sequence[Cells]]) -> tuple[list[list[np.ndarray]], Calibration]:
    """Calibrate the mean probability inside cells to the probability of matching a true cell.

    Args:
        folds: cells of each image of each fold.

    Returns:
        Confidences of the cells of each image of each fold, calibrated on the other folds; and the calibration on all
        folds.
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
    """For each tenth of confidence, the number of cells and the fraction that match a true cell.

    Args:
        confidence: confidence of each cell, ``(N,)``.
        matched: whether each cell matches a true one, ``(N,)``.
    """
    tenths = np.round(confidence * 10).astype(int)
    return [
        {"said": tenth / 10, "cells": int((tenths == tenth).sum()), "matched": float(matched[tenths == tenth].mean())}
        for tenth in np.unique(tenths)[::-1].tolist()
    ]
