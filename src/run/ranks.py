"""Starts a process for each device of a run, or joins those of a cluster, with a rendezvous timeout."""

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
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import lightning
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import multiprocessing
from torch.distributed import (  # type: ignore[attr-defined]  # TCPStore is documented, but not in its __all__
    DistNetworkError,
    DistStoreError,
    TCPStore,
)
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes
from typing_extensions import override

from src.run import lightning_seam
from src.signals import BETWEEN_PROCESSES, Stopped, heeded

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

Item = TypeVar("Item")

# Whether the rendezvous server uses libuv, by PyTorch's own rule: PyTorch is built without libuv for Windows.
LIBUV = os.environ.get("USE_LIBUV", "0" if sys.platform == "win32" else "1") == "1"
GRACE = 10  # seconds in which the other processes of a run must end when one has failed


class Processes(DDPStrategy):
    """Lightning's data-parallel strategy, with a roll call before the ranks wait for each other.

    Args:
        arrival: rendezvous timeout in seconds.
        options: the arguments of `DDPStrategy`.
    """

    def __init__(self, arrival: float = 60, **options: Any) -> None:  # noqa: ANN401  # passed on as they are
        super().__init__(**options)
        self.arrival = arrival

    @override
    def setup_distributed(self) -> None:
        self.set_world_ranks()
        if self.cluster_environment is not None:
            self._store = roll_call(self.cluster_environment, self.num_processes, self.num_nodes, self.arrival)
        super().setup_distributed()


def roll_call(environment: ClusterEnvironment, devices: int, nodes: int, seconds: float) -> TCPStore:
    """Wait for all ranks of a run.

    Args:
        environment: the rank of this process and the address of rank 0.
        devices: the configured number of processes on each machine.
        nodes: the configured number of machines.
        seconds: the rendezvous timeout.

    Returns:
        The store of the rendezvous; the ranks continue to use it while it exists.

    Raises:
        ValueError: the number of started processes is not the configured one.
        ConnectionError: ranks did not arrive; the message names them and their hosts.
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
    """The machine that a rank should run on, by its host name if that is known."""
    if nodes == 1:
        return socket.gethostname()
    if "SLURM_JOB_NODELIST" in os.environ:
        listed = ["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
        return subprocess.run(listed, capture_output=True, encoding="utf-8", check=True).stdout.split()[rank // devices]
    return f"machine {rank // devices}"


def to_start(trainer: lightning.Trainer) -> int:
    """Number of processes that must be started on this machine; 0 if this process can train itself.

    Raises:
        ValueError: several processes were started for a trainer that uses one.
    """
    count = lightning_seam.processes_to_start(trainer)
    if count is None:
        started = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1)
        if started > 1:
            raise ValueError(f"expected 1 process, but {started} were started; nearest valid: trainer=ddp")
    return count or 0


def free_port() -> int:
    """A free port of this machine, for the rendezvous."""
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


def start(count: int, train: Callable[..., None], *arguments: object) -> None:
    """Call ``train(*arguments)`` in ``count`` new processes, which form a group of their own.

    Unlike with Lightning, this process is not one of them, because the next run of a sweep may need another number of
    processes. They are forked from a server that has imported only what ``train`` needs, once for all runs of a sweep;
    or they are spawned where that is Python's default, because forking fails on macOS and does not exist on Windows.
    Signals to this process are passed on to all of them.

    Raises:
        Exception: the exception of the first process that failed; the others were ended.
        ChildProcessError: a process was killed.
        Stopped: the processes were stopped by a signal.
    """
    address = {
        "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": os.environ.get("MASTER_PORT") or str(free_port()),
        "NODE_RANK": os.environ.get("NODE_RANK", "0"),
    }
    method = "spawn" if multiprocessing.get_start_method() == "spawn" else "forkserver"
    starter = multiprocessing.get_context(method)
    # Not the module of ``train`` itself: if it is the program, each process runs it again.
    imported = [value.__name__ for value in train.__globals__.values() if inspect.ismodule(value)]
    if method == "forkserver":
        starter.set_forkserver_preload(imported)
    failures = starter.SimpleQueue()
    # Passed on, because the environment of the server is that of its start.
    environment = dict(os.environ) | address
    context = start_processes(
        _enter, (count, environment, failures, train, arguments), count, join=False, start_method=method
    )
    with _passed_on(context.pids()) as passed_on:
        try:
            while not context.join(grace_period=GRACE):
                pass
        except (ProcessExitedException, ProcessRaisedException) as error:
            raised: dict[int, BaseException] = {}
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
                raise first or error from error
            raise ChildProcessError(
                f"expected {count} processes to finish, but number {error.error_index} ended with "
                f"{error.signal_name or f'status {error.exit_code}'}"
            ) from None


def _enter(
    local_rank: int,
    count: int,
    environment: dict[str, str],
    failures: "SimpleQueue[tuple[int, bytes]]",
    train: Callable[..., None],
    arguments: tuple[object, ...],
) -> None:
    if BETWEEN_PROCESSES:
        os.setpgid(0, 0)  # so that Ctrl-C reaches only the parent, which passes it on
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
        pickle.loads(content)  # some exceptions can be pickled but not unpickled
        return content
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def gathered(item: Item) -> list[Item]:
    """The ``item`` of each rank, in their order; all ranks must call this."""
    if not torch.distributed.is_initialized():
        return [item]
    items = [item] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(items, item)
    return items


@contextmanager
def _passed_on(pids: list[int]) -> Iterator[list[int]]:
    """Pass the signals that this process receives on to others; yields the list of them."""
    passed_on: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed_on.append(number)
        for pid in pids if BETWEEN_PROCESSES else ():  # otherwise the terminal signals all of them
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    with heeded(pass_on):
        yield passed_on
