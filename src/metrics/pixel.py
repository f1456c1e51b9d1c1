"""The pixel error of the ISBI-2012 challenge."""

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric


def pixel_error(true_positive: int, false_positive: int, false_negative: int) -> float:
    """1 − F-score of cell pixels, as the ISBI-2012 challenge counts it; 0 where there are none."""
    wrong = false_positive + false_negative
    return wrong / (2 * true_positive + wrong) if true_positive + wrong else 0.0


class PixelError(Metric):
    """`pixel_error`, pixels pooled over slices."""

    higher_is_better = False
    full_state_update = False
    modes: ClassVar = {"pixel_error": "min"}
    best_over_thresholds = True

    def __init__(self):
        super().__init__()
        self.add_state("pixels", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, cell: Tensor, target: Tensor, threshold: float) -> None:
        """Add slices: probability of cell and target ``(N, H, W)``; a true cell is not class 0."""
        proposal, truth = cell > threshold, target > 0
        outcomes = (proposal & truth, proposal & ~truth, ~proposal & truth)
        self.pixels += torch.stack([outcome.sum() for outcome in outcomes])

    def compute(self) -> dict[str, Tensor]:
        """A scalar by name."""
        return {"pixel_error": torch.tensor(pixel_error(*self.pixels.tolist()), device=self.device)}
