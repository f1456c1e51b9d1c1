"""Show the progress of a run: as a progress bar on a terminal, or else as one line per minute."""

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from typing_extensions import override

from src.model.segmenter import data_of, segmenter
from src.model.trained import MEMORY_FORMAT
from src.run.device import describe
from src.run.lightning_seam import counts_steps
from src.saying import columns, duration, each_minute, say

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import STEP_OUTPUT

GROUPS = {"train": "training", "validation": "validation", "held_out": "held-out"}  # printed names of the groups
MOST_SCORES = 3  # largest number of scores in a line; metrics.csv has all scores


class ProgressBar(RichProgressBar):
    """Lightning's progress bar with other columns, shown only on a terminal.

    The columns are the step, the elapsed and remaining time, the speed in tiles/s over all ranks, and the loss.
    """

    def __init__(self) -> None:
        super().__init__()
        if not sys.stdout.isatty():
            self.disable()

    @override
    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        return [Stage(), *columns, Speed(trainer)]

    @property
    @override
    def total_train_batches(self) -> int:
        """The number of batches of the whole run, whereas Lightning counts only the remaining batches."""
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        if self.is_enabled:  # because Lightning does not call it when it resumes an epoch
            self.on_train_epoch_start(trainer, module)
            done = trainer.global_step * trainer.accumulate_grad_batches
            if self.progress is not None and self.train_progress_bar_id is not None:
                self.progress.reset(self.train_progress_bar_id, completed=done)

    @override
    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict[str, int | str | float | dict[str, float]]:
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)  # the version number of the logger, which is meaningless here
        return metrics


class Stage(ProgressColumn):
    """A column of the progress bar with its unit: steps in training, images otherwise."""

    @override
    def render(self, task: Task) -> Text:
        return Text("step " if counts_steps(task) else "image")


class Speed(ProgressColumn):
    """A column of the progress bar with the speed: tiles/s in training, images/s otherwise."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trainer = trainer

    @override
    def render(self, task: Task) -> Text:
        if counts_steps(task):
            return Text(f"{(task.speed or 0) * data_of(self.trainer).batch_size:.2f} tiles/s")
        return Text(f"{task.speed or 0:.2f} images/s")


class Narrator(Callback):
    """A callback that prints lines when training starts, after validations and, without a progress bar, every minute.

    Args:
        monitor: name of the score that is printed first.
    """

    measured = (3, 8)  # the steps after the start between which the speed is measured; the first ones are warm-up

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.each_minute, self.doing, self.latest = ExitStack(), "", ""
        self.started: float | None = None

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.started, self.first_step = time.monotonic(), trainer.global_step
        self.doing = "compiling, which takes a minute or two" if segmenter(module).compiled else "the first step"
        for line in beginning(trainer, module):
            say(line)
        if not sys.stdout.isatty():
            self.each_minute.enter_context(each_minute(lambda: self.line(trainer)))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: "STEP_OUTPUT", batch: object, batch_idx: int
    ) -> None:
        if self.started is None or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.doing = ""
        first, last = (self.first_step + step for step in self.measured)
        if trainer.global_step == first:
            self.warm = time.monotonic()
        if trainer.global_step == last:
            data = data_of(trainer)
            tiles = (last - first) * data.batch_size / trainer.world_size / (time.monotonic() - self.warm)
            made = data.tiles_per_second()
            if made < 1.5 * tiles:
                say(
                    f"the data loader hardly keeps up: it prepares {made:.1f} tiles/s, and training uses {tiles:.1f}; "
                    f"more data.workers may help"
                )

    @override
    def on_validation_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: object, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.doing = f"validation, image {batch_idx + 1} of {sum(trainer.num_val_batches)}"

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.started is None:
            return
        self.doing, found = "", trainer.callback_metrics
        scores = {name: found[f"validation/{name}"] for name in segmenter(module).validation_scores}
        self.latest = f"{self.monitor} {scores[self.monitor]:.4f} at step {trainer.global_step}"
        loss = [f"loss {found['train/loss']:.3f}"] if "train/loss" in found else []
        judged = [f"{name} {scores[name]:.4f}" for name in sorted(scores, key=lambda name: name != self.monitor)]
        for count in range(MOST_SCORES, 0, -1):
            line = " · ".join([self.place(trainer), *loss, *judged[:count], *self.pace(trainer)])
            if len(line) <= columns():
                break
        say(line)

    @override
    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.each_minute.close()

    @override
    def on_exception(self, trainer: Trainer, module: LightningModule, error: BaseException) -> None:
        self.each_minute.close()

    def line(self, trainer: Trainer) -> str:
        """Return a line that describes the progress of training."""
        parts = [self.place(trainer), self.doing, self.latest, *self.pace(trainer)]
        return " · ".join(part for part in parts if part)

    @staticmethod
    def place(trainer: Trainer) -> str:
        """Return the current step and the total number of steps, as text."""
        return f"step {trainer.global_step}/{trainer.max_steps}"

    def pace(self, trainer: Trainer) -> list[str]:
        """Return the speed in tiles/s, validations included, and the remaining time; an empty list before the start."""
        if self.started is None:
            return []
        elapsed, done = time.monotonic() - self.started, trainer.global_step - self.first_step
        if not done:
            return [f"{duration(elapsed)} so far"]
        left = (trainer.max_steps - trainer.global_step) * elapsed / done
        return [f"{done * data_of(trainer).batch_size / elapsed:.2f} tiles/s", f"{duration(left)} left"]


def beginning(trainer: Trainer, module: LightningModule) -> list[str]:
    """Return lines that describe the device, the tiles, the images and the steps of a run that starts."""
    data, compiled = data_of(trainer), segmenter(module).compiled
    sizes = ", ".join(f"{len(stack)} {GROUPS[group]}" for group, stack in data.split.items())
    sides = sorted({image.shape[:2] for stack in data.split.values() for image in stack.images})
    size = " to ".join(f"{height}×{width}" for height, width in dict.fromkeys((sides[0], sides[-1])))
    how = [f"{describe(module.device)} × {trainer.world_size}", f"precision {trainer.precision}"]
    how += ["channels-last"] * (MEMORY_FORMAT is torch.channels_last) + ["compiled"] * compiled
    tiles = f"tiles {data.tile} → {data.tile - 2 * data.context} px"
    steps = f"steps {trainer.global_step} to {trainer.max_steps}"
    return [" · ".join([*how, tiles]), " · ".join([f"images: {sizes}", f"{size} px", steps])]
