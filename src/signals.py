"""Signals that ask a command to stop, and handlers for these signals."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from src.saying import warn


def _known(*names: str) -> tuple[signal.Signals, ...]:
    """Return those of the named signals that exist on this operating system."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


# A cluster sends USR1 or USR2 some time before it takes a machine back, then TERM; a terminal sends INT, on Windows
# also BREAK.
SIGNALS = _known("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGBREAK")
BEFORE_TIME_IS_UP = _known("SIGUSR1", "SIGUSR2")

# On Windows, `os.kill` ends a process whatever the signal, and the only process groups are those of a terminal.
BETWEEN_PROCESSES = hasattr(signal, "SIGKILL")


class Stopped(BaseException):
    """An exception that means that a signal asked this process to stop.

    It is not an `Exception`, so that it is not handled as an error.

    Attributes:
        numbers: numbers of the received signals, in order of arrival.
        where: a phrase that says how far the process got; may be empty.
        told: whether the message has been printed.
    """

    told = False

    def __init__(self, numbers: list[int], where: str = "") -> None:
        super().__init__(numbers, where)
        self.numbers, self.where = numbers, where

    def __str__(self) -> str:
        names = ", ".join(signal.Signals(number).name for number in self.numbers)
        return f"stopped by {names}{self.where and ' '}{self.where}"

    @property
    def status(self) -> int:
        """The exit status of the process: 128 plus the number of the first signal."""
        return 128 + self.numbers[0]


def stop(number: int, frame: FrameType | None) -> None:
    """Stop at once; this is a signal handler.

    Raises:
        Stopped: always.
    """
    raise Stopped([number])


def are_heeded() -> bool:
    """Return whether SIGTERM and the other `SIGNALS` stop this process at once."""
    return signal.getsignal(signal.SIGTERM) is stop


@contextmanager
def heeded(by: Callable[[int, FrameType | None], None] = stop) -> Iterator[None]:
    """Let ``by`` handle the `SIGNALS` while the block of a with statement runs; then restore the earlier handlers."""
    before = {number: signal.signal(number, by) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore(worker: int) -> None:
    """Ignore the signals in `SIGNALS` in a worker process of a data loader.

    A signal to the process group reaches the workers too, but the training process is what stops the workers.

    Args:
        worker: number of the worker process, which the data loader passes; not used.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def hand_over(numbers: list[int]) -> None:
    """Pass received signals on to the handlers that were installed before this command's.

    If there is no such handler for USR1 or USR2, process 0 of a Slurm job requeues the job.

    Args:
        numbers: numbers of the received signals.
    """
    for number in numbers:
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, None)
        elif number in BEFORE_TIME_IS_UP and os.environ.get("SLURM_PROCID") == "0":
            _requeue(os.environ["SLURM_JOB_ID"])


def _requeue(job: str) -> None:
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        warn(f"job {job} could not be requeued: {error}")
