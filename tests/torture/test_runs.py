"""A damaged file of a run ends in a page without it, or in one message that names it; it is worth no other run."""

import csv
import json
import os
import re
import shutil

import pytest

from src import terminal
from tests.torture import runs

# Of each file, in the short form: what a power cut, a full disk, an editor or another tool leaves.
SHORT = {
    "config.yaml": ("zeros", "pipe"),
    "scores.json": ("zeros", "scores_in_v_rand_text", "per_image_missing", "deep"),
    "environment.json": ("empty",),
    "metrics.csv": ("longer",),
    "check.json": ("findings_text",),
    "pictures/mistakes.json": ("folder",),
    "pictures/held_out/slice_24_truth.webp": ("half",),
    "pictures/validation/step_000001.png": ("not_utf8",),
}
RESUMED = {"config.yaml": ("zeros", "trainer_list")}


@pytest.fixture(scope="module")
def whole(finished_run, tmp_path_factory):
    return runs.complete(finished_run(tmp_path_factory.mktemp("torture") / "run"))


def cases(whole, chosen=None):
    """Damages by the names of the directories to make: all, or those that are ``chosen`` by file."""
    found = {}
    for number, (name, what, damage) in enumerate(runs.damaged(whole)):
        if chosen is None or what in chosen.get(name, ()):
            found[f"{number:04}_{what}"] = (name, damage)
    assert chosen is None or len(found) == sum(map(len, chosen.values())), "a name of SHORT or RESUMED is none"
    return found


def messages(name, directory, error):
    """The lines of an error stream, each of which is to be a message that names the file or the directory."""
    assert "Traceback" not in error, (name, directory, error[-3000:])
    lines = error.splitlines()
    for line in lines:
        known = line.startswith("warning: the run is resumed, although these have changed: ")
        assert known or (line.startswith(("error: ", "warning: ")) and str(directory) in line), (name, directory, error)
    return lines


def reported(found, whole, run_command, tmp_path) -> int:
    """Show each of such runs: → how many were refused."""
    refused = 0
    for label, (name, damage) in found.items():
        directory = runs.made(whole, tmp_path / label, name, damage)
        status, printed, error = run_command("report", f"run={directory}")
        lines = messages(name, directory, error)
        if status == 1:
            named = str(directory / name) in lines[0] or "expected a finished run" in lines[0]
            assert name in runs.NEEDED and len(lines) == 1 and named, (label, error)
            assert not (directory / "report.html").exists() and printed == ""
            refused += 1
        else:
            assert (status, len(lines)) in {(0, 0), (0, 1)} and error.startswith("warning: " if lines else ""), label
            assert not lines or name in lines[0], (label, error)
            stored = json.loads((directory / "scores.json").read_text(encoding="utf-8-sig"))["scores"]
            total = next(line for line in printed.splitlines() if line.startswith("│ all"))
            assert [cell.strip() for cell in total.split("│")[2:-1]] == [*map(terminal.shown, stored.values())], label
            assert (directory / "report.html").stat().st_size > 10_000
        shutil.rmtree(directory)
    return refused


def ranked(found, whole, run_command, tmp_path) -> int:
    """Show a sweep of which all points but one are damaged: → how many of them are listed as unfinished."""
    for label, (name, damage) in found.items():
        runs.made(whole, tmp_path / "sweep" / label, name, damage)
    shutil.copytree(whole, tmp_path / "sweep" / "whole")
    status, printed, error = run_command("report", f"run={tmp_path / 'sweep'}")
    lines = messages("sweep", tmp_path / "sweep", error)
    with (tmp_path / "sweep" / "ranking.csv").open(newline="") as file:
        rows = {row["directory"]: row for row in csv.DictReader(file)}
    assert status == 0 and rows.keys() == {*found, "whole"}
    scores = json.loads((whole / "scores.json").read_text())
    assert float(rows["whole"]["v_rand"]) == scores["scores"]["v_rand"]
    assert sum("unfinished" in line for line in printed.splitlines()) == sum(
        not row["seconds"] for row in rows.values()
    )
    unfinished = {label for label, row in rows.items() if not row["seconds"]}
    for label in unfinished:
        missing = not os.path.lexists(tmp_path / "sweep" / label / "scores.json")
        assert found[label][0] in runs.NEEDED
        assert sum(f"/{label}/" in line for line in lines) == (0 if missing else 1), label
    assert len(lines) <= len(unfinished)
    return len(unfinished)


def resumed(found, whole, train, tmp_path) -> int:
    """Go on with each of such runs, the last step of which is made: → how many were refused."""
    expected, refused = json.loads((whole / "scores.json").read_text()), 0
    for label, (name, damage) in found.items():
        directory = runs.made(whole, tmp_path / label, name, damage)
        if name != "scores.json":
            (directory / "scores.json").unlink()
        _, status, _, error = train("data.source.size=64", "page=false", directory=directory)
        lines = messages(name, directory, error)
        if status == 1:
            assert name == "config.yaml" and len(lines) == 1, (label, error)
            assert not (directory / "scores.json").exists()
            refused += 1
        else:
            assert status == 0 and all(line.startswith("warning: ") for line in lines), (label, error)
            scores = json.loads((directory / "scores.json").read_text(encoding="utf-8-sig"))
            if name != "scores.json" or lines:
                assert scores | {"seconds": 0} == expected | {"seconds": 0}, label
            aside = [said[1] for line in lines if (said := re.search(r"it is now (\S+),", line))]
            assert [file.name for file in directory.glob("*.damaged*") if file.stem != "environment.damaged"] == aside
        shutil.rmtree(directory)
    return refused


def test_a_page_is_written_without_what_is_damaged_or_it_is_named(whole, run_command, tmp_path):
    assert reported(cases(whole, SHORT), whole, run_command, tmp_path) == 6


def test_damaged_points_of_a_sweep_are_named_and_the_others_ranked(whole, run_command, tmp_path):
    assert ranked(cases(whole, SHORT), whole, run_command, tmp_path) == 6


def test_a_run_whose_configuration_is_damaged_is_refused(whole, train, tmp_path):
    assert resumed(cases(whole, RESUMED), whole, train, tmp_path) == 2


def test_a_run_is_scored_again_and_what_is_damaged_set_aside(whole, train, tmp_path):
    directory = shutil.copytree(whole, tmp_path / "run")
    damaged = [directory / name for name in ("scores.json", "environment.json", "metrics.csv")]
    for file in damaged:
        file.write_bytes(file.read_bytes()[:40] + b"\n,\n,\n")
    for number in range(2):
        _, status, _, error = train("data.source.size=64", "page=false", directory=directory)
        assert status == 0 and len(messages("run", directory, error)) == (3 if number == 0 else 0), error
    for file in damaged:
        assert (directory / f"{file.stem}.damaged{file.suffix}").read_bytes().endswith(b"\n,\n,\n")
    scores, expected = (json.loads((each / "scores.json").read_text()) for each in (directory, whole))
    assert scores | {"seconds": 0} == expected | {"seconds": 0}
    assert (directory / "environment.json").read_text() == (whole / "environment.json").read_text()
    assert "held_out" in (directory / "metrics.csv").read_text()


@pytest.mark.torture
def test_all_damaged_runs_are_shown_or_named(whole, run_command, tmp_path):
    found = cases(whole)
    print(f"{reported(found, whole, run_command, tmp_path)} of {len(found)} damaged runs have no page")


@pytest.mark.torture
def test_a_sweep_of_all_damaged_runs_is_ranked(whole, run_command, tmp_path):
    found = cases(whole)
    print(f"{ranked(found, whole, run_command, tmp_path)} of {len(found)} damaged points are listed as unfinished")


@pytest.mark.torture
@pytest.mark.parametrize("part", range(5))
def test_damaged_runs_go_on_or_are_named(part, whole, train, tmp_path):
    relevant = {label: case for label, case in cases(whole).items() if not case[0].startswith(("pictures", "check"))}
    found = dict([*relevant.items()][part::20])
    print(f"part {part}: {resumed(found, whole, train, tmp_path)} of {len(found)} damaged runs were refused")
