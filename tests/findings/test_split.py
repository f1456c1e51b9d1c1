"""Checks of the split: whether there is one, and whether what is judged is unseen."""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from src.data.finding import ERROR, WARNING, Finding
from src.data.split import split
from src.findings.facts import look
from src.findings.split import groups_of, near_duplicates, neighbours, parted, serial
from tests.findings.broken import annotated, choices, facts, section

DRAWN = [facts(number) for number in range(6)]
STACK = [replace(each, source="stack.tif") for each in DRAWN]


def group(text):
    """A group for each slice: t, v or h; - for none."""
    of = {"t": "train", "v": "validation", "h": "held_out"}
    return {f"cell_{number:02d}": of[letter] for number, letter in enumerate(text) if letter in of}


def chosen(train, validation, held_out, **others):
    """What was chosen of a split."""
    return choices(groups={"train": train, "validation": validation, "held_out": held_out}, **others)


def split_by(*groups):
    return groups_of(DRAWN, chosen(*groups), "cells")


def test_the_names_of_each_group():
    groups, refused = split_by("0-2", "", "cell_05")
    assert groups == {"train": ["cell_00", "cell_01", "cell_02"], "validation": [], "held_out": ["cell_05"]}
    assert refused == []


def test_slices_of_one_file_are_split_as_a_stack():
    assert groups_of(DRAWN, choices(), "cells")[0]["train"] == [f"cell_{number:02d}" for number in range(4)]
    assert groups_of(STACK, choices(), "cells")[0]["train"] == ["cell_00", "cell_01"]


@pytest.mark.parametrize(
    ("groups", "found", "expected", "fix"),
    [
        ({"train": "0-3", "validation": "4", "held_out": "9"}, "'9'", "images from 0 to 5", "5"),
        (
            *({"train": "0-3", "validation": "", "held_out": "3"}, "image 3 in train and held_out"),
            *("each image in one group", "data.train=… data.validation=… data.held_out=…"),
        ),
        (
            *({"train": "0-3; nearest valid: 1, but got 2", "validation": "", "held_out": "5"},),
            "'0-3; nearest valid: 1', of which there is none",
            "images such as 0-19 or 0-9,15, or names such as cell_00*, each once",
            "data.train=auto data.validation=auto data.held_out=auto",
        ),
    ],
)
def test_a_split_that_cannot_be_is_one_finding_of_the_folder(groups, found, expected, fix):
    assert groups_of(DRAWN, choices(groups=groups), "cells") == (
        {},
        [Finding("split", ERROR, "cells", found, expected, fix)],
    )


def test_the_split_that_folders_say_and_groups_that_stay_together():
    parts = ["train"] * 3 + ["validation"] * 2 + [""]
    said = [replace(each, part=part) for each, part in zip(DRAWN, parts, strict=True)]
    groups, _ = groups_of(said, choices(), "cells")
    assert groups == {"train": [f"cell_0{n}" for n in range(3)], "validation": ["cell_03"], "held_out": ["cell_04"]}
    groups, _ = groups_of(DRAWN, choices(together="cell_0{half}"), "cells")
    assert [len(names) for names in groups.values()] == [4, 1, 1]
    eyes = [replace(each, name=f"{number // 2}{'LR'[number % 2]}") for number, each in enumerate(DRAWN)]
    groups, _ = groups_of(eyes, choices(together="{patient}[LR]"), "cells")
    assert groups == {"train": ["0L", "0R"], "validation": ["1L", "1R"], "held_out": ["2L", "2R"]}
    _, (refused,) = groups_of(DRAWN, choices(together="{patient}[LR]"), "cells")
    assert (refused.code, refused.file, refused.fix) == ("split", "cells", "data.groups='{patient}_*'")


def like(number, **others):
    """A slice that looks like another one."""
    return facts(5, thumbnail=DRAWN[number].thumbnail, **others)


def test_nearly_the_same_image_is_learnt_from_and_judged():
    (one,) = near_duplicates([*DRAWN[:5], like(1)], group("tttvvh"))
    assert (one.code, one.severity, one.file) == ("near-duplicate", WARNING, "images/cell_05.png")
    assert one.found == "nearly the same image as cell_01, a training image (correlation 1.000)"
    assert one.expected == "a held-out image unlike all training images"


@pytest.mark.parametrize("groups", ["tttvv-", "-t-vvt", "t-tvvh", "tttttt", "vvvvvh", ""])
def test_likeness_within_a_group_or_outside_all_is_no_matter(groups):
    assert not list(near_duplicates([*DRAWN[:5], like(1)], group(groups)))


def test_images_that_differ_or_are_black_are_not_alike():
    assert not list(near_duplicates(DRAWN, group("tttvvh")))
    assert not list(near_duplicates([*DRAWN[:5], like(1, levels=1)], group("tttvvh")))
    nothing = replace(DRAWN[1].labels, counts={0: 9216})
    assert not list(near_duplicates([*DRAWN[:5], like(1, labels=nothing)], group("tttvvh")))


@pytest.mark.parametrize("first", ["t", "-"])
def test_a_copy_has_a_finding_of_its_own(first):
    copy = like(1, digest=DRAWN[1].digest)
    assert not list(near_duplicates([*DRAWN[:5], copy], group(f"t{first}tvvh")))


def test_the_first_of_two_copies_is_what_others_are_like():
    drawn = [*DRAWN[:4], replace(DRAWN[4], thumbnail=DRAWN[1].thumbnail), like(1, digest=DRAWN[1].digest)]
    assert [one.file for one in near_duplicates(drawn, group("tttvvh"))] == ["images/cell_04.png"]


@pytest.mark.parametrize(("likeness", "alike"), [(0.895, False), (0.905, True)])
def test_images_are_alike_from_a_correlation_on(likeness, alike):
    # Of three that are not alike at all, the last one is so much like the second.
    images = [facts(number, thumbnail=np.eye(4)[number]) for number in range(3)]
    mixed = likeness * np.eye(4)[1] + np.sqrt(1 - likeness**2) * np.eye(4)[3]
    found = list(near_duplicates([*images, facts(5, thumbnail=mixed)], group("ttt--h")))
    assert [each.code for each in found] == ["near-duplicate"] * alike


@pytest.mark.parametrize(("likeness", "alike"), [(0.97, False), (0.985, True)])
def test_where_all_images_are_alike_copies_are_so_still_more(likeness, alike):
    # Each is the same picture and something of its own: each two of them have a correlation of 0.8.
    images = [np.sqrt(0.8) * np.eye(5)[0] + np.sqrt(0.2) * np.eye(5)[number] for number in (1, 2, 3)]
    apart = np.eye(5)[4]
    judged = facts(5, thumbnail=likeness * images[1] + np.sqrt(1 - likeness**2) * apart)
    learnt = [facts(number, thumbnail=thumbnail) for number, thumbnail in enumerate(images)]
    assert bool(list(near_duplicates([*learnt, judged], group("ttt--h")))) == alike


def test_slices_that_follow_each_other_are_learnt_from_and_judged():
    one, other = neighbours(STACK, group("ttv-ht"))
    assert (one.code, one.severity, one.file) == ("neighbouring-slices", WARNING, "images/cell_02.png")
    assert one.found == "cell_01, a training image, next to cell_02, a validation image"
    assert other.found == "cell_04, a held-out image, next to cell_05, a training image"


def test_neighbours_are_of_one_stack_and_one_of_them_is_learnt_from():
    assert not list(neighbours(DRAWN, group("ttvvhh")))
    assert not list(neighbours(STACK, group("tt-vvh")))


def eyes(*numbers):
    """Slices of both eyes of patients."""
    return [facts(number, name=f"{number // 2:02d}{'LR'[number % 2]}") for number in numbers]


def parts_of(found, wanted):
    """The group of each slice of a split."""
    return {name: part for part, names in groups_of(found, wanted, "cells")[0].items() for name in names}


def test_eyes_of_one_patient_on_both_sides_and_the_line_that_keeps_them_together():
    drawn = eyes(*range(10))
    (one,) = parted(drawn, choices(), parts_of(drawn, choices()), "cells")
    assert (one.code, one.severity, one.file) == ("group-across-split", WARNING, "cells")
    assert "1 of 5 groups" in one.found and "03L, a training image, and 03R, a validation image" in one.found
    ((key, pattern),) = [each.split("=") for each in shlex.split(one.fix)]
    assert key == "data.groups"
    wanted = choices(together=pattern)
    assert len(parts_of(drawn, wanted)) == 10 and not list(parted(drawn, wanted, parts_of(drawn, wanted), "cells"))


def test_a_split_that_was_chosen_or_that_folders_say_parts_groups_too():
    drawn = eyes(*range(6))
    wanted = chosen("0-2", "", "3-5", together="{patient}[LR]")
    (one,) = parted(drawn, wanted, parts_of(drawn, wanted), "cells")
    assert one.fix == "data.groups='{patient}[LR]' data.train=auto data.validation=auto data.held_out=auto"
    said = [replace(each, part="train" if place < 3 else "held_out") for place, each in enumerate(drawn)]
    (one,) = parted(said, choices(), parts_of(said, choices()), "cells")
    assert one.fix.startswith("move all images")
    whole = chosen("0-3", "", "4-5", together="{patient}[LR]")
    assert not list(parted(drawn, whole, parts_of(drawn, whole), "cells"))
    assert not list(parted(DRAWN, choices(), parts_of(DRAWN, choices()), "cells"))


SECTIONS = [
    replace(facts(n), thumbnail=look(annotated(n, image=section(n)[1], labels=section(n)[0])).thumbnail)
    for n in range(12)
]


def test_serial_sections_in_a_file_each_and_the_line_that_leaves_gaps():
    (one,) = serial(SECTIONS, parts_of(SECTIONS, choices()), "cells")
    assert (one.code, one.severity, one.file) == ("serial-sections", WARNING, "cells")
    assert "cell_08 is a training image and cell_09 a validation image" in one.found
    given = {key.removeprefix("data."): text for key, text in (each.split("=") for each in one.fix.split())}
    numbers = split(given, [each.name for each in SECTIONS])
    assert all(numbers.values()) and not list(serial(SECTIONS, parts_of(SECTIONS, choices(groups=given)), "cells"))


def test_images_that_are_not_like_their_neighbours_are_no_sections():
    drawn = [facts(number) for number in range(12)]
    assert not list(serial(drawn, parts_of(drawn, choices()), "cells"))
    mixed = [SECTIONS[number * 5 % 12] for number in range(12)]
    assert not list(serial(mixed, parts_of(mixed, choices()), "cells"))
    assert not list(serial(SECTIONS[:7], parts_of(SECTIONS[:7], choices()), "cells")), "too few to tell"
    stack = [replace(each, source="stack.tif") for each in SECTIONS]
    assert not list(serial(stack, parts_of(stack, chosen("0-7", "8", "9-11")), "cells")), "as neighbours say"
