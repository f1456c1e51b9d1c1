"""The recipes of tests/README.md for a metric, a data set and a target are followed in a copy of the project."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.data.own import folder

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "tests/README.md").read_text().partition("\n## Contributing\n")[2].partition("\n## ")[0]
RECIPES = dict(re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture
def project(tmp_path):
    """A copy of the project without its data and runs."""
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def follow(recipe: str, project: Path, *tiny: str) -> Path:
    """Write the files of a recipe, check their style, and run its commands: → the run directory."""
    for name, content in re.findall(
        r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", RECIPES[recipe], re.MULTILINE | re.DOTALL
    ):
        file = project / name
        assert file.parent.is_dir(), name
        before = file.read_text() + "\n\n" if file.exists() else ""
        file.write_text(before + content)
    style = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "src"], cwd=project, capture_output=True, text=True
    )
    assert style.returncode == 0, style.stdout
    commands = re.findall(r"^python (-m src\.\w+.*)$", RECIPES[recipe], flags=re.MULTILINE)
    assert commands
    for command in commands:
        words = shlex.split(command)
        given = [f"hydra.run.dir={project / words[1]}", *tiny] if words[1] in ("src.train", "src.preview") else []
        ran = subprocess.run(
            [sys.executable, *words, *given],
            cwd=project,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return project / "src.train"


def test_there_are_three_recipes_of_three_steps():
    assert list(RECIPES) == ["A metric", "A data set", "A target"]
    for recipe in RECIPES.values():
        assert re.findall(r"^(\d)\. ", recipe, flags=re.MULTILINE) == ["1", "2", "3"]


@pytest.mark.slow
def test_a_metric(project):
    run = follow("A metric", project, *TINY, "data.source.size=64")
    assert json.loads((run / "scores.json").read_text())["scores"].keys() == {"count_error"}


@pytest.mark.slow
def test_a_data_set(project):
    folder(project / "my_images", 8)
    run = follow("A data set", project, *TINY)
    assert len(json.loads((run / "scores.json").read_text())["per_image"]) == 2


@pytest.mark.slow
def test_a_target(project):
    run = follow("A target", project, *TINY, "data.source.size=64")
    assert "Shrunk" in (run / "config.yaml").read_text()
    assert "ap50" in json.loads((run / "scores.json").read_text())["scores"]
