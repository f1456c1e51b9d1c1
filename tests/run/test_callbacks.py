"""Callbacks have what they need."""

import json

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from src import build, training
from src.run.callbacks import HeldOut
from src.run.checkpoint import LastCheckpoint
from src.run.curves import Curves
from src.run.diagnosis import Diagnosis
from tests.conftest import TINY, composed


def callbacks(*arguments):
    config = composed(*TINY, *arguments)
    trainer = training.make_trainer(config, training.make_segmenter(config).model)
    return {type(each): each for each in trainer.callbacks}, trainer


def test_what_is_written_at_the_end_is_told_by_who_knows_it():
    found, trainer = callbacks()
    assert found[HeldOut].last is found[LastCheckpoint] and found[HeldOut].diagnosis is found[Diagnosis]
    assert found[LastCheckpoint].curves is next(each for each in trainer.loggers if isinstance(each, Curves))


def test_averaged_weights_are_those_of_the_formula():
    decay, network = 0.99, torch.nn.Conv2d(3, 2, 3)
    multi = build.make(composed(*TINY)["callbacks"]["average"], "multi_avg_fn")
    averaged, expected = AveragedModel(network, multi_avg_fn=multi), network.weight.detach().clone()
    averaged.update_parameters(network)  # the first one is a copy
    for _ in range(5):
        with torch.no_grad():
            network.weight.add_(torch.randn_like(network.weight))
        averaged.update_parameters(network)
        expected = decay * expected + (1 - decay) * network.weight.detach()
    torch.testing.assert_close(averaged.module.weight, expected)


@pytest.mark.parametrize("left_out", ["diagnosis", "held_out", "last"])
def test_what_can_be_done_without_may_be_left_out(left_out):
    found, _ = callbacks(f"~callbacks.{left_out}")
    assert (HeldOut in found) == (left_out != "held_out")
    if HeldOut in found:
        assert getattr(found[HeldOut], left_out) is None


def test_a_run_says_how_long_it_trained_and_what_went_wrong(train_slim):
    directory, status, _, error = train_slim("~callbacks.diagnosis")
    assert status == 0, error
    scores = json.loads((directory / "scores.json").read_text())
    assert scores["diagnosis"] == [] and scores["seconds"] > 0
