"""The report of a run shows the content of its files."""

import csv
import json
import re
import shutil

import pytest
import yaml

from src.run.report import read_curves


@pytest.fixture
def run(reported_run):
    return reported_run


def test_it_says_what_the_files_of_the_run_say(run):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (run / "report.html").read_text()))
    for needed in (
        "On 2 held-out images, which the network had never seen, f1_50 is",
        "saturated",  # the finding of python -m src.check
        "with 2 poolings, 2 channels",
        "for 3 steps of 1 tile of 60×60 pixels with AdamW",
        "without class balance",
        "python -m src.train",
        "trainer.max_steps 600 3",  # the default and this run
        "data_hash",
    ):
        assert needed in text, needed
    assert "scheduler.T_max 600" not in text  # it follows from another key


def test_it_can_be_written_again_from_the_files_alone(run, run_command):
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    status, printed, error = run_command("report", f"run={run}")
    assert status == 0, error
    assert printed.splitlines()[-1] == f"report: {run / 'report.html'}"
    drawn = r"<svg.*?</svg>"  # matplotlib draws random names for clipping paths
    assert re.sub(drawn, "", (run / "report.html").read_text(), flags=re.S) == re.sub(drawn, "", before, flags=re.S)


def test_a_run_without_pictures_of_its_own_still_has_a_report(run, run_command, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other, ignore=shutil.ignore_patterns("pictures", "check.json"))
    status, _, error = run_command("report", f"run={other}")
    assert status == 0, error
    assert "<figure" not in (other / "report.html").read_text()


def test_of_findings_alike_the_first_are_shown_and_the_others_counted(run, run_command, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    found = json.loads((other / "check.json").read_text())
    saturated = next(each for each in found["findings"] if each["code"] == "saturated")
    found["findings"] = [saturated | {"file": f"image_{number}.png"} for number in range(5000)]
    (other / "check.json").write_text(json.dumps(found))
    assert run_command("report", f"run={other}")[0] == 0
    text = (other / "report.html").read_text()
    assert text.count("warning saturated") == 4 and "image_2.png" in text and "image_3.png" not in text
    assert "and 4997 more, which check.json lists" in text


def test_names_cannot_put_markup_into_the_page(run, run_command, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    evil = "</script><b id=evil>"
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["overrides"].append(f"data.root={evil}")
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    scores = (other / "scores.json").read_text()
    (other / "scores.json").write_text(scores.replace('"name": "cell_0', f'"name": "{evil}'))
    assert run_command("report", f"run={other}")[0] == 0
    assert "<b id" not in (other / "report.html").read_text()


def test_curves_are_the_columns_of_the_file(tmp_path):
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step", "train/loss", "epoch", "validation/f1"], [0, 2.5, 0, ""], [9, "", 0, 0.5]])
    assert read_curves(tmp_path / "metrics.csv") == {"train/loss": [(1, 2.5)], "validation/f1": [(10, 0.5)]}
