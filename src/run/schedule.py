"""Control the learning-rate schedule of a run: pass validation scores to it, and adapt it to an extended run."""

from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from src.metrics.goodness import goodness
from src.model.schedule import Plateau
from src.model.segmenter import Segmenter, segmenter


class Schedule(Callback):
    """A callback that passes validation scores to a `Plateau` schedule, and ends training at its last step.

    Args:
        monitor: name of the score that the schedule follows.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        self.monitor, self.mode = monitor, mode

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._end(trainer)  # in case the run was interrupted after its last step

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        for schedule in _followed(trainer):
            cooling_from = schedule.cooling_from
            schedule.validated(goodness(segmenter(module).validation_scores[self.monitor], self.mode))
            if schedule.cooling_from != cooling_from:
                rank_zero_only(print)(
                    f"validation {self.monitor} has not risen for {schedule.patience} validations: "
                    f"the learning rate cools down until step {schedule.end}, which is the last one",
                    flush=True,
                )
        self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        if any(trainer.global_step >= schedule.end for schedule in _followed(trainer)):
            trainer.should_stop = True


def _followed(trainer: Trainer) -> list[Plateau]:
    return [each.scheduler for each in trainer.lr_scheduler_configs if isinstance(each.scheduler, Plateau)]


def reschedule(checkpoint: dict[str, Any], module: Segmenter) -> None:
    """Set the learning-rate schedule in a checkpoint as if the run had been planned with its extension from the start.

    Args:
        checkpoint: the content of the checkpoint from which the run is resumed; it is modified in place.
        module: the module of the extended run.
    """
    optimizer = module.optimizer([torch.nn.Parameter(torch.zeros(1))])
    scheduler = module.scheduler(optimizer)
    for _ in range(checkpoint["global_step"]):
        optimizer.step()
        scheduler.step()
    checkpoint["lr_schedulers"] = [scheduler.state_dict()]
    for group in checkpoint["optimizer_states"][0]["param_groups"]:
        group["lr"] = scheduler.get_last_lr()[0]
