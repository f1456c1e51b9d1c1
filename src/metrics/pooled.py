"""A torchmetrics metric that sums the counts of an `Evaluator` over all processes of a run."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from src.metrics.evaluator import Evaluator, Prediction


class Pooled(Metric):
    """A torchmetrics metric around an `Evaluator`, which sums the counts of images over all processes of a run.

    Args:
        evaluator: counts in each image, and computes scores from summed counts.

    Attributes:
        row: scores, by name, of the image that was added last.
        sweep: monitored score at each threshold for the images of all processes, as `Evaluator.over_thresholds`
            returns it; empty before `compute` is called.
    """

    full_state_update = False

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__()
        self.evaluator = evaluator
        self.names = list(evaluator.nothing())
        self.row: dict[str, float] = {}
        self.sweep: dict[float, float] = {}
        for name, zeros in evaluator.nothing().items():
            self.add_state(f"sum_{name}", torch.from_numpy(zeros), dist_reduce_fx="sum")

    def update(self, prediction: Prediction, target: np.ndarray, instances: np.ndarray, known: np.ndarray) -> None:
        """Add the counts of an image (arguments as in `Evaluator.counts`), and store the image's scores in `row`."""
        counted = self.evaluator.counts(prediction, target, instances, known)
        for name, count in counted.items():
            state: Tensor = getattr(self, f"sum_{name}")
            setattr(self, f"sum_{name}", state + torch.from_numpy(count).to(state))
        self.row = self.evaluator.of_image(counted)

    def compute(self) -> tuple[dict[str, float], float | None]:
        """Return the scores, by name, of the images of all processes together, and the threshold (given or chosen)."""
        sums = {name: getattr(self, f"sum_{name}").cpu().numpy() for name in self.names}
        self.sweep = self.evaluator.over_thresholds(sums)
        return self.evaluator.compute(sums), self.evaluator.chosen_threshold(sums)
