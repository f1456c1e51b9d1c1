"""napari itself shows the image, the probabilities and the label image of `src.predict`, as TIFF and as OME-Zarr."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from src import training
from src.data.phantom import phantom
from src.files.image import in_memory
from src.model import archive
from tests.conftest import composed

pytestmark = pytest.mark.programs

NAPARI = os.environ.get("NAPARI_PYTHON")  # of make test-programs
LAYERS = Path(__file__).with_name("layers.py")


@pytest.fixture
def predicted(tmp_path, run_command):
    """Predict a micrograph of known pixel size: → the micrograph and the folder of the predictions."""

    def call(ending):
        module = training.make_segmenter(composed("model.base_channels=2"))
        content = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict(), "threshold": 0.5}
        archive.write(tmp_path / "some.ckpt", content)
        image, size = tmp_path / "cells.ome.tif", {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        tifffile.imwrite(image, phantom(slices=1, size=96).images[0], metadata={"axes": "YX", **size})
        arguments = (f"checkpoint={tmp_path / 'some.ckpt'}", f"input={image}", f"output={tmp_path}", f"format={ending}")
        status, _, error = run_command("predict", *arguments, "instances=components", "precision=32")
        assert status == 0, error
        return image, tmp_path

    return call


@pytest.mark.parametrize("ending", ["tif", "zarr"])
def test_image_probabilities_and_labels_are_shown_as_such(ending, predicted, tmp_path):
    if not NAPARI:
        pytest.fail("expected NAPARI_PYTHON, the Python of an environment with napari; make test-programs sets it")
    image, folder = predicted(ending)
    files = [image, *(folder / f"cells_{kind}.{ending}" for kind in ("probabilities", "labels"))]
    shown = ["xvfb-run", "-a", NAPARI, str(LAYERS), str(tmp_path / "found.json"), *map(str, files)]
    ran = subprocess.run(shown, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["colours"] > 2  # something is seen
    layers = found["layers"]
    expected = [in_memory(file).array if file == image else read(file) for file in files]
    for values, kind in zip(expected, ("Image", "Image", "Labels"), strict=True):
        alike = [
            layer
            for layer in layers
            if layer["type"] == kind
            and layer["shape"] == list(values.shape)
            and layer["max"] == pytest.approx(float(values.max()))
            and layer["sum"] == pytest.approx(float(values.sum(dtype=np.float64)), rel=1e-6)
        ]
        assert alike, (kind, layers)
        if ending == "zarr" and values is not expected[0]:
            assert alike[0]["scale"][-2:] == [0.5, 0.5]


def read(file):
    """The values of a prediction."""
    if file.suffix == ".tif":
        return tifffile.imread(file)
    stored = in_memory(file if "labels" not in file.name else file / "labels" / "cells")
    return np.asarray(stored.array)
