"""Precision follows the hardware unless it is asked for."""

import functools
import re

import pytest
import torch

from src.run import device
from src.run.device import choose_accelerator, choose_precision, describe, inference, pays_to_compile

device_learns = device._learns.__wrapped__  # not what it has found before


def test_a_precision_that_is_asked_for_is_taken():
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        assert choose_precision(precision, "cpu") == precision


def test_a_cpu_computes_in_bf16_only_with_amx():
    amx = torch.cpu.get_capabilities()["amx_bf16"]
    assert choose_precision("auto", "cpu") == ("bf16-mixed" if amx else "32-true")


def test_prediction_uses_the_same_rule():
    assert inference("32")[1] == torch.float32
    assert inference("bf16")[1] == torch.bfloat16
    device, dtype = inference("auto")
    assert (dtype == torch.float32) == (choose_precision("auto", device.type) == "32-true")


def test_a_network_predicts_in_the_precision_that_it_was_scored_in():
    assert inference("auto", "32-true")[1] == torch.float32
    assert inference("auto", "bf16-mixed") == inference("auto", None) == inference("auto"), "where that is fast"
    assert inference("bf16", "32-true")[1] == torch.bfloat16
    assert inference("32", "bf16-mixed")[1] == torch.float32


def test_a_device_is_described_in_words():
    assert describe(torch.device("cpu")) == f"CPU ({torch.get_num_threads()} threads)"


def test_what_is_compiled_is_asked_for_or_long():
    assert pays_to_compile(True, 1) and not pays_to_compile(False, 10**6)
    assert pays_to_compile("auto", 1000) and not pays_to_compile("auto", 999)


@pytest.fixture
def apple(monkeypatch):
    """A machine that says that it has an Apple GPU. PyTorch is built without it here, so that each step on it fails."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_learns", functools.cache(device_learns))


def test_an_apple_gpu_that_fails_is_named_once_and_the_cpu_takes_its_place(apple, capsys):
    assert choose_accelerator("auto") == "cpu"
    assert inference("32") == (torch.device("cpu"), torch.float32)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"warning: a step on mps fails, and the CPU takes its place: .*mps.*", line)


def test_an_apple_gpu_that_works_is_used_in_fp32(apple, monkeypatch):
    monkeypatch.setattr(device, "_learns", lambda name: device_learns("cpu"))
    assert choose_accelerator("auto") == "auto"  # which Lightning takes for it
    assert [choose_precision("auto", name) for name in ("auto", "mps", "gpu")] == ["32-true"] * 3
    assert inference("auto") == (torch.device("mps"), torch.float32)
    assert describe(torch.device("mps")) == "Apple GPU"
    assert not pays_to_compile("auto", 1000) and pays_to_compile(True, 1)


def test_what_is_asked_for_is_not_tried(apple, capsys):
    assert [choose_accelerator(name) for name in ("cpu", "gpu", "mps")] == ["cpu", "gpu", "mps"]
    assert capsys.readouterr().err == ""


def test_a_step_is_tried_without_drawing_from_what_weights_are_drawn_from(capsys):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert device_learns("cpu")
    assert torch.rand(1) == expected
    assert not device_learns("meta"), "which holds no numbers"
    assert "warning: a step on meta fails" in capsys.readouterr().err
