"""A learning-rate schedule that need not know how long training will take."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Plateau(LRScheduler):
    """Warm up, stay constant while validation rises, then cool down to 0 over a fixed share of all steps.

    The cool-down begins when the monitored score has not risen for so many validations, or so late that it ends with
    ``max_steps``. After Hägele et al. (2024, arXiv 2405.18392), who show that this is as good as a cosine of the right
    length. The paper's own schedule is constant. All is counted in steps and kept in ``state_dict``, so that an
    interrupted run goes on with the same rates.

    Args:
        optimizer: whose learning rates are multiplied.
        max_steps: the latest end.
        every: steps from one validation to the next; a cool-down ends with a validation.
        warm_up: steps in which the rate rises from 0.
        patience: validations without a better score after which the cool-down begins.
        cool_down: its share of all steps.

    Attributes:
        end: the last step: ``max_steps``, or an earlier one where the score had stopped rising.

    Raises:
        ValueError: a number is out of its range.
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
        """Take notice of a validation after the present step.

        Args:
            rank: how good it was, more being better.
        """
        step = self.last_epoch  # PyTorch's name for the steps so far
        self.best, self.waited = (rank, 0) if rank > self.best else (self.best, self.waited + 1)
        if self.waited < self.patience or step >= self.cooling_from:
            return
        validations = math.ceil(step * self.cool_down / (1 - self.cool_down) / self.every)
        self.end, self.cooling_from = min(self.end, step + validations * self.every), step

    def get_lr(self) -> list[float]:
        """The learning rate of each group of parameters at the present step."""
        step = self.last_epoch
        warm = min(1.0, (step + 1) / (self.warm_up + 1))
        cold = min(1.0, max(0.0, (self.end - step) / max(1, self.end - self.cooling_from)))
        return [rate * warm * cold for rate in self.base_lrs]
