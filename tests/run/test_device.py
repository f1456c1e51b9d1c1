"""Precision follows the hardware unless it is asked for."""

import torch

from src.run.device import choose_precision, describe, inference, pays_to_compile


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


def test_a_device_is_described_in_words():
    assert describe(torch.device("cpu")) == f"CPU ({torch.get_num_threads()} threads)"


def test_what_is_compiled_is_asked_for_or_long():
    assert pays_to_compile(True, 1) and not pays_to_compile(False, 10**6)
    assert pays_to_compile("auto", 1000) and not pays_to_compile("auto", 999)
