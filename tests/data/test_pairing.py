"""Images and labels paired by their names."""

import shlex
from pathlib import Path

import pytest

from src.data.matching import Wanted, matched
from src.data.pairing import near_patterns, partners
from src.data.sources import ONE_FILE
from tests.data.test_patterns import lay

ROOT = Path("data")


def paired(images, labels):
    pictured = {name: ROOT / f"images/{name}.tif" for name in images}
    return partners(ROOT, pictured, {name: (ROOT / f"labels/{name}.tif", ONE_FILE) for name in labels})


def test_equal_names_are_partners_and_others_are_alone():
    found, findings = paired(["a", "b", "c"], ["a", "b", "d"])
    assert {name: (image.stem, labels.stem) for name, (image, labels, _) in found.items()} == {
        "a": ("a", "a"),
        "b": ("b", "b"),
    }
    assert [(each.code, each.severity, Path(each.file).stem) for each in findings] == [
        ("missing-label", "error", "c"),
        ("missing-image", "warning", "d"),
    ]


def test_the_nearest_name_is_offered():
    _, (one, _) = paired(["cell_1", "cell_2"], ["cell_1", "cel_2"])
    assert one.code == "missing-label" and one.fix.endswith("or rename cel_2.tif")


def test_nobody_is_told_to_delete_labels():
    for images, labels in ((["a"], ["a", "b"]), (["a_1", "a_2"], ["b_1", "b_3"])):
        assert "delete" not in str([each.fix for each in paired(images, labels)[1]])


@pytest.mark.parametrize(
    "places",
    [
        ("images/image_{}.tif", "labels/mask_{}.tif"),
        ("images/{}_raw.tif", "labels/{}_drawn by Tom.tif"),
        ("pictures of 2020/x{}.tif", "labels/y{}z.tif"),
    ],
)
def test_patterns_are_offered_that_run_as_they_are_printed(places, tmp_path):
    lay(tmp_path, *places, count=4)
    (tmp_path / places[1].format(3)).unlink()  # so that the common parts of all names do not suffice
    if "of 2020" in places[0]:
        (offered,) = near_patterns(tmp_path, (tmp_path / "pictures of 2020").iterdir(), (tmp_path / "labels").iterdir())
    else:
        pairs, (one,) = matched(tmp_path)
        assert (pairs, one.code, one.severity) == ([], "unpaired-names", "error")
        offered = one.fix
    keys = dict(each.split("=", 1) for each in shell(offered))
    pairs, findings = matched(tmp_path, Wanted(images=keys["data.source.images"], labels=keys["data.source.labels"]))
    assert [pair.name for pair in pairs] == ["0", "1", "2"] and [each.code for each in findings] == ["missing-label"]


def shell(line):
    """A line, split into arguments by bash."""
    return shlex.split(line)


def test_where_names_have_nothing_in_common_each_image_is_named():
    found, findings = paired(["a", "b"], ["x", "y"])
    assert found == {} and [each.code for each in findings] == ["missing-label"] * 2 + ["missing-image"] * 2


def test_both_ways_are_offered_where_labels_were_drawn_twice(tmp_path):
    lay(tmp_path, "images/a{}_b.tif", "labels/2020_{}_x.tif", "labels/2020_{}_y.tif")
    files = (tmp_path / "images").iterdir(), (tmp_path / "labels").iterdir()
    assert {each.partition("labels=")[2] for each in near_patterns(tmp_path, *files)} == {
        f"'labels/2020_{{name}}_{end}.*'" for end in "xy"
    }
