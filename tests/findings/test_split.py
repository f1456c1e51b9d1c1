"""Checks of the split: whether there is one, and whether what is judged is unseen."""

from dataclasses import replace

import numpy as np
import pytest

from src.data.finding import ERROR, WARNING, Finding
from src.findings.split import groups_of, near_duplicates, neighbours
from tests.findings.broken import facts

DRAWN = [facts(number) for number in range(6)]
STACK = [replace(each, source="stack.tif") for each in DRAWN]
AUTO = {"train": "auto", "validation": "auto", "held_out": "auto"}


def group(text):
    """A group for each slice: t, v or h; - for none."""
    of = {"t": "train", "v": "validation", "h": "held_out"}
    return {f"cell_{number:02d}": of[letter] for number, letter in enumerate(text) if letter in of}


def test_the_names_of_each_group():
    groups, refused = groups_of(DRAWN, {"train": "0-2", "validation": "", "held_out": "cell_05"}, "cells")
    assert groups == {"train": ["cell_00", "cell_01", "cell_02"], "validation": [], "held_out": ["cell_05"]}
    assert refused == []


def test_slices_of_one_file_are_split_as_a_stack():
    assert groups_of(DRAWN, AUTO, "cells")[0]["train"] == [f"cell_{number:02d}" for number in range(4)]
    assert groups_of(STACK, AUTO, "cells")[0]["train"] == ["cell_00", "cell_01"]


@pytest.mark.parametrize(
    ("groups", "found", "expected", "fix"),
    [
        ({"train": "0-3", "validation": "4", "held_out": "9"}, "'9'", "slices from 0 to 5", "5"),
        (
            *({"train": "0-3", "validation": "", "held_out": "3"}, "slice 3 in train and held_out"),
            *("each slice in one group", "data.train=… data.validation=… data.held_out=…"),
        ),
        (
            *({"train": "0-3; nearest valid: 1, but got 2", "validation": "", "held_out": "5"},),
            "'0-3; nearest valid: 1, but got 2'",
            "slices such as 0-19 or 0-9,15, or names such as cell_00*, each once",
            "data.train=… data.validation=… data.held_out=…",
        ),
    ],
)
def test_a_split_that_cannot_be_is_one_finding_of_the_folder(groups, found, expected, fix):
    assert groups_of(DRAWN, groups, "cells") == ({}, [Finding("split", ERROR, "cells", found, expected, fix)])


def like(number, **others):
    """A slice that looks like another one."""
    return facts(5, thumbnail=DRAWN[number].thumbnail, **others)


def test_nearly_the_same_image_is_learnt_from_and_judged():
    (one,) = near_duplicates([*DRAWN[:5], like(1)], group("tttvvh"))
    assert (one.code, one.severity, one.file) == ("near-duplicate", WARNING, "images/cell_05.png")
    assert one.found == "nearly the same image as cell_01, which is learnt from (correlation 1.000)"
    assert one.expected == "an unseen image in held_out"


@pytest.mark.parametrize("groups", ["tttvv-", "-t-vvt", "t-tvvh", "tttttt", "vvvvvh", ""])
def test_likeness_within_a_group_or_outside_all_is_no_matter(groups):
    assert not list(near_duplicates([*DRAWN[:5], like(1)], group(groups)))


def test_images_that_differ_or_are_black_are_not_alike():
    assert not list(near_duplicates(DRAWN, group("tttvvh")))
    assert not list(near_duplicates([*DRAWN[:5], like(1, levels=1)], group("tttvvh")))


@pytest.mark.parametrize("first", ["t", "-"])
def test_a_copy_has_a_finding_of_its_own(first):
    copy = like(1, digest=DRAWN[1].digest)
    assert not list(near_duplicates([*DRAWN[:5], copy], group(f"t{first}tvvh")))


def test_the_first_of_two_copies_is_what_others_are_like():
    drawn = [*DRAWN[:4], replace(DRAWN[4], thumbnail=DRAWN[1].thumbnail), like(1, digest=DRAWN[1].digest)]
    assert [one.file for one in near_duplicates(drawn, group("tttvvh"))] == ["images/cell_04.png"]


@pytest.mark.parametrize(("likeness", "alike"), [(0.975, False), (0.985, True)])
def test_images_are_alike_from_a_correlation_on(likeness, alike):
    one, other = DRAWN[1].thumbnail, DRAWN[5].thumbnail
    apart = other - (other @ one) * one
    mixed = likeness * one + np.sqrt(1 - likeness**2) * apart / np.linalg.norm(apart)
    found = list(near_duplicates([*DRAWN[:5], facts(5, thumbnail=mixed)], group("tttvvh")))
    assert [each.code for each in found] == ["near-duplicate"] * alike


def test_slices_that_follow_each_other_are_learnt_from_and_judged():
    one, other = neighbours(STACK, group("ttv-ht"))
    assert (one.code, one.severity, one.file) == ("neighbouring-slices", WARNING, "images/cell_02.png")
    assert one.found == "cell_01 in train and the next slice in validation"
    assert other.found == "cell_04 in held_out and the next slice in train"


def test_neighbours_are_of_one_stack_and_one_of_them_is_learnt_from():
    assert not list(neighbours(DRAWN, group("ttvvhh")))
    assert not list(neighbours(STACK, group("tt-vvh")))
