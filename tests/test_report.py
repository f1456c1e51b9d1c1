"""The report of a run or a sweep is what its command printed; what is neither is one message."""

import json
import re

import pytest
import yaml

from tests.conftest import imported_by


def a_run(directory, overrides, validation=None):
    """Write the files of a run that a report needs; without ``validation`` it is unfinished."""
    directory.mkdir(parents=True)
    config = {"overrides": overrides, "monitor": "v_rand", "monitor_mode": "max"}
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    if validation is not None:
        content = {
            "scores": {"v_rand": 0.75, "pixel_error": 0.125},
            "per_image": [{"name": "slice_24", "v_rand": 0.7512, "pixel_error": 0.125}],
            "validation": {"v_rand": validation, "pixel_error": 0.5},
            "seconds": 90.0,
            "threshold": 0.5,
        }
        (directory / "scores.json").write_text(json.dumps(content))


def cells(printed):
    lines = printed.replace("┃", "│").splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


@pytest.mark.parametrize("name", ["run", "a = b, (1) 현미경"])
def test_a_run_is_shown_as_it_was_at_its_end(name, train, run_command, tmp_path):
    _, status, trained, error = train("data.source.size=64", "~callbacks.samples", directory=tmp_path / name)
    assert status == 0, error
    before = sorted(tmp_path.rglob("*"))
    status, printed, error = run_command("report", f"run={tmp_path / name}")
    assert (status, error) == (0, "")
    assert cells(printed) == cells(trained)
    assert [row[0] for row in cells(printed)] == ["image", *(f"slice_{number}" for number in range(24, 30)), "all"]
    assert printed.splitlines()[-1] == f"report: {tmp_path / name / 'report.html'}"
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unfinished_run_has_no_report(run_command, tmp_path):
    a_run(tmp_path / "run", ["seed=1"])
    status, printed, error = run_command("report", f"run={tmp_path / 'run'}")
    assert (status, printed) == (1, "")
    assert re.fullmatch(r"error: expected a finished run, but \S+ is not; the command that started it .*\n", error)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("name", ["sweep", "a = b, (1) 현미경"])
def test_a_sweep_is_shown_and_its_file_written(name, run_command, tmp_path):
    sweep = tmp_path / name
    a_run(sweep / "a", ["seed=1", "model.depth=2"], 0.5)
    a_run(sweep / "b", ["seed=2", "model.depth=2"], 0.6)
    a_run(sweep / "c", ["seed=3", "model.depth=2"])
    status, printed, error = run_command("report", f"run={sweep}")
    assert (status, error) == (0, "")
    assert cells(printed) == [
        ["", "choices", "validation v_rand", "minutes", "held-out v_rand", "held-out pixel_error"],
        ["1", "seed=2", "0.6000", "1.5", "0.7500", "0.1250"],
        ["2", "seed=1", "0.5000", "1.5", "0.7500", "0.1250"],
        ["3", "seed=3", "–", "unfinished", "–", "–"],
    ]
    assert printed.splitlines()[-1] == f"ranking.csv and the runs: {sweep}"
    assert [line.split(",")[0] for line in (sweep / "ranking.csv").read_text().splitlines()] == [
        "directory",
        "b",
        "a",
        "c",
    ]


@pytest.mark.parametrize("exists", [True, False])
def test_what_is_neither_is_one_message(exists, run_command, tmp_path):
    directory = tmp_path / "nothing here"
    if exists:
        directory.mkdir()
    status, printed, error = run_command("report", f"run={directory}")
    assert (status, printed) == (1, "")
    assert re.fullmatch(r"error: expected a run or a directory of runs, but got \S.*nothing here; .*\n", error)
    assert not list(directory.glob("*"))


def test_without_a_directory_the_missing_key_is_named(run_command):
    status, _, error = run_command("report")
    assert status == 1 and "run" in error and "Traceback" not in error


def test_a_report_needs_no_network_and_no_trainer(finished_run, tmp_path):
    found = imported_by("report", f"run={finished_run(tmp_path / 'run')}")
    assert "matplotlib" in found and not found & {"torch", "lightning", "torchmetrics", "albumentations"}


def test_runs_are_compared_by_the_images_that_both_have_scored(train_slim, run_command, tmp_path):
    names = []
    for seed in (1, 2):
        directory, status, _, error = train_slim(
            f"seed={seed}", "data.held_out=24-26", directory=tmp_path / f"run {seed} (a=b)"
        )
        assert status == 0, error
        names.append(str(directory))
    status, printed, error = run_command("report", f"compare=[{','.join(names)}]")
    assert (status, error) == (0, "")
    assert printed.startswith(f"{names[0]} minus {names[1]}: mean v_rand of 3 images ")


@pytest.mark.parametrize("arguments", [[], ["run=a", "compare=[a,b]"]])
def test_a_run_or_runs_to_compare_are_asked_for(arguments, run_command):
    status, _, error = run_command("report", *arguments)
    assert status == 1 and "expected run=DIR or compare=[RUN_A,RUN_B]" in error
