"""A package passes the library's own test, in ilastik's versions too, and computes the same probabilities."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from imageio.v3 import imread, imwrite

from src.exports.as_bioimageio import cover, differences, fitting, scaled_otherwise, tile_steps, write
from src.exports.compared import Example, example
from src.exports.described import Leaving, halo
from src.exports.rdf import Named
from src.files.image import Image
from src.files.legend import Legend
from src.files.stored import Reading
from src.instances import Classes
from src.model.trained import Trained
from tests.exports.made import FIXED, a_leaving, an_example

OTHER = os.environ.get("TIKTORCH_PYTHON")  # of make test-export
NAMED = Named("some network", ("Ada Lovelace",), "CC-BY-4.0")
KINDS = {
    "valid": {"depth": 1},
    "padded": {"depth": 2, "padded": True, "norm": "batch_after", "in_channels": 3},
    "classes": {"depth": 1, "classes": 3, "numbering": Classes(), "legend": Legend((0, 1, 2), ("soil", "root", "né"))},
    "fixed": {"depth": 1, "grey_range": FIXED, "norm": "none"},
}


def written(folder: Path, **options):
    """A package of a small network: → the file, and what it holds."""
    leaving = a_leaving(base_channels=2, mirrored=True, **options)
    shown = fitting(leaving, an_example(leaving, height=100, width=130))
    write(leaving, NAMED, shown, folder / "some.zip")
    return folder / "some.zip", shown


def test_a_package_is_one_file_with_all_that_it_names(tmp_path):
    file, shown = written(tmp_path, **KINDS["classes"])
    assert os.listdir(tmp_path) == ["some.zip"]
    with zipfile.ZipFile(file) as package:
        package.extractall(tmp_path)
        names = set(package.namelist())
    said = yaml.safe_load((tmp_path / "rdf.yaml").read_text())

    def sources(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from sources(value) if isinstance(value, dict | list) else [value] if key == "source" else []

    assert {*sources(said), "cover.png", "README.md", "rdf.yaml"} == names
    assert "## Validation" in (tmp_path / "README.md").read_text()
    np.testing.assert_array_equal(np.load(tmp_path / "test_input.npy")[0], shown.grey)
    np.testing.assert_array_equal(np.load(tmp_path / "test_output.npy")[0], shown.expected)
    assert tifffile.imread(tmp_path / "sample_output.tif").shape == shown.expected.shape
    height, width = imread(tmp_path / "cover.png").shape
    assert width == 2 * height


def test_a_cover_shows_the_image_and_what_was_found_in_it():
    leaving = a_leaving()
    shown = fitting(leaving, an_example(leaving))
    side = min(shown.scaled.shape[1:])
    found = cover(shown)
    assert found.dtype == np.uint8 and found.shape == (side, 2 * side)
    np.testing.assert_array_equal(found[:, :side], np.round(255 * shown.scaled[0, :side, :side]))
    np.testing.assert_array_equal(found[:, side:], np.round(255 * (1 - shown.expected[0, :side, :side])))


def test_a_cover_is_as_small_as_readers_ask_for_also_of_noise(tmp_path):
    grey = np.random.default_rng(0).random((1, 512, 512), np.float32)
    imwrite(tmp_path / "cover.png", cover(Example("noise", grey, grey, grey)))
    assert (tmp_path / "cover.png").stat().st_size < 500_000


def test_an_example_that_is_smaller_than_a_tile_is_mirrored():
    leaving = a_leaving(depth=3)  # whose tiles are 2 · 48 + 8 pixels or more
    whole = an_example(leaving, height=40, width=600)
    shown = fitting(leaving, whole)
    assert shown.grey.shape == (1, 104, 512)
    np.testing.assert_array_equal(shown.grey[:, :40], whole.grey[..., :512])
    np.testing.assert_array_equal(shown.grey[:, 40:79], shown.grey[:, 38::-1])


def test_what_readers_cannot_scale_as_src_predict_does_is_told():
    sparse = np.random.default_rng(0).integers(20, 40, (128, 128), np.uint8)
    sparse[30:36, 40:46] = 250  # so few pixels that percentiles cut them off
    for scaling, differs in (("objects", True), ("percentiles", False)):
        before = a_leaving(depth=1).trained
        leaving = Leaving(Trained(before.model, before.decoder, reading=Reading(scaling=scaling)))
        shown = fitting(leaving, example(leaving, Image(Path("x"), sparse, "YX", scaling=scaling), "sparse"))
        assert (scaled_otherwise(leaving, shown) > 1e-3) is differs
        assert scaled_otherwise(Leaving(leaving.trained, FIXED), shown) == 0


@pytest.mark.parametrize(("side", "kept"), [(512, 256), (256, 64), (208, 0), (240, 0), (400, 192)])
def test_a_few_tiles_cover_an_image(side, kept):
    steps = tile_steps(16, 96, side)
    assert 16 * (steps + 1) == kept if kept else steps == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_the_test_of_the_library_and_computes_the_same(kind, tmp_path, capsys):
    file, shown = written(tmp_path, **KINDS[kind])
    depth = KINDS[kind]["depth"]
    found = differences(file, shown, depth)
    left_out = halo(depth)
    tiled = f"onnx, tile by tile, {left_out} px and more from the border"
    assert list(found) == ["pytorch_state_dict", "torchscript", "onnx", tiled]
    assert max(found.values()) < 1e-5
    assert os.listdir(tmp_path) == ["some.zip"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_package_that_the_library_refuses_is_refused_in_a_message(tmp_path):
    leaving = a_leaving(depth=1, base_channels=2, mirrored=True)
    shown = fitting(leaving, an_example(leaving))
    write(leaving, Named("some network", ("Ada",), "my own"), shown, tmp_path / "some.zip")
    with pytest.raises(ValueError, match=r"passes the test of bioimageio\.core, but got .*license"):
        differences(tmp_path / "some.zip", shown, 1)


IN_THE_OTHER = """
import json, sys, warnings
warnings.simplefilter("ignore")
import bioimageio.core, bioimageio.spec, numpy
from bioimageio.core.digest_spec import create_sample_for_model
summary = bioimageio.core.test_description(f"{sys.argv[1]}/rdf.yaml", devices=["cpu"])
model = bioimageio.core.load_model_description(f"{sys.argv[1]}/rdf.yaml")
given, expected = (numpy.load(f"{sys.argv[1]}/test_{name}.npy") for name in ("input", "output"))
found = {}
for weights in ("pytorch_state_dict", "torchscript", "onnx"):
    pipeline = bioimageio.core.create_prediction_pipeline(model, weight_format=weights, devices=["cpu"])
    for way, options in {"without_blocking": {}, "with_blocking": {"ns": int(sys.argv[2])}}.items():
        sample = create_sample_for_model(model, inputs={"raw": given})  # anew, because it is scaled in place
        predicted = getattr(pipeline, f"predict_sample_{way}")(sample, **options)
        difference = abs(predicted.members["probabilities"].data.to_numpy() - expected).max()
        found[f"{weights} {way}"] = float(difference)
errors = [error.msg for detail in summary.details for error in detail.errors]
print(json.dumps([bioimageio.core.__version__, bioimageio.spec.__version__, summary.status, errors, found]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not OTHER, reason="needs the versions that ilastik takes; make test-export builds them")
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_in_the_versions_that_ilastik_takes(kind, tmp_path):
    shown = written(tmp_path, **KINDS[kind])[1]
    depth = KINDS[kind]["depth"]
    steps = tile_steps(2**depth, halo(depth), min(shown.grey.shape[1:]))
    with zipfile.ZipFile(tmp_path / "some.zip") as package:
        package.extractall(tmp_path)
    done = subprocess.run([OTHER, "-c", IN_THE_OTHER, str(tmp_path), str(steps)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    core, spec, status, errors, found = json.loads(done.stdout.splitlines()[-1])
    assert (core, spec) == ("0.10.2", "0.5.9.1")
    assert status == "passed", errors
    assert max(found.values()) < 1e-5
