"""Scores of cells, each one found or not: AP, F1, PQ; SEG and DET; splits, merges, missed, extra.

AP and F1 as the 2018 Data Science Bowl counts cells, PQ: Kirillov et al. 2019 (CVPR); SEG and DET: Cell Tracking
Challenge, Maška et al. 2014 (Bioinformatics 30:1609), Ulman et al. 2017 (Nature Methods 14:1141).

A cell is found where its IoU with a predicted one is larger than the threshold, at each of the ten: an IoU of exactly
0.5 is none. Then no cell has two partners. So do PQ, the Data Science Bowl and, with the share of the true cell in
place of IoU, the Cell Tracking Challenge. StarDist, Cellpose and COCO count equality as found. Of 26 724 real cells
whose labels were eroded, widened or moved by 1 to 3 pixels, at most 0.6 % differ. Pixels are compared as whole
numbers, so that no rounding decides.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from src.files.arrays import strips_of, value_counts

IOU_PERCENTS = tuple(range(50, 100, 5))  # the thresholds of IoU
# Of the Cell Tracking Challenge: what it costs to split a cell, add a missed one, remove an extra one.
SPLIT_COST, ADD_COST, REMOVE_COST = 5, 10, 1
HIGHEST_LISTED = 2**20  # number of a cell up to which a table is faster than a search
MISTAKES = ("splits", "merges", "missed", "extra")


@dataclass(frozen=True)
class Overlap:
    """Pixels that each pair of a true and a predicted cell share.

    Attributes:
        true: number of the true cell of each overlapping pair, ``(P,)``, from 0.
        predicted: number of the predicted cell, ``(P,)``.
        shared: pixels of both, ``(P,)``.
        true_area: pixels of each true cell.
        predicted_area: pixels of each predicted cell.
    """

    true: np.ndarray
    predicted: np.ndarray
    shared: np.ndarray
    true_area: np.ndarray
    predicted_area: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """Pixels of either cell of each pair, ``(P,)``."""
        return self.true_area[self.true] + self.predicted_area[self.predicted] - self.shared

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, ``(P,)``."""
        return self.shared / self.union


def overlap(labels: np.ndarray, instances: np.ndarray) -> Overlap:
    """Compare predicted cells with true ones, both ``(H, W)`` integers, 0 = background."""
    true_values, predicted_values = (
        np.union1d(0, value_counts(image)[0])
        for image in (instances, labels)  # background is the first
    )
    size = (len(true_values), len(predicted_values))
    table = csr_array(size, dtype=np.int64)
    for true, predicted in zip(strips_of(instances), strips_of(labels), strict=True):
        pairs = _places(true, true_values) * size[1] + _places(predicted, predicted_values)
        pairs, shared = value_counts(pairs)
        table += csr_array((shared, np.divmod(pairs, size[1])), shape=size)
    cells = table[1:, 1:].tocoo()
    areas = (np.asarray(table.sum(axis=axis), int)[1:] for axis in (1, 0))
    return Overlap(*cells.coords, cells.data.astype(int), *areas)


def _places(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The place of each pixel's value among the sorted ``values`` of the image."""
    if values[0] < 0 or values[-1] > HIGHEST_LISTED:
        return np.searchsorted(values, image)
    places = np.zeros(int(values[-1]) + 1, np.int64)
    places[values.astype(np.int64)] = np.arange(len(values))
    return places[image]


def matches(pairs: Overlap, percent: int) -> tuple[int, float]:
    """How many cells are found with an IoU of more than so many percent, 50 or more, and their summed IoU."""
    found = 100 * pairs.shared > percent * pairs.union
    return int(found.sum()), float(pairs.iou[found].sum())


def tracking_costs(pairs: Overlap) -> tuple[float, int]:
    """What SEG and DET of the Cell Tracking Challenge add up: IoU of the true cells, cost of mending detection.

    A true cell belongs to the predicted one that covers more than half of it.
    """
    covered = 2 * pairs.shared > pairs.true_area[pairs.true]
    owners = pairs.predicted[covered]
    used = len(np.unique(owners))
    missed, extra = len(pairs.true_area) - len(owners), len(pairs.predicted_area) - used
    cost = SPLIT_COST * (len(owners) - used) + ADD_COST * missed + REMOVE_COST * extra
    return float(pairs.iou[covered].sum()), cost


def mistakes(pairs: Overlap) -> tuple[int, int, int, int]:
    """What an annotator would have to mend: cells split, merged, missed and extra.

    A piece belongs to the cell in which more than half of it lies. A true cell with n predicted
    pieces is split n − 1 times, a predicted cell with n true pieces is merged n − 1 times; a true
    cell is missed, and a predicted one extra, if it neither has a piece nor is one.
    """
    of_true, of_predicted = pieces(pairs)
    related = of_true | of_predicted
    splits = of_true.sum() - len(np.unique(pairs.true[of_true]))
    merges = of_predicted.sum() - len(np.unique(pairs.predicted[of_predicted]))
    missed = len(pairs.true_area) - len(np.unique(pairs.true[related]))
    extra = len(pairs.predicted_area) - len(np.unique(pairs.predicted[related]))
    return int(splits), int(merges), missed, extra


def pieces(pairs: Overlap) -> tuple[np.ndarray, np.ndarray]:
    """Of each pair whether the predicted cell is a piece of the true one, and the true cell of the predicted one."""
    return (2 * pairs.shared > pairs.predicted_area[pairs.predicted], 2 * pairs.shared > pairs.true_area[pairs.true])


class Instances:
    """AP, F1 and PQ at IoU 0.5 and averaged 0.5:0.95, SEG, DET and mistakes, cells pooled over images.

    `ap50`, `f1_50` and `pq` are at 0.5; `ap`, `f1` and `pq_mean` average ten IoU thresholds. The Data
    Science Bowl's own score is the mean of `ap` over images.
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
        """Of an image, predicted and true cell of each pixel, integers ``(H, W)``, 0 = background."""
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

    def scores(self, found, found_iou, cells, covered_iou, cost, mistakes) -> dict[str, float]:
        """Of what was counted; nan where there is no cell to find or score."""
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
