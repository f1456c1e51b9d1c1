"""A learning-rate schedule that does not need to know in advance how long training will last."""

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override


class Plateau(LRScheduler):
    """A learning-rate schedule that follows the validation score: warm-up, constant rate, then linear cool-down to 0.

    The rate is constant until the monitored score has not improved for ``patience`` validations, or until just enough
    steps are left for the cool-down to end at ``max_steps``. The schedule follows Hägele et al. (2024, arXiv
    2405.18392), who show that it is as good as a cosine schedule of the right length. In the U-Net paper the rate is
    constant. All lengths are counted in steps, and ``state_dict`` holds the state, so that an interrupted run resumes
    with the same learning rates.

    Args:
        optimizer: the optimiser whose learning rates are scaled.
        max_steps: the latest possible last step.
        every: number of steps from one validation to the next; the cool-down ends with a validation.
        warm_up: number of steps over which the rate rises from nearly 0 to its full value.
        patience: number of successive validations without a better score after which the cool-down begins.
        cool_down: the fraction of all steps that the cool-down takes.

    Attributes:
        end: the last training step: ``max_steps``, or an earlier step if the score stopped improving.
        cooling_from: the step at which the cool-down begins.

    Raises:
        ValueError: an argument is outside its valid range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_steps: int,
        every: int,
        warm_up: int = 100,
        patience: int = 5,
        cool_down: float = 0.2,
    ) -> None:
        for name, value, least in (("warm_up", warm_up, 0), ("patience", patience, 1)):
            if value < least:
                raise ValueError(f"expected scheduler.{name} ≥ {least}, but got {value}; nearest valid: {least}")
        if not 0 < cool_down < 1:
            raise ValueError(f"expected scheduler.cool_down between 0 and 1, but got {cool_down}; nearest valid: 0.2")
        self.every, self.warm_up, self.patience, self.cool_down = every, warm_up, patience, cool_down
        self.end, self.cooling_from = max_steps, max_steps - math.ceil(cool_down * max_steps)
        self.best, self.waited = -math.inf, 0
        super().__init__(optimizer)

    def validated(self, rank: float) -> None:
        """Record the validation score of the current step, and start the cool-down if the score has stopped improving.

        Args:
            rank: the validation score, negated if lower scores are better (`metrics.goodness`).
        """
        step = self.last_epoch  # what PyTorch calls the number of steps so far
        self.best, self.waited = (rank, 0) if rank > self.best else (self.best, self.waited + 1)
        if self.waited < self.patience or step >= self.cooling_from:
            return
        validations = math.ceil(step * self.cool_down / (1 - self.cool_down) / self.every)
        self.end, self.cooling_from = min(self.end, step + validations * self.every), step

    @override
    def get_lr(self) -> list[float | Tensor]:
        step = self.last_epoch
        warm = min(1.0, (step + 1) / (self.warm_up + 1))
        cold = min(1.0, max(0.0, (self.end - step) / max(1, self.end - self.cooling_from)))
        return [rate * warm * cold for rate in self.base_lrs]
