"""The exported network computes what the trained one computes, and imports nothing of this project."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from src.exports import network as module
from src.model.trained import logits
from src.model.unet import NORMS
from tests.exports.made import FIXED, a_leaving, an_example
from tests.model.test_engine import a_side

KINDS = [(1, 2, 1), (3, 3, 2), (1, 3, 3)]  # channels, classes, poolings


def test_its_file_imports_pytorch_alone():
    imported = [
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert set(imported) == {"torch"}


@torch.inference_mode()
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("in_channels", "classes", "depth"), KINDS)
def test_it_gives_the_probabilities_of_the_trained_network(in_channels, classes, depth, padded, norm):
    leaving = a_leaving(in_channels=in_channels, classes=classes, depth=depth, padded=padded, norm=norm)
    model = leaving.trained.model
    for least, others in ((8, 3), (40, 1)):
        image = torch.rand(others, in_channels, a_side(model, least), a_side(model, 8))
        found = leaving.network()(image)
        torch.testing.assert_close(found, logits(model, image).softmax(dim=1), rtol=0, atol=1e-5)
        torch.testing.assert_close(found.sum(dim=1), torch.ones_like(found[:, 0]))


@torch.inference_mode()
@pytest.mark.parametrize("grey_range", [None, FIXED])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_mirrored_it_says_of_each_pixel_what_src_predict_says(depth, padded, grey_range):
    leaving = a_leaving(depth=depth, padded=padded, grey_range=grey_range, base_channels=2, mirrored=True)
    example = an_example(leaving, height=130, width=145)
    image = torch.from_numpy(example.grey if grey_range else example.scaled)[None]
    found = leaving.network()(image)[0].numpy()
    assert found.shape == example.expected.shape == (2, 130 // 2**depth * 2**depth, 145 // 2**depth * 2**depth)
    np.testing.assert_allclose(found, example.expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_grey_values_beyond_a_fixed_range_are_cut_off():
    network = a_leaving(grey_range=(10.0, 20.0)).network()
    image = torch.rand(1, 1, 60, 60) * 10 + 10
    for value, like in ((5.0, 10.0), (700.0, 20.0)):
        image[..., 30, 30] = value
        beyond = network(image)
        image[..., 30, 30] = like
        assert torch.equal(beyond, network(image))
