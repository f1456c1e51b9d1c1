"""Nothing needs POSIX, fork or Unicode on the terminal: in a process without them, all of it gives the same results."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from src import CONF
from tests.conftest import SLIM, weights_digest

TWO_STEPS = [*SLIM, "trainer.max_steps=2"]
TWO_RANKS = [*TWO_STEPS, "trainer=ddp_cpu", "trainer.devices=2", "data.batch_size=2"]


def on_windows(*commands: list[str]) -> str:
    """Run commands one after the other in a process that lacks what Windows lacks: → what they have printed."""
    given = [word for command in commands for word in ("--", *map(str, command))][1:]
    how = [sys.executable, "-X", "warn_default_encoding", "-m", "tests.machines.windows"]
    place = os.environ | {"PYTHONIOENCODING": "cp1252", "USE_LIBUV": "0"}
    ended = subprocess.run([*how, *given], capture_output=True, cwd=CONF.parent, env=place)
    assert ended.returncode == 0, ended.stderr.decode("cp1252")
    return ended.stdout.decode("cp1252")


def result(run: Path) -> tuple:
    """All that a run came to, but for the time that it took; nothing half-written is left in it."""
    assert not [file for file in run.rglob("*") if file.name.startswith(".") or file.name == "run.lock"]
    predicted = {file.name: tifffile.imread(file).tolist() for file in (run / "predictions").glob("*.tif")}
    return json.loads((run / "scores.json").read_text()) | {"seconds": 0}, weights_digest(run), predicted


@pytest.mark.slow
def test_train_predict_and_score_do_the_same_without_posix(train, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    _, status, _, error = train(*TWO_STEPS, directory=here)
    assert status == 0, error
    image, labels = tmp_path / "image.tif", tmp_path / "out/image_labels.tif"
    tifffile.imwrite(image, np.random.default_rng(0).random((70, 90), np.float32))
    printed = on_windows(
        ["train", *TWO_STEPS, f"hydra.run.dir={there}", f"cache_dir={tmp_path}/other"],
        ["train", *TWO_STEPS, f"hydra.run.dir={there}", f"cache_dir={tmp_path}/other"],
        ["predict", f"checkpoint={there}/checkpoints/best.ckpt", f"input={image}", f"output={tmp_path}/out"],
        [
            "predict",
            f"checkpoint={there}/checkpoints/best.ckpt",
            f"input={image}",
            f"output={tmp_path}/zarr",
            "format=zarr",
        ],
        [
            *("predict", f"checkpoint={there}/checkpoints/last.ckpt", f"input={image}", f"output={tmp_path}/zarr"),
            *("format=zarr", "overwrite=true"),
        ],
        ["score", f"truth={labels}", f"prediction={labels}", "metrics=instances", f"output={tmp_path}/scores.json"],
    )
    assert r"tiles 60 \u2192 20 px" in printed, "what the code page lacks is an escape"
    assert f"{there} is finished" in printed
    assert result(there) == result(here)
    assert {file.name for file in (tmp_path / "zarr").iterdir()} == {"image_probabilities.zarr", "image_labels.zarr"}
    assert not [file.name for file in tmp_path.rglob("*") if file.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [[*TWO_STEPS, "data.workers=2"], TWO_RANKS], ids=["workers", "ranks"])
def test_processes_that_are_spawned_do_what_forked_ones_do(chosen, train, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    _, status, _, error = train(*chosen, directory=here)
    assert status == 0, error
    printed = on_windows(["train", *chosen, f"hydra.run.dir={there}", f"cache_dir={tmp_path}/other"])
    assert r"tiles 60 \u2192 20 px" in printed
    assert result(there) == result(here)


@pytest.mark.slow
def test_a_folder_is_checked_previewed_and_reported_without_posix(reported_run, tmp_path):
    own = reported_run.parent / "own"
    on_windows(
        ["check", f"data.root={own}", f"cache_dir={tmp_path}", f"output={tmp_path}/findings.json"],
        ["check", f"data.root={own}", f"cache_dir={tmp_path}", f"output={tmp_path}/findings.json"],
        ["preview", "experiment=cells", f"data.root={own}", f"cache_dir={tmp_path}", f"output={tmp_path}/page.html"],
        ["report", f"run={reported_run}"],
    )
    assert (tmp_path / "page.html").exists() and json.loads((tmp_path / "findings.json").read_text())
