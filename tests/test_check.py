"""The check of one's own data: each way in which people's data are wrong, named before training."""

import json
import re
import shlex

import cv2
import numpy as np
import pytest

from src.data.finding import ERROR
from tests.conftest import TINY, imported_by
from tests.data.drawn import KINDS, mask, types
from tests.data.own import IMAGES, SIDE, change_image, change_labels, draw, folder, write
from tests.findings.broken import BROKEN, classes, shrink

SMALL = [argument for argument in TINY if argument.startswith(("data.", "model."))]
CELLS = ("experiment=cells",)


@pytest.fixture
def own(tmp_path):
    return folder(tmp_path / "own")


@pytest.fixture
def check(run_command, tmp_path):
    """Check a folder: → (exit status, findings, output, error)."""

    def call(root, *arguments):
        output = tmp_path / "findings.json"
        given = (f"data.root={root}", f"cache_dir={tmp_path / 'cache'}", f"output={output}", *SMALL, *arguments)
        status, printed, error = run_command("check", *given)
        found = json.loads(output.read_text())["findings"] if output.exists() else []
        return status, found, printed, error

    return call


def test_data_without_fault_have_no_finding(own, check):
    status, found, printed, error = check(own, *CELLS)
    assert (status, found) == (0, []), error
    assert f"{IMAGES} images of {SIDE}×{SIDE} px" in printed
    assert "labels: instances; 70 cells" in printed
    assert "training images: 7 (" in printed and "held-out images: 2 (cell_08, cell_09)" in printed


@pytest.mark.parametrize("name", ["no labels", "empty", "stray pixels"])
def test_what_is_wrong_is_printed_and_written_and_an_error_is_an_error(name, own, check):
    code, severity, spoil, _ = BROKEN[name]
    spoil(own)
    status, found, printed, error = check(own)
    assert status == (severity == ERROR), error
    assert [(one["code"], one["severity"]) for one in found] == [(code, severity)]
    assert f"{severity} {code}\n  {found[0]['file']}\n    found     {found[0]['found']}\n" in printed
    assert ("error: 1 errors; training would be wrong" in error) == (severity == ERROR)


def overrides(chosen):
    """The arguments that make these choices."""
    for name, value in chosen.items():
        if name == "groups":
            yield from (f"data.{group}={slices}" for group, slices in value.items())
        else:
            key = {"classes": "model.classes", "channels": "model.in_channels"}.get(name, f"data.source.{name}")
            yield f"{key}={list(value) if name == 'values' else value}".replace(" ", "")


@pytest.mark.parametrize("name", [name for name, (_, severity, *_) in BROKEN.items() if severity == ERROR])
def test_training_refuses_what_would_be_wrong(name, own, train):
    code, _, spoil, chosen = BROKEN[name]
    spoil(own)
    directory, status, _, error = train(f"data.root={own}", *CELLS, *overrides(chosen))
    assert status == 1
    assert code in error and "Traceback" not in error
    assert not list(directory.glob("*"))


def test_training_says_that_there_are_warnings_and_goes_on(own, train):
    change_labels(own, np.zeros_like, [3])
    directory, status, _, error = train(f"data.root={own}", *CELLS, "~callbacks.samples")
    assert status == 0, error
    assert "warning: of the data: empty-label\n  python -m src.check" in error
    assert (directory / "scores.json").exists()


@pytest.mark.slow
def test_training_looks_once_as_long_as_nothing_changes(own, train, tmp_path):
    slim = (*CELLS, "~callbacks.samples", "~callbacks.overlay")

    def looked():
        return sorted((tmp_path / "cache" / "checks").iterdir())

    train(f"data.root={own}", *slim, directory=tmp_path / "one")
    first = {file: file.stat().st_mtime_ns for file in looked()}
    train(f"data.root={own}", *slim, directory=tmp_path / "two")
    assert {file: file.stat().st_mtime_ns for file in looked()} == first and len(first) == 1
    change_labels(own, lambda labels: labels[::-1], [3])
    train(f"data.root={own}", *slim, directory=tmp_path / "three")
    assert len(looked()) == 2


def test_what_was_kept_and_is_damaged_is_looked_at_again(own, check, tmp_path):
    first = check(own)
    (file,) = (tmp_path / "cache" / "checks").iterdir()
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    again = check(own)
    assert again[:3] == first[:3]
    assert again[3].splitlines()[-1].startswith(f"warning: {file} is no valid cache (")
    assert file.read_text() == whole
    assert check(own) == first


def test_what_is_suggested_trains(own, check, train):
    change_image(own, lambda image: np.stack([image, image // 2, image], -1))
    status, _, printed, _ = check(own)
    assert status == 0
    line = shlex.split(printed[printed.index("python -m src.train ") :])[3:]
    assert {"experiment=cells", "model.in_channels=3"} <= set(line)
    assert train(*line, "~callbacks.samples")[1] == 0


# What is drawn, and what the printed line says of it.
PRINTED = {
    "organs": "experiment=classes data.source.kind=classes model.classes=4",
    "two cells": "experiment=cells data.source.kind=instances",
    "vessels": "experiment=classes data.source.kind=classes",
    "white membranes": "experiment=membranes data.source.kind=boundary data.source.values=[255,0]",
    "ilastik": "experiment=cells data.source.kind=binary data.source.values=[1,2]",
    "mixed masks": "experiment=cells",
    "void": "experiment=classes data.source.kind=classes data.source.ignore_label=255 model.classes=3",
    "void in masks": "experiment=cells data.source.kind=binary data.source.ignore_label=255",
    "colours": "experiment=classes model.classes=3",
}


def of_kind(name, number):
    """Labels and image of one of them."""
    if name not in ("void", "void in masks", "colours"):
        return KINDS[name][2](number)
    labels, image = types(number) if name != "void in masks" else mask(number, 1)
    if "void" in name:
        labels[:10] = 255
        return labels, image
    return np.array([[255, 255, 255], [200, 0, 0], [0, 0, 200]], np.uint8)[labels], image


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_is_learnt_from_as_it_was_judged(name, own, check, train):
    for number in range(IMAGES):
        labels, image = of_kind(name, number)
        change_image(own, lambda _, new=image: new, [number])
        change_labels(own, lambda _, new=labels: new, [number], ".png")
    status, _, printed, error = check(own)
    assert status == 0, error
    line = shlex.split(printed[printed.index("python -m src.train ") :])[3:]
    own_keys = ("experiment", "data.source", "model.classes")
    assert " ".join(each for each in line if each.startswith(own_keys)) == PRINTED[name]
    directory, status, _, error = train(*line, "~callbacks.samples", "~callbacks.overlay", "page=false")
    assert status == 0, error
    learnt = json.loads((directory / "check.json").read_text())
    assert "void" in name or f"labels: {learnt['kind']}" in printed
    for number, share in learnt["classes"].items():
        assert "void" in name or f"class {number} {share:.1%}" in printed


def test_a_pattern_of_paths_is_taken_as_it_stands_and_printed_so_that_it_runs(own, check, train):
    for number in range(IMAGES):
        (own / f"labels/cell_{number:02d}.tif").rename(own / f"images/cell_{number:02d} (1st).tif")
    (own / "labels").rmdir()
    status, _, printed, error = check(own, "data.source.labels=images/{name} (1st).*", "data.source.images=null")
    assert status == 0, error
    line = shlex.split(printed[printed.index("python -m src.train ") :])[3:]
    assert "data.source.labels=images/{name} (1st).*" in line
    assert train(*line, "~callbacks.samples", "~callbacks.overlay", "page=false")[1] == 0


@pytest.mark.parametrize("kind", ["membranes", "classes"])
def test_the_experiment_follows_from_the_kind_of_labels(kind, own, check):
    def membranes(labels):
        edges = cv2.dilate(np.uint8(np.hypot(*np.gradient(labels.astype(float))) > 0), np.ones((2, 2)))
        return np.where(edges, 0, 255).astype(np.uint8)

    change_labels(own, {"membranes": membranes, "classes": classes}[kind])
    status, found, printed, _ = check(own)
    assert (status, found) == (0, [])
    assert f"train:\n  python -m src.train experiment={kind}" in printed
    assert ("model.classes=3" in printed) == (kind == "classes")


def test_an_experiment_is_checked_with_its_own_data(run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    status, _, error = run_command("check", "experiment=nuclei")
    assert status == 1 and f"there is none at {tmp_path / 'nuclei_fluo'}" in error


def test_a_folder_that_is_none_is_one_message(check, tmp_path):
    (tmp_path / "empty").mkdir()
    for root, words in ((tmp_path / "none", "there is none at"), (tmp_path / "empty", "images/ and labels/")):
        status, _, _, error = check(root)
        assert status == 1 and words in error and "Traceback" not in error


@pytest.mark.parametrize("data", ["phantom", "isbi2012"])
def test_known_data_can_be_checked_too(data, run_command, tmp_path):
    arguments = ["data.source.size=64"] if data == "phantom" else ["data.source.verify=false"]
    if data == "isbi2012":
        stack = np.stack([draw(number)[0] for number in range(30)])
        (tmp_path / "isbi2012").mkdir()
        for name, array in (("volume", stack), ("labels", np.uint8(stack > 60) * 255)):
            write(tmp_path / f"isbi2012/train-{name}.tif", array)
    status, printed, error = run_command("check", f"data={data}", f"data_dir={tmp_path}", *arguments)
    assert status == 0, error
    assert "30 images" in printed


def test_a_check_needs_no_network_and_no_trainer(own, tmp_path):
    found = imported_by("check", f"data.root={own}", f"cache_dir={tmp_path}", "experiment=cells")
    assert "cv2" in found and not found & {"torch", "lightning", "torchmetrics", "albumentations"}


@pytest.mark.slow
def test_a_repaired_copy_passes_the_printed_check_and_trains_by_the_printed_line(own, run_command, train, tmp_path):
    for number in range(IMAGES):
        change = shrink if number == 3 else lambda labels: np.uint8(labels > 0) * 255
        change_labels(own, change, [number], ".png")
    (own / "labels/cell_05.png").unlink()
    given = (f"data.root={own}", f"cache_dir={tmp_path / 'cache'}", *SMALL)
    assert run_command("check", *given)[0] == 1
    out = tmp_path / "copy"
    status, printed, error = run_command("check", *given, f"mend={out}")
    assert status == 0, error
    assert "0/255 → 0/1: 9 files" in printed and "left out, an image without labels" in printed
    found = re.findall(r"^(\w+):\n  python -m src\.\w+ (.*)$", printed, re.MULTILINE)
    lines = {what: shlex.split(line) for what, line in found}
    assert f"data.root={out}" in lines["check"] and not any(str(own) in each for each in lines["train"])
    status, _, error = run_command("check", *lines["check"], *SMALL, f"cache_dir={tmp_path / 'cache'}")
    assert status == 0, error
    assert train(*lines["train"], "~callbacks.samples", "~callbacks.overlay", "page=false")[1] == 0


def test_what_says_how_to_read_the_original_is_not_said_of_its_copy(own, run_command, tmp_path):
    change_labels(own, lambda labels: np.uint8(labels == 0) * 255, suffix=".png")
    given = (f"data.root={own}", "data.source.values=[255,0]", "seed=3", f"mend={tmp_path / 'copy'}", *CELLS, *SMALL)
    status, printed, error = run_command("check", *given)
    assert status == 0, error
    train = next(line for line in printed.splitlines() if "python -m src.train" in line)
    assert "experiment=cells" in train and "seed=3" in train
    assert "data.source" not in train and "mend=" not in train


def test_only_a_folder_can_be_mended_and_findings_are_of_a_check(own, run_command, tmp_path):
    for arguments, words in (
        (("data=phantom",), "expected data=folder data.root=DIR"),
        ((f"data.root={own}", f"output={tmp_path / 'a.json'}"), "expected output or mend"),
        ((f"data.root={tmp_path / 'none'}",), "there is none at"),
    ):
        status, _, error = run_command("check", *arguments, f"mend={tmp_path / 'copy'}")
        assert status == 1 and words in error and "Traceback" not in error
        assert not (tmp_path / "copy").exists()
