"""One table and one page of the cells of all images in a folder."""

import numpy as np
import pandas
import pytest

from src.prediction.outputs import summary, table
from tests.prediction.outputs.drawn import HARD, cells_of

OURS = "src.predict table 0"


def written(folder, **images):
    for name, labels in images.items():
        table.write(folder / f"{name}_table.csv", cells_of(labels), OURS)
    return summary.write(folder)


def test_all_rows_are_in_one_table_under_the_names_of_their_images(tmp_path):
    image = np.zeros((*HARD.shape, 2), np.uint8)
    table.write(tmp_path / "a10_table.csv", cells_of(HARD, image, "YXC"), OURS)
    assert written(tmp_path, a2=HARD, none=HARD * 0) == tmp_path / "cells.html"
    found = pandas.read_csv(tmp_path / "cells.csv")
    assert found.image.tolist() == ["a2"] * 4 + ["a10"] * 4 and found.label.tolist() == [1, 2, 3, 5] * 2
    alone = pandas.read_csv(tmp_path / "a10_table.csv")
    pandas.testing.assert_frame_equal(
        found[found.image == "a10"][alone.columns].reset_index(drop=True), alone, check_dtype=False
    )
    assert found.intensity_mean_1.isna().tolist() == [True] * 4 + [False] * 4
    page = (tmp_path / "cells.html").read_text(encoding="utf-8")
    assert "8 cells in 3 images" in page and "Fewer than 5 images are too few" in page
    for title in ("median area (px)", "median intensity of channel 1", "median confidence"):
        assert f"<th>{title}</th>" in page


def test_areas_are_in_micrometres_where_they_are_known(tmp_path):
    for name in "ab":
        table.write(tmp_path / f"{name}_table.csv", cells_of(HARD, pixel_size={"Y": 0.5, "X": 0.5}), OURS)
    page = summary.write(tmp_path).read_text(encoding="utf-8")
    assert "median area (µm²)" in page and "median area (px)" not in page


def test_pictures_are_linked(tmp_path):
    (tmp_path / "a b_overlay.png").touch()
    written(tmp_path, **{"a b": HARD}, c=HARD)
    assert '<a href="a%20b_overlay.png">a b</a>' in (tmp_path / "cells.html").read_text(encoding="utf-8")


def test_one_table_needs_no_summary_and_one_of_others_is_none(tmp_path):
    (tmp_path / "b_table.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    assert written(tmp_path, a=HARD) is None and not (tmp_path / "cells.csv").exists()


@pytest.mark.parametrize("images", [{"a": HARD, "b": HARD}, {"a": HARD * 0, "b": HARD * 0}], ids=["some", "no cells"])
def test_what_others_have_written_is_not_replaced_and_ours_is(images, tmp_path):
    written(tmp_path, **images)
    summary.check_room(tmp_path, False)
    for name in summary.FILES:
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_text("label,area\n1,2\n", encoding="utf-8")
        with pytest.raises(FileExistsError, match=f"expected no other {name}"):
            summary.check_room(tmp_path, False)
        summary.check_room(tmp_path, True)
        (tmp_path / name).write_bytes(before)
