"""What a person reads from the first check to the report, on real data: in a file, and on a terminal of 80 columns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminals import on_a_terminal

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("DATA_DIR", "data"))
SMALL = "model.base_channels=4 trainer.max_steps=3 data.workers=0 tta=none"
PHASE = f"experiment=phase data.tile=252 {SMALL}"
NUCLEI = f"experiment=nuclei data.validation=03398* data.held_out=0280f*,04aca* {SMALL}"


def commands(name: str, choices: str, image: str, folder: Path) -> list[list[str]]:
    """The four commands of a first afternoon."""
    if not (DATA / name).is_dir():
        pytest.skip(f"no {name} in DATA_DIR")
    run, cache = folder / "run", f"cache_dir={folder / 'cache'}"
    (file,) = (DATA / name / "images").glob(image)
    return [
        ["check", f"{DATA / name}", cache],
        ["train", *choices.split(), f"data_dir={DATA}", f"hydra.run.dir={run}", cache],
        ["predict", f"{run}/checkpoints/best.ckpt", f"{file}", f"{folder / 'predicted'}"],
        ["report", f"{run}"],
    ]


def redirected(arguments: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", f"src.{arguments[0]}", *arguments[1:]]
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert found.returncode == 0, found.stdout
    return found.stdout


def seen(arguments: list[str]) -> str:
    """What stays on a terminal of 80 columns, without what was drawn over."""
    status, text = on_a_terminal(["-m", f"src.{arguments[0]}", *arguments[1:]], 80)
    assert status == 0, text
    return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))


@pytest.mark.parametrize(
    ("of", "way", "width"),
    [
        (("phase_t98g", PHASE, "set03.tif"), redirected, 100),
        (("nuclei_fluo", NUCLEI, "0280f*"), seen, 80),
    ],
)
def test_each_line_fits_but_commands_and_paths(of, way, width, tmp_path):
    recorded = [f"$ python -m src.{' '.join(each)}\n{way(each)}" for each in commands(*of, tmp_path)]
    (tmp_path / "dialogue.txt").write_text("\n".join(recorded))
    for line in "\n".join(recorded).splitlines():
        alone = line.startswith("$ ") or line.strip().startswith("python -m src.") or len(line.split()) == 1
        assert alone or len(line) <= width, line
    text = "\n".join(recorded)
    assert "Traceback" not in text and "Warning" not in text
    for said in ("train:", "images: ", "step 3/3 · loss", "report:"):
        assert said in text, said
