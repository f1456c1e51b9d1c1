"""Training starts from the weights of another network: which are copied, which are frozen, what is refused."""

import json

import pytest
import torch

from src.model.archive import read
from src.run.directory import checkpoint_file


@pytest.fixture
def earlier(train_slim, tmp_path):
    """A network that was trained for two steps."""
    directory, status, _, error = train_slim("trainer.max_steps=2", directory=tmp_path / "earlier=1 (A)")
    assert status == 0, error
    return checkpoint_file(directory, "last")


STILL = ("optimizer.lr=0", "callbacks=default", "optimizer.weight_decay=0")


def weights(file):
    return {name: value for name, value in read(file)["state_dict"].items() if "num_batches" not in name}


def test_weights_are_copied_and_reported(earlier, train_slim):
    directory, status, printed, error = train_slim(f"start_from={earlier}", *STILL, "model.norm=batch")
    assert status == 0, error
    assert f"starts from {earlier}: 23 layers are copied, down.0.0, " in printed
    found, before = weights(checkpoint_file(directory, "last")), weights(earlier)
    for name, value in found.items():
        if "running" not in name:
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)  # the bias of the last layer too
    facts = json.loads((directory / "environment.json").read_text())
    assert len(facts["start_from"]) == 64


def test_weights_are_taken_once_where_the_steps_between_validations_are_counted(earlier, train_slim):
    auto = ("trainer.val_check_interval=auto", "trainer.max_steps=1")
    directory, status, printed, error = train_slim(f"start_from={earlier}", *STILL, *auto, "model.norm=batch")
    assert status == 0, error
    assert printed.count(f"starts from {earlier}: 23 layers are copied") == 1
    found, before = weights(checkpoint_file(directory, "last")), weights(earlier)
    torch.testing.assert_close(found["model.down.0.0.weight"], before["model.down.0.0.weight"], rtol=0, atol=0)


def test_other_classes_leave_the_last_layer_as_it_was_drawn(earlier, train_slim):
    directory, status, printed, error = train_slim(f"start_from={earlier}", *STILL, "model.classes=3")
    assert status == 0, error
    assert "; not classify" in printed
    found, before = weights(checkpoint_file(directory, "last")), weights(earlier)
    torch.testing.assert_close(found["model.down.0.0.weight"], before["model.down.0.0.weight"], rtol=0, atol=0)
    assert found["model.classify.weight"].shape[0] == 3


def test_a_frozen_encoder_stays_unchanged_when_training_continues(earlier, train_slim):
    chosen = (f"start_from={earlier}", "freeze=encoder", "trainer.max_steps=4", "callbacks=default")
    directory, status, printed, error = train_slim(*chosen, "trainer.max_time=00:00:00:00")
    assert "trainer.max_time was reached" in error
    assert status == 1 and "12 of them are frozen" in printed
    before = weights(earlier)
    earlier.rename(earlier.with_name("moved.ckpt"))  # a run that goes on needs it no more
    _, status, printed, error = train_slim(*chosen)
    assert status == 0, error
    assert "starts from" not in printed
    found = weights(checkpoint_file(directory, "last"))
    for name, value in found.items():
        same = torch.equal(value, before[name])
        assert same == name.startswith("model.down."), name
    assert len(json.loads((directory / "environment.json").read_text())["start_from"]) == 64


def test_without_freezing_all_is_trained(earlier, train_slim):
    directory, *_ = train_slim(f"start_from={earlier}", "callbacks=default")
    found, before = weights(checkpoint_file(directory, "last")), weights(earlier)
    assert not torch.equal(found["model.down.0.0.weight"], before["model.down.0.0.weight"])


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["freeze=encoder"], "expected start_from with freeze=encoder, but got none; nearest valid: freeze=null"),
        (["start_from={file}", "freeze=decoder"], "expected freeze to be one of"),
        (
            ["start_from={file}", "model.base_channels=3"],
            "nearest valid: the same model.norm and model.base_channels=2",
        ),
        (["start_from={file}.nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(chosen, expected, earlier, train_slim, tmp_path):
    given = [each.format(file=earlier) for each in chosen]
    directory, status, _, error = train_slim(*given, directory=tmp_path / "refused")
    assert status == 1 and expected in error and "Traceback" not in error
    assert not directory.exists()


def test_a_damaged_file_is_refused(earlier, train_slim, tmp_path):
    earlier.write_bytes(earlier.read_bytes()[:1000])
    _, status, _, error = train_slim(f"start_from={earlier}", directory=tmp_path / "refused")
    assert status == 1 and str(earlier) in error and "Traceback" not in error
