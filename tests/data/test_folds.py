"""Folds: each image is held out once, by a fold without data leakage; splits that cannot avoid it are refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.finding import Refused
from src.data.folds import as_text, planned
from src.data.phantom import phantom
from src.data.split import chosen
from src.data.stack import Stack, everywhere, stacked
from tests.data.own import draw
from tests.findings.broken import section

AUTO = {"train": "auto", "validation": "auto", "held_out": "auto"}
ISBI = {"train": "0-19", "validation": "21-22", "held_out": "24-29"}
STACK = phantom(slices=30, size=64)
MANY = phantom(slices=40, size=32)


def images(count, names=None, shapes=None, **others):
    """A stack of drawings of cells, one file per image."""
    drawn = [draw(number) for number in range(count)]
    if shapes:
        drawn = [
            tuple(cv2.resize(each, (side, side), interpolation=cv2.INTER_NEAREST) for each in pair)
            for pair, side in zip(drawn, shapes, strict=True)
        ]
    pictures, cells = (stacked(list(each)) for each in zip(*drawn, strict=True))
    names = names or [f"cell_{number:02d}" for number in range(count)]
    targets = stacked([np.uint8(each > 0) for each in cells])
    cells = stacked([each.astype(np.int32) for each in cells])
    return Stack(pictures, targets, cells, everywhere(targets), names, **{"files": names} | others)


def pictures(plan):
    """Each fold as a row of letters: t, v and h for its parts, . for a gap, u for untouched images."""
    count = 1 + max([*plan.scored, *plan.untouched, *plan.left_out])
    rows = []
    for fold in plan.folds:
        row = ["."] * count
        for part, numbers in fold.items():
            for number in numbers:
                row[number] = part[0]
        for number in plan.untouched:
            row[number] = "u"
        rows.append("".join(row))
    return rows


def check(plan, taking):
    """Each image is held out once, and no fold has an image in two parts."""
    assert plan.scored == sorted(taking)
    for fold in plan.folds:
        numbers = [number for part in fold.values() for number in part]
        assert len(numbers) == len(set(numbers)) and set(numbers) <= set(taking)
        assert fold["train"] and fold["held_out"]


def test_a_stack_is_scored_in_stretches_with_gaps():
    plan = planned(STACK.take(list(range(12))), AUTO, count=3)
    assert pictures(plan) == [
        "hhhh.v.ttttt",
        "ttt.hhhh.v.t",
        "v.ttttt.hhhh",
    ]


def test_what_is_named_as_held_out_is_left_untouched_and_the_gap_before_it_too():
    plan = planned(STACK, ISBI, count=5)
    assert pictures(plan) == [
        "hhhhh.vv.tttttttttttttt.uuuuuu",
        "tttt.hhhhh.vv.ttttttttt.uuuuuu",
        "ttttttttt.hhhhh.vv.tttt.uuuuuu",
        "tttttttttttttt.hhhh.vv..uuuuuu",
        "vv.ttttttttttttttt.hhhh.uuuuuu",
    ]
    assert plan.untouched == list(range(24, 30))


def test_a_held_out_part_without_a_gap_gets_one():
    plan = planned(STACK, {"train": "0-20", "validation": "21-23", "held_out": "24-29"}, count=4)
    assert plan.left_out == [23] and plan.scored == list(range(23))


def test_where_nothing_is_held_out_all_take_part():
    check(planned(STACK, {"train": "0-29", "validation": "", "held_out": ""}), range(30))
    check(planned(STACK, {"train": "0-9", "validation": "20-29", "held_out": ""}), range(30))
    plan = planned(images(14), {"train": "0-9", "validation": "12-13", "held_out": ""})
    check(plan, [*range(10), 12, 13])  # image 11 is a file of its own, so it is no gap between slices of one file


@given(st.integers(6, 40), st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_no_neighbour_of_what_judges_is_learnt_from(slices, count):
    count = min(count, slices // 2)
    plan = planned(MANY.take(list(range(slices))), AUTO, count=count)
    check(plan, range(slices))
    assert len(plan.folds) == count
    for fold in plan.folds:
        for one, other in (("held_out", "train"), ("held_out", "validation"), ("validation", "train")):
            apart = [abs(a - b) for a in fold[one] for b in fold[other]]
            assert not apart or min(apart) > 1
        assert fold["validation"] or slices < 8


@pytest.mark.parametrize(("count", "folds"), [(4, 4), (11, 11), (12, 5), (30, 5)])
def test_of_few_images_each_is_a_fold(count, folds):
    plan = planned(images(count), AUTO)
    check(plan, range(count))
    assert len(plan.folds) == folds
    assert all(fold["validation"] for fold in plan.folds)


def test_images_are_dealt_with_as_many_of_each_size_to_each_fold():
    sides = [96, 96, 96, 96, 48, 48, 48, 48, 48, 48]
    plan = planned(images(10, shapes=sides), AUTO, count=2)
    check(plan, range(10))
    assert [[sides[number] for number in fold["held_out"]] for fold in plan.folds] == [[96] * 2 + [48] * 3] * 2


def test_images_are_dealt_with_as_many_of_each_ground_to_each_fold():
    stack = images(10)
    stack.images[:4] = 250 - stack.images[:4]  # dark cells on a bright background
    assert [as_text(fold["held_out"]) for fold in planned(stack, AUTO, count=2).folds] == ["0-1,4-6", "2-3,7-9"]


@pytest.mark.parametrize("pattern", ["{patient}[LR]", None])
def test_images_of_one_patient_are_in_one_fold_whether_said_or_told_by_names(pattern):
    names = [f"{number // 2:02d}{'LR'[number % 2]}" for number in range(16)]
    plan = planned(images(16, names), AUTO, pattern, count=4)
    check(plan, range(16))
    assert "{patient}[LR]" in plan.apart
    for fold in plan.folds:
        patients = [{names[number][:2] for number in numbers} for numbers in fold.values()]
        assert sum(map(len, patients)) == len(set.union(*patients)) == 8


def test_slices_of_one_film_are_in_one_fold():
    films = ["a.tif"] * 6 + ["b.tif"] * 4 + ["c.tif"] * 5
    plan = planned(images(15, files=films), AUTO)
    check(plan, range(15))
    assert [as_text(fold["held_out"]) for fold in plan.folds] == ["0-5", "6-9", "10-14"]


def test_of_two_films_one_ends_in_what_chooses():
    plan = planned(images(12, files=["a.tif"] * 6 + ["b.tif"] * 6), AUTO)
    assert pictures(plan) == ["hhhhhhtttt.v", "tttt.vhhhhhh"]


@pytest.mark.parametrize("noise", [0, 4])
def test_copies_are_in_one_fold_and_of_a_stack_learnt_from_by_none_that_judges_them(noise):
    random = np.random.default_rng(0)
    stack = images(12)
    other = np.clip(stack.images[1] + random.normal(0, noise, stack.images[1].shape), 0, 255).astype(np.uint8)
    stack.images[9] = other
    for fold in planned(stack, AUTO, count=5).folds:
        assert sum({1, 9} <= set(part) for part in fold.values()) == 1
    drawn = replace(stack, files=None)
    plan = planned(drawn, AUTO, count=6)
    check(plan, range(12))
    for fold in plan.folds:
        assert not ({1, 9} & {*fold["held_out"], *fold["validation"]} and {1, 9} & set(fold["train"]))


def test_a_copy_of_what_is_held_out_takes_no_part():
    stack = images(14)
    stack.images[3] = stack.images[13]
    plan = planned(stack, {"train": "0-9", "validation": "10", "held_out": "11-13"})
    assert plan.left_out == [3] and 3 not in plan.scored


def test_serial_sections_in_a_file_each_are_a_stack():
    cells, pictured = (np.stack(each) for each in zip(*(section(number) for number in range(14)), strict=True))
    names = [f"section_{number:02d}" for number in range(14)]
    stack = Stack(pictured, np.uint8(cells > 0), cells.astype(np.int32), everywhere(cells), names, names)
    plan = planned(stack, AUTO, count=2)
    assert pictures(plan) == ["hhhhhhh.v.tttt", "v.tttt.hhhhhhh"]


def test_a_folder_that_says_test_is_left_untouched():
    stack = images(12, parts=["train"] * 7 + ["validation"] * 2 + ["held_out"] * 3)
    plan = planned(stack, AUTO)
    check(plan, range(9))
    assert plan.untouched == [9, 10, 11]
    check(planned(images(12, parts=["train"] * 7 + ["validation"] * 5), AUTO), range(12))


@pytest.mark.parametrize(
    ("stack", "groups", "pattern", "count", "message"),
    [
        (images(4), AUTO, None, 5, "at most 4 folds, because there are 4 groups.*nearest valid: folds=4"),
        (images(1), AUTO, None, None, "at least 2 slices"),
        (STACK.take([0, 1, 2]), AUTO, None, None, "training slices that are unlike"),
        (images(6), AUTO, "{plate}_*", None, "at least 2 groups"),
        (images(6), AUTO, "plate", None, "one open part"),
        (STACK, {"train": "0-9", "validation": "9-12", "held_out": "20"}, None, 3, "image 9 in train and validation"),
        (STACK, {"train": "0-9", "validation": "9-12", "held_out": ""}, None, 3, "image 9 in train and validation"),
        (STACK, AUTO | {"held_out": "4"}, None, 3, "auto in train, validation"),
        (
            images(6, ["p1_a", "p1_b", "p2_a", "p2_b", "p3_a", "p3_b"]),
            {"train": "0-2", "validation": "", "held_out": "3-5"},
            "{patient}_*",
            None,
            "p2_a for training and p2_b held out, both of p2",
        ),
    ],
)
def test_what_leaks_or_cannot_be_is_refused_with_the_reason(stack, groups, pattern, count, message):
    with pytest.raises(Refused, match=message):
        planned(stack, groups, pattern, count)


@given(st.sets(st.integers(0, 60), min_size=1))
@settings(max_examples=50, deadline=None)
def test_numbers_as_text_are_read_as_they_were(numbers):
    assert chosen(as_text(sorted(numbers)), [f"slice_{number}" for number in range(61)]) == sorted(numbers)
