"""The uses of Lightning that its documentation does not promise: one small function each, with a test."""

import contextlib
from collections.abc import Iterator

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from rich.progress import Task


def leave_signals(trainer: lightning.Trainer) -> lightning.Trainer:
    """Keep a trainer from installing signal handlers, so that those of `src.signals` apply in all its phases.

    On SIGTERM Lightning would end a run as if it were finished, and would communicate with other ranks from within
    the signal handler.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]  # on purpose
    return trainer


def end_workers(trainer: lightning.Trainer) -> None:
    """End the workers of the data loader, which Lightning leaves running when training stops during a validation."""
    trainer.fit_loop.teardown()


def batches_done(trainer: lightning.Trainer) -> int:
    """Number of training batches so far in this epoch, for hooks that are not called with it."""
    return trainer.fit_loop.epoch_loop.batch_idx + 1


def logs_step(trainer: lightning.Trainer) -> bool:
    """Whether the current step is one that is logged."""
    return bool(trainer.global_step % trainer.log_every_n_steps == 0)  # type: ignore[attr-defined]  # undeclared


def validates_after(trainer: lightning.Trainer, batches: int) -> bool:
    """Whether a validation follows after this number of batches of the epoch, if there are validation images."""
    every = trainer.val_check_batch
    return every is not None and batches % every == 0


def any_process(trainer: lightning.Trainer, decision: bool) -> bool:
    """Whether ``decision`` is true on any rank; all ranks must call this."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def first_process(trainer: lightning.Trainer, decision: bool) -> bool:
    """The ``decision`` of rank 0; all ranks must call this."""
    return trainer.strategy.broadcast(decision)


def processes_to_start(trainer: lightning.Trainer) -> int | None:
    """Number of processes that must be started on this machine; None if the trainer uses one process."""
    if not isinstance(trainer.strategy, DDPStrategy):
        return None
    environment = trainer.strategy.cluster_environment
    external = environment is not None and environment.creates_processes_externally
    return 0 if external else trainer.num_devices


def count_logged_steps(trainer: lightning.Trainer) -> None:
    """Log the next step under its own number.

    Lightning's count is one short after a resumption from a checkpoint of a validation that was no multiple of the
    interval, as in a run that is shorter than the interval.
    """
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def counts_steps(task: Task) -> bool:
    """Whether a progress bar counts training steps: its description is the epoch."""
    return "Epoch" in task.description


@contextlib.contextmanager
def loggers_ended(trainer: lightning.Trainer) -> Iterator[None]:
    """Finish the Weights & Biases run of a trainer, so that the next run of a sweep does not continue it."""
    try:
        yield
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()


@contextlib.contextmanager
def its_errors_are_ours() -> Iterator[None]:
    """Turn Lightning's error for an invalid configuration into ValueError.

    Raises:
        ValueError: Lightning refuses an argument.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ValueError(str(error)) from error
