"""One run on many devices: a process for each, started here or by a cluster; they meet or say who is missing."""

import inspect
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import lightning
import torch
from lightning.fabric.plugins.environments import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import multiprocessing
from torch.distributed import DistNetworkError, DistStoreError, TCPStore
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from src.run import lightning_seam
from src.signals import BETWEEN_PROCESSES, Stopped, heeded

# What serves the place where processes meet, by PyTorch's own rule: it is built without libuv for Windows.
LIBUV = os.environ.get("USE_LIBUV", "0" if sys.platform == "win32" else "1") == "1"
GRACE = 10  # seconds that the other processes of a run have to end in, when one has failed


class Processes(DDPStrategy):
    """Lightning's data-parallel strategy, with a roll call before the processes wait for each other.

    Args:
        arrival: seconds within which all processes must have arrived.
        options: those of `DDPStrategy`.
    """

    def __init__(self, arrival: float = 60, **options: object) -> None:
        super().__init__(**options)
        self.arrival = arrival

    def setup_distributed(self) -> None:
        self.set_world_ranks()
        self._store = roll_call(self.cluster_environment, self.num_processes, self.num_nodes, self.arrival)
        super().setup_distributed()


def roll_call(environment: ClusterEnvironment, devices: int, nodes: int, seconds: float) -> TCPStore:
    """Wait for all processes of a run.

    Args:
        environment: knows rank and address of each process.
        devices: processes on each machine, as the configuration says.
        nodes: machines, as the configuration says.
        seconds: to wait.

    Returns:
        The server by which the processes met; they go on to use it while it exists.

    Raises:
        ValueError: more or fewer processes were started than the configuration says.
        ConnectionError: names the ranks, and their hosts, that did not arrive.
    """
    rank, size = environment.global_rank(), environment.world_size()
    if size != devices * nodes:
        raise ValueError(
            f"expected trainer.devices × trainer.num_nodes = {devices} × {nodes} processes, but {size} were started"
        )
    address, port, wait = environment.main_address, environment.main_port, timedelta(seconds=seconds)
    deadline = time.monotonic() + seconds
    try:
        store = TCPStore(
            address, port, size, rank == 0, wait, wait_for_workers=False, multi_tenant=True, use_libuv=LIBUV
        )
    except (DistNetworkError, DistStoreError) as error:
        raise ConnectionError(
            f"rank {rank} on {socket.gethostname()} expected rank 0 at {address}:{port} within {seconds:g} s, "
            f"but it did not arrive: {error}"
        ) from error
    try:
        store.set(f"host of rank {rank}", socket.gethostname())
        arrived = [_has_arrived(store, other, deadline - time.monotonic()) for other in range(size)]
    except DistNetworkError as error:
        raise ConnectionError(
            f"rank {rank} on {socket.gethostname()} has lost rank 0 at {address}:{port}, "
            f"which has stopped waiting for a rank that did not arrive"
        ) from error
    if not all(arrived):
        missing = [other for other in range(size) if not arrived[other]]
        names = ", ".join(f"rank {other} on {host_of(other, devices, nodes)}" for other in missing)
        raise ConnectionError(
            f"expected {size} processes within {seconds:g} s, but {names} did not arrive at "
            f"rank {rank} on {socket.gethostname()}"
        )
    return store


def _has_arrived(store: TCPStore, rank: int, seconds: float) -> bool:
    try:
        store.wait([f"host of rank {rank}"], timedelta(seconds=max(0.001, seconds)))
    except DistStoreError:
        return False
    return True


def host_of(rank: int, devices: int, nodes: int) -> str:
    """The machine that a process should run on, by name where that is known."""
    if nodes == 1:
        return socket.gethostname()
    if "SLURM_JOB_NODELIST" in os.environ:
        listed = ["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
        return subprocess.run(listed, capture_output=True, encoding="utf-8", check=True).stdout.split()[rank // devices]
    return f"machine {rank // devices}"


def to_start(trainer: lightning.Trainer) -> int:
    """How many processes this machine needs and nobody has started: 0 if this process can train itself.

    Raises:
        ValueError: processes were started for a trainer that uses one.
    """
    count = lightning_seam.processes_to_start(trainer)
    if count is None:
        started = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1)
        if started > 1:
            raise ValueError(f"expected 1 process, but {started} were started; nearest valid: trainer=ddp")
    return count or 0


def free_port() -> int:
    """A port of this machine at which processes can meet."""
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def start(count: int, train: Callable[..., None], *arguments: object) -> None:
    """Call ``train(*arguments)`` in ``count`` new processes, which form a group of their own.

    Not in this one, as Lightning would: the next run of a sweep may need another number of them. They are forked
    from a server that has imported what ``train`` needs and nothing else, once for all runs of a sweep; or started
    one by one where Python itself does so, because forking fails on macOS and does not exist on Windows. Signals to
    this process reach all of them.

    Raises:
        Exception: what the first that failed has raised; the others were ended.
        ChildProcessError: one of them was killed.
        Stopped: a signal asked them to.
    """
    address = {
        "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": os.environ.get("MASTER_PORT") or str(free_port()),
        "NODE_RANK": os.environ.get("NODE_RANK", "0"),
    }
    method = "spawn" if multiprocessing.get_start_method() == "spawn" else "forkserver"
    starter = multiprocessing.get_context(method)
    # Not the module of ``train`` itself, which each process runs anew where it is the program.
    imported = [value.__name__ for value in train.__globals__.values() if inspect.ismodule(value)]
    if method == "forkserver":
        starter.set_forkserver_preload(imported)
    failures = starter.SimpleQueue()
    # The server has the environment of its own start.
    environment = dict(os.environ) | address
    context = multiprocessing.start_processes(
        _enter, (count, environment, failures, train, arguments), count, join=False, start_method=method
    )
    with _passed_on(context.pids()) as passed_on:
        try:
            while not context.join(grace_period=GRACE):
                pass
        except (ProcessExitedException, ProcessRaisedException) as error:
            raised = {}
            while not failures.empty():
                rank, content = failures.get()
                raised[rank] = pickle.loads(content)
            first = raised.get(error.error_index)  # the others were ended because of it
            if passed_on:
                stopped = (each for each in raised.values() if isinstance(each, Stopped))
                raise next(stopped, Stopped(passed_on)) from None
            if isinstance(first, Stopped):
                raise first from None
            if isinstance(error, ProcessRaisedException):
                raise first from error
            raise ChildProcessError(
                f"expected {count} processes to finish, but number {error.error_index} ended with "
                f"{error.signal_name or f'status {error.exit_code}'}"
            ) from None


def _enter(local_rank: int, count: int, environment: dict[str, str], failures, train, arguments: tuple) -> None:
    if BETWEEN_PROCESSES:
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on
    os.environ.clear()
    os.environ |= environment | {"LOCAL_RANK": str(local_rank)}
    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    try:
        with heeded():
            train(*arguments)
    except Stopped as stopped:
        failures.put((local_rank, _pickled(stopped)))
        raise SystemExit(stopped.status) from None
    except Exception as error:
        failures.put((local_rank, _pickled(error)))
        raise


def _pickled(error: BaseException) -> bytes:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # some exceptions can be pickled, but not read
        return content
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def gathered(item: object) -> list:
    """``item`` of each process, in the order of their ranks; to be called by all of them."""
    if not torch.distributed.is_initialized():
        return [item]
    items = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(items, item)
    return items


@contextmanager
def _passed_on(pids: list[int]) -> Iterator[list[int]]:
    """Send the signals that this process gets to others; gives them in a list."""
    passed_on = []

    def pass_on(number: int, frame: object) -> None:
        passed_on.append(number)
        for pid in pids if BETWEEN_PROCESSES else ():  # else the terminal has told all of them
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    with heeded(pass_on):
        yield passed_on
