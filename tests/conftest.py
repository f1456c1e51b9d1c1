"""Fixtures that any test may use."""

import importlib
import sys
import traceback
from pathlib import Path

import pytest

from src import command

# A network and tiles small enough for a step in a blink: 60 → 20 pixels.
TINY = (
    "data.tile=60 data.workers=0 model.depth=2 model.base_channels=2 "
    "trainer.max_steps=1 trainer.val_check_interval=1 trainer.log_every_n_steps=1 "
    "trainer.accelerator=cpu trainer.precision=32-true"
).split()


@pytest.fixture
def run_command(monkeypatch, capsys, tmp_path):
    """Call ``python -m src.NAME`` in this process: → (exit status, standard output, standard error)."""

    def call(name: str, *arguments: str) -> tuple[int, str, str]:
        module = importlib.import_module(f"src.{name}")
        monkeypatch.setattr(sys, "argv", [f"src.{name}", *arguments])
        status = 0
        try:
            module.start() if hasattr(module, "start") else command.run(module.main)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
        except Exception:  # what Python itself would do at the end of the process
            traceback.print_exc()
            status = 1
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def train(run_command, tmp_path):
    """Train for a step on tiny tiles of small micrographs: → (run directory, status, output, error)."""

    def call(*arguments: str, directory: Path = tmp_path / "run") -> tuple[Path, int, str, str]:
        given = [f"hydra.run.dir={directory}", f"cache_dir={tmp_path / 'cache'}", *TINY, *arguments]
        return directory, *run_command("train", *given)

    return call
