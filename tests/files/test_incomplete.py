"""Leftovers of killed processes are recognised by their names and removed; files of living processes are not."""

import os
import subprocess
import sys

import pytest

from src.files import incomplete
from src.files.incomplete import ABANDONED, is_abandoned, sweep_beside, sweep_folder, unique
from src.files.whole import complete_file

KILLED = """
import os, sys
from src.files.whole import complete_file
with complete_file(sys.argv[1]) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), 9)
"""


def killed_while_writing(file):
    """The file beside ``file`` that a process leaves if it is killed while writing."""
    subprocess.run([sys.executable, "-c", KILLED, file], check=False)
    (left,) = file.parent.glob(f".{file.name}.*")
    return left


def aged(path, seconds):
    """Set the modification time of a file to some time ago."""
    os.utime(path, (path.stat().st_atime - seconds, path.stat().st_mtime - seconds))


def test_temporary_names_are_unique_and_encode_machine_and_process():
    names = {unique() for _ in range(1000)}
    assert len(names) == 1000 and len({name[:16] for name in names}) == 1
    assert all(len(name) == 32 and int(name[8:16], 16) == os.getpid() for name in names)


def test_files_of_a_killed_process_are_abandoned_at_once_and_those_of_a_living_one_never(tmp_path):
    assert is_abandoned(killed_while_writing(tmp_path / "a.tif"))
    with complete_file(tmp_path / "b.tif") as partial:
        partial.write_text("half")
        aged(partial, 10 * ABANDONED)
        assert not is_abandoned(partial)


@pytest.mark.parametrize(("age", "expected"), [(0, False), (ABANDONED - 60, False), (ABANDONED + 60, True)])
def test_files_of_another_machine_are_abandoned_after_a_day(age, expected, tmp_path):
    left = tmp_path / f".a.tif.{'0' * 32}"
    left.write_text("half")
    aged(left, age)
    assert is_abandoned(left) is expected


def test_on_windows_only_the_age_decides(tmp_path, monkeypatch):
    def ended(process, number):
        pytest.fail("Windows would end a process")

    left = killed_while_writing(tmp_path / "a.tif")
    monkeypatch.setattr(incomplete, "BETWEEN_PROCESSES", False)
    monkeypatch.setattr(os, "kill", ended)
    assert not is_abandoned(left)
    aged(left, ABANDONED + 60)
    assert is_abandoned(left)


def test_sweep_beside_removes_only_leftovers_of_the_given_names(tmp_path):
    dead = killed_while_writing(tmp_path / "a.tif").name.removeprefix(".a.tif.")
    gone = [f".a.tif.partial.{dead}", f".a.tif.{dead}.dropped", f"..a.tif.partial.{dead}.dropped"]
    kept = [".a.tif.partial", f".a.tif.partial.{unique()}", f".ba.tif.{dead}", f"a.tif.{dead}", f".a.tif.{dead}.more"]
    for name in (*gone, *kept):
        (tmp_path / name / "0").mkdir(parents=True)
    sweep_beside(tmp_path, {"a.tif"})
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_sweep_folder_removes_everything_incomplete_except_shared_names(tmp_path):
    killed_while_writing(tmp_path / "shared.json")
    for name in (".own.json", ".shared.json"):
        (tmp_path / f"{name}.{'0' * 32}").write_text("half")  # by another machine, just now
    (tmp_path / ".hidden").write_text("a person's")
    sweep_folder(tmp_path, ("shared.json",))
    assert {path.name for path in tmp_path.iterdir()} == {f".shared.json.{'0' * 32}", ".hidden"}
