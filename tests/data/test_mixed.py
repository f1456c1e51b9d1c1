"""Images told from labels in a folder that holds both."""

import numpy as np
import pytest

from src.data.mixed import sorted_out
from tests.data.own import draw, write


def lay(root, *places, count=3):
    """Write an image to the first of the paths, masks to all others."""
    for place in places:
        for number in range(count):
            image, labels = draw(number)
            write(root / place.format(number), image if place == places[0] else (labels > 0).astype(np.uint8))
    return sorted(root.iterdir())


@pytest.mark.parametrize(
    "places",
    [
        ("a{}.tif", "a{}_mask.tif"),
        ("a{}.tif", "a{}_Mask.png"),
        ("a{}.tif", "a{}-label.tif"),
        ("a{}.tif", "a{} GT.tif"),
        ("a{}.tif", "a{}_cp_masks.tif"),
        ("a{}.tif", "a{}_label.tif", "a{}_labels.tif"),
        ("a{}.tif", "a{}_1stHO.png", "a{}_2ndHO.png"),
        ("a{}.tif", "a{}_cell.png", "a{}_nucleus.png"),
        ("image_{}.tif", "mask_{}.tif"),
        ("{}_image.tif", "{}_mask.tif"),
        ("a{}.jpg", "a{}.png"),
        ("a{}.tif", "a{}.png"),
        ("a{}.png", "a{}.tif"),
        ("a{}.bmp", "a{}.gif"),
    ],
)
def test_images_are_told_from_what_lies_beside_them(places, tmp_path):
    files = lay(tmp_path, *places)
    assert sorted_out(files).images == [tmp_path / places[0].format(number) for number in range(3)]


@pytest.mark.parametrize(
    "names",
    [
        ["a1.tif", "a2.tif", "a3.tif"],
        ["a_1.tif", "a_2.tif", "a_10.tif"],
        ["plate_1.tif", "plate_2.tif", "plate_1_2.tif", "plate_2_2.tif"],  # fields of view, which are images
        ["a.tif", "a_2.tif"],
        ["mask_1.tif", "mask_2.tif"],
        ["seg_1.tif", "seg_2.tif", "seg_3.tif"],
        ["a.png", "b.tif"],
    ],
)
def test_where_nothing_tells_all_files_are_images(names, tmp_path):
    for number, name in enumerate(names):
        write(tmp_path / name, draw(number)[0])
    files = sorted(tmp_path.iterdir())
    assert sorted_out(files).images == files


def test_an_image_without_labels_is_one_too(tmp_path):
    files = lay(tmp_path, "a{}.tif", "a{}_1stHO.png", count=4)
    (tmp_path / "a3_1stHO.png").unlink()
    assert sorted_out([file for file in files if file.exists()]).images == [
        tmp_path / f"a{number}.tif" for number in range(4)
    ]


def test_one_image_and_one_mask_need_no_others(tmp_path):
    for name, array in zip(("image.tif", "mask.tif"), draw(0), strict=True):
        write(tmp_path / name, array)
    assert sorted_out(sorted(tmp_path.iterdir())).images == [tmp_path / "image.tif"]


@pytest.mark.parametrize("more", ["a{}_flows.tif", "a{}_cp_output.png", "a{}_outlines_2.tif"])
def test_further_files_of_an_image_are_neither_images_nor_labels(more, tmp_path):
    lay(tmp_path, "a{}.tif", "a{}_cp_masks.tif")
    for number in range(3):
        write(tmp_path / more.format(number), draw(number + 5)[0])
    found = sorted_out(sorted(tmp_path.iterdir()))
    assert found.images == [tmp_path / f"a{number}.tif" for number in range(3)]
    assert found.others == [tmp_path / more.format(number) for number in range(3)]


def test_an_image_that_has_labels_is_one_even_if_it_is_called_as_a_part_of_another(tmp_path):
    places = ("plate_{}.tif", "plate_{}_2.tif", "plate_{}_mask.tif", "plate_{}_2_mask.tif")
    files = lay(tmp_path, *places)
    found = sorted_out(files)
    assert {file.name for file in found.images} == {each.format(number) for each in places[:2] for number in range(3)}
    assert found.others == []
