"""Scores of instance segmentation: AP, F1, PQ; SEG and DET; numbers of split, merged, missed and extra cells.

AP and F1 count cells as the 2018 Data Science Bowl; PQ: Kirillov et al. 2019 (CVPR); SEG and DET: Cell Tracking
Challenge, Maška et al. 2014 (Bioinformatics 30:1609), Ulman et al. 2017 (Nature Methods 14:1141).

A cell is found if its IoU with a predicted cell is larger than the threshold, for each of the ten thresholds: an IoU of
exactly 0.5 does not count, so that no cell has two partners. PQ and the Data Science Bowl do the same, and so does the
Cell Tracking Challenge, with the covered fraction of the true cell in place of IoU. StarDist, Cellpose and COCO count
equality as found. Of 26 724 real cells whose labels were eroded, dilated or shifted by 1 to 3 pixels, at most 0.6 %
differ. Areas are compared as integers, so that rounding has no effect.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from src.files.arrays import strips_of, value_counts

IOU_PERCENTS = tuple(range(50, 100, 5))  # thresholds of IoU
# Costs of the Cell Tracking Challenge: to split a cell, add a missed one, remove an extra one.
SPLIT_COST, ADD_COST, REMOVE_COST = 5, 10, 1
HIGHEST_LISTED = 2**20  # highest number of a cell for which a look-up table is faster than a search
MISTAKES = ("splits", "merges", "missed", "extra")


@dataclass(frozen=True)
class Overlap:
    """Overlapping pairs of a true and a predicted cell.

    Attributes:
        true: index of the true cell of each pair, ``(P,)``.
        predicted: index of the predicted cell of each pair, ``(P,)``.
        shared: pixels that both share, ``(P,)``.
        true_area: area of each true cell in pixels.
        predicted_area: area of each predicted cell in pixels.
    """

    true: np.ndarray
    predicted: np.ndarray
    shared: np.ndarray
    true_area: np.ndarray
    predicted_area: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """Area of the union of each pair in pixels, ``(P,)``."""
        return np.asarray(self.true_area[self.true] + self.predicted_area[self.predicted] - self.shared)

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, ``(P,)``."""
        return np.asarray(self.shared / self.union)


def overlap(labels: np.ndarray, instances: np.ndarray) -> Overlap:
    """Find the overlapping pairs of predicted and true cells, both ``(H, W)`` integers, 0 = background."""
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
    """The index of each pixel's value in the sorted ``values`` of the image."""
    if values[0] < 0 or values[-1] > HIGHEST_LISTED:
        return np.asarray(np.searchsorted(values, image))
    places = np.zeros(int(values[-1]) + 1, np.int64)
    places[values.astype(np.int64)] = np.arange(len(values))
    return np.asarray(places[image])


def matches(pairs: Overlap, percent: int) -> tuple[int, float]:
    """The number of cells with an IoU above ``percent`` (50 or more), and the sum of their IoU."""
    found = 100 * pairs.shared > percent * pairs.union
    return int(found.sum()), float(pairs.iou[found].sum())


def tracking_costs(pairs: Overlap) -> tuple[float, int]:
    """Counts for SEG and DET of the Cell Tracking Challenge: summed IoU of true cells, cost of correcting detections.

    A true cell is detected by the predicted cell that covers more than half of it.
    """
    covered = 2 * pairs.shared > pairs.true_area[pairs.true]
    owners = pairs.predicted[covered]
    used = len(np.unique(owners))
    missed, extra = len(pairs.true_area) - len(owners), len(pairs.predicted_area) - used
    cost = SPLIT_COST * (len(owners) - used) + ADD_COST * missed + REMOVE_COST * extra
    return float(pairs.iou[covered].sum()), cost


def mistakes(pairs: Overlap) -> tuple[int, int, int, int]:
    """What an annotator would have to correct: the numbers of split, merged, missed and extra cells.

    A cell is a piece of the other cell of a pair if more than half of it lies in that cell. A true cell
    with n predicted pieces is split n − 1 times, a predicted cell with n true pieces is merged n − 1
    times. A true cell is missed, and a predicted one extra, if it neither has a piece nor is one.
    """
    of_true, of_predicted = majority_overlaps(pairs)
    related = of_true | of_predicted
    splits = of_true.sum() - len(np.unique(pairs.true[of_true]))
    merges = of_predicted.sum() - len(np.unique(pairs.predicted[of_predicted]))
    missed = len(pairs.true_area) - len(np.unique(pairs.true[related]))
    extra = len(pairs.predicted_area) - len(np.unique(pairs.predicted[related]))
    return int(splits), int(merges), missed, extra


def majority_overlaps(pairs: Overlap) -> tuple[np.ndarray, np.ndarray]:
    """Whether more than half of the predicted cell of each pair is in the true one, and vice versa, ``(P,)`` each."""
    return (2 * pairs.shared > pairs.predicted_area[pairs.predicted], 2 * pairs.shared > pairs.true_area[pairs.true])


class Instances:
    """AP, F1 and PQ at IoU 0.5 and averaged over 0.5:0.95, SEG, DET and mistakes; cells are pooled over images.

    `ap50`, `f1_50` and `pq` are at IoU 0.5; `ap`, `f1` and `pq_mean` are averages over ten thresholds. The
    Data Science Bowl's own score is the mean of `ap` over images.
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
        """Counts of an image: ``labels`` are the predicted and ``instances`` the true cells, integers ``(H, W)``."""
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
        """Scores from summed counts; nan where there is no cell to find or score."""
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
