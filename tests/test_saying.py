"""Messages: wrapped lines, commands on their own lines, and progress of long steps."""

import itertools
import shlex
import subprocess
import sys

import pytest

from src import saying

LONG = "expected images in which something is annotated, but got none in any of the 24 files of this folder; " * 2
COMMANDS = (
    "python -m src.train data.root=here",
    "python -m src.train 'data.root=my cells, (1); a=b' experiment=cells data.source.values=[0,1,2]",
    "python -m src.check 'data.root=it'\"'\"'s' +data.source.verify=false",
    "python -m src.train -m experiment=isbi model.depth=2,3 'data.train=0-9,12'",
)


def test_a_warning_goes_to_standard_error(capsys):
    saying.warn("a.tif is left out")
    assert capsys.readouterr() == ("", "warning: a.tif is left out\n")


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("command", COMMANDS)
def test_lines_are_wrapped_and_a_command_gets_its_own_line(width, command):
    lines = saying.wrapped(f"{LONG}{command}; and after it: nothing", width).splitlines()
    (alone,) = (line for line in lines if "python -m" in line)
    assert alone.strip() == command and shlex.split(alone)[:3] == ["python", "-m", f"src.{command[14:19]}"]
    assert all(len(line) <= width for line in lines if line != alone)
    words = " ".join(line.strip() for line in lines if line != alone)
    assert words == f"{LONG.strip(' ;')} and after it: nothing"


def test_short_lines_and_long_words_are_not_broken():
    assert saying.wrapped("  two  spaces\n\nand a line", 40) == "  two  spaces\n\nand a line"
    path = f"{'folder/' * 20}image.tif"
    assert saying.wrapped(f"read {path} now", 40).splitlines() == ["read", f"  {path}", "  now"]


def test_a_command_that_is_only_mentioned_breaks_no_line():
    line = "see python -m src.check of the data, or python -m src.preview."
    assert saying.wrapped(line, 80) == line


@pytest.mark.parametrize(("columns", "expected"), [(None, 100), ("60", 60), ("400", 400)])
def test_the_width_of_lines_in_a_file(columns, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns or "")
    code = "from src.saying import columns; print(columns())"
    environment = {"PATH": "/usr/bin:/bin"} | ({"COLUMNS": columns} if columns else {})
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert int(found.stdout) == expected


def test_progress_is_printed_each_minute_until_the_end(capsys):
    waits, answers = [], iter([False, False, False, True])
    steps = itertools.count(1)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return next(answers)

    with saying.each_minute(lambda: f"step {next(steps)}", wait):
        pass
    assert capsys.readouterr().out.splitlines() == ["step 1", "step 2", "step 3"] and waits == [60.0] * 4


def test_a_quick_step_prints_nothing(capsys):
    with saying.doing("weight maps of 3 images"):
        pass
    assert capsys.readouterr().out == ""


def test_a_long_step_is_named_and_timed(capsys, monkeypatch):
    monkeypatch.setattr(saying, "MOMENT", 0.0)
    monkeypatch.setattr(saying, "MINUTE", 0.01)
    said = []
    monkeypatch.setattr(saying, "say", said.append)
    with saying.doing("weight maps of 3 images"):
        while len(said) < 3:
            pass
    assert said[0] == "weight maps of 3 images …"
    assert said[1].endswith(" so far") and said[-1] == "weight maps of 3 images: 0 s"
