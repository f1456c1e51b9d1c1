"""Which of several folders holds the labels."""

import numpy as np
import pytest

from src.data.candidates import folder_of_labels
from src.data.places import places
from src.prediction.tiff import write_prediction
from tests.data.test_patterns import lay


def chosen(root, asked=None):
    """The name of the folder, and the codes and advice of what is to be known."""
    name, findings = folder_of_labels(root, places(root), asked)
    return name, [(each.code, each.severity, each.fix) for each in findings]


def test_a_folder_of_the_usual_name_is_taken(tmp_path):
    assert chosen(lay(tmp_path, "images/a{}.tif", "Masks/a{}.tif")) == ("Masks", [])


def test_labels_of_all_parts_have_one_name(tmp_path):
    root = lay(tmp_path, "train_images/a{}.tif", "train_masks/a{}.tif", "val_images/b{}.tif", "val_masks/b{}.tif")
    assert chosen(root) == ("masks", [])


@pytest.mark.parametrize("asked", ["masks", "other", "own/masks"])
def test_who_asks_gets_the_folder_by_its_name_or_path(asked, tmp_path):
    root = lay(tmp_path, "own/images/a{}.tif", "own/masks/a{}.tif", "own/labels/a{}.tif", "own/other/x{}.tif")
    assert chosen(root, asked)[0] == asked.rpartition("/")[2]
    with pytest.raises(FileNotFoundError, match="but got nowhere; nearest valid: labels, masks, other"):
        chosen(root, "nowhere")


def test_of_two_folders_the_person_chooses(tmp_path):
    root = lay(tmp_path, "images/a{}.tif", "labels/a{}.tif", "GT/a{}.tif")
    (found,) = chosen(root)[1]
    assert found == ("two-label-folders", "error", "data.source.labels=labels or data.source.labels=GT")


def test_a_folder_of_any_name_is_taken_if_its_names_fit_and_it_is_said(tmp_path):
    root = lay(tmp_path, "images/a{}.tif", "drawn by Tom/a{}.tif", "notes/x.tif")
    assert chosen(root) == ("drawn by Tom", [("labels-by-names", "note", "nothing, if that is meant")])
    lay(root, "images/a{}.tif", "drawn by Ann/a{}_ann.tif")
    (found,) = chosen(root)[1]
    assert found[:2] == ("two-label-folders", "error")


def test_a_folder_of_our_own_predictions_is_none(tmp_path):
    root = lay(tmp_path, "images/a{}.tif")
    for number in range(3):
        write_prediction(root / "found", f"a{number}", np.zeros((2, 96, 96), np.float32), np.ones((96, 96), int))
        (root / f"found/a{number}_probabilities.tif").unlink()
    assert chosen(root) == (None, [])
