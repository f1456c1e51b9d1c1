"""Truth and prediction from disk: files of one name, arrays of any encoding, and what looks as if not meant."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from PIL import Image
from scipy.ndimage import gaussian_filter

from src.data.comparison import Comparison, comparisons, doubts, match
from src.data.phantom import phantom

STACK = phantom(slices=2, size=128, organelles=True)
MASK = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)  # neither square nor symmetric
LABELS = np.array([[0, 1, 2], [7, 0, 2]])
INTEGERS = (np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64)


def folder(path, *names):
    path.mkdir()
    for name in names:
        (path / name).touch()
    return path


@pytest.fixture
def compare(tmp_path):
    """What is compared when two arrays are on disk: → list of `Comparison`."""

    def call(truth, prediction, names=("truth.tif", "prediction.tif")):
        files = [tmp_path / name for name in names]
        for file, array in zip(files, (truth, prediction), strict=True):
            if file.suffix == ".png":
                imwrite(file, array)
            else:
                tifffile.imwrite(file, array, photometric="minisblack")
        return list(comparisons(*files))

    return call


def test_two_files_are_a_pair_whatever_their_names(tmp_path):
    files = folder(tmp_path / "in", "a.tif", "b.png")
    truth, prediction = files / "a.tif", files / "b.png"
    assert match(truth, prediction, "_labels") == ([(truth, prediction)], [])


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none at .*b\.png"):
        match(folder(tmp_path / "in", "a.tif") / "a.tif", tmp_path / "b.png", "_labels")


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [((15, 4, 6), (30, 4, 6)), ((5, 4, 6), (2, 5, 4, 6)), ((4, 6), (2, 3, 4, 6))],
)
def test_a_stack_of_another_depth_is_not_taken_for_classes(truth, prediction, compare):
    with pytest.raises(ValueError, match=r"expected the shape of the truth"):
        compare(np.zeros(truth, np.uint8), np.zeros(prediction, np.float32))


def test_files_of_one_name_are_paired_without_their_endings(tmp_path):
    truth = folder(tmp_path / "truth", "c.TIF", "a.tif", "b_labels.png", ".a.tif.12", "notes.txt")
    prediction = folder(tmp_path / "prediction", "b.tiff", "c_labels.tif", "a_probabilities.tif", ".b.tif", "a.json")
    pairs, alone = match(truth, prediction, "_labels")
    assert [(true.name, predicted.name) for true, predicted in pairs] == [
        ("a.tif", "a_probabilities.tif"),
        ("b_labels.png", "b.tiff"),
        ("c.TIF", "c_labels.tif"),
    ]
    assert alone == []


@pytest.mark.parametrize(
    ("names", "preferred", "taken"),
    [
        (("a.png", "a.tif", "a_labels.tif", "a_probabilities.tif"), "_labels", "a_labels.tif"),
        (("a.png", "a.tif", "a_labels.tif", "a_probabilities.tif"), "_probabilities", "a_probabilities.tif"),
        (("a_labels.png", "a_probabilities.tif"), "_labels", "a_labels.png"),
        (("a.png", "a_labels.tif"), "_probabilities", "a_labels.tif"),
        (("a.png", "a_probabilities.tif"), "_labels", "a_probabilities.tif"),
        (("a.png", "a.tif"), "_labels", "a.tif"),
        (("a.tif", "a_labels.png"), "_probabilities", "a_labels.png"),
    ],
)
def test_of_several_forms_of_a_prediction_the_preferred_one_is_taken_and_a_picture_last(
    names, preferred, taken, tmp_path
):
    pairs, alone = match(folder(tmp_path / "truth", "a.tif"), folder(tmp_path / "prediction", *names), preferred)
    assert [predicted.name for _, predicted in pairs] == [taken]
    assert alone == []


def test_files_without_a_partner_are_listed(tmp_path):
    truth = folder(tmp_path / "truth", "b.tif", "c.tif", "a.tif", "f.tif", "g.tif", "h.tif")
    prediction = folder(tmp_path / "prediction", "e.tif", "c.tif", "d_labels.tif")
    pairs, alone = match(truth, prediction, "_labels")
    assert pairs == [(truth / "c.tif", prediction / "c.tif")]
    assert alone == [
        *(truth / f"{name}.tif" for name in "abfgh"),
        *(prediction / name for name in ("d_labels.tif", "e.tif")),
    ]


def test_folders_without_a_common_name_are_refused(tmp_path):
    truth, prediction = folder(tmp_path / "truth", "a.tif"), folder(tmp_path / "prediction", "b.tif", "a.json")
    with pytest.raises(FileNotFoundError, match=f"same names in {truth} and {prediction}, but got none"):
        match(truth, prediction, "_labels")


def test_a_file_against_a_folder_is_refused(tmp_path):
    images = folder(tmp_path / "images", "a.tif")
    for truth, prediction in ((images, images / "a.tif"), (images / "a.tif", images)):
        with pytest.raises(FileNotFoundError, match=f"two files or two folders, but got {truth} and {prediction}"):
            match(truth, prediction, "_labels")


@pytest.mark.parametrize(
    ("truth", "prediction", "guilty", "expected"),
    [
        (MASK.astype(np.float32), MASK, "truth", "whole numbers"),
        (MASK, MASK * np.float32(np.nan), "prediction", "NaN"),
        (MASK, MASK / np.float32(0.5), "prediction", "0 to 2"),
        (MASK, MASK - np.float32(0.5), "prediction", "-0.5 to 0.5"),
        (LABELS, LABELS.T, "prediction", r"\(3, 2\)"),
        (LABELS, LABELS[:, :2], "prediction", r"\(2, 2\)"),
        (MASK, MASK.T / np.float32(2), "prediction", r"\(3, 2\)"),
        (LABELS[None].repeat(3, 0), LABELS[None].repeat(2, 0), "prediction", r"\(2, 2, 3\)"),
        (LABELS, LABELS[None].repeat(2, 0), "prediction", r"\(2, 2, 3\)"),
        (MASK[None, None].repeat(2, 0), MASK, "truth", r"\(2, 1, 2, 3\)"),
        (-LABELS, LABELS, "truth", "negative"),
        (LABELS, -LABELS, "prediction", "negative"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_name_of_its_file(
    truth, prediction, guilty, expected, compare, tmp_path
):
    with pytest.raises(ValueError, match=expected) as raised:
        compare(truth, prediction)
    assert str(tmp_path / f"{guilty}.tif") in str(raised.value)


def test_a_colour_png_is_refused_as_truth_and_as_prediction(compare, tmp_path):
    colours = np.zeros((6, 7, 3), np.uint8)
    colours[2, 3] = 255, 0, 0
    for names in (("colours.png", "grey.tif"), ("grey.tif", "colours.png")):
        arrays = [colours if name == "colours.png" else colours[..., 0] for name in names]
        with pytest.raises(ValueError, match=f"{tmp_path / 'colours.png'}: expected one number a pixel, but got 2 col"):
            compare(*arrays, names)


@pytest.mark.parametrize("form", ["RGB", "RGBA", "palette"])
def test_numbers_that_were_saved_as_a_picture_are_read_as_numbers(form, compare, tmp_path):
    picture = Image.fromarray(MASK).convert("P") if form == "palette" else Image.fromarray(MASK).convert(form)
    if form == "palette":
        picture.putpalette([0, 0, 0, 200, 30, 90])
    compare(MASK, MASK)
    for name in ("truth", "prediction"):
        picture.save(tmp_path / f"{name}.png")
    (image,) = comparisons(tmp_path / "truth.png", tmp_path / "prediction.png")
    assert image.truth.tolist() == image.prediction.tolist() == MASK.tolist()


@pytest.mark.parametrize("kind", INTEGERS)
def test_labels_of_any_integer_type_keep_their_numbers(kind, compare):
    (image,) = compare(LABELS.astype(kind), LABELS.astype(kind))
    assert image.truth.tolist() == image.prediction.tolist() == LABELS.tolist()
    assert not image.is_probable


@pytest.mark.parametrize(
    "mask", [MASK.astype(bool), MASK, MASK * np.uint8(255), MASK * np.uint16(65535), MASK * np.uint32(2**32 - 1)]
)
def test_a_mask_of_any_integer_type_becomes_0_and_1(mask, compare):
    (image,) = compare(mask, mask)
    assert image.truth.tolist() == image.prediction.tolist() == MASK.tolist()


def test_a_png_is_read_too(compare):
    (image,) = compare(MASK * np.uint8(255), MASK * np.uint8(255), ("truth.png", "prediction.png"))
    assert image.truth.tolist() == image.prediction.tolist() == MASK.tolist()


def test_an_image_of_only_the_largest_value_is_all_cell(compare):
    (image,) = compare(np.full((4, 5), 255, np.uint8), np.full((4, 5), 65535, np.uint16))
    assert (image.truth == 1).all()
    assert (image.prediction == 1).all()


@pytest.mark.parametrize("values", [(0, 2), (0, 1, 255), (0, 127, 254)])
def test_what_is_no_mask_keeps_its_numbers(values, compare):
    labels = np.resize(np.array(values, np.uint8), (3, 4))
    (image,) = compare(labels, labels)
    assert image.truth.tolist() == image.prediction.tolist() == labels.tolist()


def test_a_mask_with_an_empty_slice_is_a_mask_in_every_slice(compare):
    stack = np.stack([MASK * 0, MASK * 255])
    assert [image.truth.max() for image in compare(stack, stack)] == [0, 1]


def test_slices_are_named_after_the_prediction(compare):
    stack = LABELS[None].repeat(2, 0)
    assert [image.name for image in compare(stack, stack, ("t.tif", "p_labels.tif"))] == ["p_00", "p_01"]
    assert [image.name for image in compare(stack[:1], LABELS, ("t.tif", "p_probabilities.tif"))] == ["p"]


CELL = np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 16  # of two slices; exact in any float type
BOTH = np.stack([1 - CELL, CELL], axis=1)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (CELL[0], BOTH[:1]),
        (CELL[:1], BOTH[:1]),
        (BOTH[0], BOTH[:1]),
        (CELL, BOTH),
        (CELL.astype(np.float64), BOTH),
        (CELL.astype(np.float16), BOTH),
        (BOTH, BOTH),
        (np.concatenate([BOTH, BOTH], axis=1)[0], np.concatenate([BOTH, BOTH], axis=1)[:1]),
        (np.concatenate([BOTH, BOTH], axis=1), np.concatenate([BOTH, BOTH], axis=1)),
    ],
    ids=["HW", "1HW", "KHW", "DHW", "float64", "float16", "DKHW", "4HW", "D4HW"],
)
def test_probabilities_are_read_in_each_layout(prediction, expected, compare):
    truth = np.zeros((2, 2, 3), np.uint8) if len(expected) == 2 else np.zeros((2, 3), np.uint8)
    found = compare(truth, prediction)
    assert len(found) == len(expected)
    for image, probabilities in zip(found, expected, strict=True):
        assert image.is_probable
        assert image.prediction.dtype == np.float32
        np.testing.assert_array_equal(image.prediction, probabilities)


INVERTED_PREDICTION, INVERTED_TRUTH, NUMBERED = "the prediction looks", "the truth looks", "the prediction holds"


def found_doubts(truth, prediction, membranes):
    """The beginning of each doubt."""
    found = doubts(Comparison("a", truth, prediction), membranes)
    return {" ".join(doubt.split()[:3]) for doubt in found}


def probable(cells):
    """Unsure probabilities (2, H, W) as a network gives them."""
    cell = gaussian_filter(cells.astype(np.float32), 1) * 0.9 + 0.05
    return np.stack([1 - cell, cell])


@pytest.mark.parametrize("membranes", [True, False])
def test_good_data_raises_no_doubt(membranes):
    for target, numbers in zip(STACK.targets.astype(int), STACK.instances, strict=True):
        cells = (target > 0).astype(int)
        assert not found_doubts(target, cells, membranes)
        assert not found_doubts(numbers, probable(cells), membranes)
        assert not found_doubts(cells, np.eye(3, dtype=np.float32)[target].transpose(2, 0, 1), membranes)


def test_scattered_cells_and_a_cell_with_holes_raise_no_doubt():
    scattered, pierced = np.zeros((2, 9, 9), int)
    scattered[1::3, 1::3] = 1
    pierced[:] = 1 - scattered
    for truth in (scattered, pierced):
        assert not found_doubts(truth, truth, True)


@pytest.mark.parametrize("membranes", [True, False])
def test_an_inverted_prediction_raises_a_doubt(membranes):
    cells = (STACK.targets[0] > 0).astype(int)
    assert found_doubts(cells, 1 - cells, membranes) == {INVERTED_PREDICTION}
    assert found_doubts(cells, probable(1 - cells), membranes) == {INVERTED_PREDICTION}


def test_an_inverted_truth_raises_a_doubt_where_membranes_part_cells(compare):
    membranes = np.where(STACK.targets > 0, 0, 255).astype(np.uint8)
    for image in compare(membranes, membranes):
        assert found_doubts(image.truth, image.prediction, True) == {INVERTED_TRUTH}
        assert not found_doubts(image.truth, image.prediction, False)
        assert found_doubts(image.truth, probable(1 - image.truth), True) == {INVERTED_TRUTH, INVERTED_PREDICTION}


def test_numbered_cells_raise_a_doubt_where_membranes_part_cells():
    numbers = STACK.instances[0]
    assert found_doubts(numbers, numbers, True) == {NUMBERED}
    assert not found_doubts(numbers, numbers, False)


def test_the_challenge_raises_no_doubt_but_its_inversion_does():
    file = Path(os.environ.get("DATA_DIR", "data")) / "isbi2012" / "train-labels.tif"
    if not file.is_file():
        pytest.skip(f"needs {file} (set DATA_DIR)")
    images = list(comparisons(file, file))
    assert len(images) == 30
    for image in images:
        assert not found_doubts(image.truth, image.prediction, True)
        assert not found_doubts(image.truth, probable(image.truth), True)
        assert found_doubts(1 - image.truth, image.prediction, True) == {INVERTED_TRUTH, INVERTED_PREDICTION}
