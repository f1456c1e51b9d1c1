"""All uses of undocumented behaviour of Lightning: one small function for each, which has a test."""

import contextlib
from collections.abc import Iterator

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from rich.progress import Task


def leave_signals(trainer: lightning.Trainer) -> lightning.Trainer:
    """Disable the signal handlers of a trainer, so that those of `src.signals` stay active, and return the trainer.

    On SIGTERM Lightning's own handlers would end a run as if it were finished, and would communicate with other ranks
    from within the signal handler.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]  # on purpose
    return trainer


def end_workers(trainer: lightning.Trainer) -> None:
    """End the worker processes of the data loaders, which Lightning leaves running if a validation is interrupted."""
    trainer.fit_loop.teardown()


def batches_done(trainer: lightning.Trainer) -> int:
    """Return the number of training batches so far in this epoch, for hooks that do not receive a batch index."""
    return trainer.fit_loop.epoch_loop.batch_idx + 1


def logs_step(trainer: lightning.Trainer) -> bool:
    """Return whether the current training step is logged."""
    return bool(trainer.global_step % trainer.log_every_n_steps == 0)  # type: ignore[attr-defined]  # undeclared


def validates_after(trainer: lightning.Trainer, batches: int) -> bool:
    """Return whether a validation is due after the given number of batches of an epoch (if validation images exist)."""
    every = trainer.val_check_batch
    return every is not None and batches % every == 0


def any_process(trainer: lightning.Trainer, decision: bool) -> bool:
    """Return whether ``decision`` is true on any rank; all ranks must call this."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def first_process(trainer: lightning.Trainer, decision: bool) -> bool:
    """Return the ``decision`` of rank 0; all ranks must call this."""
    return trainer.strategy.broadcast(decision)


def processes_to_start(trainer: lightning.Trainer) -> int | None:
    """Return how many processes must be started on this machine; None if the trainer uses only one process.

    The number is 0 if a cluster starts the processes.
    """
    if not isinstance(trainer.strategy, DDPStrategy):
        return None
    environment = trainer.strategy.cluster_environment
    external = environment is not None and environment.creates_processes_externally
    return 0 if external else trainer.num_devices


def count_logged_steps(trainer: lightning.Trainer) -> None:
    """Correct Lightning's count of logged steps, so that the next step is logged under its own number.

    The count is one too low after resuming from a checkpoint whose validation did not fall on a multiple of the
    validation interval, as in a run that is shorter than the interval.
    """
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def counts_steps(task: Task) -> bool:
    """Return whether a progress bar counts training steps, which is so if its description is the epoch."""
    return "Epoch" in task.description


@contextlib.contextmanager
def loggers_ended(trainer: lightning.Trainer) -> Iterator[None]:
    """Finish the Weights & Biases run of a trainer on exit, so that the next run of a sweep does not continue it."""
    try:
        yield
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()


@contextlib.contextmanager
def its_errors_are_ours() -> Iterator[None]:
    """Convert Lightning's error for an invalid configuration, if raised in this context, to ValueError.

    Raises:
        ValueError: Lightning refuses an argument.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ValueError(str(error)) from error
