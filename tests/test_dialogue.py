"""What a person reads from the first check to the report, on real data: in a file, and on a terminal of 80 columns."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def on_a_terminal(arguments: list[str], columns: int = 80) -> str:
    """What stays on the terminal, without what was drawn over."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
        os.execve(sys.executable, [sys.executable, "-m", f"src.{arguments[0]}", *arguments[1:]], environment)
    parts = []
    try:
        while part := os.read(terminal, 4096):
            parts.append(part)
    except OSError:  # the end, on Linux
        pass
    assert os.waitpid(pid, 0)[1] == 0, b"".join(parts).decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode(errors="replace"))
    return "\n".join(line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))


@pytest.mark.parametrize(
    ("of", "way", "width"),
    [
        (("phase_t98g", PHASE, "set03.tif"), redirected, 100),
        (("nuclei_fluo", NUCLEI, "0280f*"), on_a_terminal, 80),
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
    for said in ("train:", "images: ", "step 3/3 · loss", "report: "):
        assert said in text, said
