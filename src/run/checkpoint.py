"""``checkpoints/last.ckpt``, from which an interrupted run goes on as if nothing had happened.

What is random in a step follows from the seed and the number of the step alone, tiles (`data.patches`)
and dropout alike, so that a checkpoint need not hold the state of any generator or loader.
"""

import math
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import FrameType

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from src.files.whole import complete_file
from src.metrics.goodness import goodness
from src.model import archive
from src.run import lightning_seam
from src.run.curves import Curves
from src.run.directory import checkpoint_file, resumable_files
from src.run.ranks import gathered
from src.saying import warn
from src.signals import Stopped, heeded


class OutOfTime(Exception):
    """Training was asked to stop after ``max_time`` and has written ``last.ckpt``.

    Attributes:
        step: training steps that the checkpoint holds.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


# Of a checkpoint, what a prediction does not need.
TRAINING_ONLY = (
    *("optimizer_states", "lr_schedulers", "loops", "callbacks", "current_model_state", "averaging_state"),
    "frozen",
)


class Checkpoints(TorchCheckpointIO):
    """How Lightning writes and reads checkpoints: as `archive.write` and `archive.read` do."""

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        archive.write(Path(path), checkpoint)

    def load_checkpoint(self, path: str | Path, map_location: object = None, weights_only: object = None) -> dict:
        return archive.read(Path(path))


class BestCheckpoint(Checkpoint):
    """Keep ``best.ckpt``: of all validations, the weights with the best score, and what prediction needs beside them.

    Args:
        directory: the run directory.
        monitor: the score.
        mode: whether ``max`` or ``min`` of it is better.
    """

    def __init__(self, directory: str, monitor: str, mode: str) -> None:
        self.file, self.monitor, self.mode = checkpoint_file(Path(directory), "best"), monitor, mode
        self.rank = -math.inf
        self.saving = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if self.rank > -math.inf and not archive.is_whole(self.file):
            self.rank = -math.inf
            if trainer.is_global_zero:
                warn(f"{self.file} is lost or damaged; the best of the validations to come takes its place")

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        rank = goodness(module.validation_scores[self.monitor], self.mode)
        # The first process decides for all, of which each may see the file system at another moment.
        if lightning_seam.first_process(trainer, rank > self.rank or not self.file.exists()):
            self.rank = rank
            self.saving = True
            save_checkpoint(trainer, self.file)
            self.saving = False

    def on_save_checkpoint(self, trainer, module, checkpoint: dict) -> None:
        if self.saving:
            for key in TRAINING_ONLY:
                checkpoint.pop(key, None)

    def state_dict(self) -> dict[str, float]:
        return {"rank": self.rank}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.rank = state_dict["rank"]


class LastCheckpoint(Checkpoint):
    """Keep ``last.ckpt`` and the one before it, and stop for a signal or when the time is up.

    It is written after the validation of a step, because Lightning, going on from one that was
    written before, would leave the validation out.

    Args:
        directory: the run directory.
        every: steps from one to the next; it is also written after the last step, and when training is stopped.
        max_time: stop after ``DD:HH:MM:SS``, counted from each start; None never.
    """

    curves: Curves | None = None  # that are to reach as far as the weights

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

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if self.curves:
            self.curves.go_on_from(self.step_before)

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.heeding.enter_context(heeded(self._receive))
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        validated = len(trainer.datamodule.split["validation"]) and lightning_seam.validates_after(
            trainer, batch_idx + 1
        )
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0 and not validated:
            if trainer.global_step % trainer.log_every_n_steps == 0:
                self._log_step(trainer)
            self._save_or_stop(trainer)

    def _log_step(self, trainer: lightning.Trainer) -> None:
        """Log a step before a checkpoint may hold it; Lightning does so after its last hook, if it gets that far."""
        found = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("train/")}
        if self.curves:
            self.curves.log_metrics({**found, "epoch": trainer.current_epoch}, trainer.global_step - 1)

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if lightning_seam.batches_done(trainer) % trainer.accumulate_grad_batches == 0:
            self._save_or_stop(trainer)

    def _save_or_stop(self, trainer: lightning.Trainer) -> None:
        step = trainer.global_step
        late = self.limit is not None and time.monotonic() - self.started > self.limit
        # A signal may reach one process of many, or each of them during another step.
        stop = lightning_seam.any_process(trainer, bool(self.received) or late)
        last = step == trainer.max_steps
        if stop or last or step % self.every == 0:
            self._save(trainer)
        self.stopped = stop and not last

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        lightning_seam.count_logged_steps(trainer)
        if self.stopped:  # not earlier, because Lightning logs a step after its last hook
            self._stop(trainer)
            raise OutOfTime(trainer.global_step)

    def _stop(self, trainer: lightning.Trainer) -> None:
        """Stop if any process of the run has received a signal; to be called by all of them."""
        received = [number for share in gathered(self.received) for number in share]
        if received:
            raise Stopped(list(dict.fromkeys(received)), f"after step {trainer.global_step} of {trainer.max_steps}")

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        self.heeding.close()

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.heeding.close()
        self._stop(trainer)  # for a signal during the last step

    def _save(self, trainer: lightning.Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()  # so that the curves reach as far as the weights
        # A damaged last.ckpt does not take the place of the one before it, from which this run goes on.
        damaged = trainer.ckpt_path and Path(trainer.ckpt_path) == self.previous and not self.saved
        save_checkpoint(trainer, self.file, None if damaged else self.previous)
        self.saved = True

    @property
    def training_seconds(self) -> float:
        """Time spent training, by all parts of an interrupted run together."""
        return self.seconds_before + time.monotonic() - self.started

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.seconds_before, self.started = self.training_seconds, time.monotonic()

    def on_save_checkpoint(self, trainer, module, checkpoint: dict) -> None:
        checkpoint["training"] = {"seconds": self.training_seconds, "max_steps": trainer.max_steps}

    def on_load_checkpoint(self, trainer, module, checkpoint: dict) -> None:
        self.seconds_before, self.step_before = checkpoint["training"]["seconds"], checkpoint["global_step"]
        if checkpoint["training"]["max_steps"] != trainer.max_steps:
            reschedule(checkpoint, module)


def save_checkpoint(trainer: lightning.Trainer, file: Path, previous: Path | None = None) -> None:
    """Save all of a run's state, whole or not at all; to be called by all processes, of which the first one writes.

    Args:
        trainer: of the run.
        file: the checkpoint.
        previous: what to call the one that was there before; None replaces it.
    """
    partial = file.with_name(f".{file.name}.partial")
    trainer.save_checkpoint(partial)
    if trainer.is_global_zero:
        if previous and file.exists():
            file.replace(previous)
        partial.replace(file)


def last_checkpoint(directory: Path, check: Callable[[dict], object] = lambda content: None) -> Path | None:
    """The latest checkpoint that is whole, None if there is none; says which one is damaged.

    Args:
        directory: the run directory.
        check: refuses content that is not of a run of ours, by ValueError.
    """
    for file in resumable_files(directory):
        if archive.is_whole(file, check):
            return file
        warn(f"{file} is damaged")
    return None


def keep_for_prediction(checkpoint: Path, file: Path) -> None:
    """Write of a checkpoint to ``file`` what `BestCheckpoint` keeps of one."""
    content = archive.read(checkpoint)
    with complete_file(file) as partial:
        archive.write(partial, {key: value for key, value in content.items() if key not in TRAINING_ONLY})


class Reseed(Callback):
    """Make what is random in a step, dropout, follow from seed, step and process, however often training stopped.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        part = batch_idx % trainer.accumulate_grad_batches
        source = np.random.SeedSequence([self.seed, trainer.global_step, part, trainer.global_rank])
        torch.manual_seed(int(source.generate_state(1, np.uint64)[0]))


def reschedule(checkpoint: dict, module: lightning.LightningModule) -> None:
    """Give an extended run the learning rates that it would have if it had been planned so long from the beginning."""
    optimizer = module.optimizer([torch.nn.Parameter(torch.zeros(1))])
    scheduler = module.scheduler(optimizer)
    for _ in range(checkpoint["global_step"]):
        optimizer.step()
        scheduler.step()
    checkpoint["lr_schedulers"] = [scheduler.state_dict()]
    for group in checkpoint["optimizer_states"][0]["param_groups"]:
        group["lr"] = scheduler.get_last_lr()[0]


def seconds(duration: str | None) -> float | None:
    """``DD:HH:MM:SS`` in seconds.

    Raises:
        ValueError: it is written otherwise.
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
