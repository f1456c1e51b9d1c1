"""The arguments of sweeps; test_sweep.py and test_train.py test what sweeps do."""

import sys
from pathlib import Path

from src import running


def test_a_sweep_names_its_runs_by_what_varies():
    found = running.as_sweep(["experiment=demo", "seed=1,2"], Path("runs/my sweep"))
    assert found == [
        *("-m", "experiment=demo", "seed=1,2", "hydra.sweep.dir=runs/my sweep"),
        "hydra.job.config.override_dirname.exclude_keys=[experiment]",
    ]


def test_an_experiment_is_chosen_only_for_a_folder_without_one(monkeypatch):
    monkeypatch.setattr("sys.argv", ["src.train", "experiment=demo"])
    running.choose_experiment(None)
    assert sys.argv == ["src.train", "experiment=demo"]
