"""Cross-validation as one command: it goes on, is finished, and refuses what is no cross-validation."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tifffile
import yaml

from src import CONF
from src.data.phantom import phantom
from tests.conftest import FOLDS, TINY
from tests.data.own import change_image, draw, folder

SMALL = [*TINY, "~callbacks.samples", "~callbacks.overlay", "page=false", "compile=false"]


@pytest.fixture
def crossval(run_command, tmp_path):
    """Cross-validate in this process: → (directory, status, output, error)."""

    def call(*arguments, directory=tmp_path / "folds"):
        given = [f"hydra.run.dir={directory}", f"cache_dir={tmp_path / 'cache'}", *arguments]
        return directory, *run_command("crossval", *given)

    return call


def read(directory):
    return json.loads((directory / "scores.json").read_text())


def timeless(content):
    """The same without how long it took."""
    if isinstance(content, dict):
        return {key: timeless(value) for key, value in content.items() if "seconds" not in key}
    return [timeless(each) for each in content] if isinstance(content, list) else content


def test_each_fold_is_a_run_and_each_image_is_scored_once_by_one_that_has_not_seen_it(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    found = read(directory)
    names = [f"slice_{number:02d}" for number in range(23)]
    assert [row["name"] for row in found["per_image"]] == names
    of_folds = {}
    for number, fold in enumerate(found["folds"]):
        point = directory / fold["directory"]
        config = yaml.safe_load((point / "config.yaml").read_text())
        assert (config["folds"], config["fold"]) == (2, number)
        assert (point / "report.html").exists() and (point / "checkpoints" / "best.ckpt").exists()
        for row in read(point)["per_image"]:
            assert row["name"] not in of_folds
            of_folds[row["name"]] = row | {"fold": number}
    # What is pooled are the scores that each fold has given its images, though these are read from its files.
    assert {row["name"]: row for row in found["per_image"]} == of_folds
    for kind in ("probabilities.tif", "labels.tif"):
        assert sorted(file.name for file in directory.glob(f"predictions/*_{kind}")) == [f"{n}_{kind}" for n in names]


def test_the_scores_are_those_of_all_images_together_and_their_mean(folded, tmp_path):
    found = read(folded(tmp_path / "folds"))
    for name in ("v_rand_labels", "v_info_labels"):  # a mean over images, in a metric that pools nothing
        values = [row[name] for row in found["per_image"]]
        assert found["scores"][name] == pytest.approx(sum(values) / 23, abs=1e-6)
        assert found["mean_of_images"][name] == pytest.approx(sum(values) / 23, abs=1e-6)
        low, high = found["intervals"][name]
        assert low <= found["scores"][name] <= high
    each = [fold["scores"]["v_rand"] for fold in found["folds"]]
    assert found["mean_of_folds"]["v_rand"] == pytest.approx(sum(each) / 2)
    assert [row["name"] for row in found["ensemble"]["per_image"]] == ["slice_24", "slice_25"]


def test_issued_again_a_finished_cross_validation_is_finished(folded, crossval, tmp_path):
    directory = folded(tmp_path / "folds")
    before = read(directory)
    _, status, printed, error = crossval(*FOLDS)
    assert status == 0, error
    assert printed.count("is finished") == 2 and "steps 0 to" not in printed
    assert "2 folds of 23 images, 11 to 12 each: contiguous slices" in printed
    assert "2 held-out images are left for the mean of the networks" in printed
    assert "95 % confidence interval of v_rand" in printed and read(directory) == before


@pytest.mark.slow
def test_what_is_missing_of_the_pooled_result_is_made_again(folded, crossval, tmp_path):
    directory = folded(tmp_path / "folds")
    before = read(directory)
    (directory / "scores.json").write_text("{")
    (directory / "ensemble.json").unlink()
    (directory / "predictions" / ".slice_00.png.0123").write_bytes(b"")
    _, status, _, error = crossval(*FOLDS)
    assert status == 0 and "scores.json is not" in error
    assert timeless(read(directory)) == timeless(before) and (directory / "ensemble.json").exists()


@pytest.mark.slow
def test_a_folder_of_few_images_is_left_one_out_and_copies_stay_together(crossval, tmp_path):
    own = folder(tmp_path / "own", 5)
    change_image(own, lambda _: draw(1)[0], [3])
    directory, status, printed, error = crossval("data=folder", f"data.root={own}", *SMALL)
    assert status == 0, error
    assert "experiment=cells, chosen from the labels" in printed
    assert "4 folds of 5 images, 1 to 2 each: images by source file, near copies together" in printed
    folds = {row["name"]: row["fold"] for row in read(directory)["per_image"]}
    assert folds["cell_01"] == folds["cell_03"] and len(set(folds.values())) == 4
    assert read(directory)["ensemble"] is None and not (directory / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folds=1"], "expected folds to be a whole number from 2 on, but got 1; nearest valid: 2"),
        (["folds=24"], "expected at most 23 folds"),
        (["folds=2", "fold=0"], "expected all folds"),
        (["folds=2,3"], "several of folds"),
        (["hparams_search=optuna"], "expected no search"),
        (["seed=1,2"], "several of seed"),
        (["data.train=0-9", "data.validation=8"], "image 8 in train and validation"),
        (["data.train=0-1", "data.validation=", "data.held_out=20"], "training slices that are unlike"),
        (["modle.depth=2"], "modle"),
    ],
)
def test_what_is_no_cross_validation_is_refused_before_anything_is_written(arguments, message, crossval, tmp_path):
    directory, status, _, error = crossval("data.source.size=32", *arguments)
    assert status == 1 and message in error and "Traceback" not in error
    assert not directory.exists()


@pytest.mark.slow
def test_other_folds_in_the_same_directory_are_refused(folded, crossval, tmp_path):
    folded(tmp_path / "folds")
    _, status, _, error = crossval(*FOLDS, "folds=3")
    assert status == 1 and "other values of folds" in error


@pytest.mark.slow
def test_killed_at_any_moment_it_comes_to_the_same_scores(crossval, tmp_path):
    steps = [each for each in FOLDS if "max_steps" not in each] + ["trainer.max_steps=12", "compile=false"]
    whole, status, _, error = crossval(*steps, directory=tmp_path / "whole")
    assert status == 0, error
    killed, environment = tmp_path / "killed", os.environ | {"PYTHONPATH": str(CONF.parent)}
    command = [
        sys.executable,
        "-m",
        "src.crossval",
        *steps,
        f"hydra.run.dir={killed}",
        f"cache_dir={tmp_path / 'cache'}",
    ]
    moments = [
        lambda: list(killed.glob("*/checkpoints/last.ckpt")),
        lambda: list(killed.glob("fold-0*/scores.json")),
        lambda: list(killed.glob("fold-1*/checkpoints/last.ckpt")),
        lambda: list(killed.glob("predictions/*.png")),
        lambda: (killed / "ensemble.json").exists(),
    ]
    for moment in moments:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while not moment():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (killed / "scores.json").exists()
    _, status, _, error = crossval(*steps, directory=killed)
    assert status == 0, error
    assert timeless(read(killed)) == timeless(read(whole))


@pytest.mark.slow
def test_a_stack_of_one_s_own_is_a_stack(crossval, tmp_path):
    stack = phantom(slices=9, size=64)
    for name, array in (("images", stack.images), ("labels", stack.instances.astype("uint16"))):
        Path(tmp_path / "own" / name).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "own" / name / "film.tif", array, photometric="minisblack")
    directory, status, printed, error = crossval(
        "experiment=cells", f"data.root={tmp_path / 'own'}", "folds=2", "data.source.kind=instances", *SMALL
    )
    assert status == 0, error
    assert "2 folds of 9 images, 4 to 5 each: contiguous slices, with a slice left out between" in printed
    assert len(read(directory)["per_image"]) == 9
