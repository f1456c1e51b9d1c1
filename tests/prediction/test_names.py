"""The images that a command means, and where their predictions lie."""

from pathlib import Path

import pytest

from src.prediction.names import input_files, prediction_file


def touched(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_a_prediction_is_named_after_its_image_and_what_it_is(tmp_path):
    assert prediction_file(tmp_path, "a b", "labels") == tmp_path / "a b_labels.tif"
    assert prediction_file(tmp_path, "a", "probabilities", ".zarr").name == "a_probabilities.zarr"


def test_a_folder_gives_its_images_but_no_hidden_file_and_no_prediction(tmp_path):
    touched(tmp_path, "b.tif", "a.PNG", ".c.tif", "notes.txt", "b_labels.tif", "b_probabilities.zarr", "labels.jpg")
    assert [file.name for file in input_files(str(tmp_path))[0]] == ["a.PNG", "b.tif", "labels.jpg"]


def test_a_pattern_gives_what_fits_and_a_file_itself_even_if_its_name_looks_like_one(tmp_path):
    touched(tmp_path, "a1.tif", "a2.tif", "b1.tif", "[a].tif")
    assert [file.name for file in input_files(str(tmp_path / "a*.tif"))[0]] == ["a1.tif", "a2.tif"]
    assert input_files(str(tmp_path / "[a].tif")) == ([tmp_path / "[a].tif"], [])
    assert input_files("nowhere.tif") == ([Path("nowhere.tif")], [])  # opening it says that there is none


def test_a_zarr_is_an_image_and_no_folder(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    assert input_files(str(tmp_path / "a.zarr")) == ([tmp_path / "a.zarr"], [])


def test_nothing_and_two_of_one_name_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected images"):
        input_files(str(tmp_path))
    touched(tmp_path, "a.tif", "a.ome.tif")
    with pytest.raises(FileExistsError, match="of different names, but got"):
        input_files(str(tmp_path))
