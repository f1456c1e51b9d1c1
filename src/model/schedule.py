"""A learning-rate schedule that need not know the length of training in advance."""

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override


class Plateau(LRScheduler):
    """Warm up, stay constant while the validation score rises, then cool down to 0 over a fixed share of all steps.

    The cool-down begins when the monitored score has not risen for ``patience`` validations, or just in time to end
    at ``max_steps``. It follows Hägele et al. (2024, arXiv 2405.18392), who show that this is as good as a cosine of
    the right length. The paper's own schedule is constant. All lengths are counted in steps and the state is kept in
    ``state_dict``, so that an interrupted run resumes with the same learning rates.

    Args:
        optimizer: the optimiser whose learning rates are scaled.
        max_steps: the latest possible last step.
        every: steps from one validation to the next; a cool-down ends with a validation.
        warm_up: number of steps over which the rate rises from 0.
        patience: number of validations without a better score after which the cool-down begins.
        cool_down: the share of all steps that the cool-down takes.

    Attributes:
        end: the last step: ``max_steps``, or an earlier one if the score stopped rising.
        cooling_from: the step at which the cool-down begins.

    Raises:
        ValueError: an argument is out of its range.
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
        """Record the validation after the current step, which may start the cool-down.

        Args:
            rank: the score, with its sign changed if lower scores are better.
        """
        step = self.last_epoch  # PyTorch's name for the number of steps so far
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
