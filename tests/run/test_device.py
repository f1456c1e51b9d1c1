"""The hardware decides on precision unless the configuration does."""

import functools
import json
import re
import time

import pytest
import torch

from src.model.unet import UNet
from src.run import device
from src.run.device import (
    WORTH,
    choose_accelerator,
    choose_precision,
    describe,
    formats,
    inference,
    middle_channels,
    pays_to_compile,
    speed_in_bf16,
)

can_train = device._can_train.__wrapped__  # without its cache


def test_a_precision_that_is_asked_for_is_taken():
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        assert choose_precision(precision, "cpu", 8) == precision


@pytest.fixture
def speeds(monkeypatch, tmp_path):
    """The file of the user's cache, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "unet-from-few-images" / "speed_in_bf16.json"


def test_the_speed_of_bf16_is_measured_once_on_a_machine(speeds, monkeypatch, capsys):
    started = time.monotonic()
    first = speed_in_bf16(64, trains=True)
    assert time.monotonic() - started < 5, "of which half a second is measured, and the rest is a busy machine"
    assert first > 0, "it convolves rightly"
    assert re.fullmatch(r"bf16 on this CPU: \d+\.\d\d times as fast as fp32, measured .*\n", capsys.readouterr().out)
    monkeypatch.setattr(device, "_measured_speed", lambda *_: pytest.fail("measured again"))
    assert speed_in_bf16(64, trains=True) == first
    assert capsys.readouterr().out == ""
    (key,) = json.loads(speeds.read_text())
    assert all(each in key for each in ("64 channels", "forwards and backwards", torch.__version__))
    with pytest.raises(pytest.fail.Exception):
        speed_in_bf16(64, trains=False)
    with pytest.raises(pytest.fail.Exception):
        speed_in_bf16(128, trains=True)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": "fast"}', "null"])
def test_a_file_that_holds_no_speeds_is_measured_anew(content, speeds, monkeypatch):
    speeds.parent.mkdir()
    speeds.write_text(content)
    monkeypatch.setattr(device, "_measured_speed", lambda *_: 2.5)
    assert speed_in_bf16(8, trains=True) == 2.5
    assert list(json.loads(speeds.read_text()).values()) == [2.5]


def test_a_home_that_cannot_be_written_to_is_no_hindrance(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(device, "_measured_speed", lambda *_: 2.5)
    assert speed_in_bf16(8, trains=True) == 2.5


def test_matrix_units_are_found_by_their_speed(speeds):
    if not torch.cpu.get_capabilities().get("amx_bf16"):
        pytest.skip("this CPU has none")
    assert speed_in_bf16(128, trains=True) > WORTH and speed_in_bf16(128, trains=False) > WORTH


def test_a_cpu_that_computes_wrongly_in_bf16_is_found_out(speeds, monkeypatch):
    right = torch.nn.ConvTranspose2d.forward

    def wrong(layer, image):
        return right(layer, image) * (1.3 if torch.is_autocast_enabled("cpu") else 1)

    monkeypatch.setattr(torch.nn.ConvTranspose2d, "forward", wrong)
    assert speed_in_bf16(16, trains=False) == 0
    assert choose_precision("auto", "cpu", 16, trains=False) == "32-true"


@pytest.mark.parametrize(("speed", "expected"), [(1.14, "32-true"), (1.15, "bf16-mixed")])
def test_auto_is_bf16_where_it_is_faster(speed, expected, monkeypatch):
    monkeypatch.setattr(device, "speed_in_bf16", lambda *_: speed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_precision("auto", "cpu", 8) == expected
    half = torch.bfloat16 if expected == "bf16-mixed" else torch.float32
    assert inference("auto", 8)[1] == inference("auto", 8, "bf16-mixed")[1] == half
    assert inference("auto", 8, "32-true")[1] == inference("32", 8, "bf16-mixed")[1] == torch.float32, "as scored"
    assert inference("bf16", 8, "32-true")[1] == torch.bfloat16


def test_the_formats_of_auto_are_those_that_one_machine_or_another_takes():
    assert formats("auto", "bf16-mixed") == formats("auto", None) == (torch.float32, torch.bfloat16)
    assert formats("auto", "32-true") == formats("bf16", "bf16-mixed") == formats("32", None) == ()


def test_a_device_is_described_in_words():
    assert describe(torch.device("cpu")) == f"CPU ({torch.get_num_threads()} threads)"


def test_what_is_compiled_is_asked_for_or_long():
    assert pays_to_compile(True, 1) and not pays_to_compile(False, 10**6)
    assert pays_to_compile("auto", 1000) and not pays_to_compile("auto", 999)


@pytest.fixture
def apple(monkeypatch):
    """A machine that reports an Apple GPU; PyTorch is built without support for it here, so each step on it fails."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_can_train", functools.cache(can_train))


def test_an_apple_gpu_that_fails_is_named_once_and_the_cpu_takes_its_place(apple, capsys):
    assert choose_accelerator("auto") == "cpu"
    assert inference("32", 8) == (torch.device("cpu"), torch.float32)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"warning: a training step on mps fails, so the CPU is used: .*mps.*", line)


def test_an_apple_gpu_that_works_is_used_in_fp32(apple, monkeypatch):
    monkeypatch.setattr(device, "_can_train", lambda name: can_train("cpu"))
    assert choose_accelerator("auto") == "auto"  # which Lightning takes for Apple's GPU
    assert [choose_precision("auto", name, 8) for name in ("auto", "mps", "gpu")] == ["32-true"] * 3
    assert inference("auto", 8) == (torch.device("mps"), torch.float32)
    assert describe(torch.device("mps")) == "Apple GPU"
    assert not pays_to_compile("auto", 1000) and pays_to_compile(True, 1)


def test_what_is_asked_for_is_not_tried(apple, capsys):
    assert [choose_accelerator(name) for name in ("cpu", "gpu", "mps")] == ["cpu", "gpu", "mps"]
    assert capsys.readouterr().err == ""


def test_a_step_is_tried_without_drawing_from_what_weights_are_drawn_from(capsys):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert can_train("cpu")
    assert torch.rand(1) == expected
    assert not can_train("meta"), "which holds no numbers"
    assert "warning: a training step on meta fails" in capsys.readouterr().err


def test_the_middle_of_a_network_is_half_way_down():
    assert [middle_channels(UNet(base_channels=4, depth=depth)) for depth in (1, 2, 3, 4)] == [4, 8, 8, 16]
