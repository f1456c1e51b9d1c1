"""Exported networks: `src.predict` gives the same result from the export as from the checkpoint."""

import os
import zipfile

import numpy as np
import pytest
import tifffile
import yaml

from src.data.phantom import phantom


@pytest.fixture(scope="module")
def checkpoint(finished_run, tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("trained") / "run") / "checkpoints" / "best.ckpt"


@pytest.fixture
def run_export(checkpoint, run_command, tmp_path):
    """Export into the folder out: → (status, output, error)."""

    def call(*options, **choices):
        given = {"checkpoint": checkpoint, "format": "onnx", "output": tmp_path / "out"} | choices
        return run_command("export", *(f"{key}={value}" for key, value in given.items()), *options)

    return call


@pytest.mark.parametrize(("format", "ending"), [("onnx", ".onnx"), ("torchscript", ".pt")])
@pytest.mark.parametrize("scale", ["image", "fixed"])
def test_an_export_reports_its_largest_difference(format, ending, scale, run_export, tmp_path):
    status, printed, error = run_export(format=format, scale=scale, output=tmp_path / "my cells" / f"a=b{ending}")
    assert (status, error) == (0, "")
    script, weights, note = printed.splitlines()
    assert "(slice_00, 64×64 px, tile by tile by " in script and "largest difference from src.predict" in weights
    assert note.startswith("note: the network takes grey values")
    assert sorted(os.listdir(tmp_path / "my cells")) == sorted(
        f"a=b{e}" for e in (ending, ".py", ".safetensors", ".yaml")
    )


@pytest.mark.slow
def test_a_package_for_bioimageio_leaves(run_export, tmp_path):
    said = ("authors=[Ada Lovelace,Grace Hopper]", "license=CC-BY-4.0")
    status, printed, error = run_export(*said, format="bioimageio", output=tmp_path / "cells.zip")
    assert (status, error) == (0, "")
    assert [line.rpartition(", ")[2] for line in printed.splitlines()[:2]] == ["pytorch_state_dict)", "torchscript)"]
    assert sorted(os.listdir(tmp_path)) == ["cells.py", "cells.safetensors", "cells.yaml", "cells.zip"]
    with zipfile.ZipFile(tmp_path / "cells.zip") as package:
        said = yaml.safe_load(package.read("rdf.yaml"))
    assert said["name"] == "cells" and [each["name"] for each in said["authors"]] == ["Ada Lovelace", "Grace Hopper"]


@pytest.mark.parametrize("border", ["lost", "mirrored"])
def test_src_predict_makes_of_onnx_what_it_makes_of_the_checkpoint(
    border, checkpoint, run_export, run_command, tmp_path
):
    assert run_export(output=tmp_path / "cells.onnx", border=border)[0] == 0
    tifffile.imwrite(tmp_path / "stack.tif", phantom(slices=2, size=300).images, photometric="minisblack")
    found = {}
    for network in (checkpoint, tmp_path / "cells.onnx"):
        output = tmp_path / network.stem
        given = (f"checkpoint={network}", f"input={tmp_path / 'stack.tif'}", f"output={output}", "precision=32")
        status, _, error = run_command("predict", *given, "tile=188", "engine=torch")
        assert status == 0, error
        found[network] = [tifffile.imread(output / f"stack_{kind}.tif") for kind in ("probabilities", "labels")]
    (before, cells), (after, same) = found.values()
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-4)
    assert cells.max() > 0
    np.testing.assert_array_equal(same, cells)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"format": "tensorflow"}, "expected format to be one of onnx, torchscript, bioimageio"),
        ({"scale": "percentiles"}, "expected scale to be one of image, fixed"),
        ({"border": "reflect"}, "expected border to be one of lost, mirrored"),
        ({"output": "cells.pt"}, "nearest valid: cells.onnx"),
        ({"checkpoint": "gone.ckpt"}, "there is none at gone.ckpt"),
        ({"name": "a"}, "nearest valid: name=unet a"),
        ({"checkpoint": "[a.ckpt,b.ckpt]"}, "expected one checkpoint"),
        ({"images": "gone.tif"}, "gone.tif"),
    ],
)
def test_what_cannot_be_is_one_message(choices, message, run_export, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, error = run_export(**choices)
    assert status == 1 and message in error and "Traceback" not in error
    assert os.listdir(tmp_path) == []


def test_an_earlier_export_is_not_overwritten_unless_asked_for(run_export, tmp_path):
    assert run_export()[0] == 0
    (tmp_path / "out" / "model.onnx").write_bytes(b"mine")
    status, _, error = run_export()
    assert status == 1 and "overwrite=true" in error
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"mine"
    assert run_export("overwrite=true")[0] == 0
    assert (tmp_path / "out" / "model.onnx").read_bytes() != b"mine"
