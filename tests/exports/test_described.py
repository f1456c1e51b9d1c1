"""The description is right: sizes by the geometry of the paper, classes by their meaning."""

import json

import pytest

from src.exports.described import meanings, mirror
from src.files.legend import Legend
from src.instances import Classes, Components, Watershed
from tests.exports.made import a_leaving


def test_sizes_are_those_of_the_paper():
    said = a_leaving(depth=4, base_channels=2).description()
    assert said["output"] | {"classes": []} == {
        "axes": "NKHW",
        "values": "probabilities of the classes, whose sum is 1",
        "lost": 92,  # 572 − 388 = 2 · 92
        "context": 92,
        "grid": 16,
        "outside": "mirrored at the first and the last pixel",
        "classes": [],
    }
    assert said["input"]["sides"] == "16·n + 60" and said["input"]["smallest_side"] == 188
    padded = a_leaving(depth=4, base_channels=2, padded=True).description()
    assert (padded["output"]["lost"], padded["output"]["context"], padded["input"]["sides"]) == (
        0,
        96,
        "a multiple of 16",
    )


def test_it_is_plain_values():
    said = a_leaving(legend=Legend((0, 255), ("glass", "cell"))).description()
    assert json.loads(json.dumps(said)) == said
    assert said["legend"] == {"values": [0, 255], "names": ["glass", "cell"], "colours": []}
    assert said["instances"] == {"name": "components", "min_size": 3, "fill_holes": False}
    assert said["threshold"] == 0.4


@pytest.mark.parametrize(
    ("numbering", "legend", "expected"),
    [
        (Components(), Legend(), ["background", "cell", "class 2"]),
        (Watershed(0.5, boundary=2), Legend(), ["background", "cell", "boundary of a cell"]),
        (Classes(), Legend(), ["background", "class 1", "class 2"]),
        (Classes(), Legend((0, 128, 255), ("soil", "root", "leaf")), ["soil", "root", "leaf"]),
    ],
)
def test_classes_have_names_and_values(numbering, legend, expected):
    found = meanings(a_leaving(numbering=numbering, legend=legend, classes=3).trained)
    assert [each["name"] for each in found] == expected
    assert [each["value"] for each in found] == list(legend.values or range(3))


@pytest.mark.parametrize("padded", [False, True])
def test_one_that_mirrors_returns_as_much_as_it_takes(padded):
    said = a_leaving(depth=4, base_channels=2, padded=padded, mirrored=True).description()
    assert (said["output"]["lost"], said["input"]["sides"]) == (0, "a multiple of 16")
    assert said["input"]["smallest_side"] == 208  # 96 + 16 + 96
    assert said["architecture"]["mirrored"] == [92 + 4 * padded, 96]


@pytest.mark.parametrize(("padded", "expected"), [(False, (92, 96)), (True, (96, 96))])
def test_what_is_mirrored_keeps_multiples_of_the_grid(padded, expected):
    assert mirror(4, padded) == expected
