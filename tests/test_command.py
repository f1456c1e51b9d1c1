"""The command line: paths as they are, errors as one message, scores as a table."""

from functools import partial
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from src import command
from tests.conftest import imported_by


def test_slices_with_commas_are_one_value_unless_they_are_swept(run_command, tmp_path):
    small = ("data=phantom", "data.source.size=64", f"cache_dir={tmp_path}")
    status, printed, error = run_command("check", *small, "data.train=0-9,15", "data.held_out=20", "data.validation=18")
    assert status == 0, error
    assert "training images: 11 (" in printed
    status, _, error = run_command("check", "-m", *small, "data.train=0-9,15", f"hydra.sweep.dir={tmp_path}")
    assert status == 0, error


def test_what_a_person_can_mend_is_one_message_and_a_fault_of_ours_a_traceback(capsys):
    def failing(error):
        @partial(command.one_message, name="report")
        def main(config):
            raise error

        return main

    with pytest.raises(SystemExit, match="error: no such slice"):
        failing(ValueError("no such slice"))(OmegaConf.create({"debug": False}))
    with pytest.raises(ValueError, match="no such slice"):
        failing(ValueError("no such slice"))(OmegaConf.create({"debug": True}))
    with pytest.raises(KeyError):
        failing(KeyError("ours"))(OmegaConf.create({"debug": False}))


@pytest.mark.parametrize("override", ["seed=7", "experiment=demo_classes", "data_dir=a b, (c)"])
def test_what_is_composed_once_is_what_hydra_composes(override, monkeypatch, tmp_path):
    found = []

    @command.verb("train")
    def main(config):
        given = HydraConfig.get()
        found.append((OmegaConf.to_container(config, resolve=True), given.runtime.output_dir, given.overrides.task))
        assert Path(given.runtime.output_dir).is_dir()

    monkeypatch.chdir(tmp_path)
    for flags in ([], ["--run"]):  # with a flag it is left to Hydra
        monkeypatch.setattr("sys.argv", ["src.train", override, "hydra.run.dir=a = b/c", *flags])
        command.run(main)
    assert found[0] == found[1] and found[0][1] == str(tmp_path / "a = b" / "c")


@pytest.mark.parametrize("name", ["train", "preview", "check", "predict", "score", "report", "export"])
def test_help_waits_for_nothing_that_it_does_not_need(name):
    found = imported_by(name, "--help")
    assert "hydra" in found
    assert not found & {"torch", "lightning", "torchmetrics", "numpy", "scipy", "cv2", "matplotlib", "zarr", "tifffile"}
