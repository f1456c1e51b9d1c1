"""Scores of images that several processes have judged: an `Evaluator` whose sums are added up over all of them."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from src.metrics.evaluator import Evaluator, Prediction


class Pooled(Metric):
    """The torchmetrics side of an `Evaluator`: it holds the sums where processes can add them up.

    Args:
        evaluator: says what is counted, and what follows from it.

    Attributes:
        row: scores of the image that was added last.
        sweep: what `Evaluator.over_thresholds` gives of the images of all processes, known when `compute` was called.
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
        """Add an image, as `Evaluator.counts` takes it."""
        counted = self.evaluator.counts(prediction, target, instances, known)
        for name, count in counted.items():
            state: Tensor = getattr(self, f"sum_{name}")
            setattr(self, f"sum_{name}", state + torch.from_numpy(count).to(state))
        self.row = self.evaluator.of_image(counted)

    def compute(self) -> tuple[dict[str, float], float | None]:
        """The scores of the images of all processes together, and the threshold that they choose."""
        sums = {name: getattr(self, f"sum_{name}").cpu().numpy() for name in self.names}
        self.sweep = self.evaluator.over_thresholds(sums) if self.evaluator.monitor else {}
        return self.evaluator.compute(sums), self.evaluator.chosen_threshold(sums)
