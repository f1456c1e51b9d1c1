"""Signals that ask a run to stop, and who answers them."""

import os
import signal
import subprocess

# Of a cluster that takes the machine back (TERM, and USR1 or USR2 before), of the terminal (INT).
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


def ignore(worker: int) -> None:
    """Leave it to the process that trains to stop for a signal that the whole group of processes gets.

    Args:
        worker: number of the worker process that calls this.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def hand_over(signals: list[int]) -> None:
    """Give signals to whom they were for before training took them, such as a cluster's requeueing."""
    for number in signals:
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, None)
        elif number in (signal.SIGUSR1, signal.SIGUSR2) and os.environ.get("SLURM_PROCID") == "0":
            subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
