"""Progress is shown as lines in a file or a bar on a terminal, from the step at which a run is resumed."""

import re
import threading
from types import SimpleNamespace

import pytest
import torch

from src import saying
from src.data.datamodule import SliceData
from src.data.phantom import phantom
from src.data.targets import PAPER
from src.data.weight_map import WeightMap
from src.run import progress
from tests.conftest import SLIM
from tests.model.test_segmenter import small_segmenter
from tests.terminals import on_a_terminal

SCORES = {"f1": 0.5, "ap50": 0.25, "seg": 0.125, "det": 0.75}


@pytest.fixture
def trainer(tmp_path):
    parts = {"train": "0", "validation": "", "held_out": "", "tile": 32, "context": 6, "batch_size": 2, "workers": 0}
    made = {"classes": 2, "channels": 1, "augment": dict, "weight_map": WeightMap(), "target": PAPER, "seed": 0}
    data = SliceData(phantom, **parts, **made, cache_dir=str(tmp_path), scaling="objects")
    return SimpleNamespace(
        **{"global_step": 100, "max_steps": 400, "num_val_batches": [3], "is_global_zero": True, "world_size": 1},
        callback_metrics={"train/loss": torch.tensor(0.25)}
        | {f"validation/{name}": torch.tensor(score) for name, score in SCORES.items()},
        datamodule=data,
    )


@pytest.fixture
def narrator(monkeypatch):
    """A narrator that started at step 40, a minute ago."""
    found = progress.Narrator("ap50")
    found.started, found.first_step = 1000.0, 40
    monkeypatch.setattr(progress.time, "monotonic", lambda: 1060.0)
    return found


def test_a_validation_is_a_line_with_the_score_that_chooses_first(narrator, trainer, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    module = small_segmenter()
    module.validation_scores = SCORES
    narrator.on_validation_end(trainer, module)
    expected = "step 100/400 · loss 0.250 · ap50 0.2500 · f1 0.5000 · seg 0.1250 · 2.00 tiles/s · 5.0 min left"
    assert capsys.readouterr().out.strip() == expected and len(expected) <= 100
    monkeypatch.setenv("COLUMNS", "80")
    narrator.on_validation_end(trainer, module)
    assert capsys.readouterr().out.strip() == expected.replace(" · f1 0.5000 · seg 0.1250", "")


def test_the_line_of_a_minute_says_step_scores_pace_and_what_is_being_done(narrator, trainer):
    assert narrator.line(trainer) == "step 100/400 · 2.00 tiles/s · 5.0 min left"
    narrator.latest = "ap50 0.2500 at step 50"
    narrator.on_validation_batch_start(trainer, None, None, 1)
    expected = "step 100/400 · validation, image 2 of 3 · ap50 0.2500 at step 50 · 2.00 tiles/s · 5.0 min left"
    assert narrator.line(trainer) == expected
    trainer.global_step = 40
    narrator.doing, narrator.latest = "compiling, which takes a minute or two", ""
    assert narrator.line(trainer) == "step 40/400 · compiling, which takes a minute or two · 60 s so far"


def test_lines_are_said_while_training_goes_on_and_end_with_it(train_slim, monkeypatch):
    monkeypatch.setattr(saying, "MINUTE", 0.001)
    _, status, printed, error = train_slim("trainer.max_steps=5", "trainer.val_check_interval=5")
    assert status == 0, error
    assert re.search(r"^step 0/5 · the first step · 0 s so far$", printed, re.MULTILINE)
    assert not any(each.name.startswith("Thread") and each.is_alive() for each in threading.enumerate())
    assert "━" not in printed.partition("┏")[0], "a bar was drawn into a file"


@pytest.mark.slow
def test_the_bar_of_a_run_that_goes_on_begins_where_it_stopped(tmp_path):
    steps = ["trainer.max_steps=8", "trainer.val_check_interval=4"]
    run = ["-m", "src.train", *SLIM, *steps, f"hydra.run.dir={tmp_path}/run", f"cache_dir={tmp_path}/cache"]
    _, first = on_a_terminal([*run, "trainer.max_time='00:00:00:00'"], 100)
    assert "stopped after step" in first
    done = int(re.search(r"stopped after step (\d+) of 8", first)[1])
    _, second = on_a_terminal(run, 100)
    counted = [int(found) for found in re.findall(r"step\s+\S+ (\d+)/8 ", second)]
    # Lightning draws the bar once before its start can be set to the resumed step.
    assert counted[0] == 0 and counted[1] == done and sorted(counted) == counted and counted[-1] == 8
