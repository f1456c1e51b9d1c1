"""Names of classes from the dataset.json of nnU-Net."""

import json

import numpy as np
import pytest
import tifffile

from src.data.finding import Refused
from src.data.folder import read_folder
from src.data.nnunet import UNNAMED, LabelNames, read_label_names
from tests.data.own import draw


def write_json(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"background": 0, "cell": 2, "nucleus": 1}, LabelNames({0: "background", 1: "nucleus", 2: "cell"})),
        ({"0": "background", "1": "cell"}, LabelNames({0: "background", 1: "cell"})),
        ({"background": 0, "cell": 1, "ignore": 2}, LabelNames({0: "background", 1: "cell"}, 2)),
        ({"background": 0, "whole": [1, 2], "core": 2}, UNNAMED),
        ({"background": 0, "x" * 80: 1}, UNNAMED),
    ],
)
@pytest.mark.parametrize("where", [".", "Dataset001_Cells"])
def test_numbers_have_names(where, labels, expected, tmp_path):
    write_json(tmp_path / where, {"labels": labels, "file_ending": ".tif"})
    assert read_label_names(tmp_path) == expected


def test_another_file_says_nothing_and_a_damaged_one_is_named(tmp_path):
    assert read_label_names(tmp_path) == UNNAMED
    write_json(tmp_path, {"name": "mine"})
    assert read_label_names(tmp_path) == UNNAMED
    write_json(tmp_path, "{")
    with pytest.raises(Refused, match=r"dataset\.json"):
        read_label_names(tmp_path)


def write_cells(root, change):
    for number in range(3):
        image, labels = draw(number)
        for place, array in ((f"imagesTr/a{number}_0000.tif", image), (f"labelsTr/a{number}.tif", change(labels))):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(root / place, array)


def test_what_it_names_are_classes_also_those_that_no_image_has(tmp_path):
    write_cells(tmp_path, lambda labels: (labels == 3).astype(np.uint8) * 2)
    write_json(tmp_path, {"labels": {"background": 0, "nucleus": 1, "cell": 2, "membrane": 3}})
    stack = read_folder(tmp_path)
    assert stack.legend.names == ("background", "nucleus", "cell", "membrane")
    assert [np.unique(target).tolist() for target in stack.targets] == [[0, 2]] * 3


def test_of_one_class_the_labels_say_whether_they_are_cells(tmp_path):
    write_cells(tmp_path, lambda labels: labels)
    write_json(tmp_path, {"labels": {"background": 0, "cell": 1}})
    np.testing.assert_array_equal(read_folder(tmp_path).instances[0], draw(0)[1])
