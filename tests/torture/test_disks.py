"""A full or read-only disk costs nothing but time: one message says where, and the same command goes on."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from src.data.phantom import phantom
from src.run.directory import checkpoint_file
from tests.conftest import SLIM, weights_digest

RUN = [*SLIM[:-1], "trainer.max_steps=3", "~callbacks.samples", "~callbacks.overlay", "logger=csv"]
ROOMY = 50_000  # KiB


def refused(found: tuple[int, str, str], place: Path) -> None:
    """Hold that a command was stopped by a disk without room, in one message."""
    status, _, error = found
    assert status == 1 and "Traceback" not in error, error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert (
        "No space left on device" in line
        and str(place) in line
        and "MB are free; make room, and the same command" in line
    )


def result(directory: Path) -> dict:
    weights = [weights_digest(directory, name) for name in ("best", "last")]
    return {"weights": weights, **json.loads((directory / "scores.json").read_text()), "seconds": 0}


TORTURE = pytest.mark.torture


@pytest.mark.parametrize(
    "size", [60, *(pytest.param(n, marks=TORTURE) for n in (8, 24, 40, 80, 100, 120, 140, 160, 200))]
)
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(size, disk, run_command, tmp_path):
    place = disk(size)
    given = [*RUN, f"cache_dir={tmp_path / 'cache'}"]
    found = run_command("train", *given, f"hydra.run.dir={place / 'run'}")
    if found[0] != 0:
        refused(found, place)
        assert f"hydra.run.dir={place / 'run'}" in found[2]
        assert not [file for file in place.rglob(".*")], "what is half there takes the room of what is to come"
        disk(ROOMY)
        status, _, error = run_command("train", *given, f"hydra.run.dir={place / 'run'}")
        assert status == 0, error
    assert run_command("train", *given, f"hydra.run.dir={tmp_path / 'alone'}")[0] == 0
    assert result(place / "run") == result(tmp_path / "alone")


def test_predictions_scores_and_pages_on_a_full_disk_say_so(disk, finished_run, run_command, tmp_path):
    place = disk(40)
    directory = finished_run(tmp_path / "finished")
    (tmp_path / "in").mkdir()
    stack = phantom(slices=1, size=300)
    iio.imwrite(tmp_path / "in" / "a.png", stack.images[0])
    tifffile.imwrite(tmp_path / "truth.tif", stack.instances[0])
    given = [f"checkpoint={checkpoint_file(directory, 'best')}", f"input={tmp_path / 'in'}", "precision=32"]
    predict = ["predict", *given, "format=zarr", f"output={place / 'out'}"]
    refused(run_command(*predict), place)
    score = ["score", f"truth={tmp_path / 'truth.tif'}", f"prediction={tmp_path / 'truth.tif'}", "metrics=instances"]
    with contextlib.suppress(OSError):  # as much as there is room for
        (place / "ballast").write_bytes(bytes(40_000))
    refused(run_command(*score, f"output={place / 'scores.json'}"), place)
    disk(ROOMY)
    assert run_command(*predict)[0] == 0
    assert run_command("predict", *given, "format=zarr", f"output={tmp_path / 'alone'}")[0] == 0
    for name in ("probabilities", "labels"):
        both = [sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file()) for folder in
                (place / "out" / f"a_{name}.zarr", tmp_path / "alone" / f"a_{name}.zarr")]  # fmt: skip
        assert both[0] == both[1]
    assert run_command(*score, f"output={place / 'scores.json'}")[0] == 0


@TORTURE
def test_a_read_only_disk_is_named(disk, finished_run, run_command, tmp_path):
    place = disk(ROOMY)
    directory = finished_run(place / "run")
    (directory / "scores.json").unlink()
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    for name, *given in (
        ("train", *RUN, f"hydra.run.dir={place / 'other'}"),
        (
            "predict",
            f"checkpoint={checkpoint_file(directory, 'best')}",
            f"input={tmp_path / 'a.png'}",
            f"output={place}",
        ),
        ("report", f"run={directory}"),
    ):
        iio.imwrite(tmp_path / "a.png", np.zeros((64, 64), np.uint8))
        status, _, error = run_command(name, *given)
        assert status == 1 and error.startswith("error: ") and str(place) in error and error.count("\n") == 1, error
    assert os.listdir(place) == ["run"]
