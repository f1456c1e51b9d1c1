"""A schedule that follows validation: it is told how validation went, and training ends where it ends."""

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from src.metrics.goodness import goodness
from src.model.schedule import Plateau


class Schedule(Callback):
    """Tell a schedule that follows validation how it went, and end training where the schedule ends.

    Args:
        monitor: the score by which validations are compared.
        mode: whether ``max`` or ``min`` of it is better.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        self.monitor, self.mode = monitor, mode

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._end(trainer)  # of a run that was interrupted after its last step

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        for schedule in _followed(trainer):
            cooling_from = schedule.cooling_from
            schedule.validated(goodness(module.validation_scores[self.monitor], self.mode))
            if schedule.cooling_from != cooling_from:
                rank_zero_only(print)(
                    f"validation {self.monitor} has not risen for {schedule.patience} validations: "
                    f"the learning rate cools down until step {schedule.end}, which is the last one",
                    flush=True,
                )
        self._end(trainer)

    def _end(self, trainer: lightning.Trainer) -> None:
        if any(trainer.global_step >= schedule.end for schedule in _followed(trainer)):
            trainer.should_stop = True


def _followed(trainer: lightning.Trainer) -> list[Plateau]:
    return [each.scheduler for each in trainer.lr_scheduler_configs if isinstance(each.scheduler, Plateau)]
