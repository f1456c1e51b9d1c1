"""The description of a package: tiles, names of classes, and what only a person knows."""

import pytest

from src.exports.described import Leaving
from src.exports.rdf import Named, description, identifiers, readme, suggested
from src.files.legend import Legend
from src.instances import Classes
from tests.exports.made import FIXED, a_leaving

FILES = "network.py test_input.npy test_output.npy sample_input.tif sample_output.tif"
FILES += " weights.pt torchscript.pt weights.onnx"


@pytest.fixture
def folder(tmp_path):
    for name in FILES.split():
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("padded", [False, True])
def test_tiles_keep_the_grid_and_leave_the_context_out(padded, folder):
    said = description(a_leaving(depth=4, base_channels=2, padded=padded, mirrored=True), Named("some network"), folder)
    (taken,), (given,) = said["inputs"], said["outputs"]
    for axis, other in zip(taken["axes"][2:], given["axes"][2:], strict=True):
        assert axis["size"] == {"min": 208, "step": 16}
        assert other["halo"] == 96 and other["size"] == {"tensor_id": "raw", "axis_id": other["id"]}
        assert axis["id"] == other["id"] and "unit" not in axis
    assert said["weights"]["pytorch_state_dict"]["architecture"]["kwargs"]["mirrored"] == [96 if padded else 92, 96]


def test_grey_values_are_scaled_by_the_reader_unless_the_network_does(folder):
    scaled, cut = description(a_leaving(), Named("some network"), folder)["inputs"][0]["preprocessing"]
    assert scaled["kwargs"]["min_percentile"] == 0.5 and scaled["kwargs"]["max_percentile"] == 99.5
    assert cut == {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}}
    fixed = a_leaving(grey_range=FIXED)
    assert description(fixed, Named("some network"), folder)["inputs"][0]["preprocessing"] == []
    assert "the grey value 40 becomes 0 and 200 becomes 1" in readme(fixed, Named("some network"))


def test_it_holds_what_is_known_and_nothing_else(folder):
    leaving = Leaving(a_leaving().trained, pixel_size={"Y": 0.5, "X": 0.25})
    said = description(leaving, Named("some network", ("Ada", "Grace"), "CC-BY-4.0"), folder)
    assert said["authors"] == [{"name": "Ada"}, {"name": "Grace"}] and said["license"] == "CC-BY-4.0"
    assert [axis["scale"] for axis in said["inputs"][0]["axes"][2:]] == [0.5, 0.25]
    assert {axis["unit"] for axis in said["outputs"][0]["axes"][2:]} == {"micrometer"}
    assert "license" not in description(leaving, Named("some network"), folder)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("soil", "root"), ["soil", "root"]),
        (("fond (noir)", "cellule né"), ["fond_noir", "cellule_né"]),
        (("a b", "a-b"), ["class_0", "class_1"]),
        (("class", "1st"), ["class_0", "class_1"]),
        ((), ["background", "class_1"]),
    ],
)
def test_classes_have_names_that_a_program_may_have(names, expected):
    assert identifiers(a_leaving(numbering=Classes(), legend=Legend(names=names))) == expected


@pytest.mark.parametrize("name", ["", "four", "a/b/c/d", "세포 세포 세포", "x" * 65, "cells.v2"])
def test_a_name_that_a_package_may_not_have_is_refused_and_one_is_suggested(name):
    with pytest.raises(ValueError, match="nearest valid: name="):
        Named(name)
    Named(suggested(name))
