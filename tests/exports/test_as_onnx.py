"""ONNX Runtime computes what the network computes, for images of any size, and the file is a checkpoint."""

import json
from dataclasses import asdict

import cv2
import numpy as np
import onnx
import pytest
import torch

from src.exports.as_onnx import KEY, onnx_model, read, runtime, save
from src.exports.compared import difference
from src.files.legend import Legend
from src.instances import Watershed
from src.model.unet import NORMS
from src.restore import restore
from src.tiles.geometry import shrinkage
from tests.exports.made import FIXED, a_leaving, an_example

WAY = Watershed(0.6, boundary=2, min_size=5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("in_channels", "classes", "grey_range"), [(1, 2, None), (3, 3, None), (1, 3, FIXED)])
def test_it_is_the_same_function(in_channels, classes, grey_range, padded, norm, tmp_path):
    leaving = a_leaving(in_channels=in_channels, classes=classes, padded=padded, norm=norm, grey_range=grey_range)
    save(onnx_model(leaving), tmp_path / "some.onnx")
    assert difference(leaving, runtime(tmp_path / "some.onnx"), an_example(leaving)) < 1e-5


@pytest.mark.parametrize("padded", [False, True])
def test_mirrored_it_is_the_same_function_too(padded, tmp_path):
    leaving = a_leaving(padded=padded, depth=3, grey_range=FIXED, mirrored=True)
    save(onnx_model(leaving), tmp_path / "some.onnx")
    example = an_example(leaving)
    found = runtime(tmp_path / "some.onnx")(example.grey[None])[0]
    np.testing.assert_allclose(found, example.expected, rtol=0, atol=1e-5)


def test_any_size_and_any_number_of_tiles(tmp_path):
    leaving = a_leaving(depth=4, base_channels=2)
    save(onnx_model(leaving), tmp_path / "some.onnx")
    compute, network = runtime(tmp_path / "some.onnx"), leaving.network()
    for count, height, width in ((1, 572, 300), (2, 188, 204), (3, 300, 300)):
        image = np.random.default_rng(0).random((count, 1, height, width), np.float32)
        found = compute(image)
        assert found.shape == (count, 2, height - shrinkage(4), width - shrinkage(4))
        np.testing.assert_allclose(found, network(torch.from_numpy(image)).numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_opencv_reads_it_too(mirrored, tmp_path):
    leaving = a_leaving(depth=3, grey_range=FIXED, mirrored=mirrored)
    save(onnx_model(leaving), tmp_path / "some.onnx")
    network, compute = cv2.dnn.readNetFromONNX(str(tmp_path / "some.onnx")), runtime(tmp_path / "some.onnx")
    for height, width in ((124, 156), (140, 124)) if not mirrored else ((104, 112), (120, 104)):
        image = np.random.default_rng(0).random((1, 1, height, width), np.float32) * 255
        network.setInput(image)
        np.testing.assert_allclose(network.forward(), compute(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_read_back_it_is_the_same_trained_network(norm, tmp_path):
    legend = Legend((0, 7, 9), ("soil", "root", "rim"), ((0, 0, 0), (255, 0, 0), (0, 0, 255)))
    leaving = a_leaving(norm=norm, classes=3, in_channels=3, padded=True, numbering=WAY, legend=legend, tta="d4")
    save(onnx_model(leaving), tmp_path / "some.ONNX")
    found, before = restore(tmp_path / "some.ONNX"), leaving.trained
    assert (found.decoder, found.legend, found.tta) == (before.decoder, legend, "d4")
    assert asdict(found.reading) == asdict(before.reading)
    assert found.appearance == before.appearance != ()
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(found.model(image), before.model(image), rtol=0, atol=1e-5)


def test_what_is_no_model_of_ours_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none at"):
        read(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match=r"src\.export format=onnx, but .*text\.onnx is not one"):
        restore(tmp_path / "text.onnx")
    foreign = onnx_model(a_leaving())
    del foreign.metadata_props[:]
    save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match="metadata lack 'unet'"):
        restore(tmp_path / "foreign.onnx")


def described(model, **changes) -> None:
    """Change what a model says of itself."""
    (entry,) = model.metadata_props
    said = json.loads(entry.value)
    entry.value = json.dumps(said | changes)
    assert entry.key == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"instances": {"name": "os.system", "command": "ls"}},
        {"instances": {"name": "components", "min_size": "${oc.env:HOME}"}},
        {"threshold": 2},
        {"layout": 99},
        {"tta": "eval"},
        {"reading": {"axes": "/etc"}},
        {"legend": {"values": [1, 2, 3]}},
        {"appearance": [{"beauty": 1}]},
        {"architecture": {"in_channels": 1, "classes": 2, "base_channels": 10**9, "depth": 8, "norm_after": False}},
        {"architecture": {"in_channels": 2, "classes": 2, "base_channels": 4, "depth": 2, "norm_after": False}},
    ],
)
def test_what_somebody_has_written_into_it_calls_nothing_and_fits(changes, tmp_path):
    model = onnx_model(a_leaving())
    described(model, **changes)
    save(model, tmp_path / "some.onnx")
    with pytest.raises(ValueError, match=r"some\.onnx is not one"):
        restore(tmp_path / "some.onnx")


def test_damaged_weights_are_refused(tmp_path):
    model = onnx_model(a_leaving())
    weight = next(each for each in model.graph.initializer if each.name == "down.0.0.weight")
    damaged = {
        "shorter": weight.raw_data[:-4],
        "nan": np.full(len(weight.raw_data) // 4, np.nan, np.float32).tobytes(),
    }
    for name, data in damaged.items():
        weight.raw_data = data
        save(model, tmp_path / f"{name}.onnx")
        with pytest.raises(ValueError, match=rf"{name}\.onnx is not one"):
            restore(tmp_path / f"{name}.onnx")
    elsewhere = onnx.TensorProto.EXTERNAL
    weight.data_location = elsewhere
    weight.external_data.add(key="location", value="/etc/passwd")
    save(model, tmp_path / "elsewhere.onnx")
    with pytest.raises(ValueError, match="in another file"):
        restore(tmp_path / "elsewhere.onnx")
