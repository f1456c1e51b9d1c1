"""Fixtures that any test may use, and what makes a test run short."""

import functools
import gc
import importlib
import os
import shutil
import subprocess
import sys
import tarfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

# Before anything imports torch, and so for the processes that tests start too: test files share out the cores, networks
# as small as here gain nothing from several threads, and the bits of a convolution depend on their number.
os.environ["OMP_NUM_THREADS"] = "1"

# Lines that no test breaks into two; those that are about it choose a width.
os.environ["COLUMNS"] = "10000"

import hydra
import numpy as np
import pytest
from omegaconf import OmegaConf

from src import CONF, command
from src.data import phantom
from src.model import archive
from src.run.directory import checkpoint_file
from tests.data.own import change_image, folder

gc.freeze()  # what has been imported is not looked through for garbage again and again

# A network and tiles small enough for a step in a blink: 60 → 20 pixels.
TINY = (
    "data.tile=60 data.workers=0 model.depth=2 model.base_channels=2 "
    "trainer.max_steps=1 trainer.val_check_interval=1 trainer.log_every_n_steps=1 "
    "trainer.accelerator=cpu trainer.precision=32-true"
).split()
# And of synthetic micrographs, without a page and pictures of what is learnt from, which take longer than all else.
FEW = ["data.source.size=64", "data.validation=21", "data.held_out=24", "page=false"]
SLIM = [*TINY, *FEW, "~callbacks.samples"]


# Not collected for doctests, because they import what `make bench-peers` and `make test-programs` install.
collect_ignore_glob = ["benchmarks/peers/*", "benchmarks/augment.py", "benchmarks/predict.py", "programs/layers.py"]

# Files that take longest, which begin first so that no process is left with one of them at the end.
LONGEST = ("test_ranks", "test_train", "test_checkpoint", "test_sweep", "test_check", "test_readme", "test_predict")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def drawn_once():
    """Draw the same synthetic micrographs once: most runs here learn from the same ones, and none changes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom, "phantom", functools.cache(phantom.phantom))
        yield


@pytest.fixture
def run_command(monkeypatch, capsys):
    """Call ``python -m src.NAME`` in this process: → (exit status, standard output, standard error)."""

    def call(name: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"src.{name}", *arguments])
        status = called(name)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def called(name: str) -> int:
    """What ``python -m src.NAME`` ends with, for the arguments in ``sys.argv``."""
    module = importlib.import_module(f"src.{name}")
    try:
        module.start() if hasattr(module, "start") else command.run(module.main, name)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else 1
    except Exception:  # what Python itself would do at the end of the process
        traceback.print_exc()
        return 1
    return 0


def imported_by(name: str, *arguments: str) -> set[str]:
    """The packages that are imported when ``python -m src.NAME`` has ended."""
    program = (
        "import atexit, runpy, sys; atexit.register(lambda: print('\\n' + ' '.join(sys.modules), file=sys.stderr)); "
        f"sys.argv = {[name, *arguments]!r}; runpy.run_module('src.{name}', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return {module.split(".")[0] for module in ended.stderr.splitlines()[-1].split()}


def composed(*overrides: str) -> dict:
    """What `src.train` makes of arguments, as plain values."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("train", overrides=["run_dir=somewhere", *overrides])
    return OmegaConf.to_container(config, resolve=True)


def weights_digest(directory: Path, name: str = "last") -> str:
    """What is equal for two checkpoints if and only if their weights are, bit for bit."""
    return archive.digest(archive.read(checkpoint_file(directory, name))["state_dict"])


@pytest.fixture
def train(run_command, tmp_path):
    """Train for a step on tiny tiles, as a person would: → (run directory, status, output, error)."""

    def call(*arguments: str, directory: Path = tmp_path / "run") -> tuple[Path, int, str, str]:
        given = [f"hydra.run.dir={directory}", f"cache_dir={tmp_path / 'cache'}", *TINY, *arguments]
        return directory, *run_command("train", *given)

    return call


@pytest.fixture
def train_slim(train):
    """The same for a test that looks neither at the page, nor at pictures of samples or more than one slice a group."""

    def call(*arguments: str, **options: Path) -> tuple[Path, int, str, str]:
        return train(*SLIM, *arguments, **options)

    return call


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Callable[[Path], Path]:
    """Copy a run directory of synthetic micrographs, as `train` leaves it, to a place: → the place."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        given = [f"hydra.run.dir={folder / 'run'}", f"cache_dir={folder / 'cache'}", *TINY, "data.source.size=64"]
        patch.setattr(sys, "argv", ["src.train", *given])
        status = called("train")
    assert status == 0

    def copy(place: Path) -> Path:
        shutil.copytree(folder / "run", place)
        return place

    return copy


FOLDS = [*TINY, "data.source.size=64", "data.held_out=24-25", "folds=2", "~callbacks.samples", "~callbacks.overlay"]


@pytest.fixture(scope="session")
def folded(tmp_path_factory) -> Callable[[Path], Path]:
    """Copy the directory of a cross-validation of synthetic micrographs to a place: → the place."""
    folder = tmp_path_factory.mktemp("folded")
    with pytest.MonkeyPatch.context() as patch:
        given = [*FOLDS, f"hydra.run.dir={folder / 'folds'}", f"cache_dir={folder / 'cache'}"]
        patch.setattr(sys, "argv", ["src.crossval", *given])
        assert called("crossval") == 0

    def copy(place: Path) -> Path:
        shutil.copytree(folder / "folds", place)
        return place

    return copy


@pytest.fixture(scope="session")
def reported_run(tmp_path_factory) -> Path:
    """The directory of a run on a folder in which one image is saturated, with a report."""
    home = tmp_path_factory.mktemp("home")
    change_image(folder(home / "own"), lambda image: np.where(image > 60, 255, image), [0])
    small = [argument for argument in TINY if "max_steps" not in argument]
    chosen = ["experiment=cells", f"data.root={home / 'own'}", "trainer.max_steps=3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["", *small, *chosen, f"cache_dir={home}", f"hydra.run.dir={home / 'run'}"])
        assert called("train") == 0
    return home / "run"


@pytest.fixture(scope="session")
def legacy() -> Callable[[str, Path], Path]:
    """Unpack what an earlier version has written for a kind of label into a folder: → that of its runs."""

    def call(kind: str, folder: Path) -> Path:
        with tarfile.open(Path(__file__).parent / "legacy" / f"layout_0_{kind}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        return folder / kind

    return call


@pytest.fixture
def scontrol(tmp_path_factory, monkeypatch) -> Path:
    """A Slurm that notes what it is told."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {folder / "told"}\n')
    (folder / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_PROCID", "0")
    return folder / "told"


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """Make a disk with room for so many KiB, or give it so many: → where it is."""
    place = tmp_path / "disk"
    place.mkdir()

    def call(size: int) -> Path:
        how = [f"remount,size={size}k" if os.path.ismount(place) else f"size={size}k"]
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", *how, "tmpfs", place], capture_output=True)
        if mounted.returncode:
            pytest.skip("mounting is not permitted")
        return place

    yield call
    if os.path.ismount(place):
        subprocess.run(["umount", place], check=True)
