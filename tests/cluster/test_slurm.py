"""Runs on a real Slurm: on many processes and nodes, preempted, and longer than a job may be."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from src import CONF
from tests.conftest import weights_digest

pytestmark = pytest.mark.cluster

SCRIPTS = os.environ.get("SLURM_SCRIPTS")
NODES = ("slurmlocal1", "slurmlocal2")
POINT = (
    "data.tile=60 data.workers=0 data.source.size=64 data.validation=21 data.held_out=24 model.depth=2 "
    "model.base_channels=2 trainer.val_check_interval=1 trainer.log_every_n_steps=1 trainer.precision=32-true "
    "compile=false"
).split()
TWO = ("trainer=ddp_cpu", "trainer.devices=2", "data.batch_size=2")
SLURM = ("hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of commands that see a Slurm of two nodes with four CPUs each."""
    if not SCRIPTS:
        pytest.skip("SLURM_SCRIPTS does not say where start_slurm.sh lies")
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("start_slurm.sh needs root on Linux")
    state = Path("/tmp") / f"slurm-{os.getpid()}"  # short, because sockets lie in it
    chosen = {"SLURM_LOCAL_NODES": "2", "SLURM_LOCAL_CPUS": "4", "SLURM_LOCAL_DIR": str(state)}
    chosen["SLURM_LOCAL_PORT"] = str(20000 + os.getpid() % 5000 * 3)
    own = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")} | chosen
    try:
        subprocess.run(["bash", f"{SCRIPTS}/start_slurm.sh"], env=own, check=True, timeout=300)
        # Of one thread each, because the bits of a convolution depend on their number.
        yield own | {
            "SLURM_CONF": str(state / "slurm.conf"),
            "PATH": f"{state / 'bin'}:{own['PATH']}",
            "PYTHONPATH": str(CONF.parent),
            "OMP_NUM_THREADS": "1",
        }
    finally:
        subprocess.run(["bash", f"{SCRIPTS}/stop_slurm.sh", "--purge"], env=own, check=True, timeout=120)


@pytest.fixture(scope="module")
def start(cluster, tmp_path_factory):
    """Start a command in the background: → its process. What still runs at the end is killed."""
    running = []
    cache = tmp_path_factory.mktemp("cache")

    def call(*arguments, slurm=True):
        command = [sys.executable, "-m", "src.train", *["-m"] * slurm, *POINT, f"cache_dir={cache}", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command + list(SLURM) * slurm, env=cluster, cwd=cache, text=True, **pipes))
        return running[-1]

    yield call
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module", autouse=True)
def limited(start, tmp_path_factory):
    """A sweep of one run in jobs of a minute, started before the other tests because its time has to go by."""
    directory = tmp_path_factory.mktemp("limited")
    limits = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=10", f"hydra.launcher.exclude={NODES[0]}")
    process = start("trainer=cpu", "trainer.max_steps=60", *limits, f"hydra.sweep.dir={directory}")
    with ThreadPoolExecutor() as beside:
        yield directory, process, beside.submit(hold_until_told, directory, process, 1)


@pytest.fixture(autouse=True)
def evidence(cluster, tmp_path, limited):
    """Print what pytest shows of a test that fails: the queue and the logs of all jobs."""
    yield
    listed = subprocess.run(["squeue", "--states=all"], env=cluster, capture_output=True, text=True, timeout=60)
    print(listed.stdout, listed.stderr)
    for directory in (tmp_path, limited[0]):
        for log in sorted(directory.rglob("*_log.*")):
            print(f"--- {log}", log.read_text(errors="replace")[-4000:], sep="\n")


def ended(process):
    """Wait for the end of a process: → (exit status, output, error)."""
    printed, error = process.communicate(timeout=400)
    return process.returncode, printed, error


def wait_for(condition, process, seconds=300):
    """What ``condition`` gives as soon as it holds while the process runs."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, f"it ended with {process.returncode}: {process.communicate()}"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
    return found


def point(directory):
    """The one point of a sweep."""
    (config,) = directory.glob("*/config.yaml")
    return config.parent


def logs(directory):
    return "".join(log.read_text() for log in sorted(directory.glob(".submitit/*/*_log.out")))


def read_json(file):
    return json.loads(file.read_text())


def job_numbers(directory):
    """Of the jobs of a sweep; beside their folders lies the script that submits them."""
    return [path.name for path in directory.glob(".submitit/*") if path.name.isdecimal()]


def restarts(directory, cluster):
    """How often Slurm has started the one job of a sweep again."""
    (job,) = job_numbers(directory)
    shown = subprocess.run(["scontrol", "show", "job", job], env=cluster, capture_output=True, text=True, check=True)
    return int(re.search(r"Restarts=(\d+)", shown.stdout)[1])


def tasks(directory):
    """The processes of the one job of a sweep on which its run goes on."""
    jobs = [f"SLURM_JOB_ID={number}".encode() for number in job_numbers(directory)]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        ours = b"submitit.core._submit" in command and b"python" in Path(os.fsdecode(command[0])).name.encode()
        if ours and set(jobs) & set(variables):
            found.append(int(process.name))
    return found


def is_stopped(pid):
    return re.search(r"^State:\s*T", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)


def is_told(pid):
    """Whether a stopped process has been sent USR2, or Slurm has even made it go on and end."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    pending = re.findall(r"^(?:Sig|Shd)Pnd:\s*(\w+)", status, re.MULTILINE)
    return not re.search(r"^State:\s*T", status, re.MULTILINE) or any(
        int(mask, 16) >> (signal.SIGUSR2 - 1) & 1 for mask in pending
    )


def hold_until_told(directory, process, count, begin=lambda: None):
    """Stop the job behind its first checkpoint until Slurm has sent it USR2, so that it cannot end before."""
    wait_for(lambda: len(tasks(directory)) == count, process)
    held = tasks(directory)
    wait_for(lambda: list(directory.glob("*/checkpoints/last.ckpt")), process)
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(map(is_stopped, held)), process)
    begin()
    wait_for(lambda: all(map(is_told, held)), process)
    for pid in held:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def check_went_on(directory, steps, cluster):
    """The run was stopped in the middle, requeued, and went on from there in the same directory."""
    printed = re.findall(rf"steps (\d+) to {steps}", logs(directory))
    # Slurm may send the signal up to a minute early, and so take a start back before it trains.
    assert 1 < len(printed) <= restarts(directory, cluster) + 1
    parts = list(dict.fromkeys(printed))
    assert parts[0] == "0" and all(0 < int(part) < steps for part in parts[1:])
    assert re.findall(rf"stopped by SIGUSR2 after step (\d+) of {steps}", errors(directory)) == parts[1:]
    lines = (point(directory) / "metrics.csv").read_text().splitlines()
    kept = [int(line.split(",")[0]) for line in lines[1:]]
    assert kept == sorted(kept)
    assert read_json(point(directory) / "scores.json")["steps"] == steps


def errors(directory):
    return "".join(log.read_text() for log in sorted(directory.glob(".submitit/*/*_log.err")))


def test_each_point_of_a_sweep_is_a_job_of_several_processes(start, tmp_path):
    status, printed, error = ended(
        start("seed=1,2", *TWO, "trainer.max_steps=2", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    )
    assert status == 0, error
    directory = tmp_path / "sweep"
    points = [config.parent for config in directory.glob("*/config.yaml")]
    assert len(points) == 2
    for path in points:
        assert read_json(path / "environment.json")["world_size"] == 2
        assert read_json(path / "scores.json")["steps"] == 2
        assert not (path / "run.lock").exists()
    text = logs(directory)
    assert text.count("CPU (1 threads) × 2") == 2 and text.count("│ slice_24") == 2
    assert len(set(map(weights_digest, points))) == 2
    table = printed[printed.rindex("┏") :]
    assert "validation v_rand" in table and "unfinished" not in table
    assert {found for found in re.findall(r"seed=\d", table)} == {"seed=1", "seed=2"}
    assert len((directory / "ranking.csv").read_text().splitlines()) == 3


def test_a_run_spans_two_nodes(start, tmp_path):
    spread = ("trainer=ddp_cpu", "trainer.num_nodes=2", "trainer.devices=1", "data.batch_size=2")
    status, _, error = ended(start(*spread, "trainer.max_steps=2", f"hydra.sweep.dir={tmp_path / 'sweep'}"))
    assert status == 0, error
    assert read_json(point(tmp_path / "sweep") / "environment.json")["world_size"] == 2
    hosts = re.findall(r"hostname=(\w+)", logs(tmp_path / "sweep"))
    assert sorted(hosts) == sorted(NODES)


def test_a_preempted_run_is_requeued_and_ends_as_if_nothing_had_happened(start, cluster, tmp_path):
    steps = "trainer.max_steps=40"
    alone = start(*TWO, steps, f"hydra.run.dir={tmp_path / 'alone'}", slurm=False)
    directory = tmp_path / "sweep"
    process = start(*TWO, steps, f"hydra.launcher.exclude={NODES[1]}", f"hydra.sweep.dir={directory}")
    all_of_it = ["srun", "--partition=urgent", "--nodes=1", f"--nodelist={NODES[0]}", "--ntasks=4", "true"]
    urgent = []
    hold_until_told(directory, process, 2, lambda: urgent.append(subprocess.Popen(all_of_it, env=cluster)))
    status, printed, error = ended(process)
    assert status == 0, error
    assert urgent[0].wait(timeout=60) == 0
    check_went_on(directory, 40, cluster)
    assert "unfinished" not in printed[printed.rindex("┏") :]
    status, _, error = ended(alone)
    assert status == 0, error
    assert weights_digest(point(directory)) == weights_digest(tmp_path / "alone")
    both = [read_json(path / "scores.json") for path in (point(directory), tmp_path / "alone")]
    assert both[0] | {"seconds": 0} == both[1] | {"seconds": 0}


WRONG = {
    "fewer": (*TWO, "hydra.launcher.tasks_per_node=1"),
    "more": ("trainer=ddp_cpu", "trainer.devices=1", "hydra.launcher.tasks_per_node=2"),
    "more than one": ("trainer=cpu", "hydra.launcher.tasks_per_node=2"),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_other_processes_than_devices_are_refused_in_the_terminal_and_in_the_log(arguments, start, tmp_path):
    directory = tmp_path / "sweep"
    status, printed, error = ended(start(*arguments, "trainer.max_steps=1", f"hydra.sweep.dir={directory}"))
    assert status == 1, "two jobs trained as if each were alone"
    assert not list(directory.glob("*/scores.json"))
    # Lightning's words where it notices, else ours.
    for text in (errors(directory), error):
        assert re.search("ntasks-per-node|[12] process", text), text
        assert "Traceback" not in text
    assert "unfinished" in printed


def test_a_run_longer_than_its_job_goes_on_in_the_next_one(limited, cluster):
    directory, process, held = limited
    held.result()
    status, _, error = ended(process)
    assert status == 0, error
    check_went_on(directory, 60, cluster)
