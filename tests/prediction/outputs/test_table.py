"""The table of cells is what scikit-image measures in the whole image."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops_table

from src.files.legend import Legend
from src.prediction.outputs import cells as module
from src.prediction.outputs import table
from src.prediction.outputs.table import BOX, SHAPE
from tests.prediction.outputs.drawn import HARD, blobs, cells_of, masks

NAMES = {"centroid-0": "centroid_y", "centroid-1": "centroid_x"} | {f"bbox-{i}": name for i, name in enumerate(BOX)}
NAMES |= {f"intensity_mean-{channel}": f"intensity_mean_{channel}" for channel in range(3)}


def written(tmp_path, cells):
    table.write(tmp_path / "a_table.csv", cells, "src.predict table 0")
    return pandas.read_csv(tmp_path / "a_table.csv")


def expected(labels, image, confidence, spacing=None):
    """What scikit-image measures of the whole plane."""
    names = ("label", "area", "centroid", "bbox", "intensity_mean", *SHAPE)
    found = pandas.DataFrame(regionprops_table(labels, image, names, spacing=spacing)).rename(columns=NAMES)
    return found.assign(confidence=regionprops_table(labels, confidence, ["intensity_mean"])["intensity_mean"])


@pytest.fixture
def seen():
    random = np.random.default_rng(0)
    return random.integers(0, 2**16, (80, 90, 3)).astype(np.uint16), random.random((80, 90)).astype(np.float32).astype(
        float
    )


@pytest.mark.parametrize("at_once", [2**23, 90 * 7, 90], ids=["at once", "in bands", "row by row"])
@pytest.mark.parametrize("seed", range(3))
def test_every_column_is_that_of_scikit_image(seed, at_once, seen, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    labels, (image, confidence) = blobs(seed=seed), seen
    found = written(tmp_path, cells_of(labels, image, "YXC", confidence=confidence))
    whole = expected(labels, image, confidence)
    assert set(found.columns) == {*whole.columns, "made_from"}
    found = found.sort_values("label", ignore_index=True)
    pandas.testing.assert_frame_equal(found[whole.columns], whole, check_dtype=False, rtol=1e-12)
    assert at_once < 2**23 or found.label.is_monotonic_increasing


@settings(max_examples=60, deadline=None)
@given(masks, st.sampled_from([1, 20, 2**23]))
def test_every_column_of_random_masks_is_that_of_scikit_image(labels, at_once):
    image, sure = np.random.default_rng(0).integers(0, 99, (*labels.shape, 1)), np.ones(labels.shape)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", at_once)
        found = written(Path(folder), cells_of(labels, image, "YXC", confidence=sure))
    if labels.any():
        whole = expected(labels, image, sure)
        found = found.sort_values("label", ignore_index=True)[whole.columns]
        pandas.testing.assert_frame_equal(found, whole, check_dtype=False, rtol=1e-9, atol=1e-9)
    assert len(found) == len(np.unique(labels[labels > 0]))


def test_what_is_hard_is_measured_too(tmp_path):
    """A cell with holes, one of two pieces, and one of a pixel."""
    found, zeros = written(tmp_path, cells_of(HARD)), np.zeros(HARD.shape, np.float32)
    whole = expected(HARD, zeros[..., None].astype(np.uint8), zeros + 1)
    pandas.testing.assert_frame_equal(found[whole.columns], whole, check_dtype=False, rtol=1e-12)
    assert found.area.tolist() == [int(np.isin(HARD, number).sum()) for number in (1, 2, 3, 5)]


def test_micrometres_are_those_of_scikit_image(seen, tmp_path):
    labels, (image, confidence) = blobs(), seen
    found = written(tmp_path, cells_of(labels, image, "YXC", {"Y": 0.5, "X": 0.5}, confidence))
    whole = expected(labels, image, confidence, spacing=(0.5, 0.5))
    for name in (*SHAPE[:4], "centroid_y", "centroid_x"):
        np.testing.assert_allclose(found[f"{name}_um"], whole[name], rtol=1e-12)
    np.testing.assert_allclose(found.area_um2, whole.area, rtol=1e-12)
    np.testing.assert_array_equal(found.area, whole.area * 4)


def test_lengths_are_in_micrometres_only_where_pixels_are_square(tmp_path):
    oblong = written(tmp_path, cells_of(HARD, pixel_size={"Y": 0.5, "X": 0.25}))
    assert oblong.area_um2.tolist() == (oblong.area * 0.125).tolist() and "perimeter_um" not in oblong
    assert oblong.centroid_x_um.tolist() == (oblong.centroid_x * 0.25).tolist()
    assert not [name for name in written(tmp_path, cells_of(HARD, pixel_size={"Z": 2.0, "X": 0.25})) if "_um" in name]
    rounded = written(tmp_path, cells_of(HARD, pixel_size={"Y": 0.325, "X": 0.32500001}))
    assert math.isclose(rounded.perimeter_um[0], rounded.perimeter[0] * 0.325, rel_tol=1e-6)


def test_cells_of_a_stack_say_where_they_are(tmp_path):
    labels = np.stack([np.zeros_like(HARD), HARD, HARD * (HARD < 3)])[None].repeat(2, axis=0)
    found = written(tmp_path, cells_of(labels))
    assert found[["frame", "slice", "label"]].values.tolist() == [
        [frame, place, label] for frame in range(2) for place, label in ((1, 1), (1, 2), (1, 3), (1, 5), (2, 1), (2, 2))
    ]


def test_pieces_of_classes_have_their_names(tmp_path):
    legend = Legend(names=("ground", "vessel", "=1+1"))
    cells = cells_of(np.array([[1, 0, 2]], np.int32), kinds=(np.array([0, 1, 2]),), legend=legend)
    assert written(tmp_path, cells)["class"].tolist() == ["vessel", "'=1+1"]


@pytest.mark.parametrize("labels", [HARD, np.zeros((3, 4), np.int32)], ids=["some", "none"])
def test_a_table_says_what_it_was_made_from(labels, tmp_path):
    found = written(tmp_path, cells_of(labels))
    assert len(found) == len(np.unique(labels)) - 1
    assert table.made_from(tmp_path / "a_table.csv") == "src.predict table 0"
    written(tmp_path, cells_of(labels))
    (tmp_path / "other.csv").write_text("label,area\n1,2\n", encoding="utf-8")
    assert table.made_from(tmp_path / "other.csv") != "src.predict table 0"
