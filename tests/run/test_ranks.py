"""A run on two processes: equal to a run on one, alone in its directory, and ended when one of them dies."""

import contextlib
import csv
import hashlib
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable as Function
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf

from src import CONF, training
from src.files.whole import write_json, write_text
from src.metrics.instance import Instances
from src.restore import restore
from src.run import ranks
from src.run.checkpoint import LastCheckpoint
from src.run.directory import open_run
from src.run.ranks import host_of, roll_call, start
from src.training import train as train_run
from tests.conftest import TINY

SMALL = [
    *(argument for argument in TINY if not argument.startswith("trainer.accelerator")),
    *"data.source.size=64 data.source.slices=12 +data.source.cells=8 logger=csv compile=false".split(),
    *"data.train=0-3 data.validation=4-6 data.held_out=7-11 data.batch_size=2".split(),
    *"~callbacks.samples ~callbacks.overlay".split(),
]
TWO = ["trainer=ddp_cpu", "trainer.devices=2"]
PLAIN = (
    "model.norm=none model.dropout=0 callbacks=default scheduler=constant optimizer=sgd optimizer.momentum=0".split()
)
HERE = "tests.run.test_ranks"


class Watch(Callback):
    """Records the process of each rank and its tiles; pauses rank 1 where the test asks for it."""

    def __init__(self, directory: str):
        self.directory = Path(directory)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        rank, step = trainer.global_rank, trainer.global_step
        write_text(self.directory / f"pid_{rank}", str(os.getpid()))
        hold = self.directory / f"hold_{step}"
        if rank == 1 and hold.exists():
            last = next(callback for callback in trainer.callbacks if isinstance(callback, LastCheckpoint))
            (self.directory / f"held_{step}").touch()
            wait_for(lambda: last.received)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        with (self.directory / f"tiles_{trainer.global_rank}").open("a") as file:
            digests = [hashlib.sha256(image.numpy()).hexdigest() for image in batch["image"]]
            file.writelines(f"{trainer.global_step - 1} {digest}\n" for digest in digests)

    def on_validation_start(self, trainer, module):
        self._note_statistics(trainer, module, "before")

    def on_validation_batch_end(self, trainer, module, *_):
        self._note_statistics(trainer, module, "after")

    def _note_statistics(self, trainer, module, when):
        content = b"".join(buffer.numpy().tobytes() for buffer in module.model.buffers())
        with (self.directory / f"statistics_{when}_{trainer.global_rank}").open("a") as file:
            file.write(hashlib.sha256(content).hexdigest() + "\n")


def wait_for(condition: Function[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.01)


def tiles(directory: Path) -> list[list[tuple[int, str]]]:
    """The steps and tiles of each process."""
    files = sorted(directory.glob("tiles_*"))
    return [[(int(step), tile) for step, tile in map(str.split, file.read_text().splitlines())] for file in files]


def curves(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def scores(directory: Path) -> dict:
    return json.loads((directory / "scores.json").read_text())


def checkpoint(directory: Path, name: str = "last") -> dict:
    return torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)


# Many runs, on two processes and on one: the processes are started once.


def chosen(directory: Path, *arguments: str) -> dict:
    """The arguments that `train` gets from the command line."""
    where = [f"run_dir={directory}", f"cache_dir={directory.parent / 'cache'}"]
    watch = f"+callbacks.watch={{_target_:{HERE}.Watch,directory:'{directory}'}}"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("train", [*SMALL, *where, watch, *arguments]), resolve=True)


def train_all(runs: list[tuple[dict, Path]], errors: Path | None = None) -> None:
    with contextlib.ExitStack() as stack:
        if errors:
            file = stack.enter_context((errors / f"stderr_{os.environ['LOCAL_RANK']}").open("w"))
            stack.enter_context(contextlib.redirect_stderr(file))
        for config, directory in runs:
            train_run(config, directory)


# All metrics score each run, and each of them chooses the threshold of one.
METRICS = {"isbi": "v_rand", "instances": "pq", "semantic": "iou"}
VALIDATIONS = {1: "4", 2: "4-5", 3: "4-6"}
MORE = [
    f"+metrics.{name}={{_target_:src.metrics.{target}}}"
    for name, target in (("cells", "instance.Instances"), ("classes", "semantic.Semantic"))
]
JUDGED = {
    f"judged on {count}": [
        *(*PLAIN, *MORE, "optimizer.lr=0", "instances=watershed", f"monitor={monitor}", f"data.validation={slices}")
    ]
    for monitor, (count, slices) in zip(METRICS.values(), VALIDATIONS.items(), strict=True)
}
QUICK = "metrics=semantic monitor=iou data.validation=4 data.held_out=7-8".split()  # scores do not matter there
RUNS = JUDGED | {
    "gradient": [*PLAIN, *QUICK, "optimizer.lr=1"],
    "normalised gradient": [*PLAIN, *QUICK, "optimizer.lr=1", "model.norm=batch"],
    "statistics": ["trainer.max_steps=3", "callbacks=default", "optimizer.lr=0.03", "metrics=semantic", "monitor=iou"],
    "averaged statistics": ["trainer.max_steps=3", "metrics=semantic", "monitor=iou"],
    "two parts": [*PLAIN, *QUICK, "trainer.max_steps=3", "optimizer.lr=0.1"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of one process and of two: → a function that gives the directories of both by the name of the run."""
    folder = tmp_path_factory.mktemp("trained")

    def directory(processes: int, name: str) -> Path:
        return folder / f"{name.replace(' ', '_')}_{processes}"

    alone = {name: run for name, run in RUNS.items() if name != "averaged statistics"}
    one = [(chosen(directory(1, name), *run, "trainer=cpu"), directory(1, name)) for name, run in alone.items()]
    two = [(chosen(directory(2, name), *run, *TWO), directory(2, name)) for name, run in RUNS.items()]
    first_part = chosen(directory(2, "two parts"), *RUNS["two parts"], "trainer=cpu", "trainer.max_time=00:00:00:00")
    for config, made in [*one, (first_part, directory(2, "two parts")), *two]:
        open_run(made, config)  # refuses the second part if it were another run
    train_all(one)
    with pytest.raises(ValueError, match="stopped after step 1 of 3"):
        train_run(first_part, directory(2, "two parts"))
    start(2, train_all, two, folder)
    return lambda name: (directory(1, name), directory(2, name))


def weights(directory: Path) -> torch.Tensor:
    state = checkpoint(directory)["state_dict"]
    return torch.cat([value.flatten() for name, value in state.items() if name.endswith(("weight", "bias"))])


@pytest.mark.slow
def test_the_gradient_of_two_processes_is_that_of_one_with_their_tiles(trained):
    one, two = trained("gradient")
    lightning.seed_everything(0, verbose=False)
    state = training.make_segmenter(chosen(one, *RUNS["gradient"])).state_dict()
    before = torch.cat([value.flatten() for name, value in state.items() if name.endswith(("weight", "bias"))])
    gradients = [before - weights(directory) for directory in (one, two)]
    assert gradients[0].abs().max() > 0.1
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["gradient", "two parts"])
def test_the_loss_of_two_processes_is_that_of_all_tiles(run, trained):
    losses = [[float(row["train/loss"]) for row in curves(made) if row["train/loss"]] for made in trained(run)]
    assert len(losses[0]) == len(losses[1]) == (1 if run == "gradient" else 3)
    np.testing.assert_allclose(losses[1], losses[0], atol=1e-6)


@pytest.mark.slow
def test_batch_statistics_are_of_each_process_on_the_cpu(trained):
    one, two = trained("normalised gradient")
    difference = (weights(one) - weights(two)).abs().max()
    assert 1e-3 < difference < 1


@pytest.mark.slow
@pytest.mark.parametrize("run", ["gradient", "statistics"])
def test_each_tile_of_one_process_is_drawn_by_one_of_two_in_the_same_step(run, trained):
    one, two = map(tiles, trained(run))
    steps = 1 if run == "gradient" else 3
    assert [len(part) for part in one] == [2 * steps]
    assert [len(part) for part in two] == [steps, steps]
    assert len(set(one[0])) == 2 * steps
    assert one[0] == [tile for both in zip(*two, strict=True) for tile in both]


SCORES = {
    "isbi": {"v_rand", "v_info", "rand_error", "pixel_error", "warping_error"},
    "instances": set(Instances.modes),
    "semantic": {"iou", "dice", "precision", "recall", "iou_class_0", "iou_class_1", "iou_per_image"},
}


@pytest.mark.slow
@pytest.mark.parametrize("metrics", METRICS)
@pytest.mark.parametrize("run", JUDGED)
def test_slices_are_scored_once_whoever_gets_them(run, metrics, trained):
    one, two = map(scores, trained(run))
    names = [row["name"] for row in two["per_image"]]
    assert names == [row["name"] for row in one["per_image"]] == [f"slice_{number:02d}" for number in range(7, 12)]
    assert len({tuple(list(row.values())[1:]) for row in one["per_image"]}) == 5, "these slices cannot be told apart"
    for part in ("validation", "scores"):
        assert SCORES[metrics] <= one[part].keys() and two[part].keys() == one[part].keys()
        for name in SCORES[metrics]:
            assert two[part][name] == pytest.approx(one[part][name], abs=1e-6, nan_ok=True), (part, name)
    for row, expected in zip(two["per_image"], one["per_image"], strict=True):
        assert row == pytest.approx(expected, abs=1e-6)
    assert two["threshold"] == one["threshold"]


@pytest.mark.slow
def test_the_number_of_validation_slices_matters_to_the_scores(trained):
    for metrics in METRICS:
        judged = [scores(trained(run)[0])["validation"] for run in JUDGED]
        found = {tuple(value for name, value in each.items() if name in SCORES[metrics]) for each in judged}
        assert len(found) == 3, metrics


@pytest.mark.slow
@pytest.mark.parametrize("run", ["statistics", "averaged statistics"])
@pytest.mark.parametrize("part", ["validation", "scores"])
def test_scores_are_those_of_the_checkpoint_although_each_process_has_its_own_statistics(run, part, trained):
    _, two = trained(run)
    config = chosen(two, *RUNS[run])
    module = training.make_segmenter(config)
    module.take(restore(two / "checkpoints" / "best.ckpt"))
    data = training.make_data(config, module.model)
    judge = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    (judge.validate if part == "validation" else judge.test)(module, data, verbose=False)
    expected = module.validation_scores if part == "validation" else module.held_out_scores
    assert scores(two)[part] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["statistics", "averaged statistics"])
def test_processes_judge_with_the_statistics_of_the_first(run, trained):
    _, two = trained(run)
    before, after = (
        [(two / f"statistics_{when}_{rank}").read_text().split() for rank in (0, 1)] for when in ("before", "after")
    )
    assert len(before[0]) == 3 and len(after[0]) == 3 * 2
    assert all(first != second for first, second in zip(*before, strict=True)), "nothing was to be made equal"
    assert after[0] == after[1]


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_with_two_and_says_so(trained):
    one, two = trained("two parts")
    assert json.loads((two / "environment.json").read_text())["world_size"] == 2
    assert [[step for step, _ in part] for part in tiles(two)] == [[0, 0, 1, 2], [1, 2]]
    assert sorted(tile for part in tiles(two) for tile in part) == sorted(tiles(one)[0])
    torch.testing.assert_close(weights(two), weights(one), atol=1e-6, rtol=0)
    said = [(two.parent / f"stderr_{rank}").read_text() for rank in (0, 1)]
    warned = re.findall(r"warning: the run is resumed, although these have changed: (.*)", "".join(said))
    assert len(warned) == 1 and "world_size" in warned[0].split(", ")


# The command as a user starts it.


@dataclass
class Started:
    """A running command, and what it leaves behind."""

    process: subprocess.Popen
    output: Path
    error: Path

    @property
    def children(self) -> list[int]:
        """All its descendant processes."""
        found = [self.process.pid]
        for number in found:
            with contextlib.suppress(OSError):  # it has ended
                found += map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
        return found[1:]

    def ended(self, left: list[int]) -> tuple[int, str, str]:
        """Exit status, standard output and error; none of the processes in ``left`` is left."""
        status = self.process.wait(timeout=300)
        wait_for(lambda: not any(map(runs, left)))
        return status, self.output.read_text(), self.error.read_text()


def runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


LONG = ["trainer.max_steps=8", "trainer.val_check_interval=3", *TWO]


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Start ``python -m src.train`` with two processes in a directory."""
    folder, started = tmp_path_factory.mktemp("command"), []

    def begin(directory: Path, *arguments: str) -> Started:
        directory.mkdir(parents=True, exist_ok=True)
        watch = f"+callbacks.watch={{_target_:{HERE}.Watch,directory:'{directory}'}}"
        given = [*SMALL, *LONG, f"hydra.run.dir={directory}", f"cache_dir={folder / 'cache'}", watch, *arguments]
        files = [folder / f"{kind}_{len(started)}" for kind in ("output", "error")]
        with files[0].open("w") as output, files[1].open("w") as error:
            process = subprocess.Popen(
                [sys.executable, "-m", "src.train", *given],
                cwd=CONF.parent,
                stdout=output,
                stderr=error,
                start_new_session=True,
            )
        started.append(Started(process, *files))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            for pid in [*each.children, each.process.pid]:
                os.kill(pid, signal.SIGKILL)
            each.process.wait()


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """An uninterrupted run of two processes: → (directory, status, output, error)."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    running = command(directory)
    wait_for(lambda: len(list(directory.glob("pid_*"))) == 2 or running.process.poll() is not None)
    ranks = [int((directory / f"pid_{rank}").read_text()) for rank in (0, 1)]
    return directory, *running.ended(ranks)


@pytest.mark.slow
def test_two_processes_leave_one_run(whole):
    directory, status, printed, error = whole
    assert status == 0, error
    assert error == ""
    assert json.loads((directory / "environment.json").read_text())["world_size"] == 2
    assert printed.count("· steps 0 to 8") == printed.count("step 3/8 ·") == printed.count("step 6/8 ·") == 1
    for number in range(7, 12):
        assert len(re.findall(rf"│ slice_{number:02d} ", printed)) == 1
    assert printed.count(f"scores, predictions and checkpoints: {directory}") == 1
    names = [row["name"] for row in scores(directory)["per_image"]]
    assert names == [f"slice_{number:02d}" for number in range(7, 12)]
    kinds = (".png", "_labels.tif", "_probabilities.tif")
    assert sorted(file.name for file in (directory / "predictions").iterdir()) == sorted(
        f"{name}{kind}" for name in names for kind in kinds
    )
    assert {file.name for file in (directory / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert not list(directory.rglob("*.lock")) and not list(directory.rglob(".*"))


@pytest.mark.slow
def test_the_curves_of_two_processes_have_each_row_once(whole):
    rows = curves(whole[0])
    assert [int(row["step"]) for row in rows if row["train/loss"]] == list(range(8))
    assert [int(row["step"]) for row in rows if row["validation/v_rand"]] == [2, 5]
    assert [int(row["step"]) for row in rows if row["held_out/v_rand"]] == [8]
    assert len(rows) == 11


@pytest.fixture(scope="module")
def interrupted(command, tmp_path_factory):
    """A run stopped by SIGTERM, by Ctrl-C and by the death of a process: → (directory, what each part left)."""
    directory, parts = tmp_path_factory.mktemp("interrupted") / "run", {}
    for name, step in (("SIGTERM", 1), ("SIGINT", 3), ("SIGKILL", 5)):
        directory.mkdir(exist_ok=True)
        (directory / f"hold_{step}").touch()
        running = command(directory)
        held = directory / f"held_{step}"
        wait_for(lambda held=held, running=running: held.exists() or running.process.poll() is not None)
        assert held.exists(), running.error.read_text()
        ranks = [int((directory / f"pid_{rank}").read_text()) for rank in (0, 1)]
        assert set(ranks) <= set(running.children)
        left = running.children
        if name == "SIGTERM":
            os.kill(running.process.pid, signal.SIGTERM)
        elif name == "SIGINT":
            os.killpg(running.process.pid, signal.SIGINT)  # as the terminal does
        else:
            os.kill(ranks[1], signal.SIGKILL)
        ended = running.ended(left)
        parts[name] = {"ended": ended, "step": checkpoint(directory)["global_step"], "lock": directory / "run.lock"}
        (directory / f"hold_{step}").unlink()
    parts["rest"] = {"ended": command(directory).ended([])}
    return directory, parts


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [("SIGTERM", 2), ("SIGINT", 4)])
def test_a_signal_stops_both_processes_after_a_step(name, step, interrupted):
    directory, parts = interrupted
    status, printed, error = parts[name]["ended"]
    assert status == 128 + signal.Signals[name], error
    lines = error.splitlines()
    assert lines[-1] == (
        f"stopped by {name} after step {step} of 8; the same command with hydra.run.dir={directory} goes on from there"
    )
    assert len([line for line in lines if not line.startswith("warning: goes on")]) == 1, error
    assert parts[name]["step"] == step
    assert "slice_07" not in printed


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run_with_one_message(interrupted):
    _, parts = interrupted
    status, printed, error = parts["SIGKILL"]["ended"]
    assert status == 1
    assert error == "error: expected 2 processes to finish, but number 1 ended with SIGKILL\n"
    assert parts["SIGKILL"]["step"] == 4
    assert "steps 4 to 8" in printed


@pytest.mark.slow
def test_an_interrupted_run_of_two_processes_ends_as_if_it_had_not_been(whole, interrupted):
    directory, parts = interrupted
    status, printed, error = parts["rest"]["ended"]
    assert status == 0, error
    assert "steps 4 to 8" in printed
    for name in ("last", "best"):
        expected, found = (checkpoint(made, name)["state_dict"] for made in (whole[0], directory))
        assert expected.keys() == found.keys()
        # Not bit for bit: two runs of two processes sometimes differ in the last bit, even without an interruption.
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4, msg=f"{name} {key}")
    assert [row["step"] for row in curves(directory)] == [row["step"] for row in curves(whole[0])]
    assert not list(directory.rglob("*.lock")) and not list(directory.rglob(".*"))


# Sweeps.


def swept(run_command, folder: Path, *arguments: str) -> tuple[int, str, str]:
    fixed = [*SMALL, "trainer=ddp_cpu", f"cache_dir={folder.parent / 'cache'}", f"hydra.sweep.dir={folder}"]
    keys = {argument.partition("=")[0] for argument in arguments}
    return run_command("train", "-m", *(each for each in fixed if each.partition("=")[0] not in keys), *arguments)


@pytest.mark.slow
def test_a_sweep_may_train_each_point_with_another_number_of_processes(run_command, tmp_path):
    points = ("seed=1,2", "trainer.devices=2,1")
    status, _, error = swept(run_command, tmp_path / "sweep", *points)
    assert status == 0, error
    found = {}
    for file in (tmp_path / "sweep").glob("*/config.yaml"):
        config = yaml.safe_load(file.read_text())
        world_size = json.loads((file.parent / "environment.json").read_text())["world_size"]
        found[config["seed"], config["trainer"]["devices"]] = world_size
        assert len(scores(file.parent)["per_image"]) == 5
    assert found == {(seed, devices): devices for seed in (1, 2) for devices in (1, 2)}
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "sweep").glob("*/*/*")}
    status, printed, error = swept(run_command, tmp_path / "sweep", *points)
    assert status == 0, error
    assert printed.count("is finished") == 4
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "sweep").glob("*/*/*")} == before


@pytest.mark.slow
def test_a_point_that_fails_in_its_processes_leaves_the_others_alone(run_command, tmp_path):
    points = ("trainer.devices=2", "data.held_out='7-11','7-12'")
    status, _, error = swept(run_command, tmp_path / "sweep", *points)
    assert status == 1
    message = "error: expected images from 0 to 11, but got '7-12'; nearest valid: 11"
    assert error.count(message) == 1
    assert "Traceback" not in error
    finished = [
        json.loads((file.parent / "environment.json").read_text())["world_size"]
        for file in (tmp_path / "sweep").glob("*/scores.json")
    ]
    assert finished == [2]
    assert len(list((tmp_path / "sweep").glob("*/config.yaml"))) == 2
    assert not list(tmp_path.rglob("*.lock"))


# Processes that a cluster starts, or should have started.


@dataclass
class Place:
    """The attributes of a cluster that roll_call reads."""

    rank: int
    size: int
    main_port: int
    main_address: str = "127.0.0.1"

    def global_rank(self) -> int:
        return self.rank

    def world_size(self) -> int:
        return self.size


def call(place: Place, devices: int, nodes: int, seconds: float):
    """The result of roll_call, or the type and message of its error; the store of a failed call is released."""
    try:
        return roll_call(place, devices, nodes, seconds)
    except Exception as error:
        return type(error), str(error)


def called(ranks: dict[int, float], devices: int = 3, nodes: int = 1, size: int = 3) -> tuple[dict, float]:
    """Call the roll in a thread for each rank, each with its patience: → (what each got, seconds it took)."""
    port, started = find_free_network_port(), time.monotonic()
    with ThreadPoolExecutor(len(ranks)) as threads:
        calls = {
            rank: threads.submit(call, Place(rank, size, port), devices, nodes, seconds)
            for rank, seconds in ranks.items()
        }
        return {rank: each.result() for rank, each in calls.items()}, time.monotonic() - started


@pytest.mark.parametrize("libuv", [True, False])  # which Windows lacks
def test_when_all_have_arrived_each_knows_the_hosts_of_all(libuv, monkeypatch):
    monkeypatch.setattr(ranks, "LIBUV", libuv)
    stores, _ = called({0: 60, 1: 60, 2: 60})
    for store in stores.values():
        assert [store.get(f"host of rank {rank}").decode() for rank in range(3)] == [socket.gethostname()] * 3


def test_a_rank_that_does_not_arrive_is_named_with_its_host_by_all_others():
    failures, took = called({0: 0.8, 1: 0.4})
    host = socket.gethostname()
    for rank, seconds in ((0, 0.8), (1, 0.4)):
        assert failures[rank] == (
            ConnectionError,
            f"expected 3 processes within {seconds} s, but rank 2 on {host} did not arrive at rank {rank} on {host}",
        )
    assert 0.8 <= took < 60


def test_all_that_do_not_arrive_are_named_with_their_machines():
    failures, _ = called({0: 0.3}, devices=2, nodes=2, size=4)
    assert "but rank 1 on machine 0, rank 2 on machine 1, rank 3 on machine 1 did not arrive" in failures[0][1]


def test_rank_0_that_does_not_arrive_is_named_with_its_address():
    failures, took = called({1: 0.5, 2: 0.5})
    for rank in (1, 2):
        assert failures[rank][0] is ConnectionError
        assert f"rank {rank} on {socket.gethostname()} expected rank 0 at 127.0.0.1:" in failures[rank][1]
        assert "within 0.5 s, but it did not arrive" in failures[rank][1]
    assert 0.5 <= took < 30


def test_a_process_that_waits_longer_than_rank_0_also_says_who_is_missing():
    failures, took = called({0: 0.5, 1: 60})
    assert failures[1][0] is ConnectionError, failures[1]
    assert "did not arrive" in failures[1][1]
    assert took < 30


@pytest.mark.parametrize(("devices", "nodes", "size"), [(2, 2, 3), (1, 1, 2), (2, 1, 1)])
def test_more_or_fewer_processes_than_configured_are_refused(devices, nodes, size):
    expected = rf"trainer.devices × trainer.num_nodes = {devices} × {nodes} processes, but {size} were started"
    with pytest.raises(ValueError, match=expected):
        roll_call(Place(0, size, find_free_network_port()), devices, nodes, 1)


def test_a_host_is_the_one_that_the_cluster_gives_to_a_rank(tmp_path, monkeypatch):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames n[07-08]" ] && printf "n07\\nn08\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[07-08]")
    assert [host_of(rank, 3, 2) for rank in range(6)] == ["n07"] * 3 + ["n08"] * 3
    assert host_of(1, 2, 1) == socket.gethostname()


def test_a_process_started_alone_says_whom_it_has_missed(run_command, tmp_path, monkeypatch):
    place = {"LOCAL_RANK": 0, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": find_free_network_port()}
    for name, value in place.items():
        monkeypatch.setenv(name, str(value))
    given = [*SMALL, *TWO, "trainer.strategy.arrival=0.5", f"hydra.run.dir={tmp_path / 'run'}"]
    status, _, error = run_command("train", *given)
    host = socket.gethostname()
    assert status == 1
    assert error == (
        f"error: expected 2 processes within 0.5 s, but rank 1 on {host} did not arrive at rank 0 on {host}\n"
    )
    assert not (tmp_path / "run" / "run.lock").exists()


def test_processes_that_torchrun_has_started_for_a_trainer_of_one_are_refused(run_command, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, _, error = run_command("train", *SMALL, "trainer=cpu", f"hydra.run.dir={tmp_path / 'run'}")
    assert status == 1
    assert error == "error: expected 1 process, but 2 were started; nearest valid: trainer=ddp\n"


# Processes that the project starts.


class Unreadable(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, code: int, reason: str):
        super().__init__(f"{code}: {reason}")


def fails(folder: Path, late: bool, error: Exception | None) -> None:
    rank, address = int(os.environ["LOCAL_RANK"]), (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"])
    write_json(folder / f"{rank}.json", [os.getpgid(0), os.getpid(), torch.get_num_threads(), *address])
    if rank == 0 and late:
        wait_for(lambda: (folder / "1.json").exists() and not runs(json.loads((folder / "1.json").read_text())[1]))
        (folder / "done").touch()
    elif rank == 0:
        time.sleep(1000)
    elif error:
        raise error
    elif not late:
        raise Unreadable(7, "a wrong tile")


@pytest.mark.slow
def test_start_returns_when_all_are_done(tmp_path):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    environment = dict(os.environ)
    start(2, fails, tmp_path, True, None)
    assert (tmp_path / "done").exists()
    said = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    for group, pid, threads, *_ in said:
        assert group == pid, "Ctrl-C would reach it twice"
        assert threads == max(1, torch.get_num_threads() // 2)
    assert said[0][3:] == said[1][3:] and said[0][3] == "127.0.0.1" and int(said[0][4]) > 0
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert dict(os.environ) == environment


def test_an_error_of_a_process_comes_out_as_it_was_and_ends_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "GRACE", 0.5)
    with pytest.raises(FileNotFoundError, match=r"^\[Errno 2\] no slices: 'a.tif'$"):
        start(2, fails, tmp_path, False, FileNotFoundError(2, "no slices", "a.tif"))
    if (tmp_path / "0.json").exists():
        assert not runs(json.loads((tmp_path / "0.json").read_text())[1])


def test_an_error_that_cannot_be_pickled_comes_out_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "GRACE", 0.5)
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(Unreadable(7, "a wrong tile")))
    (tmp_path / "unreadable").touch()
    with pytest.raises(RuntimeError, match=r"^Unreadable: 7: a wrong tile$"):
        start(2, fails, tmp_path, False, None)
