"""What is used of Lightning although its documentation does not promise it: one small function each, and a test."""

import contextlib
from collections.abc import Iterator

import lightning
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.progress import Task


def leave_signals(trainer: lightning.Trainer) -> lightning.Trainer:
    """Keep a trainer from taking signals for itself, so that those of `src.signals` are heeded in all its phases.

    Lightning would answer SIGTERM by ending a run as if it were finished, and would talk to other processes in the
    middle of whatever a signal interrupts.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None
    return trainer


def end_workers(trainer: lightning.Trainer) -> None:
    """End the workers of the loader, which Lightning forgets when training is stopped in a validation."""
    trainer.fit_loop.teardown()


def batches_done(trainer: lightning.Trainer) -> int:
    """How many batches were trained in this epoch, as hooks need to know that are not told."""
    return trainer.fit_loop.epoch_loop.batch_idx + 1


def validates_after(trainer: lightning.Trainer, batches: int) -> bool:
    """Whether a validation follows when so many batches of the epoch are done, if there is anything to validate."""
    return batches % trainer.val_check_batch == 0


def any_process(trainer: lightning.Trainer, decision: bool) -> bool:
    """Whether it is so in any process; to be called by all of them."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def first_process(trainer: lightning.Trainer, decision: bool) -> bool:
    """What the first process decides; to be called by all of them."""
    return trainer.strategy.broadcast(decision)


def processes_to_start(trainer: lightning.Trainer) -> int | None:
    """How many processes this machine needs that nobody has started; None if the trainer needs no more than this."""
    if not isinstance(trainer.strategy, DDPStrategy):
        return None
    return 0 if trainer.strategy.cluster_environment.creates_processes_externally else trainer.num_devices


def count_logged_steps(trainer: lightning.Trainer) -> None:
    """Log the next step under its own number.

    Lightning's count is one short after a resumption from a checkpoint of a validation that was no multiple of the
    interval, as in a run that is shorter than the interval.
    """
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def counts_steps(task: Task) -> bool:
    """Whether a progress bar counts steps of training: Lightning names that one by its epoch."""
    return "Epoch" in task.description


@contextlib.contextmanager
def loggers_ended(trainer: lightning.Trainer) -> Iterator[None]:
    """End what Weights & Biases has begun, which the next point of a sweep would else go on with."""
    try:
        yield
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()


@contextlib.contextmanager
def its_errors_are_ours() -> Iterator[None]:
    """Turn what Lightning refuses into the error of all choices that are none.

    Raises:
        ValueError: Lightning has refused something.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ValueError(str(error)) from error
