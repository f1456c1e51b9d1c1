"""Problems during training are reported once; a loss that is not finite stops it."""

import math
import re
from types import SimpleNamespace

import lightning
import pytest
import torch

from src.run.diagnosis import Diagnosis, still_rising
from tests.data.own import change_labels, folder

STILL = ("callbacks=default", "optimizer.lr=0", "trainer.max_steps=6")


@pytest.fixture
def rare(tmp_path):
    """A folder with hardly any cells, so that the initial bias alone predicts background."""
    root = folder(tmp_path / "own")

    def speck(cells):
        cells[:] = 0
        cells[20:23, 20:23] = 1
        return cells

    change_labels(root, speck)
    return root


def test_a_loss_that_is_no_number_stops_training_and_names_the_slice(train_slim):
    directory, status, _, error = train_slim("optimizer=sgd", "optimizer.lr=1e30", "trainer.max_steps=9")
    assert status == 1 and "Traceback" not in error
    assert re.search(
        r"expected a finite loss, but got (nan|-?inf) at step \d+, from tiles of slice_\d\d; nearest", error
    )
    assert not (directory / "scores.json").exists()


@pytest.mark.parametrize("before", ["on_save_checkpoint", "on_validation_start", "twenty"])
def test_losses_of_a_gpu_are_read_together_and_before_anything_is_kept_of_them(before):
    diagnosis, trainer = Diagnosis("iou", "max", "."), lightning.Trainer(logger=False, accelerator="cpu")
    gpu = SimpleNamespace(device=torch.device("cuda"))
    values = [0.5] * 7 + [math.nan] + [0.5] * (diagnosis.waiting - 9)
    for number, value in enumerate(values):  # one loss fewer than are read together
        trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = number + 1
        diagnosis.on_train_batch_end(trainer, gpu, {"loss": torch.tensor(value)}, {"name": [f"slice_{number}"]}, number)
    with pytest.raises(ValueError, match=r"but got nan at step 8, from tiles of slice_7; nearest"):
        if before == "twenty":
            diagnosis.on_train_batch_end(trainer, gpu, {"loss": torch.tensor(0.5)}, {"name": ["slice_19"]}, 19)
        else:
            getattr(diagnosis, before)(trainer, gpu, *({},) * (before == "on_save_checkpoint"))


def test_a_network_that_predicts_background_alone_is_named_once(rare, train):
    plain = ("weight_map.balance=false", "weight_map.w0=0", "model.norm=none")
    _, status, printed, error = train("experiment=cells", f"data.root={rare}", *STILL, *plain)
    assert status == 0, error
    assert printed.count("diagnosis: the network has predicted only background since step 1") == 1


def test_a_validation_that_becomes_no_better_is_named_once(train_slim):
    _, status, printed, error = train_slim(*STILL, "metrics=semantic", "monitor=iou")
    assert status == 0, error
    assert printed.count("diagnosis: validation iou has not improved since step 1") == 1


def test_a_run_that_learns_says_nothing(train_slim):
    _, status, printed, error = train_slim("callbacks=default", "trainer.max_steps=2")
    assert status == 0, error
    assert "diagnosis" not in printed


def test_what_was_said_is_kept_in_the_checkpoint(train_slim):
    directory, status, _, error = train_slim(*STILL, "metrics=semantic", "monitor=iou")
    assert status == 0, error
    callbacks = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    (state,) = (state for name, state in callbacks.items() if name.startswith("Diagnosis"))
    assert state["best_step"] == 1 and "worse" in state["told"]


def test_a_validation_that_still_rises_at_the_end_is_named_with_what_goes_on(capsys):
    diagnosis = Diagnosis("iou", "max", "runs/my own")
    diagnosis.ranks = [(400, 0.1), (800, 0.2), (1200, 0.5)]
    module = SimpleNamespace(steps=1300)  # some of them after the last validation
    for _ in range(2):  # scored once more after an interruption
        diagnosis.on_test_start(None, module)
        line = "validation iou was still rising when training ended, and best after step 1200"
        goes_on = "the same command with 'hydra.run.dir=runs/my own' extend=+650 continues it"
        assert capsys.readouterr().out == f"diagnosis: {line}; {goes_on}\n"
        assert list(diagnosis.told.values()) == [line] and diagnosis.extend_by == 650
    diagnosis.ranks += [(1400, 0.4), (1600, 0.5), (1800, 0.3)]
    diagnosis.on_test_start(None, module)
    assert capsys.readouterr().out == "" and not diagnosis.told and diagnosis.extend_by is None


def test_what_is_said_to_rise_is_better_than_all_before_by_more_than_noise():
    assert still_rising([(1, 0.1), (2, 0.2)]) is None
    assert still_rising([(1, 0.5), (2, 0.6), (3, 0.605)]) is None
    assert still_rising([(1, 0.5), (2, 0.6), (3, 0.61)]) == 3
    assert still_rising([(1, 0.5), (2, 0.9), (3, 0.61)]) is None
    assert still_rising([(1, -0.5), (2, -0.4), (3, -0.3)]) == 3  # for a score of which lower is better
    assert still_rising([(1, -float("inf")), (2, -float("inf")), (3, 0.3)]) is None
