"""Scores of semantic segmentation: IoU, Dice, precision and recall.

A class that is absent from both truth and prediction has no score and is left out of means. For a class that is absent
from only one of them, all scores are 0.
"""

import math
from typing import ClassVar

import numpy as np

from src.files.arrays import strips_of
from src.metrics.goodness import PER_IMAGE

MOST_CLASSES = 32


def class_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Compute IoU, Dice, precision and recall of each class.

    Args:
        confusion: number of pixels of each true class (rows) and predicted class (columns), ``(..., K, K)``.

    Returns:
        Scores ``(..., K)`` of the K classes, by name; NaN for a class that is absent from both truth and prediction.
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
    """Compute the mean of scores ``(K,)`` over all classes except class 0; NaN scores are left out.

    If all these scores are NaN, so is the mean.
    """
    known = scores[1:][~np.isnan(scores[1:])]
    return float(known.mean()) if len(known) else math.nan


class Semantic:
    """Metric with IoU, Dice, precision and recall, computed from pixel counts that are summed over images.

    Of each score NAME, `NAME` is the mean over all classes except class 0, `NAME_class_c` the score of class c, and
    `NAME_per_image` the mean over images of the mean over classes in each image.
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
        """Count the pixels of each true and predicted class in an image, and compute the image's own mean scores.

        Args:
            classes: predicted class of each pixel, ``(H, W)`` integers.
            target: true class of each pixel, ``(H, W)`` integers.
            known: whether each pixel is annotated, ``(H, W)`` booleans; other pixels are ignored.

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
        """Compute the scores, by name, from the counts of `count` summed over images; NaN if there is nothing to score.

        Args:
            confusion: number of pixels of each true class (rows) and predicted class (columns).
            of_images: sums over images of each image's own mean scores.
            images: number of images that have each of these mean scores.
        """
        pooled = class_scores(confusion)
        scores = {name: foreground_mean(values) for name, values in pooled.items()}
        for name, values in pooled.items():
            scores |= {f"{name}_class_{number}": values[number] for number in np.flatnonzero(~np.isnan(values))}
        with np.errstate(invalid="ignore"):  # images with nothing to score
            return scores | {f"{name}{PER_IMAGE}": mean for name, mean in zip(pooled, of_images / images, strict=True)}
