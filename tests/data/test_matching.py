"""Which labels belong to which image; test_folder has the layouts."""

import pytest
import tifffile

from src.data.matching import Wanted, matched
from tests.data.own import draw, folder
from tests.files.test_tiffs import spread


def test_how_pixels_are_to_be_seen_goes_with_each_pair(tmp_path):
    pairs, _ = matched(folder(tmp_path / "own", 2), Wanted(orientation="stored", axes="ZYX"))
    assert [(pair.orientation, pair.axes) for pair in pairs] == [("stored", "ZYX")] * 2
    with pytest.raises(ValueError, match="expected orientation to be shown or stored, but got upright"):
        matched(tmp_path / "own", Wanted(orientation="upright"))
    with pytest.raises(ValueError, match="expected axes of the letters"):
        matched(tmp_path / "own", Wanted(axes="slices"))


def test_the_parts_of_an_image_in_several_files_need_one_label(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    spread(tmp_path / "images")
    tifffile.imwrite(tmp_path / "labels/a_0.tif", draw(0)[1][:20, :30])
    pairs, findings = matched(tmp_path)
    assert [pair.name for pair in pairs] == ["a_0"]
    assert [(each.code, each.severity) for each in findings] == [("part-of-image", "note")]


def write_all(root, *places):
    for place in places:
        for number in range(3):
            file = root / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, draw(number)[place != places[0]])
    return root


@pytest.mark.parametrize(
    "places",
    [
        ("images/a{}_img.tif", "masks/a{}_mask.tif"),
        ("images/image_{}.tif", "labels/mask_{}.tif"),
        ("images/image{}.tif", "labels/00{}.tif"),
        ("a{}_image.tif", "a{}_mask.tif"),
        ("images/image{}.tif", "labels/image{}_Simple Segmentation.tif"),
    ],
)
def test_a_common_beginning_and_ending_is_none_of_the_name(places, tmp_path):
    pairs, findings = matched(write_all(tmp_path, *places))
    assert [tifffile.imread(pair.labels).tolist() for pair in pairs] == [
        draw(number)[1].tolist() for number in range(3)
    ]
    assert [pair.image for pair in pairs] == sorted(tmp_path.glob(places[0].replace("{}", "*")))[: len(pairs)]
    assert [each.code for each in findings] == ([] if "Simple" in places[1] else ["paired-by-affix"])


def test_two_folders_of_labels_are_named_with_the_key_that_chooses(tmp_path):
    write_all(tmp_path, "images/image{}.tif", "labels/image{}.tif", "masks/image{}.tif")
    (one,) = matched(tmp_path)[1]
    assert (one.code, one.severity) == ("two-label-folders", "error")
    assert one.fix == "data.source.labels=labels or data.source.labels=masks"
    pairs, findings = matched(tmp_path, Wanted(labels="masks"))
    assert {pair.labels.parent.name for pair in pairs} == {"masks"} and findings == []
    with pytest.raises(
        FileNotFoundError, match=r"data\.source\.labels to be a folder in .*, but got mask; nearest valid: images"
    ):
        matched(tmp_path, Wanted(labels="mask"))


def test_an_empty_folder_beside_the_labels_is_none(tmp_path):
    write_all(tmp_path, "images/image{}.tif", "masks/image{}.tif")
    (tmp_path / "labels").mkdir()
    pairs, findings = matched(tmp_path)
    assert {pair.labels.parent.name for pair in pairs} == {"masks"} and findings == []


def test_label_images_in_another_folder_are_said(tmp_path):
    write_all(
        tmp_path,
        "images/image{}_training.tif",
        "mask/image{}_training.tif",
        "1st_manual/image{}_manual1.tif",
        "notes/a{}.tif",
    )
    pairs, (one,) = matched(tmp_path)
    assert (one.code, one.severity, one.fix) == ("other-labels", "note", "data.source.labels=1st_manual takes those")
    pairs, (one,) = matched(tmp_path, Wanted(labels="1st_manual"))
    assert one.code == "paired-by-affix" and {pair.labels.parent.name for pair in pairs} == {"1st_manual"}


def test_of_pascal_voc_the_classes_are_learnt_and_the_objects_offered(tmp_path):
    write_all(tmp_path, "JPEGImages/image{}.tif", "SegmentationClass/image{}.tif", "SegmentationObject/image{}.tif")
    pairs, (one,) = matched(tmp_path)
    assert {pair.labels.parent.name for pair in pairs} == {"SegmentationClass"}
    assert one.fix.startswith("data.source.labels=SegmentationObject data.source.kind=instances")
    pairs, _ = matched(tmp_path, Wanted(labels="SegmentationObject"))
    assert {pair.labels.parent.name for pair in pairs} == {"SegmentationObject"}


@pytest.mark.parametrize("labels", [("a{}_label.tif", "a{}_labels.tif"), ("a{}_mask.tif", "a{}_cp_masks.tif")])
def test_two_label_images_of_one_image_are_named(labels, tmp_path):
    write_all(tmp_path, "a{}.tif", *labels)
    found = matched(tmp_path)[1]
    assert {(each.code, each.severity) for each in found} == {("same-name", "error")}
    keys = found[0].fix.split(" or ")
    assert sorted(keys) == [f"data.source.labels='{each.replace('a{}', '{name}')[:-4]}.*'" for each in sorted(labels)]
    for key in keys:
        pairs, findings = matched(tmp_path, Wanted(labels=key.partition("=")[2].strip("'")))
        assert len(pairs) == 3 and findings == []


def test_an_image_may_be_called_like_labels(tmp_path):
    write_all(tmp_path, "images/a{}_mask.tif", "labels/a{}_mask.tif")
    write_all(tmp_path, "images/a{}.tif", "labels/a{}.tif")
    pairs, findings = matched(tmp_path)
    assert [pair.name for pair in pairs] == [pair.labels.stem for pair in pairs] and len(pairs) == 6 and findings == []
