"""What killed processes left is known by its name and removed; what a living one writes is not."""

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
    """What a process leaves that is killed as it writes: the one file beside ``file``."""
    subprocess.run([sys.executable, "-c", KILLED, file], check=False)
    (left,) = file.parent.glob(f".{file.name}.*")
    return left


def aged(path, seconds):
    """Make a file one that was last changed some time ago."""
    os.utime(path, (path.stat().st_atime - seconds, path.stat().st_mtime - seconds))


def test_names_are_all_different_and_say_who_made_them():
    names = {unique() for _ in range(1000)}
    assert len(names) == 1000 and len({name[:16] for name in names}) == 1
    assert all(len(name) == 32 and int(name[8:16], 16) == os.getpid() for name in names)


def test_what_a_killed_process_left_is_abandoned_at_once_and_what_a_living_one_writes_never(tmp_path):
    assert is_abandoned(killed_while_writing(tmp_path / "a.tif"))
    with complete_file(tmp_path / "b.tif") as partial:
        partial.write_text("half")
        aged(partial, 10 * ABANDONED)
        assert not is_abandoned(partial)


@pytest.mark.parametrize(("age", "expected"), [(0, False), (ABANDONED - 60, False), (ABANDONED + 60, True)])
def test_what_another_machine_writes_is_abandoned_after_a_day(age, expected, tmp_path):
    left = tmp_path / f".a.tif.{'0' * 32}"
    left.write_text("half")
    aged(left, age)
    assert is_abandoned(left) is expected


def test_on_windows_no_process_is_asked_for_and_age_decides(tmp_path, monkeypatch):
    def ended(process, number):
        pytest.fail("Windows would end a process")

    left = killed_while_writing(tmp_path / "a.tif")
    monkeypatch.setattr(incomplete, "BETWEEN_PROCESSES", False)
    monkeypatch.setattr(os, "kill", ended)
    assert not is_abandoned(left)
    aged(left, ABANDONED + 60)
    assert is_abandoned(left)


def test_beside_predictions_only_what_is_left_of_them_is_removed(tmp_path):
    dead = killed_while_writing(tmp_path / "a.tif").name.removeprefix(".a.tif.")
    gone = [f".a.tif.partial.{dead}", f".a.tif.{dead}.dropped", f"..a.tif.partial.{dead}.dropped"]
    kept = [".a.tif.partial", f".a.tif.partial.{unique()}", f".ba.tif.{dead}", f"a.tif.{dead}", f".a.tif.{dead}.more"]
    for name in (*gone, *kept):
        (tmp_path / name / "0").mkdir(parents=True)
    sweep_beside(tmp_path, {"a.tif"})
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_where_nobody_else_writes_all_that_is_not_complete_is_removed_but_what_others_share(tmp_path):
    killed_while_writing(tmp_path / "shared.json")
    for name in (".own.json", ".shared.json"):
        (tmp_path / f"{name}.{'0' * 32}").write_text("half")  # of another machine, just now
    (tmp_path / ".hidden").write_text("a person's")
    sweep_folder(tmp_path, ("shared.json",))
    assert {path.name for path in tmp_path.iterdir()} == {f".shared.json.{'0' * 32}", ".hidden"}
