"""Scores of instance segmentation: AP, F1, PQ, SEG and DET, and numbers of split, merged, missed and extra cells.

AP and F1 count cells as the 2018 Data Science Bowl does. PQ: Kirillov et al. 2019 (CVPR). SEG and DET: Cell Tracking
Challenge, Maška et al. 2014 (Bioinformatics 30:1609), Ulman et al. 2017 (Nature Methods 14:1141).

At each of the ten IoU thresholds, a true cell is found if its IoU with a predicted cell is larger than the threshold.
An IoU of exactly 0.5 does not count, so that no cell has two partners. PQ and the Data Science Bowl use the same rule,
and so does the Cell Tracking Challenge, with the covered fraction of the true cell in place of IoU. StarDist, Cellpose
and COCO also count a cell whose IoU equals the threshold. Of 26 724 real cells whose labels were eroded, dilated or
shifted by 1 to 3 pixels, the two rules differ in at most 0.6 %. Areas are compared as integers, so that rounding has no
effect.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from src.files.arrays import strips_of, value_counts

IOU_PERCENTS = tuple(range(50, 100, 5))  # IoU thresholds in percent
# Costs of the Cell Tracking Challenge: to split a cell, add a missed one, remove an extra one.
SPLIT_COST, ADD_COST, REMOVE_COST = 5, 10, 1
HIGHEST_LISTED = 2**20  # highest number of a cell for which a look-up table is faster than a search
MISTAKES = ("splits", "merges", "missed", "extra")


@dataclass(frozen=True)
class Overlap:
    """All P pairs of a true cell and a predicted cell that overlap.

    Attributes:
        true: index of the true cell of each pair in ``true_area``, ``(P,)``.
        predicted: index of the predicted cell of each pair in ``predicted_area``, ``(P,)``.
        shared: number of pixels that the two cells of each pair share, ``(P,)``.
        true_area: area of each true cell in pixels, in order of the numbers of the cells.
        predicted_area: area of each predicted cell in pixels, in order of the numbers of the cells.
    """

    true: np.ndarray
    predicted: np.ndarray
    shared: np.ndarray
    true_area: np.ndarray
    predicted_area: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """Area in pixels of the union of the two cells of each pair, ``(P,)``."""
        return np.asarray(self.true_area[self.true] + self.predicted_area[self.predicted] - self.shared)

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union (IoU) of each pair, ``(P,)``."""
        return np.asarray(self.shared / self.union)


def overlap(labels: np.ndarray, instances: np.ndarray) -> Overlap:
    """Find all pairs of a predicted cell and a true cell that overlap.

    Args:
        labels: predicted cell of each pixel, ``(H, W)`` integers, 0 = background.
        instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
    """
    true_values, predicted_values = (
        np.union1d(0, value_counts(image)[0])
        for image in (instances, labels)  # the first value is the background
    )
    size = (len(true_values), len(predicted_values))
    table = csr_array(size, dtype=np.int64)
    for true, predicted in zip(strips_of(instances), strips_of(labels), strict=True):
        pairs = _places(true, true_values) * size[1] + _places(predicted, predicted_values)
        pairs, shared = value_counts(pairs)
        table = table + csr_array((shared, np.divmod(pairs, size[1])), shape=size)
    cells = table[1:, 1:].tocoo()
    true_area, predicted_area = (np.asarray(table.sum(axis=axis), int)[1:] for axis in (1, 0))
    return Overlap(cells.row, cells.col, cells.data.astype(int), true_area, predicted_area)


def _places(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the index of each pixel's value in ``values``, the sorted distinct values of the image."""
    if values[0] < 0 or values[-1] > HIGHEST_LISTED:
        return np.asarray(np.searchsorted(values, image))
    places = np.zeros(int(values[-1]) + 1, np.int64)
    places[values.astype(np.int64)] = np.arange(len(values))
    return np.asarray(places[image])


def matches(pairs: Overlap, percent: int) -> tuple[int, float]:
    """Return the number of pairs whose IoU is above ``percent`` percent, and the sum of the IoU of these pairs.

    If ``percent`` is at least 50, each cell is in at most one of these pairs.
    """
    found = 100 * pairs.shared > percent * pairs.union
    return int(found.sum()), float(pairs.iou[found].sum())


def tracking_costs(pairs: Overlap) -> tuple[float, int]:
    """Compute the sums from which the scores SEG and DET of the Cell Tracking Challenge are computed.

    A true cell is detected by the predicted cell that covers more than half of the true cell.

    Returns:
        Sum of the IoU of each detected true cell with the predicted cell; and cost of correcting all detections.
    """
    covered = 2 * pairs.shared > pairs.true_area[pairs.true]
    owners = pairs.predicted[covered]
    used = len(np.unique(owners))
    missed, extra = len(pairs.true_area) - len(owners), len(pairs.predicted_area) - used
    cost = SPLIT_COST * (len(owners) - used) + ADD_COST * missed + REMOVE_COST * extra
    return float(pairs.iou[covered].sum()), cost


def mistakes(pairs: Overlap) -> tuple[int, int, int, int]:
    """Count the mistakes that an annotator would have to correct: splits, merges, missed cells and extra cells.

    A cell is a piece of another cell if more than half of its area lies in the other cell. A true cell with n predicted
    pieces counts as n − 1 splits; a predicted cell with n true pieces counts as n − 1 merges. A cell that neither has a
    piece nor is a piece is missed if it is a true cell, and extra if it is a predicted cell.

    Returns:
        Numbers of splits, merges, missed cells and extra cells.
    """
    of_true, of_predicted = majority_overlaps(pairs)
    related = of_true | of_predicted
    splits = of_true.sum() - len(np.unique(pairs.true[of_true]))
    merges = of_predicted.sum() - len(np.unique(pairs.predicted[of_predicted]))
    missed = len(pairs.true_area) - len(np.unique(pairs.true[related]))
    extra = len(pairs.predicted_area) - len(np.unique(pairs.predicted[related]))
    return int(splits), int(merges), missed, extra


def majority_overlaps(pairs: Overlap) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs in which more than half of one cell lies in the other.

    Returns:
        Two arrays of booleans ``(P,)``: whether more than half of the predicted cell lies in the true cell, and whether
        more than half of the true cell lies in the predicted cell.
    """
    return (2 * pairs.shared > pairs.predicted_area[pairs.predicted], 2 * pairs.shared > pairs.true_area[pairs.true])


class Instances:
    """Metric of instance segmentation: AP, F1, PQ, SEG, DET and mistakes, for the cells of all images together.

    `ap50`, `f1_50` and `pq` are computed at an IoU threshold of 0.5; `ap`, `f1` and `pq_mean` are averages over ten
    thresholds from 0.5 to 0.95. The Data Science Bowl's own score is the mean of `ap` over images.
    """

    takes = ("labels", "instances")
    modes: ClassVar = dict.fromkeys(
        ("ap50", "ap", "f1_50", "f1", "pq", "pq_mean", "seg", "det"), "max"
    ) | dict.fromkeys(MISTAKES, "min")
    best_over_thresholds = False
    nothing: ClassVar = {
        "found": np.zeros(len(IOU_PERCENTS), np.int64),
        "found_iou": np.zeros(len(IOU_PERCENTS), np.float32),
        "cells": np.zeros(2, np.int64),
        "covered_iou": np.zeros(1, np.float32),
        "cost": np.zeros(1, np.int64),
        "mistakes": np.zeros(len(MISTAKES), np.int64),
    }

    def count(self, labels: np.ndarray, instances: np.ndarray) -> dict[str, np.ndarray]:
        """Count cells, matches and mistakes in an image.

        Args:
            labels: predicted cell of each pixel, ``(H, W)`` integers, 0 = background.
            instances: true cell of each pixel, ``(H, W)`` integers, 0 = background.
        """
        pairs = overlap(labels, instances)
        found, found_iou = zip(*(matches(pairs, percent) for percent in IOU_PERCENTS), strict=True)
        covered_iou, cost = tracking_costs(pairs)
        counts = {
            "found": found,
            "found_iou": found_iou,
            "cells": (len(pairs.true_area), len(pairs.predicted_area)),
            "covered_iou": [covered_iou],
            "cost": [cost],
            "mistakes": mistakes(pairs),
        }
        return {name: np.array(count) for name, count in counts.items()}

    def scores(
        self,
        found: np.ndarray,
        found_iou: np.ndarray,
        cells: np.ndarray,
        covered_iou: np.ndarray,
        cost: np.ndarray,
        mistakes: np.ndarray,
    ) -> dict[str, float]:
        """Compute the scores, by name, from the counts of `count` summed over images; NaN where there are no cells.

        Args:
            found: number of found cells at each IoU threshold.
            found_iou: sum of the IoU of the found cells at each IoU threshold.
            cells: numbers of true and predicted cells.
            covered_iou: sum of the IoU of detected cells, from `tracking_costs`.
            cost: cost of correcting all detections, from `tracking_costs`.
            mistakes: numbers of splits, merges, missed cells and extra cells.
        """
        true, predicted = cells
        nothing_found = ADD_COST * true
        with np.errstate(invalid="ignore", divide="ignore"):
            ap = found / (true + predicted - found)
            f1 = 2 * found / (true + predicted)
            pq = 2 * found_iou / (true + predicted)
            seg = covered_iou[0] / true
            det = 1 - np.minimum(cost[0], nothing_found) / nothing_found
        scores = {
            **{"ap50": ap[0], "ap": ap.mean(), "f1_50": f1[0], "f1": f1.mean(), "pq": pq[0], "pq_mean": pq.mean()},
            **{"seg": seg, "det": det},
        }
        return scores | dict(zip(MISTAKES, mistakes, strict=True))
