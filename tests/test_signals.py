"""Signals stop a command at once in each of its phases, with a true message and without loss of work."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import pytest

from src.data.phantom import phantom
from src.run.directory import checkpoint_file
from tests.conftest import TINY, weights_digest
from tests.torture import stops

SPLIT = ["data.train=0", "data.validation=1", "data.held_out=2"]
RUN = [
    *TINY,
    *SPLIT,
    *"trainer.max_steps=4 trainer.val_check_interval=2".split(),
    *"~callbacks.samples ~callbacks.overlay logger=csv".split(),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three annotated images, and a folder of labels that are scored against them."""
    place = tmp_path_factory.mktemp("mine")
    stack = phantom(slices=3, size=64)
    for name in ("images", "labels"):
        (place / name).mkdir()
    for number in range(3):
        iio.imwrite(place / "images" / f"a{number}.png", stack.images[number])
        iio.imwrite(place / "labels" / f"a{number}.png", stack.targets[number] * 255)
    return place


@pytest.fixture(scope="module")
def network(finished_run, tmp_path_factory) -> Path:
    return checkpoint_file(finished_run(tmp_path_factory.mktemp("network") / "run"), "best")


@pytest.fixture
def arguments(folder, network, finished_run, tmp_path) -> Callable[[str], list[str]]:
    """The arguments of each command."""

    def call(name: str) -> list[str]:
        cache = f"cache_dir={tmp_path / 'cache'}"
        own = ["experiment=membranes", f"data.root={folder}"]
        if name == "report" and not (tmp_path / "finished").exists():
            finished_run(tmp_path / "finished")
        return {
            "train": [*own, *RUN, cache, f"hydra.run.dir={tmp_path / 'run'}"],
            "predict": [f"checkpoint={network}", f"input={folder / 'images'}", f"output={tmp_path / 'out'}"],
            "score": [
                *(f"truth={folder / 'labels'}", f"prediction={folder / 'labels'}", "metrics=instances"),
                f"output={tmp_path / 'scores.json'}",
            ],
            "report": [f"run={tmp_path / 'finished'}"],
            "check": [f"data.root={folder}", cache, f"output={tmp_path / 'check.json'}"],
            "preview": [
                *own,
                "model.depth=2",
                "data.tile=60",
                *SPLIT,
                cache,
                "draws=2",
                f"output={tmp_path / 'preview.html'}",
            ],
        }[name]

    return call


@pytest.fixture
def stopped(run_command, arguments, scontrol, tmp_path):
    """Stop a command in a phase, assert its message and a clean exit; returns the command that resumes it."""

    def call(name: str, function: str, number: int, *more: str, count: int = 1) -> list[str]:
        given = [*arguments(name), *more]
        handlers = {each: signal.getsignal(each) for each in stops.SIGNALS}
        with stops.sent(number, function, count) as sent:
            status, _, error = run_command(name, *given)
        assert sent, f"{function} did not begin"
        assert status == 128 + number, error
        (line,) = [line for line in error.splitlines() if not line.startswith("warning")]
        assert line.startswith(f"stopped by {signal.Signals(number).name}") and "; the same command" in line
        assert {each: signal.getsignal(each) for each in stops.SIGNALS} == handlers
        requeued = scontrol.read_text() if scontrol.exists() else ""
        assert requeued == "requeue 17\n" * (number in (signal.SIGUSR1, signal.SIGUSR2))
        scontrol.unlink(missing_ok=True)
        left = [file for file in tmp_path.rglob("*") if file.name.startswith(".") or file.name == "run.lock"]
        assert [file for file in left if not (name == "predict" and file.name.endswith(".partial"))] == []
        return given

    return call


def result(directory: Path) -> dict:
    """All results of a run, except its duration."""
    scores = json.loads((directory / "scores.json").read_text()) | {"seconds": 0}
    weights = {name: weights_digest(directory, name) for name in ("best", "last")}
    labels = {file.name: file.read_bytes() for file in (directory / "predictions").glob("*_probabilities.tif")}
    return {"scores": scores, "weights": weights, "labels": labels, "page": (directory / "report.html").exists()}


@pytest.fixture(scope="module")
def undisturbed() -> dict:
    """Filled by the first test that needs it."""
    return {}


def check_goes_on(name: str, given: list[str], run_command, tmp_path: Path, undisturbed: dict) -> None:
    """Assert that the same command completes the work with the result of an uninterrupted run."""
    status, _, error = run_command(name, *given)
    assert status == 0, error
    if name != "train":
        return
    if not undisturbed:
        alone = [each for each in given if not each.startswith("hydra.run.dir=")]
        assert run_command("train", *alone, f"hydra.run.dir={tmp_path / 'alone'}")[0] == 0
        undisturbed |= result(tmp_path / "alone")
    assert result(tmp_path / "run") == undisturbed


@pytest.mark.parametrize(
    ("name", "function", "number"),
    [
        pytest.param("train", "WeightMap.cached", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("train", "HeldOut.on_test_end", signal.SIGUSR1, marks=pytest.mark.slow),
        ("train", "show_run", signal.SIGINT),
        ("predict", "write_results", signal.SIGTERM),
        ("score", "Evaluator.update", signal.SIGTERM),
        ("report", "render", signal.SIGINT),
        ("check", "inspect_folder", signal.SIGUSR2),
    ],
)
def test_a_signal_stops_a_command_and_the_same_command_resumes_it(
    name, function, number, stopped, run_command, tmp_path, undisturbed
):
    check_goes_on(name, stopped(name, function, number), run_command, tmp_path, undisturbed)


@pytest.mark.torture
@pytest.mark.parametrize(
    ("name", "function"),
    [
        (name, function)
        for name in ("train", "predict", "score", "report", "check", "preview")
        for function in getattr(stops, name.upper())
    ],
)
def test_signals_in_every_phase_of_every_command(name, function, stopped, run_command, tmp_path, undisturbed):
    # Each begins anew; after one of them, another one in each phase, the same command is held to go on.
    first = len(function) % len(stops.SIGNALS)
    for number in (*stops.SIGNALS[first + 1 :], *stops.SIGNALS[: first + 1]):
        for made in ("run", "out", "cache"):
            shutil.rmtree(tmp_path / made, ignore_errors=True)
        given = stopped(name, function, number)
    check_goes_on(name, given, run_command, tmp_path, undisturbed)


@pytest.mark.torture
@pytest.mark.parametrize("function", stops.SWEEP)
def test_signals_in_every_phase_of_a_sweep(function, run_command, arguments, tmp_path):
    given = [each for each in arguments("train") if not each.startswith("hydra.run.dir")]
    given += ["-m", "seed=1,2", "page=false", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    with stops.sent(signal.SIGTERM, function) as sent:
        status, _, error = run_command("train", *given)
    assert sent and status == 128 + signal.SIGTERM, error
    assert (
        len([line for line in error.splitlines() if "stopped by SIGTERM" in line and "the same command" in line]) == 1
    )
    status, printed, error = run_command("train", *given)
    assert status == 0, error
    assert "unfinished" not in printed
