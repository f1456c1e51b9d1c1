"""Each ``python -m`` line of the README, and of the pages that it leads to, runs, shortened to a step on tiny tiles."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from src import training
from src.data.phantom import phantom
from src.helping import examples
from src.model import archive
from tests.conftest import FEW, TINY, composed
from tests.data.own import change_labels, folder

ROOT = Path(__file__).parent.parent
README, MAKEFILE = ((ROOT / name).read_text() for name in ("README.md", "Makefile"))
PAGES = {
    file.relative_to(ROOT).as_posix(): file.read_text()
    for file in (
        ROOT / "README.md",
        *(file for place in ("conf", "data", "src") for file in ROOT.glob(f"{place}/**/README.md")),
    )
}
LINES = list(dict.fromkeys(re.findall(r"^python -m src\.(\w+) (.*)$", "\n".join(PAGES.values()), flags=re.MULTILINE)))
HELP = [
    (verb, example.partition(f"src.{verb} ")[2])
    for verb in ("train", "check", "preview", "predict", "score", "report", "export", "crossval")
    for example in examples(verb)
]


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python -m src.train experiment=is", "experiment=isbi experiment=isbi_full experiment=isbi_paper"),
        ("python -m src.train experiment=demo optimizer.l", "optimizer.lr="),
        ("python -m src.predict engi", "engine="),
        ("python -m pip inst", ""),
        ("python train.py a", ""),
    ],
)
def test_a_shell_completes_keys_and_choices(line, expected):
    (block,) = re.findall(r"```bash\n(.*?)```", PAGES["conf/README.md"], flags=re.DOTALL)
    ask = f'{block}\nCOMP_LINE="{line}"\n_unet\necho "${{COMPREPLY[*]}}"'
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert (found.stdout.strip(), found.stderr) == (expected, "")


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


def anchors(page: str) -> set[str]:
    """The fragments that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*PAGES, "RESULTS.md", "CHANGELOG.md", "tests/README.md", "tests/benchmarks/README.md"]
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / page).read_text()):
        name, _, fragment = target.partition("#")
        file = ((ROOT / page).parent / name if name else ROOT / page).resolve()
        assert file.exists(), target
        assert not fragment or fragment in anchors(file.read_text()), target


def test_there_are_lines_to_test():
    assert {verb for verb, _ in LINES} == {
        "train",
        "check",
        "preview",
        "predict",
        "score",
        "export",
        "crossval",
        "report",
    }


def test_the_lines_for_napari_compute_what_src_predict_computes(tmp_path, monkeypatch, run_command):
    monkeypatch.chdir(tmp_path)
    module = training.make_segmenter(composed("model.base_channels=2"))
    content = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict(), "threshold": 0.5}
    archive.write(tmp_path / "some.ckpt", content)
    tifffile.imwrite("image.tif", phantom(slices=1, size=100).images[0][:91, :83])
    for verb, given in {
        "export": "checkpoint=some.ckpt format=onnx output=cells.onnx",
        "predict": "checkpoint=cells.onnx input=image.tif output=out precision=32",
    }.items():
        status, _, error = run_command(verb, *given.split())
        assert status == 0, error
    (block,) = re.findall(r"```python\n(.*?)```", PAGES["src/exports/README.md"], flags=re.DOTALL)
    shown = []
    exec(block, {"viewer": SimpleNamespace(add_image=shown.append)})
    np.testing.assert_allclose(shown[0], tifffile.imread("out/image_probabilities.tif"), rtol=0, atol=1e-4)


LONG = ("ddp", "seed=1,2", "wandb", "mlflow", "crossval")  # in lines that take seconds


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        pytest.param(*each, marks=[pytest.mark.slow] * (each not in LINES or any(word in str(each) for word in LONG)))
        for each in dict.fromkeys([*LINES, *HELP])
    ],
)
def test_a_line_of_the_readme_runs(verb, line, home, run_command, monkeypatch):
    monkeypatch.delenv("DATA_DIR", raising=False)
    # tests/cluster sends runs to Slurm; four GPUs are two processes here.
    replaced = {"hydra/launcher=slurm": "hydra.sweeper.n_trials=1", "trainer=ddp": "trainer=ddp_cpu"}
    replaced |= {"trainer.devices=4": "trainer.devices=2"}
    arguments = [replaced.get(argument, argument) for argument in shlex.split(line)]
    if verb in ("train", "preview", "crossval"):
        small = ["data.source.verify=false"] if "isbi" in line else [*FEW]
        small = [] if "data.root" in line or line == "my_images" else small
        small += ["~callbacks.samples"] * (verb != "preview")  # pictures that take longer than all else
        named = {argument.split("=")[0] for argument in arguments} - {"model.base_channels", "trainer.max_steps"}
        arguments += [argument for argument in TINY if argument.split("=")[0] not in named] + small
    if "classes" in line and "data.root" in line:
        change_labels(home / "my_images", lambda cells: np.uint8((cells > 0) * (1 + cells % 2)))
    if verb == "predict" and "=" in line:
        arguments.append("output=elsewhere")
    status, _, error = run_command(verb, *arguments)
    assert status == 0, error
