"""Each ``python -m`` line of the README runs, shortened to a step on tiny tiles."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from src.data.phantom import phantom
from tests.conftest import FEW, TINY
from tests.data.own import change_labels, folder

README, MAKEFILE = ((Path(__file__).parent.parent / name).read_text() for name in ("README.md", "Makefile"))
LINES = re.findall(r"^python -m src\.(\w+) (.*)$", README, flags=re.MULTILINE)


@pytest.fixture
def home(tmp_path, monkeypatch, finished_run):
    """A directory in which every file that the README names exists, with a trained network."""
    monkeypatch.chdir(tmp_path)
    directory = finished_run(tmp_path / "runs" / "demo")
    shutil.copytree(directory, tmp_path / "runs" / "other")
    stack = phantom(slices=30, size=64)
    folder(tmp_path / "my_images")
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "image.tif", stack.images[0])
    (tmp_path / "predictions").mkdir()
    (tmp_path / "truths").mkdir()
    for truth in ("truth.tif", "truths/image.tif"):
        tifffile.imwrite(tmp_path / truth, stack.targets[24])
    for kind in ("probabilities", "labels"):
        predicted = directory / "predictions" / f"slice_24_{kind}.tif"
        shutil.copy(predicted, tmp_path / "predictions" / f"image_{kind}.tif")
    isbi = tmp_path / "data" / "isbi2012"
    isbi.mkdir(parents=True)
    tifffile.imwrite(isbi / "train-volume.tif", stack.images, photometric="minisblack")
    tifffile.imwrite(isbi / "train-labels.tif", stack.targets * np.uint8(255), photometric="minisblack")
    return tmp_path


@pytest.mark.parametrize(
    ("shell", "python", "folder"), [("powershell", "py", ".venv\\Scripts\\"), ("zsh", "python3", ".venv/bin/")]
)
def test_where_there_is_no_make_the_lines_are_those_of_make(shell, python, folder):
    (block,) = re.findall(rf"```{shell}\n(.*?)```", README, flags=re.DOTALL)
    lines = re.findall(r"^\t(\$\((?:PYTHON|BIN)\).*)$", MAKEFILE.partition("\nisbi:")[0], flags=re.MULTILINE)
    for of_make, here in (
        ("$(PYTHON)", python),
        ("$(BIN)/", folder),
        (" --quiet --disable-pip-version-check", ""),
        ("'.[dev]'", "."),  # dev is for the tests
    ):
        lines = [line.replace(of_make, here) for line in lines]
    assert block.splitlines() == lines


def test_there_are_lines_to_test():
    assert {verb for verb, _ in LINES} == {"train", "check", "preview", "predict", "score", "crossval", "report"}


LONG = ("ddp", "seed=1,2", "wandb", "folds=5")  # in lines that take seconds


@pytest.mark.parametrize(
    ("verb", "line"),
    [pytest.param(*each, marks=[pytest.mark.slow] * any(word in each[1] for word in LONG)) for each in LINES],
)
def test_a_line_of_the_readme_runs(verb, line, home, run_command, monkeypatch):
    monkeypatch.delenv("DATA_DIR", raising=False)
    # tests/cluster sends runs to Slurm; four GPUs are two processes here.
    replaced = {"hydra/launcher=slurm": "hydra.sweeper.n_trials=1", "trainer=ddp": "trainer=ddp_cpu"}
    replaced |= {"trainer.devices=4": "trainer.devices=2"}
    arguments = [replaced.get(argument, argument) for argument in shlex.split(line)]
    if verb in ("train", "preview", "crossval"):
        small = ["data.source.verify=false"] if "isbi" in line else [*FEW]
        small = [] if "data.root" in line else small
        small += ["~callbacks.samples"] * (verb != "preview")  # pictures that take longer than all else
        named = {argument.split("=")[0] for argument in arguments} - {"model.base_channels", "trainer.max_steps"}
        arguments += [argument for argument in TINY if argument.split("=")[0] not in named] + small
    if "classes" in line and "data.root" in line:
        change_labels(home / "my_images", lambda cells: np.uint8((cells > 0) * (1 + cells % 2)))
    if verb == "predict":
        arguments.append("output=elsewhere")
    status, _, error = run_command(verb, *arguments)
    assert status == 0, error
