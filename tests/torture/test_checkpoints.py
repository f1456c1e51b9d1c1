"""Opening a checkpoint runs nothing, changes nothing, and ends in the whole network or in one message.

The short form takes a part of the grammar, another one for each seed; ``make torture`` takes all of it.
"""

import contextlib
import copy
import os
import resource
import sys
import time

import numpy as np
import pytest
import torch

from src.model import archive
from src.restore import restore
from src.run.directory import checkpoint_file
from tests.torture import checkpoints

SHORT = 120  # of the many calls
WATCHED = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.spawn",
    "socket.",
    "urllib.",
    "shutil.",
)
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
armed: list[list] = []  # what happens while a checkpoint is opened goes into the last one


def _watch(event: str, arguments: tuple) -> None:
    if not armed:
        return
    written = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if written or event.startswith(WATCHED) or event in CHANGES:
        armed[-1].append((event, str(arguments)[:200]))


sys.addaudithook(_watch)  # for good, because a hook cannot be taken away


@contextlib.contextmanager
def nothing_happens():
    """Fails where a process is started, a connection made, or a file opened for writing."""
    armed.append([])
    try:
        yield
    finally:
        happened = armed.pop()
    assert happened == []


@pytest.fixture(scope="module")
def file(finished_run, tmp_path_factory):
    return checkpoint_file(finished_run(tmp_path_factory.mktemp("torture") / "run"), "best")


@pytest.fixture(scope="module")
def whole(file):
    return archive.read(file)


@pytest.fixture(scope="module")
def layouts(whole, legacy, tmp_path_factory):
    """The content of a whole checkpoint in the present layout, and as an earlier version has written it."""
    folder = legacy("instances", tmp_path_factory.mktemp("legacy"))
    content = torch.load(checkpoint_file(folder / "finished", "best"), weights_only=True)
    del content["digest"]
    return [whole, content]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open a hostile file in an empty folder: → the error; it may not be another one than ValueError or OSError."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def call(hostile):
        started = time.process_time()
        with nothing_happens():
            try:
                restore(hostile)
                error = None
            except (ValueError, OSError) as refused:
                error = str(refused)
        assert time.process_time() - started < 10
        assert os.listdir(folder) == []
        return error

    return call


def refused(name, change, whole, opened, tmp_path):
    content = copy.deepcopy(whole)
    change(content)
    checkpoints.write(tmp_path / "hostile.ckpt", content)
    error = opened(tmp_path / "hostile.ckpt")
    assert error, f"{name}: was opened"
    assert "hostile.ckpt" in error and "\n" not in error and len(error) < 1000, f"{name}: {error}"
    assert not error.rstrip().endswith(":"), f"{name}: {error}"


def test_the_whole_checkpoint_is_opened(file, opened):
    assert opened(file) is None


def some(seed: int) -> list:
    every = list(checkpoints.calls())
    return [every[place] for place in np.random.default_rng(seed).choice(len(every), SHORT, replace=False)]


def test_nothing_is_called_that_conf_does_not_call_in_that_place(layouts, opened, tmp_path):
    for number, (name, change) in enumerate(some(int(time.time()) // 86400)):  # other ones each day
        refused(name, change, layouts[number % 2], opened, tmp_path)


@pytest.mark.torture
def test_nothing_of_the_whole_grammar_is_called(layouts, opened, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    every = list(checkpoints.calls())
    for number, (name, change) in enumerate(every):
        refused(name, change, layouts[number % 2], opened, tmp_path)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    print(f"{len(every)} checkpoints that would call something were refused; memory grew by {grown:.2f} GiB")
    assert len(every) >= 300 and grown < 1.5


@pytest.mark.slow
def test_each_value_that_is_not_what_it_should_be_is_refused(whole, opened, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, change in checkpoints.values():
        refused(name, change, whole, opened, tmp_path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20 < 1.5


def test_files_that_are_no_whole_checkpoint_are_refused(file, opened, tmp_path):
    for name, data in checkpoints.files(file.read_bytes()):
        (tmp_path / "hostile.ckpt").write_bytes(data)
        error = opened(tmp_path / "hostile.ckpt")
        assert error and "hostile.ckpt" in error, name


def test_what_is_no_regular_file_is_not_opened(opened, tmp_path):
    os.mkfifo(tmp_path / "pipe.ckpt")
    for path in (tmp_path / "pipe.ckpt", tmp_path, "/dev/zero"):
        assert "expected a checkpoint" in opened(path)


def flips(file, whole, opened, tmp_path, seeds):
    """How many of the files with one wrong bit are opened; each of those holds what was written."""
    through = 0
    for seed in seeds:
        (tmp_path / "hostile.ckpt").write_bytes(checkpoints.flipped(file.read_bytes(), seed))
        if opened(tmp_path / "hostile.ckpt") is None:
            through += 1
            assert archive.digest(archive.read(tmp_path / "hostile.ckpt")) == archive.digest(whole), seed
    return through


def test_a_wrong_bit_changes_nothing_or_is_noticed(file, whole, opened, tmp_path):
    flips(file, whole, opened, tmp_path, range(150))


@pytest.mark.torture
def test_each_of_many_wrong_bits_changes_nothing_or_is_noticed(file, whole, opened, tmp_path):
    through = flips(file, whole, opened, tmp_path, range(1000, 4000))
    print(f"of 3000 checkpoints with a wrong bit {through} were opened, with what was written")


def test_weights_exchanged_for_others_of_the_same_kind_are_noticed_by_the_digest(file, tmp_path):
    content = torch.load(file, weights_only=True)
    content["state_dict"]["model.classify.bias"] += 1
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt is not one: its content does not match its digest"):
        restore(tmp_path / "other.ckpt")
    del content["digest"]  # as of a checkpoint that was written before there were digests
    torch.save(content, tmp_path / "older.ckpt")
    restore(tmp_path / "older.ckpt")


@pytest.mark.slow
def test_a_run_does_not_go_on_from_a_checkpoint_that_is_not_its_own(finished_run, train, tmp_path):
    directory = finished_run(tmp_path / "run")
    (directory / "scores.json").unlink()
    content = archive.read(checkpoint_file(directory, "last"))
    content["hyper_parameters"]["loss"] = ({"_target_": "os.system", "command": "touch here"},)
    torch.save(content, checkpoint_file(directory, "last"))
    _, status, printed, error = train("data.source.size=64")
    assert status == 0, error
    assert error == f"warning: {checkpoint_file(directory, 'last')} is damaged\n" and "steps 0 to 1" in printed
