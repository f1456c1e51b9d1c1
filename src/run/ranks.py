"""Start one process for each device of a run, or join the processes of a cluster, with a rendezvous timeout."""

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

# Whether the rendezvous server uses libuv, decided as in PyTorch, which is built without libuv for Windows.
LIBUV = os.environ.get("USE_LIBUV", "0" if sys.platform == "win32" else "1") == "1"
GRACE = 10  # seconds that the other processes of a run have to end after one has failed


class Processes(DDPStrategy):
    """Lightning's data-parallel strategy, preceded by a `roll_call`, which reports ranks that do not arrive.

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
    """Wait until all ranks of a run have connected to rank 0.

    Args:
        environment: knows the rank of this process, the number of ranks and the address of rank 0.
        devices: the configured number of processes on each machine.
        nodes: the configured number of machines.
        seconds: the rendezvous timeout.

    Returns:
        The store through which the ranks have met; they continue to use the store as long as this object exists.

    Raises:
        ValueError: the number of started processes differs from the configured number.
        ConnectionError: some ranks did not connect in time; the message names these ranks and their hosts.
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
    """Return the name of the machine on which a rank should run: its host name if known, or else ``machine N``.

    Args:
        rank: the rank.
        devices: the number of processes on each machine.
        nodes: the number of machines.
    """
    if nodes == 1:
        return socket.gethostname()
    if "SLURM_JOB_NODELIST" in os.environ:
        listed = ["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
        return subprocess.run(listed, capture_output=True, encoding="utf-8", check=True).stdout.split()[rank // devices]
    return f"machine {rank // devices}"


def to_start(trainer: lightning.Trainer) -> int:
    """Return how many processes must be started on this machine; 0 if this process itself is to train.

    Raises:
        ValueError: several processes were started, although the trainer uses only one.
    """
    count = lightning_seam.processes_to_start(trainer)
    if count is None:
        started = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1)
        if started > 1:
            raise ValueError(f"expected 1 process, but {started} were started; nearest valid: trainer=ddp")
    return count or 0


def free_port() -> int:
    """Return a free TCP port of this machine, for the rendezvous."""
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


def start(count: int, train: Callable[..., None], *arguments: object) -> None:
    """Call ``train(*arguments)`` in ``count`` new processes, each with its own rank, and wait until all have ended.

    Unlike with Lightning, this process does not train itself, because the next run of a sweep may need another number
    of processes. The new processes are forked from a server process, which imports the modules that ``train`` needs
    once for all runs of a sweep. Where spawning is Python's default (macOS, Windows), they are spawned, because forking
    fails or does not exist there. Signals to this process are passed on to all new processes.

    Raises:
        Exception: the exception of the first process that failed; the other processes were ended.
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
    # The module of ``train`` itself is not preloaded: if it is the main program, each process runs it again anyway.
    imported = [value.__name__ for value in train.__globals__.values() if inspect.ismodule(value)]
    if method == "forkserver":
        starter.set_forkserver_preload(imported)
    failures = starter.SimpleQueue()
    # Passed explicitly, because the server process keeps the environment variables with which it was started.
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
            first = raised.get(error.error_index)  # because of it, the other processes were ended
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
        os.setpgid(0, 0)  # so that Ctrl-C reaches only the parent process, which passes it on
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
    """Return a list with the ``item`` of each rank, in the order of ranks; all ranks must call this."""
    if not torch.distributed.is_initialized():
        return [item]
    items = [item] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(items, item)
    return items


@contextmanager
def _passed_on(pids: list[int]) -> Iterator[list[int]]:
    """Pass on all signals that this process receives within this context.

    Args:
        pids: the processes to which the signals are passed on.

    Yields:
        The growing list of received signals.
    """
    passed_on: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed_on.append(number)
        for pid in pids if BETWEEN_PROCESSES else ():  # on Windows the terminal itself signals all processes
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    with heeded(pass_on):
        yield passed_on
