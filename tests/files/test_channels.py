"""The channels of images: in a file each, or in one, of which some are chosen."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile

from src.files.channels import in_memory_together, open_together, put_together, with_channels
from src.files.image import Image, read_image
from src.files.names import image_name
from tests.data.own import draw

NAMES = ["a_0000.tif", "a_0001.tif", "b_0000.tif", "b_0001.tif"]


@pytest.mark.parametrize(
    ("names", "count", "expected"),
    [
        (NAMES, 2, [("a_0000", "a_0001"), ("b_0000", "b_0001")]),
        (["a_b_dapi.tif", "a_b_actin.tif"], 2, [("a_b_actin", "a_b_dapi")]),
        (["a-c2.tif", "a-c10.tif"], 2, [("a-c2", "a-c10")]),
        (NAMES, 1, [("a_0000",), ("a_0001",), ("b_0000",), ("b_0001",)]),
        (NAMES, 3, [("a_0000",), ("a_0001",), ("b_0000",), ("b_0001",)]),
        (NAMES[:3], 2, [("a_0000",), ("a_0001",), ("b_0000",)]),
        (["a_1.tif", "a_2.tif"], 2, [("a_1",), ("a_2",)]),  # fields, or slices
    ],
)
def test_channel_files_are_grouped_by_name(names, count, expected):
    found = put_together([Path(name) for name in names], count)
    assert [tuple(file.stem for file in files) for files in found] == expected


def test_each_file_becomes_a_channel(tmp_path):
    planes = [draw(number)[0] for number in range(2)]
    files = [tmp_path / name for name in NAMES[:2]]
    tifffile.imwrite(files[0], planes[0])
    tifffile.imwrite(files[1], np.repeat(planes[1][..., None], 3, axis=-1), photometric="rgb")
    with closing(open_together(files)) as image:
        np.testing.assert_array_equal(image.band(0, 0, 96), planes)
        assert (image.name, image.parts) == ("a", tuple(files))
    with closing(open_together(files[:1])) as image:
        assert image.name == image_name(files[:1]) == "a_0000"
        np.testing.assert_array_equal(image.band(0, 0, 96)[0], read_image(files[0])[0])


@pytest.mark.parametrize("other", [np.zeros((50, 96), np.uint8), draw(1)[0][None].repeat(4, 0)])
def test_channels_of_different_sizes_are_refused(other, tmp_path):
    files = [tmp_path / name for name in NAMES[:2]]
    tifffile.imwrite(files[0], draw(0)[0])
    tifffile.imwrite(files[1], other, photometric="minisblack")
    with pytest.raises(ValueError, match=r"expected one channel per file, with the shape \(96, 96\) of a_0000\.tif"):
        in_memory_together(files)


def test_channels_are_chosen_or_refused():
    image = Image(Path("a.tif"), np.zeros((3, 8, 9), np.uint8), "CYX")
    assert with_channels(image, (2, 0), 2).channels == (2, 0)
    with pytest.raises(ValueError, match=r"expected 2 channels, but got 3 .*channels=\[0,1\] chooses"):
        with_channels(image, None, 2)
    with pytest.raises(ValueError, match=r"channels from 0 to 2, but got \[3\]"):
        with_channels(image, (3,), 1)
