"""Each way in which people's data are wrong has a finding, and no other one; data without fault have none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.data.finding import ERROR, NOTE, WARNING
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.data.stack import Stack
from src.findings.inspection import inspect_folder, inspect_stack
from tests.data.own import IMAGES, change_image, change_labels, draw, folder
from tests.findings.broken import BROKEN, choices, classes, shrink

# Of which one file is wrong, and named.
ONE_FILE = {
    "no labels",
    "no image",
    "two of a name",
    "no picture",
    "half an image",
    "half the labels",
    "cropped labels",
    "labels as JPEG",
    "real numbers",
    "colours",
    "one resized mask",
    "interpolated numbers",
    "more than 255 cells in 8 bits",
    "few pixels of smooth edges",
    "a pickle",
    "smoothed colours",
    "negative",
    "another class",
    "a mask among them",
    "stray pixels",
    "empty",
    "from 1",
    "black",
    "overexposed",
    "NaN",
    "labels as image",
    "one colour image",
    "16 bits among 8",
    "another magnification",
    "moved labels",
    "twice",
    "long cells",
    "nothing known",
}


@pytest.fixture
def own(tmp_path):
    return folder(tmp_path / "own")


def test_data_without_fault_have_no_finding(own):
    found = inspect_folder(own, choices(classes=2, channels=1, min_size=20, metrics=("f1_50",)))
    assert (found.findings, found.meaning, found.void) == ([], Meaning(Judgement("instances")), None)
    assert len(found.facts) == IMAGES
    assert {part: len(names) for part, names in found.groups.items()} == {"train": 7, "validation": 1, "held_out": 2}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named(name, own):
    code, severity, spoil, others = BROKEN[name]
    spoil(own)
    found = inspect_folder(own, choices(**others)).findings
    named = {(one.code, one.severity) for one in found}
    assert (code, severity) in named, found
    assert {each for each in named if each[1] != NOTE} <= {(code, severity)}, found
    for one in found:
        assert one.file.startswith(str(own)) and one.found and one.expected and one.fix
    if name in ONE_FILE:
        assert ["cell_03" in one.file for one in found if one.code == code] == [True]


def test_each_name_of_one_file_is_in_the_table():
    assert not ONE_FILE - BROKEN.keys()


def test_images_may_be_zarr(own):
    change_image(own, lambda image: image, suffix=".zarr")
    assert inspect_folder(own, choices(classes=2, channels=1)).findings == []


def test_sizes_tell_nothing_where_each_image_has_its_own(own):
    for number in range(IMAGES):
        change_image(own, lambda x, n=number: x[: 70 + 2 * n], [number])
        change_labels(own, lambda x, n=number: x[: 70 + 2 * n], [number])
    found = inspect_folder(own, choices()).findings
    assert not [one for one in found if one.code == "size-not-learnt" or one.severity == ERROR]


def test_errors_come_first_then_codes_and_files_in_their_order(own):
    change_labels(own, np.zeros_like, [2, 5])
    change_image(own, np.zeros_like, [4])
    (own / "labels/cell_08.tif").unlink()
    found = inspect_folder(own, choices()).findings
    assert [(one.severity, one.code, Path(one.file).stem) for one in found] == [
        (ERROR, "missing-label", "cell_08"),
        (WARNING, "constant-image", "cell_04"),
        (WARNING, "empty-label", "cell_02"),
        (WARNING, "empty-label", "cell_05"),
    ]


def test_slices_whose_labels_are_nonsense_are_left_out_of_what_labels_mean(own):
    change_labels(own, shrink, [3])
    found = inspect_folder(own, choices())
    assert found.meaning.judgement.kind == "instances" and "cell_03" not in [each.name for each in found.facts]
    assert "cell_03" in found.groups["train"]


def test_a_pattern_of_names_is_all_that_is_looked_at(own):
    (own / "labels/cell_08.tif").unlink()
    found = inspect_folder(own, choices(include="cell_0[0-6]"))
    assert [each.name for each in found.facts] == [f"cell_{n:02d}" for n in range(7)] and not found.findings


def test_values_stand_for_classes_where_they_are_no_small_numbers(own):
    change_labels(own, lambda labels: classes(labels) * 100)
    assert inspect_folder(own, choices(kind="classes")).meaning.judgement.values == (0, 100, 200)


def test_a_choice_that_is_none_is_refused(own):
    with pytest.raises(ValueError, match=r"data\.source\.kind"):
        inspect_folder(own, choices(kind="cells"))
    with pytest.raises(FileNotFoundError, match="there is none at"):
        inspect_folder(own / "none", choices())


def stack(targets):
    images, cells = zip(*map(draw, range(len(targets))), strict=True)
    names = [f"slice_{number}" for number in range(len(targets))]
    return Stack(np.stack(images), np.stack(targets), np.int32(cells), names)


def test_slices_in_memory_are_looked_at_by_their_targets():
    targets = [np.uint8(draw(number)[1] > 0) for number in range(6)]
    known = [np.ones(target.shape, bool) for target in targets]
    known[2][:5] = False
    found = inspect_stack(replace(stack(targets), known=known), choices())
    assert (found.findings, found.meaning.judgement) == ([], Judgement("binary"))
    assert [round(each.ignored * 96) for each in found.facts] == [0, 0, 5, 0, 0, 0]


def test_too_few_slices_in_memory_are_a_finding_of_the_data():
    (one,) = inspect_stack(stack([np.uint8(draw(number)[1] > 0) for number in range(4)]), choices()).findings
    assert (one.code, one.severity, one.file) == ("split", ERROR, "the data")
