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
