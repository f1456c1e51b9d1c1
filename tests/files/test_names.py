"""Names of files without their endings."""

from pathlib import Path

import pytest

from src.files.names import PREDICTED, stem, without_ending


@pytest.mark.parametrize("name", ["cell 1.tif", "cell 1.ome.tif", "cell 1.ome.zarr", "cell 1.png"])
def test_an_image_is_called_by_its_name_without_suffixes(name):
    assert stem(Path("folder.ome") / name) == "cell 1"


def test_only_suffixes_are_taken_off():
    assert stem(Path("a.b.tif")) == "a.b" and stem(Path("home.tif")) == "home"


@pytest.mark.parametrize("kind", ["probabilities", "labels"])
def test_a_prediction_is_called_by_its_image(kind):
    assert without_ending(f"cell_labels_1_{kind}", PREDICTED) == "cell_labels_1"


def test_one_ending_is_taken_off_and_the_first_that_fits():
    assert without_ending("a_mask_mask", ("_mask",)) == "a_mask"
    assert without_ending("a_cp_masks", ("_cp_masks", "_masks")) == "a"
    assert without_ending("masks", ("_masks",)) == "masks"
