"""How far a run is: a bar on a terminal, elsewhere a line a minute."""

import sys
import time
from contextlib import ExitStack

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from src.model.trained import MEMORY_FORMAT
from src.run.device import describe
from src.run.lightning_seam import counts_steps
from src.saying import columns, duration, each_minute, say

MOST_SCORES = 3  # in a line; all are in metrics.csv


class ProgressBar(RichProgressBar):
    """Lightning's progress bar, on a terminal: step, time passed and left, tiles a second over all processes, loss."""

    def __init__(self) -> None:
        super().__init__()
        if not sys.stdout.isatty():
            self.disable()

    def configure_columns(self, trainer: lightning.Trainer) -> list:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        return [Stage(), *columns, Speed(trainer)]

    @property
    def total_train_batches(self) -> int:
        """Of the whole run; Lightning counts those that are left."""
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        super().on_train_start(trainer, module)
        if self.is_enabled:  # begun here, because Lightning begins no epoch where an interrupted one goes on
            self.on_train_epoch_start(trainer, module)
            done = trainer.global_step * trainer.accumulate_grad_batches
            self.progress.reset(self.train_progress_bar_id, completed=done)

    def get_metrics(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> dict:
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)  # the logger's, which says nothing here
        return metrics


class Stage(ProgressColumn):
    """What a bar counts: steps of training (Lightning names that bar by its epoch), else images."""

    def render(self, task: Task) -> Text:
        return Text("step " if counts_steps(task) else "image")


class Speed(ProgressColumn):
    """Speed of training as ``3.20 tiles/s``, else of images."""

    def __init__(self, trainer: lightning.Trainer) -> None:
        super().__init__()
        self.trainer = trainer

    def render(self, task: Task) -> Text:
        if counts_steps(task):
            return Text(f"{(task.speed or 0) * self.trainer.datamodule.batch_size:.2f} tiles/s")
        return Text(f"{task.speed or 0:.2f} images/s")


class Narrator(Callback):
    """Lines on how a run begins and what each validation gave, and one each minute where no bar is seen.

    Args:
        monitor: the score that comes first.
    """

    measured = (3, 8)  # the steps between which the speed is measured: after the first have warmed up

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.going_on, self.doing, self.judged = ExitStack(), "", ""
        self.started: float | None = None

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.started, self.first_step = time.monotonic(), trainer.global_step
        self.doing = "compiling, which takes a minute or two" if module.compiled else "the first step"
        for line in beginning(trainer, module):
            say(line)
        if not sys.stdout.isatty():
            self.going_on.enter_context(each_minute(lambda: self.line(trainer)))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if self.started is None or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.doing = ""
        first, last = (self.first_step + step for step in self.measured)
        if trainer.global_step == first:
            self.warm = time.monotonic()
        if trainer.global_step == last:
            tiles = (last - first) * trainer.datamodule.batch_size / trainer.world_size / (time.monotonic() - self.warm)
            made = trainer.datamodule.tiles_per_second()
            if made < 1.5 * tiles:
                say(
                    f"the loader hardly keeps up: it makes {made:.1f} tiles/s, and {tiles:.1f} are learnt from; more "
                    f"data.workers may help"
                )

    def on_validation_batch_start(self, trainer, module, batch, batch_idx, dataloader_idx=0) -> None:
        self.doing = f"validation, image {batch_idx + 1} of {sum(trainer.num_val_batches)}"

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if self.started is None:
            return
        self.doing, found = "", trainer.callback_metrics
        scores = {name: found[f"validation/{name}"] for name in module.validation_scores}
        self.judged = f"{self.monitor} {scores[self.monitor]:.4f} at step {trainer.global_step}"
        loss = [f"loss {found['train/loss']:.3f}"] if "train/loss" in found else []
        judged = [f"{name} {scores[name]:.4f}" for name in sorted(scores, key=lambda name: name != self.monitor)]
        for count in range(MOST_SCORES, 0, -1):
            line = " · ".join([self.place(trainer), *loss, *judged[:count], *self.pace(trainer)])
            if len(line) <= columns():
                break
        say(line)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.going_on.close()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        self.going_on.close()

    def line(self, trainer: lightning.Trainer) -> str:
        """How far training is."""
        parts = [self.place(trainer), self.doing, self.judged, *self.pace(trainer)]
        return " · ".join(part for part in parts if part)

    @staticmethod
    def place(trainer: lightning.Trainer) -> str:
        """The step, of how many."""
        return f"step {trainer.global_step}/{trainer.max_steps}"

    def pace(self, trainer: lightning.Trainer) -> list[str]:
        """Tiles a second, validations included, and the time left at that pace."""
        elapsed, done = time.monotonic() - self.started, trainer.global_step - self.first_step
        if not done:
            return [f"{duration(elapsed)} so far"]
        left = (trainer.max_steps - trainer.global_step) * elapsed / done
        return [f"{done * trainer.datamodule.batch_size / elapsed:.2f} tiles/s", f"{duration(left)} left"]


def beginning(trainer: lightning.Trainer, module: lightning.LightningModule) -> list[str]:
    """What trains, and what is learnt from."""
    data = trainer.datamodule
    sizes = ", ".join(f"{len(stack)} {group.replace('_', '-')}" for group, stack in data.split.items())
    sides = sorted({image.shape[:2] for stack in data.split.values() for image in stack.images})
    size = " to ".join(f"{height}×{width}" for height, width in dict.fromkeys((sides[0], sides[-1])))
    how = [f"{describe(module.device)} × {trainer.world_size}", f"precision {trainer.precision}"]
    how += ["channels-last"] * (MEMORY_FORMAT is torch.channels_last) + ["compiled"] * module.compiled
    tiles = f"tiles {data.tile} → {data.tile - 2 * data.context} px"
    steps = f"steps {trainer.global_step} to {trainer.max_steps}"
    return [" · ".join([*how, tiles]), " · ".join([f"images: {sizes}", f"{size} px", steps])]
