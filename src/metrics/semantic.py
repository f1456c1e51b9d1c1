"""Scores of semantic segmentation: IoU, Dice, precision and recall.

A class that is absent from both truth and prediction has no score and enters no mean; for a class that
is absent from one of them, all scores are 0.
"""

import math
from typing import ClassVar

import numpy as np

from src.files.arrays import strips_of
from src.metrics.goodness import PER_IMAGE

MOST_CLASSES = 32


def class_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """IoU, Dice, precision and recall of each class; nan for a class that is absent from truth and prediction.

    Args:
        confusion: pixels of each true class (rows) and predicted class (columns), ``(..., K, K)``.

    Returns:
        Name → scores ``(..., K)``.
    """
    found = confusion.diagonal(axis1=-2, axis2=-1)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        of = {
            "iou": found / (true + predicted - found),
            "dice": 2 * found / (true + predicted),
            "precision": found / predicted,
            "recall": found / true,
        }
    return {name: np.where(true + predicted > 0, np.nan_to_num(score), np.nan) for name, score in of.items()}


def foreground_mean(scores: np.ndarray) -> float:
    """Mean of ``(K,)`` scores over the classes except class 0 that have one; nan if there is none."""
    known = scores[1:][~np.isnan(scores[1:])]
    return float(known.mean()) if len(known) else math.nan


class Semantic:
    """IoU, Dice, precision and recall, with pixels pooled over images: for each class, and the mean of the foreground.

    `NAME` is the mean over the classes except class 0, `NAME_class_c` the score of one class, and
    `NAME_per_image` the mean over images of each image's own mean.
    """

    takes = ("classes", "target", "known")
    modes: ClassVar = dict.fromkeys(("iou", "dice", "precision", "recall"), "max")
    best_over_thresholds = False
    nothing: ClassVar = {
        "confusion": np.zeros((MOST_CLASSES, MOST_CLASSES), np.int64),
        "of_images": np.zeros(len(modes), np.float32),
        "images": np.zeros(len(modes), np.float32),
    }

    def count(self, classes: np.ndarray, target: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
        """Counts of an image, from the predicted and true class of each pixel ``(H, W)``, where ``known``.

        Raises:
            ValueError: there are more classes than `MOST_CLASSES`, as in a label image of cells.
        """
        highest = int(max(classes.max(), target.max()))
        if highest >= MOST_CLASSES:
            raise ValueError(
                f"expected at most {MOST_CLASSES} classes, but got class {highest}; nearest valid for label images "
                f"of cells: metrics=instances"
            )
        counts = np.zeros(MOST_CLASSES**2, np.int64)
        for predicted, true, annotated in zip(*map(strips_of, (classes, target, known)), strict=True):
            pairs = true[annotated].astype(np.int64) * MOST_CLASSES + predicted[annotated].astype(np.int64)
            counts += np.bincount(pairs, minlength=MOST_CLASSES**2)
        confusion = counts.reshape(MOST_CLASSES, MOST_CLASSES)
        means = np.array([foreground_mean(scores) for scores in class_scores(confusion).values()])
        return {"confusion": confusion, "of_images": np.nan_to_num(means), "images": np.isfinite(means)}

    def scores(self, confusion: np.ndarray, of_images: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Scores from summed counts; nan where there is nothing to score."""
        pooled = class_scores(confusion)
        scores = {name: foreground_mean(values) for name, values in pooled.items()}
        for name, values in pooled.items():
            scores |= {f"{name}_class_{number}": values[number] for number in np.flatnonzero(~np.isnan(values))}
        with np.errstate(invalid="ignore"):  # images with nothing to score
            return scores | {f"{name}{PER_IMAGE}": mean for name, mean in zip(pooled, of_images / images, strict=True)}
