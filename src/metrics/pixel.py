"""Scores that count pixels: pixel error of the ISBI-2012 challenge and intersection over union."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from src.metrics.rand import THRESHOLDS


def pixel_error(true_positive: Tensor, false_positive: Tensor, false_negative: Tensor) -> Tensor:
    """1 − F-score of foreground pixels, as the ISBI-2012 challenge counts it; 0 where there are none."""
    missed = false_positive + false_negative
    total = 2 * true_positive + missed
    return torch.where(total > 0, missed / total.clamp(min=1), torch.zeros_like(total, dtype=torch.float64))


def intersection_over_union(confusion: Tensor) -> Tensor:
    """IoU of each class from a confusion matrix ``(K, K)`` (rows truth); nan for a class in neither."""
    intersection = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - intersection
    return intersection / union


class PixelError(Metric):
    """`pixel_error`, pooled over slices, at the best of the ten thresholds of the official scorer."""

    higher_is_better = False
    full_state_update = False

    def __init__(self):
        super().__init__()
        for name in ("true_positive", "false_positive", "false_negative"):
            self.add_state(name, torch.zeros(len(THRESHOLDS), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add slices: probabilities ``(N, K, H, W)``, target ``(N, H, W)``; foreground is not class 0."""
        cell, truth = 1 - probabilities[:, 0].float(), target > 0
        for index, threshold in enumerate(THRESHOLDS):
            proposal = cell > threshold
            self.true_positive[index] += (proposal & truth).sum()
            self.false_positive[index] += (proposal & ~truth).sum()
            self.false_negative[index] += (~proposal & truth).sum()

    def compute(self) -> Tensor:
        """The lowest error, a scalar."""
        return pixel_error(self.true_positive, self.false_positive, self.false_negative).min().float()


class ForegroundIoU(Metric):
    """IoU of the most probable class, pooled over slices, mean of the classes but class 0."""

    higher_is_better = True
    full_state_update = False

    def __init__(self):
        super().__init__()
        self.add_state("confusions", [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add slices: probabilities ``(N, K, H, W)``, target ``(N, H, W)``."""
        classes = probabilities.shape[1]
        pairs = target.flatten() * classes + probabilities.argmax(dim=1).flatten()
        self.confusions.append(torch.bincount(pairs, minlength=classes**2).reshape(1, classes, classes))

    def compute(self) -> Tensor:
        """A scalar; nan where no foreground class occurs in truth or prediction."""
        return intersection_over_union(dim_zero_cat(self.confusions).sum(dim=0))[1:].nanmean()
