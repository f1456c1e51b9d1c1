"""A run whose schedule follows validation ends after the score has stopped rising, and is a run like any other."""

import json

import pytest
import torch

from src.model.archive import read
from src.run.directory import checkpoint_file
from tests.conftest import SLIM, weights_digest

# Weights that do not change, so that the score does not rise: cool-down after two more validations, for one interval.
STILL = (
    *("scheduler=plateau", "scheduler.patience=2", "scheduler.warm_up=1", "scheduler.cool_down=0.3"),
    *("trainer.max_steps=40", "trainer.val_check_interval=2", "callbacks=default"),
)
FLAT = (*STILL, "metrics=semantic", "monitor=iou", "optimizer.lr=1e-12")


def scores(directory):
    return json.loads((directory / "scores.json").read_text())


def test_training_ends_when_validation_has_stopped_rising(train_slim):
    directory, status, printed, error = train_slim(*FLAT)
    assert status == 0, error
    assert "validation iou has not risen for 2 validations: the learning rate cools down until step 10" in printed
    assert (scores(directory)["steps"], scores(directory)["planned_steps"]) == (10, 40)
    last = read(checkpoint_file(directory, "last"))
    assert last["global_step"] == 10 and last["lr_schedulers"][0]["_last_lr"] == pytest.approx([0])
    assert (directory / "metrics.csv").read_text().splitlines()[-2].startswith("9,"), "the last step is validated"
    before = (directory / "scores.json").read_text()
    _, status, printed, error = train_slim(*FLAT)
    assert (status, error) == (0, "") and "is finished" in printed
    assert (directory / "scores.json").read_text() == before


@pytest.mark.slow
def test_stopped_at_any_step_it_ends_with_the_same_weights(train_slim, tmp_path):
    whole, *_ = train_slim(*FLAT, "optimizer.lr=0.001", directory=tmp_path / "whole")
    parts = tmp_path / "parts"
    for _ in range(20):
        _, status, _, error = train_slim(*FLAT, "optimizer.lr=0.001", "trainer.max_time=00:00:00:00", directory=parts)
        if status == 0:
            break
        assert "max_time was up" in error
    assert scores(parts)["steps"] == scores(whole)["steps"] < 40
    assert weights_digest(parts) == weights_digest(whole)
    assert {**scores(parts), "seconds": 0} == {**scores(whole), "seconds": 0}


def test_a_run_that_was_killed_before_it_was_scored_is_not_trained_further(train_slim):
    directory, *_ = train_slim(*FLAT)
    before, weights = scores(directory), weights_digest(directory)
    (directory / "scores.json").unlink()
    _, status, _, error = train_slim(*FLAT)
    assert status == 0, error
    assert {**scores(directory), "seconds": 0} == {**before, "seconds": 0} and weights_digest(directory) == weights


def test_an_extended_run_warms_no_more_and_stays_constant_until_it_ends_again(train_slim):
    directory, *_ = train_slim(*FLAT)
    _, status, printed, error = train_slim(*FLAT, "extend=+6")
    assert status == 0, error
    assert "steps 10 to 46" in printed
    assert scores(directory)["steps"] == 24 and (directory / "scores.40.json").exists()
    rates = [row.split(",") for row in (directory / "metrics.csv").read_text().splitlines()]
    column = rates[0].index("train/learning_rate")
    found = {int(row[0]): float(row[column]) for row in rates[1:] if row[column]}
    assert found[9] < found[5] == found[11] == pytest.approx(1e-12)


def test_other_schedules_are_never_ended(train_slim):
    directory, *_ = train_slim("trainer.max_steps=3", "callbacks=default")
    assert scores(directory)["steps"] == 3
    assert torch.isfinite(torch.tensor(scores(directory)["seconds"]))


def test_without_validation_slices_it_ends_with_max_steps(train):
    slim = [each for each in SLIM if not each.startswith("data.validation")]
    directory, status, _, error = train(*slim, *STILL, "data.validation=", "score=last", "trainer.max_steps=6")
    assert status == 0, error
    assert scores(directory)["steps"] == 6
