"""Images and labels paired by patterns of paths, or by names that differ in a beginning and an ending only."""

import pytest
import tifffile

from src.data.folder import read_folder
from src.data.matching import Wanted, matched
from src.data.patterns import aligned, alike, by_pattern, is_pattern
from tests.data.own import draw

SUFFIXES = (".tif", ".png")


def lay(root, *places, count=3):
    """Write images to the first of the paths, labels to all others."""
    for place in places:
        for number in range(count):
            file = root / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, draw(number)[place != places[0]])
    return root


@pytest.mark.parametrize(
    ("place", "pattern"),
    [
        ("labels/mask_{}.tif", "labels/mask_{name}.tif"),
        ("labels/mask_{}.tif", "labels/mask_{name}.*"),
        ("labels/mask_{}.TIF", "labels/mask_*"),
        ("a{}_1stHO.tif", "a*_1stHO"),
        ("{}/masks/mask.tif", "{name}/masks/mask.tif"),
        ("{}/mask.ome.tif", "*/mask"),
        ("x [1] (a)/{}+.tif", "x [1] (a)/{name}+.*"),
    ],
)
def test_a_pattern_leaves_the_name_open(place, pattern, tmp_path):
    lay(tmp_path, place)
    files, findings = by_pattern(tmp_path, "labels", pattern, SUFFIXES)
    assert files == {str(number): tmp_path / place.format(number) for number in range(3)} and findings == []


@pytest.mark.parametrize("pattern", ["labels", "{name}/{name}.tif", "*/*.tif"])
def test_a_pattern_leaves_one_name_open(pattern, tmp_path):
    with pytest.raises(ValueError, match=r"expected labels with one {name}, but got .*; nearest valid: "):
        by_pattern(tmp_path, "labels", pattern, SUFFIXES)
    assert is_pattern(pattern) == (pattern != "labels")


def test_a_pattern_that_fits_nothing_says_what_is_there(tmp_path):
    lay(tmp_path, "raw/{}.tif")
    with pytest.raises(FileNotFoundError, match=r"expected labels=\*_mask to fit files in .*, but it fits none of raw"):
        by_pattern(tmp_path, "labels", "*_mask", SUFFIXES)


def test_two_files_of_one_name_are_named(tmp_path):
    lay(tmp_path, "{}.tif", "{}.png")
    assert [each.code for each in by_pattern(tmp_path, "labels", "*", SUFFIXES)[1]] == ["same-name"] * 3
    assert by_pattern(tmp_path, "labels", "*.png", SUFFIXES)[1] == []


@pytest.mark.parametrize(
    ("places", "images", "labels"),
    [
        (("raw/a{}_dapi.tif", "raw/a{}_nuclei.tif"), "raw/{name}_dapi.*", "raw/{name}_nuclei.*"),
        (("a{}.tif", "a{}_1stHO.tif", "a{}_2ndHO.tif"), None, "*_1stHO"),
        (("images/a{}.tif", "labels/a{}.tif", "labels/b{}.tif"), None, "labels/b{name}.*"),
        (("raw/a{}.tif", "labels/a{}.tif"), "raw/*", None),
        (("raw/a{}.tif", "drawn/a{}.tif"), "raw/*", "drawn"),
        (("{}/picture.tif", "{}/drawing.tif"), "{name}/picture.*", "{name}/drawing.*"),
    ],
)
def test_a_folder_is_learnt_from_as_patterns_say(places, images, labels, tmp_path):
    stack = read_folder(lay(tmp_path, *places), images=images, labels=labels)
    assert len(stack) == 3
    for number in range(3):
        assert (stack.images[number] == draw(number)[0]).all() and (stack.instances[number] == draw(number)[1]).all()


def test_an_image_without_labels_is_still_named(tmp_path):
    lay(tmp_path, "a{}.tif", "a{}_1stHO.tif")
    (tmp_path / "a1_1stHO.tif").unlink()
    (one,) = matched(tmp_path, Wanted(labels="*_1stHO"))[1]
    assert (one.code, one.file) == ("missing-label", str(tmp_path / "a1.tif"))
    assert not matched(tmp_path, Wanted(labels="*_1stHO", include="a[02]"))[1]


def test_images_by_a_pattern_need_labels_too(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"or data\.source\.labels beside data\.source\.images"):
        matched(lay(tmp_path, "raw/a{}.tif"), Wanted(images="raw/*"))


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (["image_1", "image_2"], ["mask_2", "mask_1"], {"mask_1": "image_1", "mask_2": "image_2"}),
        (["img_001_img", "img_012_img"], ["img_001", "img_012"], {"img_001": "img_001_img", "img_012": "img_012_img"}),
        (["1", "2", "10"], ["001", "002", "010"], {"001": "1", "002": "2", "010": "10"}),
        (
            ["21_training", "22_training"],
            ["21_manual1", "22_manual1"],
            {"21_manual1": "21_training", "22_manual1": "22_training"},
        ),
        (
            ["Image_01L", "Image_01R"],
            ["Image_01L_1stHO", "Image_01R_1stHO"],
            {"Image_01L_1stHO": "Image_01L", "Image_01R_1stHO": "Image_01R"},
        ),
        (["a", "b"], ["a_x", "b_x"], {"a_x": "a", "b_x": "b"}),
        (["a_1", "a_2"], ["b_1", "b_3"], None),
        (["a_1", "a_2"], ["b_1", "b_2", "b_3"], None),
        (["a_1", "a_01"], ["b_1", "b_01"], None),  # ambiguous
        (["a"], ["b"], None),
        ([], [], None),
    ],
)
def test_names_that_differ_by_one_beginning_and_one_ending_are_alike(images, labels, expected):
    assert aligned(images, labels) == expected
    if expected:
        assert aligned(labels, images) == {image: label for label, image in expected.items()}


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (["Cell 1", "CELL-2"], ["cell_1", "cell_2"], {"cell_1": "Cell 1", "cell_2": "CELL-2"}),
        (["61148fa2-a", "9b21f0c4-b"], ["a", "b"], {"a": "61148fa2-a", "b": "9b21f0c4-b"}),
        (["a_s1_w1f00-1", "b_s2_w1e33-2"], ["a_s1", "b_s2"], {"a_s1": "a_s1_w1f00-1", "b_s2": "b_s2_w1e33-2"}),
        (["a", "b"], ["a.rf.31", "b.rf.77"], {"a.rf.31": "a", "b.rf.77": "b"}),
        (["Cell 1", "cell_1"], ["cell-1", "CELL 1"], None),  # ambiguous
        (["x-a", "y-a"], ["a", "b"], None),
        (["x-a-b", "y-c"], ["a", "b"], None),
        (["x-a"], ["a"], None),
    ],
)
def test_names_may_be_spelt_otherwise_or_be_longer(images, labels, expected):
    assert alike(images, labels) == expected


def test_beside_the_name_a_pattern_may_leave_more_open(tmp_path):
    for number in range(3):
        (tmp_path / "a").mkdir(exist_ok=True)
        for end in ("w1f00", "w2e33"):
            tifffile.imwrite(tmp_path / f"a/x{number}_s{number}_{end}.tif", draw(number)[0])
    files, findings = by_pattern(tmp_path, "images", "a/x*_{name}_w1*.tif", SUFFIXES)
    assert {name: file.name for name, file in files.items()} == {
        f"s{number}": f"x{number}_s{number}_w1f00.tif" for number in range(3)
    }
    assert findings == []
    assert {each.code for each in by_pattern(tmp_path, "images", "a/x*_{name}_w*", SUFFIXES)[1]} == {"same-name"}
