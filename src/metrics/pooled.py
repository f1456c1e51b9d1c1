"""An `Evaluator` whose counts are summed over the processes of a run."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from src.metrics.evaluator import Evaluator, Prediction


class Pooled(Metric):
    """A torchmetrics `Metric` around an `Evaluator`: its state is reduced over ranks.

    Args:
        evaluator: counts and computes the scores.

    Attributes:
        row: scores of the image that was added last.
        sweep: `Evaluator.over_thresholds` for the images of all processes; available after `compute`.
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
        """Add an image, with the arguments of `Evaluator.counts`."""
        counted = self.evaluator.counts(prediction, target, instances, known)
        for name, count in counted.items():
            state: Tensor = getattr(self, f"sum_{name}")
            setattr(self, f"sum_{name}", state + torch.from_numpy(count).to(state))
        self.row = self.evaluator.of_image(counted)

    def compute(self) -> tuple[dict[str, float], float | None]:
        """The scores of the images of all processes together, and the threshold chosen on them."""
        sums = {name: getattr(self, f"sum_{name}").cpu().numpy() for name in self.names}
        self.sweep = self.evaluator.over_thresholds(sums)
        return self.evaluator.compute(sums), self.evaluator.chosen_threshold(sums)
