"""Outlines of cells as ROIs of ImageJ hold these cells exactly."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
from hypothesis import given, settings
from skimage.draw import polygon2mask

from src.data.shapes import read_shapes
from src.files.legend import Legend
from src.prediction.outputs import cells as module
from src.prediction.outputs import rois
from tests.prediction.outputs.drawn import HARD, blobs, cells_of, masks


def written(folder, labels, **options):
    rois.write(folder / "a_rois.zip", cells_of(labels, **options), "src.predict rois 0")
    return folder / "a_rois.zip"


def read_back(file, shape):
    """Labels of the ROIs of a plane, filled by scikit-image: what lies in an odd number of a ROI's outlines."""
    labels = np.zeros(shape, np.int32)
    for roi in roifile.roiread(file):
        rings = roi.coordinates(multi=True) if roi.composite else [roi.coordinates()]
        # scikit-image counts from the centres of pixels, and rows first.
        inside = [polygon2mask(shape, ring[:, ::-1] - 0.5) for ring in rings]
        labels[np.sum(inside, axis=0) % 2 == 1] = int(roi.name)
    return labels


@settings(max_examples=60, deadline=None)
@given(masks)
def test_labels_come_back_from_rois(labels):
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder), labels)
        np.testing.assert_array_equal(read_back(file, labels.shape), labels)
        found = read_shapes(file, "a.tif", labels.shape).objects  # numbered in the order of the ROIs
    numbers = np.unique([0, *labels.ravel()])
    np.testing.assert_array_equal(numbers[found], labels)


@pytest.mark.parametrize("at_once", [2**23, 90 * 7], ids=["at once", "in bands"])
@pytest.mark.parametrize("labels", [HARD, blobs()], ids=["hard", "blobs"])
def test_labels_of_drawings_come_back_from_rois(labels, at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    np.testing.assert_array_equal(read_back(written(tmp_path, labels), labels.shape), labels)


def test_a_pixel_is_a_square_as_the_wand_of_imagej_traces_it(tmp_path):
    labels = np.zeros((5, 6), np.int32)
    labels[2, 3] = 7
    (roi,) = roifile.roiread(written(tmp_path, labels))
    assert (roi.name, roi.roitype.name, roi.composite) == ("7", "TRACED", False)
    assert (roi.left, roi.top, roi.right, roi.bottom) == (3, 2, 4, 3)
    assert sorted(roi.coordinates().tolist()) == [[3, 2], [3, 3], [4, 2], [4, 3]]


def test_far_or_many_corners_are_a_path_of_real_numbers(tmp_path):
    far = np.zeros((3, 70_000), np.int32)
    far[1, -3:-1] = 1
    (roi,) = roifile.roiread(written(tmp_path, far))
    assert roi.composite and roi.coordinates(multi=True)[0][:, 0].max() == 69_999
    comb = np.zeros((3, 40_000), np.int32)
    comb[1:], comb[0, ::2] = 1, 1
    (roi,) = roifile.roiread(written(tmp_path, comb))
    assert roi.composite and len(roi.coordinates(multi=True)[0]) > 2**16
    np.testing.assert_array_equal(read_shapes(tmp_path / "a_rois.zip", "a.tif", comb.shape).objects, comb)
    few = comb[:, :1000]
    assert not roifile.roiread(written(tmp_path, few))[0].composite


def test_a_roi_of_a_stack_has_its_slice(tmp_path):
    labels = np.stack([np.zeros_like(HARD), HARD])
    found = roifile.roiread(written(tmp_path, labels))
    assert [(roi.name, roi.position) for roi in found] == [("2-1", 2), ("2-2", 2), ("2-3", 2), ("2-5", 2)]
    (tmp_path / "t").mkdir()
    found = roifile.roiread(written(tmp_path / "t", labels[None].repeat(2, axis=0)))
    assert [(roi.name, roi.t_position, roi.z_position) for roi in found[::4]] == [("1-2-1", 1, 2), ("2-2-1", 2, 2)]


def test_pieces_of_classes_are_in_groups(tmp_path):
    kinds, legend = (np.array([0, 1, 2, 1]),), Legend(names=("ground", "cell", "a/b"))
    found = roifile.roiread(written(tmp_path, np.array([[1, 2, 3]], np.int32), kinds=kinds, legend=legend))
    assert [(roi.name, roi.group) for roi in found] == [("1", 1), ("2", 2), ("3", 1)]


def test_the_same_cells_are_the_same_file_which_says_what_it_was_made_from(tmp_path):
    first = written(tmp_path, HARD).read_bytes()
    assert written(tmp_path, HARD).read_bytes() == first
    assert rois.made_from(tmp_path / "a_rois.zip") == "src.predict rois 0"
    with zipfile.ZipFile(tmp_path / "a_rois.zip") as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}


def test_an_image_without_cells_has_a_zip_without_rois(tmp_path):
    file = written(tmp_path, np.zeros((3, 4), np.int32))
    assert zipfile.ZipFile(file).namelist() == [] and rois.made_from(file) == "src.predict rois 0"
