"""Nothing is lost by a kill at any moment: the same command ends as if nothing had happened."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from src.data.phantom import phantom
from src.run.directory import checkpoint_file
from tests.conftest import SLIM, called, weights_digest

RUN = [
    *(each for each in SLIM if not each.startswith(("trainer.max_steps", "trainer.val_check", "page"))),
    *"trainer.max_steps=40 trainer.val_check_interval=4 optimizer.lr=0.05 logger=csv ~callbacks.overlay".split(),
]


def forked():
    """Makes processes from one that has imported what the commands need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["src.train", "src.predict", "tests.conftest"])
    return context


def enter(name: str, arguments: list[str], log: Path) -> None:
    os.setsid()
    stream = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.argv = [f"src.{name}", *arguments]
    sys.exit(called(name))


def until_done(name: str, arguments: list[str], log: Path, random: np.random.Generator, longest: float) -> int:
    """Issue a command, each time killed after a random time of up to ``longest`` seconds, until it ends: → kills."""
    kills = 0
    while True:
        process = forked().Process(target=enter, args=(name, arguments, log))
        process.start()
        # Longer and longer, so that it comes to an end at last.
        process.join(random.uniform(0, 0.8 * longest) * (1 + kills / 20))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            continue
        text = log.read_text()
        assert "Traceback" not in text, text[-3000:]
        assert process.exitcode == 0, text[-3000:]
        return kills


def duration(name: str, arguments: list[str], log: Path) -> float:
    """Seconds that an undisturbed process takes."""
    started = time.monotonic()
    process = forked().Process(target=enter, args=(name, arguments, log))
    process.start()
    process.join()
    assert process.exitcode == 0, log.read_text()
    return time.monotonic() - started


def result(directory: Path) -> dict:
    """All that a run came to, but for the time that it took."""
    weights = {name: weights_digest(directory, name) for name in ("best", "last")}
    scores = json.loads((directory / "scores.json").read_text()) | {"seconds": 0}
    steps = [line.split(",")[0] for line in (directory / "metrics.csv").read_text().splitlines()]
    hidden = [file.name for file in directory.rglob(".*")]
    return {"weights": weights, "scores": scores, "steps": steps, "hidden": hidden, "files": names(directory)}


def names(directory: Path) -> list[str]:
    return sorted(str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file())


def train_and_kill(tmp_path: Path, lives: int, seed: int) -> int:
    cache, random = f"cache_dir={tmp_path / 'cache'}", np.random.default_rng(seed)
    duration("train", [*RUN, cache, f"hydra.run.dir={tmp_path / 'first'}"], tmp_path / "log")  # the server starts
    alone = tmp_path / "alone"
    longest = duration("train", [*RUN, cache, f"hydra.run.dir={alone}"], tmp_path / "log")
    expected, kills = result(alone), 0
    for life in range(lives):
        directory = tmp_path / f"run_{life}"
        given = [*RUN, cache, f"hydra.run.dir={directory}"]
        kills += until_done("train", given, tmp_path / f"log_{life}", random, longest)
        assert result(directory) == expected, f"seed {seed}, life {life}"
        shutil.rmtree(directory)
    return kills


def predict_and_kill(network: Path, tmp_path: Path, lives: int, seed: int) -> int:
    random = np.random.default_rng(seed)
    (tmp_path / "in").mkdir()
    for number, image in enumerate(phantom(slices=2, size=600).images):
        iio.imwrite(tmp_path / "in" / f"a{number}.png", image)
    given = [f"checkpoint={network}", f"input={tmp_path / 'in'}", "precision=32", "tile=292"]
    duration("predict", [*given, f"output={tmp_path / 'first'}"], tmp_path / "log")
    longest = duration("predict", [*given, f"output={tmp_path / 'alone'}"], tmp_path / "log")
    kills = 0
    for life in range(lives):
        out = tmp_path / f"out_{life}"
        kills += until_done("predict", [*given, f"output={out}"], tmp_path / f"log_{life}", random, longest)
        assert names(out) == names(tmp_path / "alone")
        for file in out.iterdir():
            np.testing.assert_array_equal(tifffile.imread(file), tifffile.imread(tmp_path / "alone" / file.name))
    return kills


def report_and_kill(finished_run, tmp_path: Path, lives: int, seed: int) -> int:
    random, directory = np.random.default_rng(seed), finished_run(tmp_path / "finished")
    duration("report", [f"run={directory}"], tmp_path / "log")
    longest = duration("report", [f"run={directory}"], tmp_path / "log")
    page, files = (directory / "report.html").read_bytes(), names(directory)
    kills = 0
    for life in range(lives):
        kills += until_done("report", [f"run={directory}"], tmp_path / f"log_{life}", random, longest)
        assert (directory / "report.html").read_bytes() == page
        assert [name for name in names(directory) if "report.html." not in name] == files
    return kills


@pytest.fixture
def network(finished_run, tmp_path) -> Path:
    return checkpoint_file(finished_run(tmp_path / "network"), "best")


@pytest.mark.torture
def test_a_run_that_is_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path):
    kills = train_and_kill(tmp_path, 24, 1)
    print(f"train: {kills} kills, 24 runs with the weights, scores and curves of the one that was not killed")
    assert kills >= 40


@pytest.mark.torture
def test_a_prediction_that_is_killed_at_random_moments_ends_as_if_it_had_not_been(network, tmp_path):
    kills = predict_and_kill(network, tmp_path, 12, 2)
    print(f"predict: {kills} kills, 12 predictions equal to the one that was not killed")
    assert kills >= 15


@pytest.mark.torture
def test_a_report_that_is_killed_at_random_moments_is_written_by_the_next_one(finished_run, tmp_path):
    kills = report_and_kill(finished_run, tmp_path, 12, 3)
    print(f"report: {kills} kills, 12 pages equal to the one that was not killed")
    assert kills >= 10
