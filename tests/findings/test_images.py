"""What is wrong with images, each fault by itself."""

from dataclasses import replace

import pytest

from src.findings import images
from tests.findings.given import GROUP, codes, first, slices

FACTS = slices()


def test_images_without_fault_have_no_finding():
    assert codes(images.of_each(FACTS, channels=1)) == codes(images.acquisition(FACTS)) == []
    for check in (images.duplicates, images.neighbours, images.sizes):
        assert codes(check(FACTS, GROUP)) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"finite": False}, "nan"),
        ({"levels": 1}, "constant-image"),
        ({"levels": 4}, "few-grey-values"),
        ({"is_its_labels": True}, "image-is-its-labels"),
        ({"saturated": 0.11}, "saturated"),
        ({"lossy": True}, "lossy-image"),
        ({"channels": 3}, "channels"),
        ({"shift": (3, -4)}, "shifted-labels"),
    ],
)
def test_an_image_with_one_fault_has_that_finding_alone(changes, code):
    (finding,) = images.of_each(first(FACTS, **changes), channels=1)
    assert finding.code == code and finding.file.endswith(("a0.png", "a0.tif"))


def test_the_way_back_is_said_of_labels_that_lie_beside_their_image():
    (finding,) = images.of_each(first(FACTS, shift=(3, -4)), channels=1)
    assert finding.fix == "labels = np.roll(labels, (-3, 4), axis=(0, 1))"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"dtype": "uint16"}, "mixed-dtype"), ({"channels": 3}, "mixed-channels"), ({"pixel_size": 0.9}, "pixel-size")],
)
def test_one_image_that_was_acquired_otherwise_is_named(changes, code):
    alike = [replace(each, pixel_size=0.5) for each in FACTS]
    (finding,) = images.acquisition(first(alike, **changes))
    assert (finding.code, finding.file) == (code, FACTS[0].file)


@pytest.mark.parametrize(("other", "code"), [(1, "duplicate"), (3, "duplicate-across-split")])
def test_the_same_image_twice_is_worse_across_the_split(other, code):
    facts = list(FACTS)
    facts[other] = replace(facts[other], digest=facts[0].digest, thumbnail=facts[0].thumbnail)
    (finding,) = images.duplicates(facts, GROUP)
    assert (finding.code, finding.file) == (code, FACTS[other].file)


def test_an_image_that_is_nearly_one_that_is_learnt_from_is_named():
    facts = [*FACTS[:3], replace(FACTS[3], thumbnail=FACTS[1].thumbnail)]
    (finding,) = images.duplicates(facts, GROUP)
    assert finding.code == "near-duplicate" and "a1, which is learnt from" in finding.found


def test_neighbours_in_one_stack_need_a_gap_between_groups():
    stack = [replace(each, source="stack.tif") for each in FACTS]
    assert codes(images.neighbours(stack, GROUP)) == ["neighbouring-slices"]
    assert codes(images.neighbours(stack, GROUP | {"a1": None})) == []


def test_a_size_that_is_judged_but_not_learnt_from_is_named():
    sizes = [(64, 64), (64, 64), (64, 64), (80, 80), (80, 80)]
    facts = [replace(FACTS[0], name=f"a{number}", size=size) for number, size in enumerate(sizes)]
    found = list(images.sizes(facts, GROUP | {"a4": "held_out"}))
    assert codes(found) == ["size-not-learnt"] * 2 and "80×80 px in held_out" in found[0].found
