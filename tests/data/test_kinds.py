"""What the values of labels mean, found out from drawings of many kinds and from real data."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from src.data.description import describe
from src.data.kinds import KINDS, Judgement, decide, infer, void
from tests.data import drawn

WHITE = [describe(*drawn.membranes(number, white=True)) for number in range(3)]
BLACK = [describe(*drawn.membranes(number)) for number in range(3)]
CELLS = [describe(*drawn.cells(number)) for number in range(3)]


def described(name, images, first=0):
    return [describe(*drawn.KINDS[name][2](number)) for number in range(first, first + images)]


@pytest.mark.parametrize("name", drawn.KINDS)
def test_the_kind_of_labels_is_found_out_from_few_images_and_from_more(name):
    kind, fewest, _ = drawn.KINDS[name]
    for images in {fewest, 6, 10}:
        for first in (0, 100):
            assert infer(described(name, images, first)).kind == kind, (images, first)


@pytest.mark.parametrize("name", drawn.KINDS)
def test_an_empty_image_among_others_changes_nothing(name):
    if "ilastik" in name:
        return  # in which each pixel has a class
    found = described(name, 6)
    empty = describe(np.zeros((96, 96), np.uint8))
    assert infer([empty, *found]) == infer(found)


def real(folder):
    files = sorted((Path(os.environ.get("DATA_DIR", "data")) / folder / "labels").glob("*.tif"))
    if not files:
        pytest.skip(f"needs {folder} (set DATA_DIR)")
    return [tifffile.imread(file) for file in files]


@pytest.mark.parametrize(
    "folder", ["phase_t98g", "nuclei_dsb2018", pytest.param("nuclei_fluo", marks=pytest.mark.slow)]
)
def test_real_cells_are_cells_whatever_part_of_them_is_looked_at(folder):
    labels = real(folder)
    found = [describe(each) for each in labels]
    assert infer(found).kind == "instances"
    assert {infer(found[start : start + 5]).kind for start in range(len(found) - 4)} == {"instances"}
    assert not any(each.interpolated or each.wrapped or each.smoothed for each in found)
    masks = [describe((each > 0).astype(np.uint8) * 255) for each in labels]
    assert {infer([each]) for each in masks} == {Judgement("binary")}


def test_real_membranes_are_membranes_in_black_and_in_white():
    file = Path(os.environ.get("DATA_DIR", "data")) / "isbi2012/train-labels.tif"
    if not file.is_file():
        pytest.skip(f"needs {file} (set DATA_DIR)")
    stack = tifffile.imread(file)
    assert {infer([describe(each)]) for each in stack} == {Judgement("boundary")}
    white = Judgement("boundary", (255, 0), "classes", ("white-lines",))
    assert {infer([describe(255 - each)]) for each in stack} == {white}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_for_is_obeyed_for_every_kind_and_values(kind):
    for name in drawn.KINDS:
        found = described(name, 3)
        assert decide(found, kind).kind == kind
        assert decide(found, kind, [7, 9]) == decide(found, kind, (7, 9))
        assert (decide(found, kind, [7, 9]).kind, decide(found, kind, [7, 9]).values) == (kind, (7, 9))


def test_there_is_no_other_kind():
    with pytest.raises(ValueError, match=r"expected data\.source\.kind to be auto, binary, .* but got cells"):
        decide(CELLS, "cells")


def test_few_numbers_show_what_they_may_be_as_well():
    assert infer(described("organs", 6)) == Judgement("classes", None, "instances", ("few-numbers",))
    assert infer(described("two cells", 6)) == Judgement("instances", None, "classes", ("few-numbers",))
    assert infer(CELLS) == Judgement("instances")  # nine cells anywhere leave no doubt


def test_of_classes_all_values_count_and_the_background_too():
    gaps = [describe(np.array([0, 1, 5])[each].astype(np.uint8)) for each, _ in map(drawn.types, range(4))]
    assert decide(gaps).values == (0, 1, 5)
    assert decide(CELLS, "classes").values == tuple(range(10))
    no_zero = [describe(1 + each) for each, _ in map(drawn.types, range(4))]
    assert decide(no_zero) == Judgement("classes", (1, 2, 3), "instances", ("no-zero",))


def test_the_values_turn_membranes_round_and_say_the_kind():
    assert decide(WHITE).values == (255, 0)
    assert decide(WHITE, values=[255, 0]).kind == decide(BLACK, values=[0, 255]).kind == "boundary"
    assert decide(WHITE, values=[0, 255]).kind == decide(BLACK, values=[255, 0]).kind == "classes"
    assert decide(WHITE, "boundary").values == (255, 0)
    assert decide(WHITE, "binary").values is None  # is obeyed as it stands
    assert decide(CELLS, values=[0, 1, 2]).kind == "classes" and decide(CELLS, values=[0]).kind == "instances"
    assert decide(described("inverted mask", 3), values=[255, 0]).kind == "binary"


def test_of_two_values_without_0_the_background_has_most_of_the_border():
    assert infer(described("ilastik", 3)) == Judgement("binary", (1, 2), "classes", ("no-zero",))
    assert infer(described("ilastik, other labels", 3)).values == (2, 1)
    assert decide(described("ilastik", 3), "boundary").values == (1, 2)
    assert decide(described("ilastik", 3), "instances").values is None


def test_masks_of_1_and_of_255_are_one_class():
    thin = [describe(*drawn.vessels(number)) for number in range(4)]
    assert infer(described("mixed masks", 4)).reasons == ("mixed-mask",)
    ones = [describe((drawn.vessels(number)[0] > 0).astype(np.uint8)) for number in range(4)]
    assert decide([*thin[:2], *ones[2:]]).values == (0,)  # 0 and all others
    assert decide(thin).values == (0, 255)


def test_what_files_say_themselves_is_believed():
    organs = described("organs", 6)
    assert decide(organs, said="instances") == Judgement("instances")
    assert decide(CELLS, said="classes").kind == "classes"
    assert decide(organs, "binary", said="instances").kind == "binary"


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1, 2, 255], 255), ([0, 1, 255], 255), ([0, 128, 255], None), ([0, 1, 3, 255], None), ([0, 1, 2], None)],
)
def test_255_beside_small_numbers_may_mark_what_nobody_has_annotated(values, expected):
    drawing = np.resize(np.array(values, np.uint8), (20, 20))
    assert void([describe(drawing)] * 3) == expected


def test_the_255_of_masks_marks_their_foreground():
    assert void(described("mask", 3)) is void(described("mixed masks", 4)) is None
