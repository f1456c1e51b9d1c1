"""Signals that ask a command to stop, and their handlers."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from src.saying import warn


def _known(*names: str) -> tuple[signal.Signals, ...]:
    """Those of the named signals that this operating system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


# A cluster that takes the machine back sends TERM, before it USR1 or USR2; a terminal sends INT, on Windows also BREAK.
SIGNALS = _known("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGBREAK")
BEFORE_TIME_IS_UP = _known("SIGUSR1", "SIGUSR2")

# On Windows `os.kill` ends a process whatever the signal, and the only groups of processes are those of a terminal.
BETWEEN_PROCESSES = hasattr(signal, "SIGKILL")


class Stopped(BaseException):
    """A signal asked this process to stop. It is no `Exception`, so that nothing handles it as an error.

    Attributes:
        numbers: numbers of the signals in the order of their arrival.
        where: how far the process came, as a phrase; may be empty.
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
        """Exit status of the process: 128 + the number of the first signal."""
        return 128 + self.numbers[0]


def stop(number: int, frame: FrameType | None) -> None:
    """Handle a signal by stopping at once.

    Raises:
        Stopped: always.
    """
    raise Stopped([number])


def are_heeded() -> bool:
    """Whether signals stop this process at once."""
    return signal.getsignal(signal.SIGTERM) is stop


@contextmanager
def heeded(by: Callable[[int, FrameType | None], None] = stop) -> Iterator[None]:
    """Let ``by`` handle the signals that ask to stop during a block; then restore the earlier handlers."""
    before = {number: signal.signal(number, by) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore(worker: int) -> None:
    """Ignore these signals in a worker process: its group gets them too, and the training process stops the workers.

    Args:
        worker: number of the worker process, as a data loader passes it.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def hand_over(numbers: list[int]) -> None:
    """Pass signals on to the handlers from before this command, or requeue its Slurm job."""
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
