"""The one writer of predictions: what it writes is what any reader reads, whole or not at all."""

import numpy as np
import pytest
import tifffile

from src.files.legend import Legend
from src.prediction.tiff import write_prediction, write_tiff


def drawing(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def write(file, array):
    pages = array.reshape(-1, *array.shape[-2:])
    write_tiff(file, pages, array.shape, array.dtype, "TCZYX"[-array.ndim :])


# Stacks of three and four slices look like colours to a TIFF writer that guesses.
@pytest.mark.parametrize("shape", [(8, 9), (1, 8, 9), (2, 8, 9), (3, 8, 9), (4, 8, 9), (2, 3, 8, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_tiff_comes_back_as_it_was_written(tmp_path, shape, dtype):
    array = drawing(*shape, dtype=dtype)
    write(tmp_path / "a.tif", array)
    result = tifffile.imread(tmp_path / "a.tif")
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array.reshape(result.shape))
    assert [side for side in result.shape if side > 1] == [side for side in array.shape if side > 1]


@pytest.mark.parametrize("slices", [3, 4])
def test_a_stack_of_slices_is_not_written_as_colours(tmp_path, slices):
    write(tmp_path / "a.tif", drawing(slices, 8, 9))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert len(file.pages) == slices
        assert {page.photometric.name for page in file.pages} == {"MINISBLACK"}


def test_write_makes_folders_replaces_the_old_file_and_leaves_no_other(tmp_path):
    file = tmp_path / "결과 (1)" / "a.tif"
    write(file, drawing(8, 9))
    write(file, drawing(5, 6))
    assert tifffile.imread(file).shape == (5, 6)
    assert list(file.parent.iterdir()) == [file]


def test_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    file = tmp_path / "a.tif"
    write(file, drawing(8, 9))

    def full_disk(partial, *_, **__):
        partial.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write(file, drawing(5, 6))
    assert list(tmp_path.iterdir()) == [file]
    assert tifffile.imread(file).shape == (8, 9)


def test_the_same_content_is_the_same_file(tmp_path):
    for folder in ("one", "other"):
        write(tmp_path / folder / "a.tif", drawing(3, 8, 9))
    assert (tmp_path / "one" / "a.tif").read_bytes() == (tmp_path / "other" / "a.tif").read_bytes()


@pytest.mark.parametrize("count", [2, 3])
def test_a_prediction_in_memory_has_the_layout_of_one_of_any_size(count, tmp_path):
    probabilities = np.random.default_rng(0).random((count, 8, 9)).astype(np.float32)
    write_prediction(tmp_path, "a", probabilities, drawing(8, 9, dtype=np.int32))
    with tifffile.TiffFile(tmp_path / "a_probabilities.tif") as file:
        assert (file.is_ome, file.series[0].axes) == (True, "CYX" if count == 3 else "YX")
        np.testing.assert_array_equal(file.asarray(), probabilities if count == 3 else probabilities[1])
    with tifffile.TiffFile(tmp_path / "a_labels.tif") as file:
        assert (file.is_ome, file.series[0].axes, file.series[0].dtype) == (True, "YX", np.int32)


def said(file):
    """What a label image says of its values."""
    with tifffile.TiffFile(file) as tiff:
        found = tifffile.xml2dict(tiff.ome_metadata)["OME"].get("StructuredAnnotations", {}).get("MapAnnotation")
    pairs = found["Value"]["M"] if found else []
    return {str(pair["K"]): pair["value"] for pair in pairs}


def test_classes_are_written_by_the_values_of_the_annotation_which_the_file_names(tmp_path):
    classes, probabilities = np.array([[0, 1, 2], [2, 1, 0]]), np.full((3, 2, 3), 1 / 3)
    legend = Legend((0, 1, 255), ("ground", "Zelle & Kern", "<void>"))
    write_prediction(tmp_path, "a", probabilities, classes, legend)
    labels = tifffile.imread(tmp_path / "a_labels.tif")
    assert labels.dtype == np.int32 and labels.tolist() == [[0, 1, 255], [255, 1, 0]]
    assert said(tmp_path / "a_labels.tif") == {"0": "ground", "1": "Zelle & Kern", "255": "<void>"}
    assert said(tmp_path / "a_probabilities.tif") == {}
    write_prediction(tmp_path, "b", probabilities, classes)
    assert tifffile.imread(tmp_path / "b_labels.tif").tolist() == classes.tolist() and not said(
        tmp_path / "b_labels.tif"
    )
