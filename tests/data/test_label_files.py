"""The labels in a folder, by the names of their images; test_sources has those that are read."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.data.annotated import read_pair
from src.data.finding import Refused
from src.data.label_files import channel_files, label_files
from src.data.matching import Wanted, matched
from src.files.stored import OF_PREDICT
from src.prediction.outputs import rois
from src.prediction.tiff import write_prediction
from tests.data.own import draw, write
from tests.data.test_patterns import lay
from tests.prediction.outputs.drawn import cells_of


@pytest.mark.parametrize(
    "labels",
    ["a{}_mask.tif", "a{}_Mask.tif", "a{}-mask.tif", "a{}_GT.tif", "a{}.mask.tif", "a{}_cp_masks.tif", "a{}_seg.tif"],
)
def test_a_word_for_labels_at_the_end_is_none_of_the_name(labels, tmp_path):
    lay(tmp_path, "images/a{}.tif", f"labels/{labels}")
    images = {f"a{number}": tmp_path / f"images/a{number}.tif" for number in range(3)}
    found, findings = label_files(tmp_path / "labels", images)
    assert found.keys() == images.keys() and findings == []


def write_objects(root, place, numbers=range(1, 8)):
    for image in range(3):
        for number in numbers:
            write(root / place.format(image, number), (draw(image)[1] == number).astype(np.uint8) * 255)


@pytest.mark.parametrize("place", ["masks/a{}_{}.png", "masks/a{}-{:03d}.png", "masks/a{}/{}.png"])
def test_files_of_one_object_each_may_lie_in_one_folder(place, tmp_path):
    lay(tmp_path, "images/a{}.tif", "masks/a{}/x.tif" if place == "masks/a{}/{}.png" else "masks/a{}_9.tif")
    write_objects(tmp_path, place)
    pairs, findings = matched(tmp_path)
    assert [(len(pair.form.parts), pair.form.said) for pair in pairs] == [(8, "instances")] * 3 and findings == []


def test_files_of_classes_are_none_of_objects(tmp_path):
    lay(tmp_path, "images/a{}.tif", "labels/a{}_nucleus.tif", "labels/a{}_cell.tif")
    assert {pair.form.classes for pair in matched(tmp_path)[0]} == {("cell", "nucleus")}


def test_beside_a_prediction_of_ours_the_other_file_is_taken(tmp_path):
    lay(tmp_path, "a{}.tif", "a{}_mask.tif")
    for number in range(3):
        write_prediction(tmp_path, f"a{number}", np.zeros((2, 96, 96), np.float32), draw(number)[1].astype(int))
        (tmp_path / f"a{number}_probabilities.tif").unlink()
    pairs, findings = matched(tmp_path)
    assert [pair.labels.name for pair in pairs] == [f"a{number}_mask.tif" for number in range(3)]
    assert {(each.code, each.severity) for each in findings} == {("own-prediction", "note")}


def test_of_rois_of_ours_and_what_was_drawn_the_latter_is_taken(tmp_path):
    write(tmp_path / "a_labels.tif", draw(0)[1].astype(np.int32))
    rois.write(tmp_path / "a_rois.zip", cells_of(draw(0)[1].astype(np.int32)), f"{OF_PREDICT} rois 0")
    found, findings = label_files(tmp_path, {"a": Path("a.tif")})
    assert [file.name for file, _ in found.values()] == ["a_labels.tif"] and findings == []
    (tmp_path / "a_labels.tif").unlink()
    assert [file.name for file, _ in label_files(tmp_path, {"a": Path("a.tif")})[0].values()] == ["a_rois.zip"]


def test_nobody_learns_from_rois_of_ours(tmp_path):
    image, labels = draw(0)
    (tmp_path / "images").mkdir()
    write(tmp_path / "images" / "a.tif", image)
    (tmp_path / "labels").mkdir()
    rois.write(tmp_path / "labels" / "a_rois.zip", cells_of(labels.astype(np.int32)), f"{OF_PREDICT} rois 0")
    (pair,), _ = matched(tmp_path)
    with pytest.raises(Refused, match="prediction"):
        read_pair(pair)
    with zipfile.ZipFile(tmp_path / "labels" / "a_rois.zip", "a") as archive:
        archive.comment = b""  # as ImageJ saves what somebody has corrected
    np.testing.assert_array_equal(read_pair(matched(tmp_path)[0][0])[0].labels, labels)


def channels(images, labels):
    return channel_files({name: Path(f"{name}.tif") for name in images}, dict.fromkeys(labels))


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (["a_0000", "b_0000"], ["a", "b"], {"a": ["a_0000"], "b": ["b_0000"]}),
        (["a_0001", "a_0000"], ["a"], {"a": ["a_0000", "a_0001"]}),
        (["a_dapi", "a_actin"], ["a"], {"a": ["a_actin", "a_dapi"]}),
        (["a_c10", "a_c2"], ["a"], {"a": ["a_c2", "a_c10"]}),
        (["a_0000", "b_0000", "b_0001"], ["a", "b"], {}),
        (["a_1", "a_2"], ["a"], {}),  # slices, or fields
        (["a_0000", "b"], ["a", "b"], {}),
        (["a_img", "b_img"], ["a", "b"], {}),  # one file an image, called so
        (["a", "b"], ["a", "b"], {}),
        ([], [], {}),
    ],
)
def test_files_of_one_channel_each_are_told_by_their_labels(images, labels, expected):
    assert {name: [file.stem for file in files] for name, files in channels(images, labels).items()} == expected


def test_classes_that_were_asked_for_are_taken_in_their_order(tmp_path):
    lay(tmp_path, "images/a{}.tif", "labels/a{}_1.tif", "labels/a{}_2.tif")
    pairs, _ = matched(tmp_path, Wanted(classes=("2", "1")))
    assert {pair.form.classes for pair in pairs} == {("2", "1")}
