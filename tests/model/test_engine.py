"""Each engine gives the result of the network itself, for all kinds of networks and sizes of tiles."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from src.model import engine as module
from src.model.engine import Engine, fastest, folded
from src.model.trained import predict_window
from src.model.unet import NORMS, UNet
from src.tiles.geometry import covering_side
from src.tiles.overlap import Window, reader

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def a_network(**options) -> UNet:
    """A network whose batch normalisation has statistics, scales and shifts like those of a trained one."""
    torch.manual_seed(0)
    network = UNet(**{"base_channels": 4, "depth": 2, "norm": "batch"} | options)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.2)
            torch.nn.init.uniform_(layer.bias, -0.3, 0.3)
    network.train()(tiles(network, a_side(network, 1), 2))
    return network.eval()


def a_side(network: UNet, least: int) -> int:
    """The side of a tile whose output has this many pixels a side."""
    return covering_side(least, network.depth, network.padded)


def tiles(network: UNet, side: int = 60, count: int = 1) -> torch.Tensor:
    drawn = torch.rand(count, network.in_channels, side, side, generator=torch.Generator().manual_seed(side))
    return 2 * drawn - 1


@torch.inference_mode()
def probabilities(compute, image: torch.Tensor) -> torch.Tensor:
    return compute(image).float().softmax(dim=1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("in_channels", "classes", "depth"), [(1, 2, 1), (3, 4, 2), (1, 2, 3)])
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_each_kind_of_network_is_computed_as_it_is(name, norm, padded, in_channels, classes, depth, capsys):
    network = a_network(norm=norm, padded=padded, in_channels=in_channels, classes=classes, depth=depth)
    engine = Engine(network, name, CPU, torch.float32)
    for least, count in ((8, 1), (50, 2), (8, 3)):
        image = tiles(network, a_side(network, least), count)
        torch.testing.assert_close(probabilities(engine, image), probabilities(network, image), rtol=0, atol=1e-5)
    assert capsys.readouterr().err == "", "no other engine has taken its place"


def test_folded_is_the_same_function_with_fewer_layers():
    network = a_network(dropout=0.5)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    fewer = folded(network.train())
    kinds = {type(layer) for layer in fewer.modules()}
    assert not kinds & {torch.nn.BatchNorm2d, torch.nn.Dropout}
    image = tiles(network).double()
    exact, same = network.double().eval(), fewer.double()
    torch.testing.assert_close(same(image), exact(image).detach(), rtol=0, atol=1e-5)  # the weights are fp32
    for name, weight in network.float().state_dict().items():
        assert torch.equal(weight, before[name]), "the network itself is left as it was"


@pytest.mark.slow
def test_what_is_compiled_computes_the_same(capsys):
    network = a_network()
    engine = Engine(network, "compiled", CPU, torch.float32)
    for _ in range(2):
        image = tiles(network)
        torch.testing.assert_close(probabilities(engine, image), probabilities(network, image), rtol=0, atol=1e-5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["torch", pytest.param("compiled", marks=pytest.mark.slow), "openvino"])
def test_bf16_is_near(name):
    network = a_network()
    found = probabilities(Engine(network, name, CPU, torch.bfloat16), tiles(network))
    difference = float((found - probabilities(network, tiles(network))).abs().max())
    assert difference < 0.1
    if name == "torch":
        assert difference > 1e-5, "it is another number format"


@pytest.mark.parametrize("tta", ["none", "d4", "rot7"])
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_the_result_does_not_depend_on_the_tile(name, tta):
    network = a_network(depth=4)
    engine, image = Engine(network, name, CPU, torch.float32), torch.rand(1, 1, 300, 280)
    window = Window(0, 0, 300, 280)
    with torch.inference_mode():
        whole = predict_window(engine, reader(image), window, tta, covering_side(300, 4))
        for tile in (300, 572):
            found = predict_window(engine, reader(image), window, tta, tile)
            torch.testing.assert_close(found, whole, rtol=0, atol=2e-5)


class Broken:
    """An engine that gives wrong results, or fails."""

    def __init__(self, shift: float):
        self.shift = shift

    def __call__(self, engine):
        if self.shift == 0:
            raise RuntimeError("no such processor\nsecond line")
        return lambda image: engine._by_torch(image) + self.shift * torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)


@pytest.mark.parametrize(("shift", "said"), [(0, "RuntimeError: no such processor"), (0.01, r"differs by \d\.\de-03")])
def test_an_engine_that_fails_or_disagrees_is_named_and_pytorch_computes(shift, said, monkeypatch, capsys):
    monkeypatch.setattr(Engine, "_by_openvino", lambda engine: Broken(shift)(engine))
    network = a_network()
    engine = Engine(network, "openvino", CPU, torch.float32)
    for _ in range(2):
        found = probabilities(engine, tiles(network))
        torch.testing.assert_close(found, probabilities(network, tiles(network)), rtol=0, atol=1e-5)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: openvino does not work here, so torch is used: ")
    assert re.search(said + "$", line)


def test_a_cpu_takes_openvino_where_it_is_installed_and_knows_the_number_format(monkeypatch):
    assert fastest(CPU, torch.float32) == fastest(CPU, torch.bfloat16) == "openvino"
    assert fastest(CPU, torch.float16) == fastest(CPU, torch.float64) == fastest(torch.device("cuda"), torch.float32)
    assert fastest(CPU, torch.float16) == "torch"
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert fastest(CPU, torch.float32) == "torch"


SIGNALLED = """
import faulthandler, os, signal
faulthandler.enable()  # which installs its own stack for signal handlers
import torch
from src.model.engine import Engine
from src.model.unet import UNet
signal.signal(signal.SIGUSR2, lambda *_: print("handled", flush=True))
kept = []
for _ in range(4):
    engine = Engine(UNet(base_channels=2, depth=1).eval(), "openvino", torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        engine(torch.zeros(1, 1, 28, 28))
    kept = [*kept[-1:], engine]  # each runtime is released after the next one has started
    os.kill(os.getpid(), signal.SIGUSR2)
"""


def test_a_process_that_has_used_several_engines_outlives_a_signal():
    done = subprocess.run([sys.executable, "-c", SIGNALLED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != -signal.SIGSEGV
    assert (done.returncode, done.stdout.split()) == (0, ["handled"] * 4), done.stderr


IMPORTED = """
import sys, torch
from src.model.engine import Engine
from src.model.unet import UNet
engine = Engine(UNet(base_channels=2, depth=1).eval(), "openvino", torch.device("cpu"), torch.float32)
with torch.inference_mode():
    engine(torch.zeros(1, 1, 28, 28))
print(*sys.modules)
"""


def test_openvino_comes_without_what_reports_its_use_or_changes_logging():
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert "openvino" in packages and not {"openvino_telemetry", "absl"} & packages
    assert done.stderr == ""
