"""Sweeps as Hydra is told of them; what they do is tested in test_sweep.py and test_train.py."""

import sys
from pathlib import Path

from src import running


def test_a_sweep_names_its_runs_by_what_varies():
    found = running.as_sweep(["experiment=demo", "seed=1,2"], Path("runs/my sweep"))
    assert found == [
        *("-m", "experiment=demo", "seed=1,2", "hydra.sweep.dir=runs/my sweep"),
        "hydra.job.config.override_dirname.exclude_keys=[experiment]",
    ]


def test_only_who_names_a_folder_and_no_experiment_has_one_chosen(monkeypatch):
    monkeypatch.setattr("sys.argv", ["src.train", "experiment=demo"])
    running.choose_experiment(None)
    assert sys.argv == ["src.train", "experiment=demo"]
