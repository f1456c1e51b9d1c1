"""TorchScript and safetensors, opened by PyTorch, compute what the network computes."""

import importlib.util
import json

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from src.exports.as_torch import (
    DESCRIPTION,
    although_deprecated,
    save_script,
    save_weights,
    script_runtime,
    weights_runtime,
)
from src.exports.compared import difference
from src.model.unet import NORMS
from tests.exports.made import FIXED, a_leaving, an_example

KINDS = [(1, 2, False, None), (3, 3, True, None), (1, 3, False, FIXED)]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("in_channels", "classes", "padded", "grey_range"), KINDS)
def test_it_is_the_same_function(in_channels, classes, padded, grey_range, norm, tmp_path):
    leaving = a_leaving(in_channels=in_channels, classes=classes, padded=padded, norm=norm, grey_range=grey_range)
    example = an_example(leaving)
    save_script(leaving, tmp_path / "some.pt")
    assert difference(leaving, script_runtime(tmp_path / "some.pt"), example) < 1e-5
    save_weights(leaving, tmp_path / "some.safetensors")
    compute = weights_runtime(tmp_path / "some.safetensors", leaving.architecture())
    assert difference(leaving, compute, example) < 1e-5


def test_a_script_takes_any_size_and_says_what_it_is(tmp_path):
    leaving = a_leaving(depth=4, base_channels=2)
    save_script(leaving, tmp_path / "some.pt")
    compute, network = script_runtime(tmp_path / "some.pt"), leaving.network()
    for count, height, width in ((1, 572, 300), (2, 188, 204), (1, 300, 300)):
        image = np.random.default_rng(0).random((count, 1, height, width), np.float32)
        np.testing.assert_allclose(compute(image), network(torch.from_numpy(image)).numpy(), rtol=0, atol=1e-5)
    said = {DESCRIPTION: ""}
    with although_deprecated():
        torch.jit.load(tmp_path / "some.pt", _extra_files=said)
    assert json.loads(said[DESCRIPTION]) == leaving.description()


def test_weights_open_with_the_file_beside_them_alone(tmp_path):
    leaving = a_leaving(norm="batch_after")
    save_weights(leaving, tmp_path / "some.safetensors")
    spec = importlib.util.spec_from_file_location("elsewhere", tmp_path / "some.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with safe_open(tmp_path / "some.safetensors", "pt") as file:
        said = yaml.safe_load(file.metadata()["description"])
    network = module.ExportedUNet(**said["architecture"])
    network.load_state_dict(load_file(tmp_path / "some.safetensors"))
    image = torch.rand(1, 1, 60, 60)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(image), leaving.network()(image))


def test_what_is_deprecated_is_not_silenced_elsewhere():
    with pytest.warns(DeprecationWarning, match=r"torch\.jit\.script"):
        torch.jit.script(torch.nn.ReLU())
