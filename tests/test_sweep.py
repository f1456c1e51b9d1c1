"""Sweeps and searches: the same command skips finished runs and continues unfinished ones."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import torch
import yaml

from src import CONF
from tests.conftest import weights_digest

# A point of a sweep in a blink: no key of it is swept by a test.
POINT = (
    "data.workers=0 data.source.size=64 data.validation=21 data.held_out=24 model.depth=2 model.base_channels=2 "
    "trainer.val_check_interval=1 trainer.log_every_n_steps=1 trainer.accelerator=cpu trainer.precision=32-true "
    "compile=false page=false ~callbacks.samples ~callbacks.overlay"
).split()
STEP = ["data.tile=60", "trainer.max_steps=1"]


@pytest.fixture
def sweep(run_command, monkeypatch, tmp_path):
    """Call ``python -m src.train -m`` in this process and an empty folder: → (exit status, output, error)."""
    optuna.logging.disable_default_handler()  # which would write into what pytest captured for an earlier test
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        keys = {argument.partition("=")[0] for argument in arguments}
        rest = [argument for argument in POINT if argument.partition("=")[0] not in keys]
        return run_command("train", "-m", *rest, f"cache_dir={tmp_path / 'cache'}", *arguments)

    return call


@pytest.fixture
def started(tmp_path):
    """Start ``python -m src.train -m`` as a process of its own; what still runs at the end is killed."""
    running = []

    def start(*arguments):
        environment = os.environ | {"PYTHONPATH": str(CONF.parent)}
        command = [sys.executable, "-m", "src.train", "-m", *POINT, f"cache_dir={tmp_path / 'cache'}", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


def ended(process):
    """Wait for the end of a process: → (exit status, output, error)."""
    printed, error = process.communicate(timeout=300)
    return process.returncode, printed, error


def wait_for(condition, process, seconds=300):
    """What ``condition`` gives as soon as it holds while the process runs."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, f"it ended with {process.returncode}: {process.communicate()}"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)
    return found


def points(directory):
    """The directories of the points by what was chosen for them alone."""
    return {file.parent: yaml.safe_load(file.read_text())["overrides"] for file in directory.glob("*/config.yaml")}


def point(directory, override):
    """The one point for which this was chosen."""
    (found,) = [path for path, overrides in points(directory).items() if override in overrides]
    return found


def scores(directory):
    return json.loads((directory / "scores.json").read_text())


def files(directory):
    return {file: file.stat().st_mtime_ns for file in directory.rglob("*") if file.is_file()}


def table(printed):
    """The cells of the last table, a list a line."""
    lines = printed.replace("┃", "│").split("┏")[-1].splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def is_in_second_point(directory):
    """Whether one point is finished and another one has its first checkpoint."""
    finished = list(directory.glob("*/scores.json"))
    begun = [
        file for file in directory.glob("*/checkpoints/last.ckpt") if not (file.parents[1] / "scores.json").exists()
    ]
    return finished and begun


@pytest.mark.slow
def test_a_grid_is_a_directory_of_readable_runs_that_the_same_command_finds_again(sweep, tmp_path):
    grid = ("seed=1,2", "optimizer.lr=0.001,0.01", *STEP)
    status, printed, error = sweep(*grid)
    assert status == 0, error
    (directory,) = (tmp_path / "runs" / "sweeps").iterdir()
    names = sorted(path.name for path in points(directory))
    assert [name[: name.rindex("_")] for name in names] == [
        *("lr-0.001_seed-1", "lr-0.001_seed-2", "lr-0.01_seed-1", "lr-0.01_seed-2")
    ]
    assert all(re.fullmatch(r"[\w.-]+", name) for name in [directory.name, *names])
    for path, overrides in points(directory).items():
        seed, rate = re.fullmatch(r"lr-([0-9.]+)_seed-(\d)_.*", path.name).group(2, 1)
        assert {f"seed={seed}", f"optimizer.lr={rate}"} < set(overrides)
        assert scores(path)["steps"] == 1
    assert len({weights_digest(path) for path in points(directory)}) == 4

    ranked = table(printed)
    assert ranked[0][:2] == ["", "choices"] and len(ranked) == 5
    assert {row[1] for row in ranked[1:]} == {f"seed={s} optimizer.lr={r}" for s in (1, 2) for r in (0.001, 0.01)}
    rows = list(csv.DictReader((directory / "ranking.csv").read_text().splitlines()))
    assert [row["overrides"] for row in rows] == [row[1] for row in ranked[1:]]
    assert [f"{float(row['validation']):.4f}" for row in rows] == [row[2] for row in ranked[1:]]
    for row in rows:
        assert float(row["validation"]) == scores(directory / row["directory"])["validation"]["v_rand"]

    before = {path: files(path) for path in points(directory)}
    status, printed, error = sweep(*reversed(grid), "hydra.verbose=false", "hydra.sweeper.max_batch_size=2")
    assert status == 0, error
    assert printed.count("is finished") == 4 and "steps 0 to" not in printed
    assert table(printed) == ranked
    assert {path: files(path) for path in points(directory)} == before
    assert list((tmp_path / "runs" / "sweeps").iterdir()) == [directory]


def test_the_flag_of_a_sweep_may_be_last(run_command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    choices = ("data.tile=60", "trainer.max_steps=1,2", "cache_dir=cache", "hydra.sweep.dir=sweep")
    status, _, error = run_command("train", *POINT, *choices, "--multirun")
    assert status == 0, error
    assert len(points(tmp_path / "sweep")) == 2


@pytest.mark.slow
def test_another_choice_is_another_sweep(sweep, tmp_path):
    for rate in (0.1, 0.2):
        assert sweep("seed=1", *STEP, f"optimizer.lr={rate}")[0] == 0
    first, second = (tmp_path / "runs" / "sweeps").iterdir()
    assert len(points(first)) == len(points(second)) == 1


def test_a_run_of_a_sweep_is_a_run_directory_that_predict_takes(sweep, run_command, tmp_path):
    status, *_ = sweep("data.tile=60", "trainer.max_steps=1,2", "hydra.sweep.dir=sweep")
    assert status == 0
    best = point(tmp_path / "sweep", "trainer.max_steps=2") / "checkpoints" / "best.ckpt"
    relative = best.relative_to(tmp_path)
    assert re.fullmatch(r"[\w./-]+", str(relative)), "a shell or Hydra would mind it"
    image = next((tmp_path / "sweep").glob("*/predictions/*.png"))
    status, _, error = run_command("predict", f"checkpoint={relative}", f"input={image}", "output=out", "channels=[0]")
    assert status == 0, error
    assert list(Path("out").glob("*_labels.*"))


@pytest.mark.parametrize("name", ["현미경 스윕 (1), a=b"])
def test_the_directory_of_a_sweep_may_have_any_name(name, sweep, tmp_path):
    status, printed, error = sweep("data.tile=60", "trainer.max_steps=1,2", f"hydra.sweep.dir={name}")
    assert status == 0, error
    assert len(points(tmp_path / name)) == 2 and (tmp_path / name / "ranking.csv").exists()
    assert printed.splitlines()[-1] == f"ranking.csv and the runs: {name}"
    assert not (tmp_path / "runs").exists()


def test_a_run_without_sweep_prints_no_ranking(run_command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, printed, error = run_command("train", *POINT, *STEP, "cache_dir=cache", "hydra.run.dir=run")
    assert status == 0, error
    assert "ranking" not in printed and not list(tmp_path.rglob("ranking.csv"))


@pytest.mark.slow
def test_a_killed_sweep_skips_finished_runs_and_continues_the_others(started, sweep, tmp_path):
    choices = ("data.tile=60", "trainer.max_steps=1,20")
    killed = started(*choices, "hydra.sweep.dir=killed")
    directory = tmp_path / "killed"
    wait_for(lambda: is_in_second_point(directory), killed)
    killed.send_signal(signal.SIGKILL)
    assert ended(killed)[0] == -signal.SIGKILL
    first, second = (point(directory, f"trainer.max_steps={steps}") for steps in (1, 20))
    assert not (second / "scores.json").exists()
    before = files(first)
    done = torch.load(second / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    status, printed, error = sweep(*choices, "hydra.sweep.dir=killed")
    assert status == 0, error
    assert re.findall(r"steps (\d+) to (\d+)", printed) == [(str(done), "20")] and 0 < done < 20
    assert f"{first} is finished" in printed
    assert files(first) == before
    status, _, error = sweep(*choices, "hydra.sweep.dir=undisturbed")
    assert status == 0, error
    whole = point(tmp_path / "undisturbed", "trainer.max_steps=20")
    assert weights_digest(second) == weights_digest(whole)
    assert scores(second)["scores"] == scores(whole)["scores"]


@pytest.mark.slow
def test_a_point_that_fails_leaves_the_other_alone_and_is_tried_again(sweep, tmp_path):
    choices = ("data.tile=61,60", "trainer.max_steps=1", "hydra.sweep.dir=sweep")
    status, printed, error = sweep(*choices)
    assert status == 1
    assert "nearest valid: 60 and 64" in error and "Traceback" not in error
    directory = tmp_path / "sweep"
    fails, works = (point(directory, f"data.tile={tile}") for tile in (61, 60))
    assert scores(works)["steps"] == 1 and not (fails / "scores.json").exists()
    rows = [[row[1], row[3]] for row in table(printed)[1:]]
    assert rows[0][0] == "data.tile=60" and rows[0][1] != "unfinished"
    assert rows[1:] == [["data.tile=61", "unfinished"]]
    listed = list(csv.DictReader((directory / "ranking.csv").read_text().splitlines()))
    assert [row["directory"] for row in listed] == [works.name, fails.name]
    assert {listed[1][key] for key in ("validation", "v_rand", "seconds")} == {""}
    assert listed[0]["seconds"] != ""
    before = files(works)
    status, printed, error = sweep(*choices)
    assert status == 1
    assert error.count("nearest valid: 60 and 64") == 2, "not said once when it was tried again, and once at the end"
    assert printed.count("is finished") == 1 and files(works) == before


def test_a_sweep_of_which_no_run_can_start_explains_it_without_traceback(sweep):
    status, _, error = sweep(*STEP, "extend=-1,-2")
    assert status == 1
    assert "expected extend to be a number of steps, but got -1" in error and "but got -2" in error
    assert "Traceback" not in error


def test_a_mistake_in_the_command_is_one_message_without_ranking(sweep, tmp_path):
    status, printed, error = sweep("model.widht=1,2", *STEP)
    assert status == 1
    assert "widht" in error and "Traceback" not in error
    assert "ranking" not in printed and not list(tmp_path.rglob("ranking.csv"))


@pytest.mark.slow
def test_a_signal_ends_the_whole_sweep_not_the_point_alone(started, tmp_path):
    choices = ("data.tile=60", "seed=1,2", "trainer.max_steps=100000")
    processes = {
        number: started(*choices, f"hydra.sweep.dir={number.name}") for number in (signal.SIGINT, signal.SIGTERM)
    }
    for number, process in processes.items():
        directory = tmp_path / number.name
        wait_for(lambda directory=directory: list(directory.glob("*/checkpoints/last.ckpt")), process)
        process.send_signal(number)
        status, printed, error = ended(process)
        assert status == 128 + number
        stopped = rf"stopped by {number.name} after step \d+ of 100000; the same command continues"
        assert re.search(stopped, error), error
        assert "Traceback" not in error
        assert [overrides for overrides in points(directory).values() if "seed=2" in overrides] == []
        assert table(printed)[1][3] == "unfinished"
        assert len(list(directory.glob("*/checkpoints/last.ckpt"))) == 1


SEARCH = ["hparams_search=optuna", "data.tile=60"]
# One number is fixed, one has another space than in the file, one is left as it is there.
SMALL = ["weight_map.w0=5", "optimizer.lr=interval(0.001,0.3)"]


def values(directory, monitor):
    """The validation score of each point."""
    return {path.name: scores(path)["validation"][monitor] for path in points(directory)}


def check_best(directory, monitor, best):
    """The best of the search is the best on the validation slices, and the first of the ranking: → its keys."""
    found = yaml.safe_load((directory / "optimization_results.yaml").read_text())
    ranked = list(csv.DictReader((directory / "ranking.csv").read_text().splitlines()))
    assert found["best_value"] == best(values(directory, monitor).values()) == float(ranked[0]["validation"])
    overrides = {f"{key}={value}" for key, value in found["best_params"].items()}
    chosen = [path.name for path, given in points(directory).items() if overrides <= set(given)]
    assert len(chosen) == 1 and values(directory, monitor)[chosen[0]] == found["best_value"]
    return set(found["best_params"])


@pytest.mark.slow
def test_a_killed_search_continues_to_the_same_trials_and_can_be_extended(started, sweep, tmp_path):
    choices = (*SEARCH, *SMALL, "trainer.max_steps=10")
    three = "hydra.sweeper.n_trials=3"
    killed = started(*choices, three, "hydra.sweep.dir=killed")
    directory, whole = tmp_path / "killed", tmp_path / "undisturbed"
    wait_for(lambda: is_in_second_point(directory), killed)
    killed.send_signal(signal.SIGKILL)
    assert ended(killed)[0] == -signal.SIGKILL
    (first,) = [file.parent for file in directory.glob("*/scores.json")]
    (second,) = set(points(directory)) - {first}
    before = files(first)
    done = torch.load(second / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    status, printed, error = sweep(*choices, three, "hydra.sweep.dir=killed")
    assert status == 0, error
    assert re.findall(r"steps (\d+) to 10", printed) == [str(done), "0"] and 0 < done < 10
    assert files(first) == before
    status, _, error = sweep(*choices, three, "hydra.sweep.dir=undisturbed")
    assert status == 0, error
    assert values(directory, "v_rand") == values(whole, "v_rand") and len(points(whole)) == 3
    for path in points(directory):
        assert weights_digest(path) == weights_digest(whole / path.name)
    assert check_best(directory, "v_rand", max) == {"optimizer.lr", "model.dropout"}

    before = {path: files(path) for path in points(directory)}
    status, printed, error = sweep(*choices, "hydra.sweeper.n_trials=4", "hydra.sweep.dir=killed")
    assert status == 0, error
    assert re.findall(r"steps (\d+) to 10", printed) == ["0"] and printed.count("is finished") == 3
    assert len(points(directory)) == 4
    assert {path: files(path) for path in before} == before
    assert check_best(directory, "v_rand", max) == {"optimizer.lr", "model.dropout"}


@pytest.mark.slow
@pytest.mark.parametrize(("monitor", "mode", "best"), [("v_rand", "max", max), ("pixel_error", "min", min)])
def test_a_search_takes_the_best_on_the_validation_slices(monitor, mode, best, sweep, tmp_path):
    judged = (f"monitor={monitor}", f"monitor_mode={mode}", "trainer.max_steps=1", "data.tile=60")
    # A network that has learnt nothing is judged alike, but for the slice that it is judged on.
    space = ("weight_map.w0=5", "optimizer.lr=0.1", "model.dropout=0.0", "data.validation=choice(20,21,22,23)")
    count = ("hparams_search=optuna", "hydra.sweeper.n_trials=4", "data.source.size=128", "hydra.sweep.dir=sweep")
    status, _, error = sweep(*judged, *space, *count)
    assert status == 0, error
    directory = tmp_path / "sweep"
    found = values(directory, monitor).values()
    assert len(set(found)) > 1, "the points are alike, so that any of them would be the best"
    assert set(found).isdisjoint(scores(path)["scores"][monitor] for path in points(directory))
    assert check_best(directory, monitor, best) == {"data.validation"}


@pytest.mark.slow
def test_a_search_in_the_space_of_the_file_stays_within_it(sweep, tmp_path):
    status, _, error = sweep(*SEARCH, "trainer.max_steps=1", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep")
    assert status == 0, error
    directory = tmp_path / "sweep"
    assert len(points(directory)) == 2
    for path in points(directory):
        config = yaml.safe_load((path / "config.yaml").read_text())
        assert 0.0001 <= config["optimizer"]["lr"] <= 0.01
        assert config["weight_map"]["w0"] in (0, 5, 10, 20) and 0 <= config["model"]["dropout"] <= 0.6
        assert re.match(r"dropout-[\d.]+_lr-[\d.e-]+_w0-\d+_", path.name)


def test_a_search_of_which_no_trial_finishes_explains_it_without_traceback(sweep):
    choices = ("hparams_search=optuna", "data.tile=61", "trainer.max_steps=1", "hydra.sweeper.n_trials=2")
    status, printed, error = sweep(*choices)
    assert status == 1
    assert error.count("nearest valid: 60 and 64") == 2 and "Traceback" not in error
    assert [row[3] for row in table(printed)[1:]] == ["unfinished"] * 2


@pytest.mark.slow
def test_a_point_of_a_search_that_fails_stops_no_other(sweep, tmp_path):
    choices = ("hparams_search=optuna", "data.tile=choice(60,61)", "weight_map.w0=5", "model.dropout=0.0")
    status, printed, error = sweep(*choices, "trainer.max_steps=1", "hydra.sweeper.n_trials=4", "hydra.sweep.dir=sweep")
    kinds = {config["data"]["tile"] for config in map(load_config, points(tmp_path / "sweep"))}
    assert kinds == {60, 61}, "the seed of the search chose one kind alone"
    assert status == 1 and "Traceback" not in error
    assert {row[3] == "unfinished" for row in table(printed)[1:]} == {True, False}
    assert len(points(tmp_path / "sweep")) == 4


def load_config(path):
    return yaml.safe_load((path / "config.yaml").read_text())
