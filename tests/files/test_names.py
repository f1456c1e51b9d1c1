"""File names: suffixes, endings, natural order."""

from pathlib import Path

import pytest

from src.files.names import PREDICTED, stem, without_ending


@pytest.mark.parametrize("name", ["cell 1.tif", "cell 1.ome.tif", "cell 1.ome.zarr", "cell 1.png"])
def test_the_name_of_an_image_has_no_suffix(name):
    assert stem(Path("folder.ome") / name) == "cell 1"


def test_only_suffixes_are_removed():
    assert stem(Path("a.b.tif")) == "a.b" and stem(Path("home.tif")) == "home"


@pytest.mark.parametrize("kind", ["probabilities", "labels"])
def test_a_prediction_has_the_name_of_its_image(kind):
    assert without_ending(f"cell_labels_1_{kind}", PREDICTED) == "cell_labels_1"


def test_only_the_first_matching_ending_is_removed():
    assert without_ending("a_mask_mask", ("_mask",)) == "a_mask"
    assert without_ending("a_cp_masks", ("_cp_masks", "_masks")) == "a"
    assert without_ending("masks", ("_masks",)) == "masks"
