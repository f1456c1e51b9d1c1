"""Files of two annotators are paired by what stands for the star in their names."""

import json

import numpy as np
import pytest
import tifffile

from src.data.annotators import are_patterns, match_patterns


@pytest.fixture
def labels(tmp_path):
    """Three images, annotated by two people in one folder; of the last one only by the first."""
    cells = np.zeros((20, 30), np.int32)
    cells[2:8, 2:8], cells[10:18, 12:22] = 1, 2
    for name, people in {"a 1": (1, 2), "b_2": (1, 2), "c": (1,)}.items():
        for person in people:
            drawn = np.where(cells <= person, cells, 0)  # the first one has overlooked a cell
            tifffile.imwrite(tmp_path / f"{name}_{person}HO.tif", drawn)
    return tmp_path


def test_what_stands_for_the_star_is_the_name(labels):
    pairs, alone = match_patterns(f"{labels}/*_2HO.tif", f"{labels}/*_1HO.tif")
    assert [(true.name, true.file.name, other.file.name) for true, other in pairs] == [
        ("a 1", "a 1_2HO.tif", "a 1_1HO.tif"),
        ("b_2", "b_2_2HO.tif", "b_2_1HO.tif"),
    ]
    assert [file.name for file in alone] == ["c_1HO.tif"]


def test_patterns_without_a_pair_are_refused(labels):
    with pytest.raises(FileNotFoundError, match=r"2 and 0 files without a pair; nearest valid: one \* in each pattern"):
        match_patterns(f"{labels}/*_2HO.tif", f"{labels}/*_3HO.tif")


def test_files_and_folders_that_exist_are_no_patterns(labels):
    (labels / "s*r.tif").write_bytes(b"")
    assert are_patterns("a/*_1.tif", "a/*_2.tif") and not are_patterns("a", "a/*_2.tif")
    assert not are_patterns(f"{labels}/s*r.tif", "a/*_2.tif")


def test_two_people_are_compared_without_renaming(labels, run_command, tmp_path):
    given = [f"truth={labels}/*_2HO.tif", f"prediction={labels}/*_1HO.tif", "metrics=instances"]
    status, _, error = run_command("score", *given, f"output={tmp_path / 'scores.json'}")
    assert status == 0 and "c_1HO.tif has no counterpart" in error
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [row["name"] for row in scores["per_image"]] == ["a 1", "b_2"]
    assert (scores["scores"]["missed"], scores["scores"]["ap50"]) == (2, 0.5)
