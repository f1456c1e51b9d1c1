"""Scores of cells, each one found or not: AP, F1, PQ; SEG and DET; splits, merges, missed, extra.

AP and F1 as StarDist and the 2018 Data Science Bowl count them; PQ: Kirillov et al. 2019 (CVPR); SEG
and DET: Cell Tracking Challenge, Maška et al. 2014 (Bioinformatics 30:1609), Ulman et al. 2017
(Nature Methods 14:1141).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor
from torchmetrics import Metric

from src.files.arrays import strips_of, value_counts
from src.metrics.thinning import components

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
# Of the Cell Tracking Challenge: what it costs to split a cell, add a missed one, remove an extra one.
SPLIT_COST, ADD_COST, REMOVE_COST = 5, 10, 1


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
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, ``(P,)``."""
        return self.shared / (self.true_area[self.true] + self.predicted_area[self.predicted] - self.shared)


def numbered(cells: np.ndarray) -> np.ndarray:
    """Cells ``(H, W)`` as they are if they are numbered, or of a mask of 0 and 1 its 4-connected components."""
    return cells if cells.max() > 1 else components(cells > 0)


def overlap(labels: np.ndarray, instances: np.ndarray) -> Overlap:
    """Compare predicted cells with true ones, both ``(H, W)`` integers, 0 = background."""
    true_values, predicted_values = (
        np.union1d(0, value_counts(image)[0])
        for image in (instances, labels)  # background is the first
    )
    size = (len(true_values), len(predicted_values))
    table = csr_array(size, dtype=np.int64)
    for true, predicted in zip(strips_of(instances), strips_of(labels), strict=True):
        pairs = (
            np.searchsorted(true_values, true).ravel() * size[1] + np.searchsorted(predicted_values, predicted).ravel()
        )
        pairs, shared = np.unique(pairs, return_counts=True)
        table += csr_array((shared, np.divmod(pairs, size[1])), shape=size)
    cells = table[1:, 1:].tocoo()
    areas = (np.asarray(table.sum(axis=axis), int)[1:] for axis in (1, 0))
    return Overlap(*cells.coords, cells.data.astype(int), *areas)


def matches(pairs: Overlap, threshold: float) -> tuple[int, float]:
    """How many cells are found one to one with at least this IoU (0.5 or more), and their summed IoU."""
    found = pairs.iou >= threshold
    where = (pairs.true[found], pairs.predicted[found])
    graph = csr_array((pairs.iou[found], where), shape=(len(pairs.true_area), len(pairs.predicted_area)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    rows = np.flatnonzero(partner >= 0)
    return len(rows), float(graph[rows, partner[rows]].sum()) if len(rows) else 0.0


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
    return (
        2 * pairs.shared > pairs.predicted_area[pairs.predicted],
        2 * pairs.shared > pairs.true_area[pairs.true],
    )


class Instances(Metric):
    """AP, F1 and PQ at IoU 0.5 and averaged 0.5:0.95, SEG, DET and mistakes, cells pooled over images.

    `ap50`, `f1_50` and `pq` are at 0.5; `ap`, `f1` and `pq_mean` average ten IoU thresholds. The Data
    Science Bowl's own score is the mean of `ap` over images.
    """

    higher_is_better = True
    full_state_update = False
    modes: ClassVar = dict.fromkeys(
        ("ap50", "ap", "f1_50", "f1", "pq", "pq_mean", "seg", "det"), "max"
    ) | dict.fromkeys(("splits", "merges", "missed", "extra"), "min")
    best_over_thresholds = False

    def __init__(self):
        super().__init__()
        self.add_state("found", torch.zeros(len(IOU_THRESHOLDS), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("found_iou", torch.zeros(len(IOU_THRESHOLDS)), dist_reduce_fx="sum")
        self.add_state("cells", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("covered_iou", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("cost", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("mistakes", torch.zeros(4, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, labels: Tensor, instances: Tensor) -> None:
        """Add images: predicted and true cell of each pixel, integers ``(N, H, W)``, 0 = background."""
        for predicted, true in zip(labels.cpu().numpy(), instances.cpu().numpy(), strict=True):
            pairs = overlap(predicted, true)
            found, found_iou = zip(*(matches(pairs, threshold) for threshold in IOU_THRESHOLDS), strict=True)
            covered_iou, cost = tracking_costs(pairs)
            counts = {
                "found": found,
                "found_iou": found_iou,
                "cells": (len(pairs.true_area), len(pairs.predicted_area)),
                "covered_iou": covered_iou,
                "cost": cost,
                "mistakes": mistakes(pairs),
            }
            for name, count in counts.items():
                state = getattr(self, name)
                setattr(self, name, state + torch.tensor(count, dtype=state.dtype, device=state.device))

    def compute(self) -> dict[str, Tensor]:
        """Scalars by name; nan where there is no cell to find or score."""
        true, predicted = self.cells
        ap = self.found / (true + predicted - self.found)
        f1 = 2 * self.found / (true + predicted)
        pq = 2 * self.found_iou / (true + predicted)
        nothing_found = ADD_COST * true
        scores = {
            **{"ap50": ap[0], "ap": ap.mean(), "f1_50": f1[0], "f1": f1.mean(), "pq": pq[0], "pq_mean": pq.mean()},
            "seg": self.covered_iou / true,
            "det": 1 - self.cost.clamp(max=nothing_found) / nothing_found,
        }
        return scores | dict(zip(("splits", "merges", "missed", "extra"), self.mistakes, strict=True))
