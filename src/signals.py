"""Signals that ask a command to stop: where it stops, and who answers them."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from src.saying import warn


def _known(*names: str) -> tuple[signal.Signals, ...]:
    """Of some signals those that this operating system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


# Of a cluster that takes the machine back (TERM, and USR1 or USR2 before), of the terminal (INT; on Windows BREAK too).
SIGNALS = _known("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGBREAK")
BEFORE_TIME_IS_UP = _known("SIGUSR1", "SIGUSR2")

# On Windows `os.kill` ends a process, whatever the signal, and processes have no groups but those of a terminal.
BETWEEN_PROCESSES = hasattr(signal, "SIGKILL")


class Stopped(BaseException):
    """Signals asked this process to stop; no `Exception`, so that nothing takes it for a failure that it can mend.

    Attributes:
        numbers: of the signals, the first one first.
        where: how far it came, in words; may be empty.
        told: whether the user has been told.
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
        """What the process ends with."""
        return 128 + self.numbers[0]


def stop(number: int, frame: FrameType | None) -> None:
    """Answer a signal by stopping at once.

    Raises:
        Stopped: always.
    """
    raise Stopped([number])


def are_heeded() -> bool:
    """Whether signals stop this process at once."""
    return signal.getsignal(signal.SIGTERM) is stop


@contextmanager
def heeded(by: Callable[[int, FrameType | None], None] = stop) -> Iterator[None]:
    """Give the signals that ask to stop to ``by``, and afterwards to whom they went before."""
    before = {number: signal.signal(number, by) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore(worker: int) -> None:
    """Leave it to the process that trains to stop for a signal that the whole group of processes gets.

    Args:
        worker: number of the worker process that calls this.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def hand_over(numbers: list[int]) -> None:
    """Give signals to whom they were for before a command took them, such as a cluster's requeueing."""
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
        warn(f"job {job} is not back in the queue: {error}")
