"""Callbacks that write checkpoints, and that let an interrupted run resume as if it had not been interrupted."""

import math
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from typing_extensions import override

from src.files.whole import complete_file
from src.metrics.goodness import goodness
from src.model import archive
from src.model.segmenter import data_of, segmenter
from src.run import lightning_seam
from src.run.curves import Curves
from src.run.directory import checkpoint_file, resumable_files
from src.run.ranks import gathered
from src.run.schedule import reschedule
from src.saying import warn
from src.signals import Stopped, heeded

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import STEP_OUTPUT


class OutOfTime(Exception):
    """The exception that is raised when training has stopped because of ``max_time``, after ``last.ckpt`` was written.

    Attributes:
        step: the training step after which the checkpoint was written.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


# The entries of a checkpoint that predictions do not need.
TRAINING_ONLY = "optimizer_states lr_schedulers loops callbacks current_model_state averaging_state frozen".split()


class Checkpoints(TorchCheckpointIO):
    """A checkpoint plugin that makes Lightning use `archive.write` and `archive.read`."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        archive.write(Path(path), checkpoint)

    @override
    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: object = None
    ) -> dict[str, Any]:
        return archive.read(Path(path))


class BestCheckpoint(Checkpoint):
    """A callback that keeps ``best.ckpt``: the weights with the best validation score, and all that predictions need.

    Args:
        directory: the run directory.
        monitor: the validation score to compare.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
    """

    def __init__(self, directory: str, monitor: str, mode: str) -> None:
        self.file, self.monitor, self.mode = checkpoint_file(Path(directory), "best"), monitor, mode
        self.rank = -math.inf
        self.saving = False

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.rank > -math.inf and not archive.is_whole(self.file):
            self.rank = -math.inf
            if trainer.is_global_zero:
                warn(f"{self.file} is lost or damaged; the best of the next validations takes its place")

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        rank = goodness(segmenter(module).validation_scores[self.monitor], self.mode)
        # Rank 0 decides for all ranks, because they may see different states of the file system.
        if lightning_seam.first_process(trainer, rank > self.rank or not self.file.exists()):
            self.rank = rank
            self.saving = True
            save_checkpoint(trainer, self.file)
            self.saving = False

    @override
    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.saving:
            for key in TRAINING_ONLY:
                checkpoint.pop(key, None)

    @override
    def state_dict(self) -> dict[str, float]:
        return {"rank": self.rank}

    @override
    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.rank = state_dict["rank"]


class LastCheckpoint(Checkpoint):
    """A callback that keeps the last two checkpoints, and stops training on a signal or after ``max_time``.

    If a step is followed by a validation, its checkpoint is written after the validation, because Lightning would skip
    the validation when resuming from a checkpoint that was written before it.

    Args:
        directory: the run directory.
        every: number of steps from one checkpoint to the next; another is written when training ends or stops.
        max_time: maximum training time as ``DD:HH:MM:SS``, counted anew whenever a run is resumed; None for no limit.
    """

    curves: Curves | None = None  # must include the step of the checkpoint

    def __init__(self, directory: str, every: int, max_time: str | None = None) -> None:
        self.file, self.previous = (checkpoint_file(Path(directory), name) for name in ("last", "previous"))
        self.every, self.limit = every, seconds(max_time)
        self.seconds_before, self.step_before = 0.0, 0
        self.received: list[int] = []
        self.heeding = ExitStack()
        self.saved = self.stopped = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise Stopped([number])
        self.received.append(number)

    @override
    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.curves:
            self.curves.go_on_from(self.step_before)

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.heeding.enter_context(heeded(self._receive))
        self.started = time.monotonic()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: "STEP_OUTPUT", batch: object, batch_idx: int
    ) -> None:
        validated = len(data_of(trainer).split["validation"]) and lightning_seam.validates_after(trainer, batch_idx + 1)
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0 and not validated:
            if lightning_seam.logs_step(trainer):
                self._log_step(trainer)
            self._save_or_stop(trainer)

    def _log_step(self, trainer: Trainer) -> None:
        """Log a step before its checkpoint is written; Lightning would log it later, or never if training stops."""
        found = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("train/")}
        if self.curves:
            self.curves.log_metrics({**found, "epoch": trainer.current_epoch}, trainer.global_step - 1)

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if lightning_seam.batches_done(trainer) % trainer.accumulate_grad_batches == 0:
            self._save_or_stop(trainer)

    def _save_or_stop(self, trainer: Trainer) -> None:
        step = trainer.global_step
        late = self.limit is not None and time.monotonic() - self.started > self.limit
        # A signal may reach only some of the ranks, or reach them at different steps.
        stop = lightning_seam.any_process(trainer, bool(self.received) or late)
        last = step == trainer.max_steps
        if stop or last or step % self.every == 0:
            self._save(trainer)
        self.stopped = stop and not last

    @override
    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: object, batch_idx: int) -> None:
        lightning_seam.count_logged_steps(trainer)
        if self.stopped:  # not earlier, because Lightning logs the previous step after its last hook
            self._stop(trainer)
            raise OutOfTime(trainer.global_step)

    def _stop(self, trainer: Trainer) -> None:
        """Raise `Stopped` if any rank has received a signal; all ranks must call this."""
        received = [number for share in gathered(self.received) for number in share]
        if received:
            raise Stopped(list(dict.fromkeys(received)), f"after step {trainer.global_step} of {trainer.max_steps}")

    @override
    def on_exception(self, trainer: Trainer, module: LightningModule, error: BaseException) -> None:
        self.heeding.close()

    @override
    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.heeding.close()
        self._stop(trainer)  # for a signal during the last step

    def _save(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()  # so that the curves include the step of the checkpoint
        # A damaged last.ckpt must not replace the previous checkpoint, from which this run was resumed.
        damaged = trainer.ckpt_path and Path(trainer.ckpt_path) == self.previous and not self.saved
        save_checkpoint(trainer, self.file, None if damaged else self.previous)
        self.saved = True

    @property
    def training_seconds(self) -> float:
        """The training time in seconds, summed over all parts of an interrupted run."""
        return self.seconds_before + time.monotonic() - self.started

    @override
    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.seconds_before, self.started = self.training_seconds, time.monotonic()

    @override
    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["training"] = {"seconds": self.training_seconds, "max_steps": trainer.max_steps}

    @override
    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.seconds_before, self.step_before = checkpoint["training"]["seconds"], checkpoint["global_step"]
        if checkpoint["training"]["max_steps"] != trainer.max_steps:
            reschedule(checkpoint, segmenter(module))


def save_checkpoint(trainer: Trainer, file: Path, previous: Path | None = None) -> None:
    """Write the whole state of a run to a checkpoint file, completely or not at all; all ranks must call this.

    Args:
        trainer: the trainer of the run.
        file: the checkpoint file.
        previous: the path to which an existing checkpoint file is renamed; None overwrites the existing file.
    """
    partial = file.with_name(f".{file.name}.partial")
    trainer.save_checkpoint(partial)
    if trainer.is_global_zero:
        if previous and file.exists():
            file.replace(previous)
        partial.replace(file)


def last_checkpoint(directory: Path, check: Callable[[dict[str, Any]], object] = lambda content: None) -> Path | None:
    """Return the latest intact checkpoint of a run, or None if there is no such file; warn of each damaged checkpoint.

    Args:
        directory: the run directory.
        check: is called with the content of a checkpoint, and raises ValueError if it does not fit the run.
    """
    for file in resumable_files(directory):
        if archive.is_whole(file, check):
            return file
        warn(f"{file} is damaged")
    return None


def keep_for_prediction(checkpoint: Path, file: Path) -> None:
    """Copy a checkpoint to ``file`` without the entries that only training needs, which ``best.ckpt`` lacks too."""
    content = archive.read(checkpoint)
    with complete_file(file) as partial:
        archive.write(partial, {key: value for key, value in content.items() if key not in TRAINING_ONLY})


class Reseed(Callback):
    """A callback that seeds dropout at each step from the seed of the run, the step and the rank.

    Tiles are drawn in the same way (`data.patches`), so that a run resumes exactly without storing any random state.

    Args:
        seed: the seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @override
    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: object, batch_idx: int) -> None:
        part = batch_idx % trainer.accumulate_grad_batches
        source = np.random.SeedSequence([self.seed, trainer.global_step, part, trainer.global_rank])
        torch.manual_seed(int(source.generate_state(1, np.uint64)[0]))


def seconds(duration: str | None) -> float | None:
    """Convert a duration of the form ``DD:HH:MM:SS`` to seconds; None stays None.

    Raises:
        ValueError: the duration has another form.
    """
    if duration is None:
        return None
    try:
        days, hours, minutes, rest = map(int, duration.split(":"))
    except ValueError:
        raise ValueError(
            f"expected trainer.max_time as DD:HH:MM:SS, but got {duration}; nearest valid: 00:01:00:00"
        ) from None
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=rest).total_seconds()
