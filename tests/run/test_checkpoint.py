"""An interrupted run resumes exactly, wherever and however it was stopped; tested with real processes."""

import csv
import functools
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import tifffile
import torch
from torch.nn.functional import dropout
from torch.optim.lr_scheduler import ConstantLR
from torch.utils.data import DataLoader

from src import CONF
from src.data.phantom import phantom
from src.data.weight_map import border_weight
from src.instances import Components
from src.metrics.pixel import PixelError
from src.model.archive import is_whole
from src.model.loss import weighted_cross_entropy
from src.model.segmenter import Segmenter
from src.model.unet import UNet
from src.restore import restore
from src.run.checkpoint import TRAINING_ONLY, BestCheckpoint, Reseed, seconds
from src.run.directory import checkpoint_file
from src.signals import hand_over
from src.train import start
from tests.conftest import TINY

ROOT = CONF.parent
STEPS, EVERY = 16, 3
# Enough cells and steps wide enough that the score rises and falls: the best is neither the first nor the last.
RUN = (
    *TINY,
    *f"seed=9 data.source.size=64 +data.source.cells=8 optimizer.lr=0.05 trainer.max_steps={STEPS}".split(),
    f"trainer.val_check_interval={EVERY}",
    *"data.held_out=24 page=false ~callbacks.samples ~callbacks.overlay".split(),
)
ACCUMULATED = (
    "trainer.precision=bf16-mixed",
    "trainer.accumulate_grad_batches=2",
    "trainer.max_steps=12",
    "trainer.val_check_interval=2",
)
ONE_STEP = "trainer.max_time=00:00:00:00"  # so short that each start makes one step
SINGLE_STEPS = 4


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    """The cache of weight maps that all runs of this file share."""
    return f"cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.fixture
def train(train, cache):
    """Like the fixture of conftest, with the cache that all runs of this file share."""

    def call(*arguments: str, **options: Path) -> tuple[Path, int, str, str]:
        return train(*arguments, cache, **options)

    return call


def forked():
    """Makes processes that have already imported torch: each is forked from one that has done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["src.train", "torch._dynamo", "torch.utils.tensorboard"])
    return context


def strike(event: str, function: str, caller: str | None, count: int | str, number: int, group: bool) -> None:
    """Send a signal to this process, or its group, when the ``count``-th ``event`` of a function happens.

    For ``last`` as ``count``, when last.ckpt has just got the name of the one before it.
    """
    left = count

    def hook(frame, what, argument):
        nonlocal left
        if what != event or frame.f_code.co_qualname != function:
            return
        if caller is not None and frame.f_back.f_code.co_qualname != caller:
            return
        if count == "last":
            hit = frame.f_locals["self"].name == "last.ckpt"
        else:
            left -= 1
            hit = left == 0
        if hit:
            sys.setprofile(None)
            (os.killpg if group else os.kill)(os.getpid(), number)

    sys.setprofile(hook)


def enter(arguments: list[str], log: Path, blow: tuple | None) -> None:
    os.setsid()
    for stream, ending in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(log.with_suffix(ending), os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
    sys.argv = ["src.train", *arguments]
    if blow:
        strike(*blow)
    start()


@pytest.fixture(scope="module")
def in_process(cache):
    """Train in a separate process and send it a signal: → (exit status, standard output, standard error)."""

    def call(directory: Path, *arguments: str, at: tuple | None = None, number: int = 0, group: bool = False):
        given = [*RUN, cache, f"hydra.run.dir={directory}", *arguments]
        log = directory.parent / f"{directory.name}.log"
        process = forked().Process(target=enter, args=(given, log, at and (*at, number, group)))
        process.start()
        process.join(400)
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"did not end: {log.with_suffix('.err').read_text()}")
        wait_for(lambda: nobody_left(process.pid))
        return process.exitcode, log.with_suffix(".out").read_text(), log.with_suffix(".err").read_text()

    return call


def nobody_left(leader: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


def wait_for(condition: Callable[[], object], limit: float = 200) -> None:
    ends = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.002)


def flat(node: object, name: str = "") -> dict[str, object]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else None
    if items is None:
        return {name: node}
    return {key: value for own, child in items for key, value in flat(child, f"{name}.{own}").items()} or {name: ()}


def content(directory: Path, name: str = "last") -> dict:
    """The content of a checkpoint without the digest, which depends on the training time."""
    found = torch.load(checkpoint_file(directory, name), weights_only=True)
    found.pop("digest", None)  # absent if Lightning wrote the checkpoint
    return found


def step(directory: Path, name: str = "last") -> int:
    return content(directory, name)["global_step"]


def differences(one: Path, other: Path) -> list[str]:
    """The differences between two finished runs, except their training time."""
    found = []
    for name in ("last", "best"):
        first, second = flat(content(one, name)), flat(content(other, name))
        for key in sorted(first.keys() | second.keys()):
            a, b = first.get(key), second.get(key)
            equal = torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b
            if not equal and key != ".training.seconds":
                found.append(f"{name}{key}")
    first, second = (json.loads((directory / "scores.json").read_text()) for directory in (one, other))
    found += [f"scores.{key}" for key in first.keys() | second.keys() if first[key] != second[key] and key != "seconds"]
    if (one / "metrics.csv").read_text() != (other / "metrics.csv").read_text():
        found.append("metrics.csv")
    names = [
        {str(file.relative_to(each)) for file in each.rglob("*") if "events" not in file.name} for each in (one, other)
    ]
    return found + sorted(names[0] ^ names[1])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, in_process) -> Callable[..., Path]:
    """The directory of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("uninterrupted")

    @functools.cache
    def finished(*arguments: str) -> Path:
        directory = folder / str(len(list(folder.iterdir())))
        status, printed, error = in_process(directory, *arguments)
        assert status == 0 and error == "", error
        assert "steps 0 to" in printed
        return directory

    return finished


def test_the_run_that_others_are_compared_with_has_what_could_go_wrong(uninterrupted):
    directory = uninterrupted()
    last, best = content(directory), content(directory, "best")
    validations = STEPS // EVERY * EVERY
    assert EVERY < best["global_step"] < validations < last["global_step"] == STEPS
    assert {"current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "loops"} <= last.keys()
    assert any("running_mean" in name for name in last["state_dict"])
    assert last["hyper_parameters"]["model"]["dropout"] == 0.5
    assert not all(torch.equal(last["state_dict"][key], value) for key, value in last["current_model_state"].items())


@pytest.mark.slow
def test_a_killed_run_ends_as_if_nothing_had_happened(uninterrupted, train, cache, tmp_path):
    directory = tmp_path / "run"
    arguments = [*RUN, "data.workers=2", f"hydra.run.dir={directory}", cache]
    metrics = directory / "metrics.csv"
    for _ in range(5):  # until it is killed before it has finished
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "src.train", *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: process.poll() is not None or (metrics.exists() and metrics.read_text().count("\n") > 6))  # noqa: B023
        process.kill()
        if process.wait() == -signal.SIGKILL and not (directory / "scores.json").exists():
            break
        shutil.rmtree(directory)
    before = step(directory)
    assert 0 < before < STEPS
    _, status, printed, error = train(*RUN, "data.workers=2", directory=directory)
    assert (status, error) == (0, "")
    assert f"steps {before} to {STEPS}" in printed
    assert differences(directory, uninterrupted()) == []
    wait_for(lambda: nobody_left(process.pid))


SAVE, REPLACE, LAST = "save_checkpoint", "Path.replace", "LastCheckpoint._save"
MOMENTS = {
    "before the first checkpoint": ("call", "Segmenter.training_step", None, 3),
    "while the best checkpoint is written": ("call", REPLACE, SAVE, 1),
    "between the best and the last": ("call", LAST, None, 1),
    "between the two names of the last": ("return", REPLACE, SAVE, "last"),
    "in a step": ("call", "Segmenter.training_step", None, 7),
    "in a validation": ("call", "Segmenter.validation_step", None, 4),
    "before the curves are written": ("call", "Curves.log_metrics", None, 9),
}


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_if_nothing_had_happened(uninterrupted, in_process, tmp_path):
    directory = tmp_path / "run"
    for name, moment in MOMENTS.items():
        status, _, error = in_process(directory, *ACCUMULATED, at=moment, number=signal.SIGKILL)
        assert status == -signal.SIGKILL, f"{name}: {error}"
        assert error == "", name
    assert step(directory) == 10
    status, _, error = in_process(directory, *ACCUMULATED)
    assert (status, error) == (0, "")
    assert differences(directory, uninterrupted(*ACCUMULATED)) == []


def test_a_run_killed_before_its_scores_are_written_is_scored_again(uninterrupted, train, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(uninterrupted(), directory)
    (directory / "scores.json").unlink()
    _, status, printed, error = train(*RUN, directory=directory)
    assert (status, error) == (0, "")
    assert f"step {EVERY}/" not in printed
    assert differences(directory, uninterrupted()) == []


KEPT = {
    "before the choice is kept": ("call", "keep", None, 1),
    "between its two names": ("return", "write", "keep", 1),
    "before anything is scored": ("return", "keep", None, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [pytest.param(at, marks=[pytest.mark.slow] * (n != 1)) for n, at in enumerate(KEPT.values())], ids=KEPT
)
def test_a_run_killed_while_it_keeps_its_choice_ends_as_if_nothing_had_happened(
    moment, uninterrupted, in_process, tmp_path
):
    directory = tmp_path / "run"
    status, _, error = in_process(directory, at=moment, number=signal.SIGKILL)
    assert (status, error) == (-signal.SIGKILL, "") and step(directory) == STEPS
    assert is_whole(checkpoint_file(directory, "best"))
    status, _, error = in_process(directory)
    assert (status, error) == (0, "")
    assert differences(directory, uninterrupted()) == []


@pytest.mark.slow
def test_a_run_killed_as_its_last_checkpoint_gets_its_name_has_the_curves_of_the_last_step(
    uninterrupted, in_process, tmp_path
):
    directory = tmp_path / "run"
    status, _, error = in_process(directory, at=("return", "LastCheckpoint._save", None, 6), number=signal.SIGKILL)
    assert (status, error) == (-signal.SIGKILL, "") and step(directory) == STEPS
    status, _, error = in_process(directory)
    assert (status, error) == (0, "")
    assert differences(directory, uninterrupted()) == []


IN_STEP, IN_VALIDATION = ("call", "Segmenter.training_step", None, 7), ("call", "Segmenter.validation_step", None, 3)


@pytest.mark.parametrize(
    ("number", "moment", "group", "workers", "expected"),
    [
        pytest.param(signal.SIGTERM, IN_STEP, False, 2, 7, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, IN_STEP, True, 2, 7, marks=pytest.mark.slow),
        (signal.SIGUSR1, IN_STEP, False, 0, 7),
        pytest.param(signal.SIGUSR2, IN_VALIDATION, True, 2, 6, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, ("call", REPLACE, SAVE, 1), False, 0, 3, marks=pytest.mark.slow),
    ],
    ids=["TERM", "INT, to its workers too", "USR1", "USR2 in a validation", "TERM while a checkpoint is written"],
)
def test_a_signal_stops_a_run_after_a_step(
    number, moment, group, workers, expected, uninterrupted, in_process, train, tmp_path
):
    directory = tmp_path / "run"
    more = f"data.workers={workers}"
    status, _, error = in_process(directory, more, at=moment, number=number, group=group)
    assert status == 128 + number
    (line,) = error.splitlines()
    assert line.startswith(
        f"stopped by {signal.Signals(number).name} after step {expected} of {STEPS}; the same command"
    )
    assert f"hydra.run.dir={directory} goes on" in line
    assert step(directory) == expected
    assert not (directory / "run.lock").exists()
    assert not [file for file in directory.rglob(".*")]
    _, status, printed, error = train(*RUN, more, directory=directory)
    assert (status, error) == (0, "")
    assert f"steps {expected} to {STEPS}" in printed
    assert differences(directory, uninterrupted()) == []


@pytest.mark.slow
def test_a_signal_during_the_last_step_stops_before_scoring(in_process, train, tmp_path):
    at, small = ("call", "Segmenter.training_step", None, 2), ("trainer.max_steps=2", "trainer.val_check_interval=2")
    directory = tmp_path / "run"
    status, _, error = in_process(directory, *small, at=at, number=signal.SIGTERM)
    assert status == 128 + signal.SIGTERM
    assert error.startswith("stopped by SIGTERM after step 2 of 2; ")
    assert step(directory) == 2 and not (directory / "scores.json").exists()
    _, status, _, error = train(*RUN, *small, directory=directory)
    assert (status, error) == (0, "")
    assert (directory / "scores.json").exists()


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(cache, tmp_path):
    directory = tmp_path / "run"
    log = tmp_path / "log"
    given = [*RUN, f"hydra.run.dir={directory}", cache]
    process = forked().Process(target=enter_and_interrupt_twice, args=(given, log))
    process.start()
    process.join()
    assert process.exitcode == 128 + signal.SIGINT
    assert "Traceback" not in log.with_suffix(".err").read_text()
    assert step(directory) == 3, "it went on to the end of the step"


def enter_and_interrupt_twice(arguments: list[str], log: Path) -> None:
    own = os.getpid()
    count = 0

    def hook(frame, what, argument):
        nonlocal count
        if what == "call" and frame.f_code.co_qualname == "Segmenter.training_step":
            count += 1
            if count == 6:
                os.kill(own, signal.SIGINT)
        if what == "return" and count == 6 and frame.f_code.co_qualname == "UNet.forward":
            sys.setprofile(None)
            os.kill(own, signal.SIGINT)

    sys.setprofile(hook)
    enter(arguments, log, None)


@pytest.mark.slow
def test_the_time_limit_counts_from_each_start_and_stops_after_a_step(uninterrupted, train):
    for done in range(1, SINGLE_STEPS + 1):
        directory, status, printed, error = train(*RUN, ONE_STEP)
        assert status == 1
        (line,) = error.splitlines()
        assert (
            f"stopped after step {done} of {STEPS}, when trainer.max_time was up;" in line
            and f"hydra.run.dir={directory} goes on" in line
        )
        assert f"steps {done - 1} to {STEPS}" in printed
        assert step(directory) == done
    _, status, printed, error = train(*RUN, "trainer.max_time=00:01:00:00")
    assert (status, error) == (0, "")
    assert f"steps {SINGLE_STEPS} to {STEPS}" in printed
    assert differences(directory, uninterrupted()) == []


def test_training_seconds_add_up_over_the_parts_of_a_run(train):
    small = (*RUN, "trainer.max_steps=4", "trainer.val_check_interval=2")
    directory, *_ = train(*small, ONE_STEP)
    first = content(directory)["training"]["seconds"]
    train(*small, ONE_STEP)
    second = content(directory)["training"]["seconds"]
    train(*small)
    third = json.loads((directory / "scores.json").read_text())["seconds"]
    assert 0 < first < second < third + 0.1


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("00:00:00:07", 7), ("00:00:02:00", 120), ("00:03:00:00", 10800), ("1:0:0:1", 86401)],
)
def test_a_time_limit_is_days_hours_minutes_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["soon", "3600", "01:00:00", "00:00:00:00:01"])
def test_a_time_limit_written_otherwise_is_one_message(text, train):
    _, status, _, error = train(*RUN, f"'trainer.max_time=\"{text}\"'".strip("'"))
    assert status == 1
    assert "trainer.max_time" in error and "00:01:00:00" in error and text in error and "Traceback" not in error


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    """Change one bit of a weight."""
    weights = next(iter(torch.load(file, weights_only=True)["current_model_state"].values())).numpy().tobytes()
    data = bytearray(file.read_bytes())
    data[data.index(weights)] ^= 1
    file.write_bytes(data)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(uninterrupted, train):
    directory, *_ = train(*RUN, ONE_STEP)
    train(*RUN, ONE_STEP)
    last, previous = (checkpoint_file(directory, name) for name in ("last", "previous"))
    assert (step(directory), step(directory, "previous")) == (2, 1)
    flip(last)
    _, _, printed, error = train(*RUN, ONE_STEP)
    assert error.splitlines()[0] == f"warning: {last} is damaged"
    assert f"steps 1 to {STEPS}" in printed and step(directory) == 2

    train(*RUN, ONE_STEP)
    assert (step(directory), step(directory, "previous")) == (3, 2)
    truncate(last)
    truncate(previous)
    _, status, printed, error = train(*RUN)
    assert error.splitlines() == [f"warning: {file} is damaged" for file in (last, previous)]
    assert status == 0 and f"steps 0 to {STEPS}" in printed
    assert differences(directory, uninterrupted()) == []


def test_a_damaged_checkpoint_does_not_replace_the_one_before_it(train):
    directory, *_ = train(*RUN, ONE_STEP)
    train(*RUN, ONE_STEP)
    truncate(checkpoint_file(directory, "last"))
    train(*RUN, ONE_STEP)
    assert all(is_whole(checkpoint_file(directory, name)) for name in ("last", "previous"))
    assert (step(directory), step(directory, "previous")) == (2, 1)


def rates(name: str, steps: int) -> list[float]:
    """Learning rate after each step of a run that is planned for ``steps``."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    scheduler = {
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "poly": lambda: torch.optim.lr_scheduler.PolynomialLR(optimizer, steps, 0.9),
    }[name]()
    found = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        found += scheduler.get_last_lr()
    return found


@pytest.mark.parametrize("scheduler", ["cosine", pytest.param("poly", marks=pytest.mark.slow)])
def test_an_extended_run_has_the_learning_rates_of_a_run_planned_so_long(scheduler, train):
    small = (*RUN, "trainer.max_steps=3", "trainer.val_check_interval=2", f"scheduler={scheduler}")
    directory, status, _, error = train(*small)
    assert status == 0, error
    assert content(directory)["lr_schedulers"][0]["_last_lr"] == pytest.approx([0])
    for done in (4, 5):
        _, status, *_ = train(*small, "extend=+4", ONE_STEP)
        last = content(directory)
        assert status == 1 and last["global_step"] == done
        expected = [rates(scheduler, 7)[done - 1]]
        assert last["lr_schedulers"][0]["_last_lr"] == expected
        assert [group["lr"] for group in last["optimizer_states"][0]["param_groups"]] == expected
    _, status, printed, _ = train(*small, "extend=+4")
    assert status == 0 and "steps 5 to 7" in printed


def curves(directory: Path) -> list[dict[str, str]]:
    """What was logged during training, without the epoch."""
    with (directory / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [{key: row[key] for key in row if key != "epoch" and not key.startswith("held_out")} for row in rows]
    return [row for row in shown if any(value for key, value in row.items() if key != "step")]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [6, 7], ids=["after a validation", "between two"])
def test_an_extended_run_is_one_that_was_planned_so_long(steps, train, tmp_path):
    constant = (*RUN, "scheduler=constant")
    directory, *_ = train(*constant, f"trainer.max_steps={steps}")
    old = json.loads((directory / "scores.json").read_text())
    extended = (*constant, f"trainer.max_steps={steps}", "extend=+5")
    _, status, printed, error = train(*extended)
    assert (status, error) == (0, "")
    assert f"steps {steps} to {steps + 5}" in printed
    assert json.loads((directory / f"scores.{steps}.json").read_text()) == old
    assert json.loads((directory / "scores.json").read_text())["steps"] == steps + 5
    planned, *_ = train(*constant, f"trainer.max_steps={steps + 5}", directory=tmp_path / "planned")
    # Lightning starts another epoch; nothing here depends on it.
    counters = r"(last|best)\.(loops\..*|epoch|training\.max_steps)"
    found = [name for name in differences(directory, planned) if not re.fullmatch(counters, name)]
    assert set(found) <= {"metrics.csv", f"scores.{steps}.json"}, found  # the first part was scored too
    assert curves(directory) == curves(planned)

    before = {file: file.stat().st_mtime_ns for file in directory.rglob("*") if file.is_file()}
    _, status, printed, _ = train(*extended)
    assert status == 0 and "is finished" in printed
    assert {file: file.stat().st_mtime_ns for file in directory.rglob("*") if file.is_file()} == before
    for other in ([], ["extend=+4"], ["extend=0"]):
        _, status, _, error = train(*constant, f"trainer.max_steps={steps}", *other)
        assert status == 1 and "extend" in error and "Traceback" not in error


def test_each_step_is_logged_once_where_a_run_goes_on_after_its_only_validation(train_slim):
    small = (
        "trainer.max_steps=2",
        "trainer.val_check_interval=100",
        "trainer.log_every_n_steps=1",
        "data.source.size=64",
    )
    directory, status, _, error = train_slim(*small)
    assert status == 0, error
    assert train_slim(*small, "extend=+2")[1] == 0
    assert [row["step"] for row in curves(directory) if row["train/loss"]] == ["0", "1", "2", "3"]
    assert [row["step"] for row in curves(directory) if row["validation/v_rand"]] == ["1", "3"]


def test_an_unfinished_run_cannot_be_extended(train):
    directory, *_ = train(*RUN, ONE_STEP)
    _, status, _, error = train(*RUN, "extend=+3")
    assert status == 1 and f"{STEPS} steps" in error and "without extend" in error and "Traceback" not in error
    assert step(directory) == 1
    _, _, printed, _ = train(*RUN, ONE_STEP)
    assert f"steps 1 to {STEPS}" in printed


def test_a_new_run_may_be_extended_from_the_beginning(train):
    _, status, printed, error = train(*RUN, "trainer.max_steps=2", "trainer.val_check_interval=2", "extend=+1")
    assert status == 0, error
    assert "steps 0 to 3" in printed


@pytest.mark.parametrize("value", ["-3", "soon", "true", "2.5"])
def test_an_extension_that_is_no_number_of_steps_is_one_message(value, train):
    directory, status, _, error = train(*RUN, f"extend={value}")
    assert status == 1
    assert "extend" in error and value in error.lower() and "+1000" in error and "Traceback" not in error
    assert not (directory / "checkpoints").exists()


HOLDER = """
import sys
from pathlib import Path
from src.run.directory import only_writer
with only_writer(Path(sys.argv[1]), patience=0):
    print("holds", flush=True)
    sys.stdin.readline()
"""


def test_a_run_waits_for_another_process_and_takes_what_that_one_finished(uninterrupted, cache, tmp_path):
    directory, finished = tmp_path / "run", uninterrupted()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    given = [*RUN, f"hydra.run.dir={directory}", cache]
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(directory)], **pipes) as holder:
        assert holder.stdout.readline() == "holds\n"
        waiting = forked().Process(target=enter, args=(given, log, None))
        waiting.start()
        printed = log.with_suffix(".out")
        wait_for(lambda: printed.exists() and "waiting for another process" in printed.read_text())
        assert waiting.is_alive()
        shutil.copytree(finished / "checkpoints", directory / "checkpoints")
        for name in ("environment.json", "scores.json"):
            shutil.copy(finished / name, directory)
        holder.communicate("\n")
    waiting.join()
    assert waiting.exitcode == 0, log.with_suffix(".err").read_text()
    assert str(directory) in printed.read_text()
    assert "slice_24" in printed.read_text() and "steps 0 to" not in printed.read_text()


@pytest.fixture
def slices(tmp_path) -> Path:
    folder = tmp_path / "data" / "isbi2012"
    folder.mkdir(parents=True)
    write_slices(folder, 0)
    return folder


def write_slices(folder: Path, seed: int) -> None:
    stack = phantom(slices=30, size=64, seed=seed)
    tifffile.imwrite(folder / "train-volume.tif", stack.images, photometric="minisblack")
    tifffile.imwrite(folder / "train-labels.tif", stack.targets * np.uint8(255), photometric="minisblack")


@pytest.mark.slow
def test_a_run_does_not_go_on_with_other_data(slices, train):
    isbi = ("experiment=isbi", f"data_dir={slices.parent}", "data.source.verify=false", "model.base_channels=2")
    given = (*isbi, "trainer.max_steps=3", "tta=none")
    directory, _, _, error = train(*given, ONE_STEP)
    assert "stopped after step 1" in error
    write_slices(slices, 1)
    _, status, _, error = train(*given, ONE_STEP)
    assert status == 1
    assert f"expected the data that {directory}" in error and "Traceback" not in error
    assert step(directory) == 1
    write_slices(slices, 0)
    _, status, _, error = train(*given, ONE_STEP)
    assert "stopped after step 2" in error and "warning" not in error


def test_a_run_that_goes_on_elsewhere_says_what_is_another(train):
    directory, *_ = train(*RUN, ONE_STEP)
    file = directory / "environment.json"
    now = json.loads(file.read_text())
    before = now | {"commit": "of yesterday", "packages": now["packages"] | {"torch": "1.0"}}
    file.write_text(json.dumps(before))
    _, _, printed, error = train(*RUN, ONE_STEP)
    assert error.splitlines()[0] == "warning: the run is resumed, although these have changed: packages.torch, commit"
    assert f"steps 1 to {STEPS}" in printed
    assert json.loads(file.read_text()) == now
    _, _, _, error = train(*RUN, ONE_STEP)
    assert "warning" not in error


class Judged(Segmenter):
    """A weight that grows by 1 in each step, with given validation scores."""

    def __init__(self, scores: list[float]):
        parts = (weighted_cross_entropy, {"pixel_error": PixelError()}, torch.optim.SGD, ConstantLR, Components())
        super().__init__(UNet(base_channels=1, depth=1), *parts, "pixel_error")
        self.scores = list(scores)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, index):
        return -self.weight.sum()

    def validation_step(self, batch, index): ...

    def on_validation_epoch_end(self):
        self.validation_scores = {"other": 9.0, "score": self.scores.pop(0)}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1)


def a_trainer(folder: Path, steps: int, *callbacks) -> lightning.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    return lightning.Trainer(
        max_steps=steps,
        val_check_interval=1,
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=folder,
        **quiet,
    )


def best_weight(mode: str, scores: list[float], folder: Path) -> float:
    best = BestCheckpoint(str(folder), "score", mode)
    loader = DataLoader(torch.zeros(len(scores), 1))
    a_trainer(folder, len(scores), best).fit(Judged(scores), loader, DataLoader(torch.zeros(1, 1)))
    return float(content(folder, "best")["state_dict"]["weight"])


NAN = float("nan")


@pytest.mark.parametrize(
    ("mode", "scores", "expected"),
    [
        ("max", [1, 3, 2], 2),
        ("min", [2, 1, 3], 2),
        ("max", [1, 2, 2], 2),
        ("min", [1, 1, 2], 1),
        ("max", [NAN, -5, NAN], 2),
        ("min", [NAN, 5, 6], 2),
        ("max", [NAN, NAN], 1),
        ("max", [2, NAN, 3], 3),
        ("max", [-2, -1], 2),
    ],
)
def test_the_first_of_the_best_scores_is_kept(mode, scores, expected, tmp_path):
    assert best_weight(mode, scores, tmp_path) == expected
    assert [file.name for file in (tmp_path / "checkpoints").iterdir() if file.name[0] in ".bp"] == ["best.ckpt"]


def test_a_best_checkpoint_that_was_lost_is_written_again(tmp_path):
    best = BestCheckpoint(str(tmp_path), "score", "max")
    best.load_state_dict({"rank": 5.0})
    loader = DataLoader(torch.zeros(2, 1))
    a_trainer(tmp_path, 2, best).fit(Judged([3, 4]), loader, DataLoader(torch.zeros(1, 1)))
    assert float(content(tmp_path, "best")["state_dict"]["weight"]) == 2
    assert best.state_dict() == {"rank": 4}


def test_the_best_checkpoint_holds_what_prediction_needs_and_no_more(uninterrupted):
    directory = uninterrupted()
    best = content(directory, "best")
    assert not best.keys() & {
        "optimizer_states",
        "lr_schedulers",
        "loops",
        "callbacks",
        "current_model_state",
        "averaging_state",
    }
    module = restore(checkpoint_file(directory, "best"))
    assert module.validation_scores == json.loads((directory / "scores.json").read_text())["validation"]
    assert (
        module.decoder.threshold
        == best["threshold"]
        == json.loads((directory / "scores.json").read_text())["threshold"]
    )
    assert all(
        torch.equal(value, best["state_dict"][f"model.{name}"]) for name, value in module.model.state_dict().items()
    )
    validated = [line.split(",") for line in (directory / "metrics.csv").read_text().splitlines()]
    column = validated[0].index("validation/v_rand")
    scores = [float(row[column]) for row in validated[1:] if row[column]]
    assert module.validation_scores["v_rand"] == pytest.approx(max(scores), abs=1e-6)
    assert best["global_step"] == EVERY * (1 + int(np.argmax(scores)))


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-100])])
def test_the_weights_of_the_last_step_take_the_place_of_the_best_ones_that_were_lost(
    damage, finished_run, train, tmp_path
):
    directory = finished_run(tmp_path / "run")
    (directory / "scores.json").unlink()
    damage(checkpoint_file(directory, "best"))
    _, status, _, error = train("data.source.size=64", directory=directory)
    assert status == 0
    (line,) = error.splitlines()
    assert line.startswith("warning: ") and "best.ckpt" in line and line.endswith("last step take its place")
    best, last = (restore(checkpoint_file(directory, name)).model.state_dict() for name in ("best", "last"))
    assert all(torch.equal(value, best[name]) for name, value in last.items())
    assert not content(directory, "best").keys() & set(TRAINING_ONLY)


def test_a_finished_run_gives_back_the_space_of_the_second_last_checkpoint(finished_run, train, tmp_path):
    directory = finished_run(tmp_path / "run")
    shutil.copy(checkpoint_file(directory, "last"), checkpoint_file(directory, "previous"))
    _, status, printed, error = train("data.source.size=64", directory=directory)
    assert (status, error) == (0, "") and "is finished" in printed
    assert not checkpoint_file(directory, "previous").exists()


def test_the_best_weights_that_were_lost_in_the_middle_are_chosen_again(finished_run, train, tmp_path):
    directory = finished_run(tmp_path / "run")
    checkpoint_file(directory, "best").write_bytes(b"")
    _, status, printed, error = train("data.source.size=64", "extend=1", directory=directory)
    assert status == 0 and "steps 1 to 2" in printed
    (line,) = error.splitlines()
    assert "best.ckpt is lost or damaged; the best of the next validations takes its place" in line
    assert content(directory, "best")["global_step"] == 2


@pytest.mark.slow
def test_a_run_that_was_moved_keeps_its_best_score(uninterrupted, in_process, train, tmp_path):
    directory = tmp_path / "run"
    at = ("return", LAST, None, step(uninterrupted(), "best") // EVERY)
    status, *_ = in_process(directory, at=at, number=signal.SIGTERM)
    assert status == 128 + signal.SIGTERM
    moved = directory.rename(tmp_path / "moved")
    _, status, _, error = train(*RUN, directory=moved)
    assert (status, error) == (0, "")
    assert differences(moved, uninterrupted()) == []
    assert not directory.exists()


class Masks(lightning.LightningModule):
    """Records the dropout mask of each part of each step."""

    def __init__(self):
        super().__init__()
        self.weight, self.masks = torch.nn.Parameter(torch.ones(64)), {}

    def training_step(self, batch, index):
        mask = dropout(self.weight, 0.5)
        self.masks[self.trainer.global_step, index % self.trainer.accumulate_grad_batches] = (mask != 0).tolist()
        return mask.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0)


def masks(folder: Path, seed: int, steps: int, start: Path | None = None) -> dict:
    module, reseed = Masks(), Reseed(seed)
    trainer = lightning.Trainer(
        max_steps=steps, accumulate_grad_batches=2, accelerator="cpu", callbacks=[reseed], default_root_dir=folder,
        logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    torch.manual_seed(time.monotonic_ns())  # as it happens to be
    trainer.fit(module, DataLoader(torch.zeros(20, 1)), ckpt_path=start)
    trainer.save_checkpoint(folder / "masks.ckpt")
    return module.masks


def test_dropout_follows_from_seed_step_and_part_also_after_a_restart(tmp_path):
    whole = masks(tmp_path, seed=1, steps=6)
    assert len(whole) == 12
    assert len({tuple(mask) for mask in whole.values()}) == 12
    first = masks(tmp_path, seed=1, steps=2)
    rest = masks(tmp_path, seed=1, steps=6, start=tmp_path / "masks.ckpt")
    assert (len(first), len(rest)) == (4, 8)
    assert first | rest == whole
    other = masks(tmp_path, seed=2, steps=6)
    assert all(other[place] != mask for place, mask in whole.items())


def test_dropout_of_processes_differs():
    drawn = []
    for rank in (0, 1, 0):
        at = SimpleNamespace(accumulate_grad_batches=1, global_step=3, global_rank=rank)
        Reseed(1).on_train_batch_start(at, None, None, 3)
        drawn.append(torch.rand(8).tolist())
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.fixture
def handlers():
    """Restore the signal handlers after a test."""
    before = {
        number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGTERM)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_handed_over_to_whom_it_was_for(handlers, scontrol):
    received = []
    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, lambda *got: received.append(got[0]))
    hand_over([signal.SIGUSR2, signal.SIGTERM])
    assert received == [signal.SIGUSR2, signal.SIGTERM]
    assert not scontrol.exists(), "requeued by both"


@pytest.mark.slow
def test_who_was_to_get_a_signal_gets_it_when_the_run_has_stopped(handlers, train, tmp_path):
    received = []
    signal.signal(signal.SIGUSR1, lambda *got: received.append((got[0], step(tmp_path / "run"))))
    strike(*IN_STEP, signal.SIGUSR1, False)
    _, status, *_ = train(*RUN)
    assert status == 128 + signal.SIGUSR1
    assert received == [(signal.SIGUSR1, 7)]


def test_a_cluster_that_wants_its_machine_back_gets_the_job_back_in_the_queue_once(handlers, scontrol, monkeypatch):
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hand_over([signal.SIGTERM, signal.SIGINT])
    assert not scontrol.exists()
    hand_over([signal.SIGUSR1])
    hand_over([signal.SIGUSR2])
    assert scontrol.read_text() == "requeue 17\n" * 2
    monkeypatch.setenv("SLURM_PROCID", "1")
    hand_over([signal.SIGUSR1])
    assert scontrol.read_text() == "requeue 17\n" * 2


def test_the_handlers_of_signals_are_those_from_before_when_training_has_ended(handlers, train):
    before = {
        number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGTERM)
    }
    small = (*RUN, "trainer.max_steps=2", "trainer.val_check_interval=2")
    for more in ([ONE_STEP], []):
        train(*small, *more)
        assert {number: signal.getsignal(number) for number in before} == before


def test_a_run_that_goes_on_without_its_cache_has_the_same_weight_map():
    # OpenCV's distances differ in the last bit between addresses in memory.
    instances = phantom(slices=1, size=64, cells=8, seed=0).instances[0]
    first, random, kept = border_weight(instances), np.random.default_rng(0), []
    for _ in range(60):
        kept.append(np.empty(random.integers(1, 5000), np.uint8))
        np.testing.assert_array_equal(border_weight(instances), first)
