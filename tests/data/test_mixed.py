"""A folder in which images lie beside their labels: which are the images."""

import numpy as np
import pytest

from src.data.mixed import images_among
from tests.data.own import draw, write


def lay(root, *places, count=3):
    """Pictures at the first of the places, masks at all others."""
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
    assert images_among(files) == [tmp_path / places[0].format(number) for number in range(3)]


@pytest.mark.parametrize(
    "names",
    [
        ["a1.tif", "a2.tif", "a3.tif"],
        ["a_1.tif", "a_2.tif", "a_10.tif"],
        ["plate_1.tif", "plate_2.tif", "plate_1_2.tif", "plate_2_2.tif"],  # fields, which are pictures
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
    assert images_among(files) == files


def test_an_image_without_labels_is_one_too(tmp_path):
    files = lay(tmp_path, "a{}.tif", "a{}_1stHO.png", count=4)
    (tmp_path / "a3_1stHO.png").unlink()
    assert images_among([file for file in files if file.exists()]) == [
        tmp_path / f"a{number}.tif" for number in range(4)
    ]


def test_one_image_and_one_mask_need_no_others(tmp_path):
    for name, array in zip(("image.tif", "mask.tif"), draw(0), strict=True):
        write(tmp_path / name, array)
    assert images_among(sorted(tmp_path.iterdir())) == [tmp_path / "image.tif"]
