"""Checks of images: what each finds, and where it begins to."""

from dataclasses import replace

import pytest

from src.data.agreement import Offset
from src.data.finding import ERROR, NOTE, WARNING
from src.findings.images import acquisition, duplicates, each_image, shifted, sizes
from tests.findings.broken import choices, described, facts

DRAWN = [facts(number) for number in range(4)]
GROUP = {"cell_00": "train", "cell_01": "train", "cell_02": "validation", "cell_03": "held_out"}


def with_last(**others):
    """Four slices, the last one of which is different."""
    return [*DRAWN[:3], facts(3, **others)]


def short(findings):
    return [(each.code, each.severity, each.file) for each in findings]


@pytest.mark.parametrize(
    ("others", "code", "severity", "found", "fix"),
    [
        ({"finite": False, "levels": 1}, "nan", ERROR, "NaN or infinity", "np.nan_to_num(image), or leave it out"),
        (
            {"levels": 1, "is_its_labels": True},
            "constant-image",
            WARNING,
            "one grey value",
            "move it out of the folder",
        ),
        ({"levels": 4, "is_its_labels": True}, "image-is-its-labels", ERROR, "the same pixels", "copy the image again"),
        ({"levels": 4}, "few-grey-values", WARNING, "4 different grey values", "see whether it is a mask"),
        ({"saturated": 0.11}, "saturated", WARNING, "11% of the pixels", "less exposure"),
        ({"lossy": True}, "lossy-image", NOTE, "a JPEG", "export TIFF or PNG"),
        ({"channels": 3, "grey": False}, "channels", ERROR, "3 channels", "model.in_channels=3"),
    ],
)
def test_an_image_by_itself(others, code, severity, found, fix):
    (one,) = each_image(with_last(**others), choices(channels=1))
    assert (one.code, one.severity, one.file) == (code, severity, "images/cell_03.png")
    assert found in one.found and fix in one.fix


def beside(number, rows, columns, **others):
    """A slice whose labels lie beside it."""
    return facts(number, shift=Offset(rows, columns, **others))


def test_moved_labels_of_one_image():
    (one,) = shifted([*DRAWN[:3], beside(3, 6, -8)])
    assert short([one]) == [("shifted-labels", WARNING, "labels/cell_03.tif")]
    assert one.found == "labels shifted by (6, -8) px (rows, columns)"
    fix = "export the labels again from the image that was annotated; they are (6, -8) px (rows, columns) off"
    assert one.fix == fix


def test_one_image_alone_is_evidence_if_it_is_sure_and_has_several_cells():
    few = replace(described(3, pieces=4), shift=Offset(6, -8))
    assert not list(shifted([*DRAWN[:3], beside(3, 6, -8, sure=False)])) and not list(shifted([*DRAWN[:3], few]))
    assert list(shifted([*DRAWN[:3], replace(few, labels=DRAWN[3].labels)]))


def test_labels_that_are_all_moved_alike_are_one_finding_of_their_folder():
    moved = [beside(number, 4 + number % 2, -6, sure=False) for number in range(7)]
    (one,) = shifted([*moved, facts(7), facts(8), facts(9, shift=None)])
    assert short([one]) == [("shifted-labels", WARNING, "labels")]
    assert one.found == "labels shifted by (4, -6) px (rows, columns) in 7 of 10 images"
    assert short(shifted([*moved, beside(7, 20, 20)])) == short([one]), "the others may be told after these"


@pytest.mark.parametrize(("rows", "step", "found"), [(2, 1, False), (3, 1, True), (5, 4, False), (8, 4, True)])
def test_labels_moved_alike_are_so_by_more_than_can_be_told(rows, step, found):
    assert bool(list(shifted([beside(n, rows, 0, step=step, sure=False) for n in range(6)]))) == found


def test_labels_that_are_moved_each_by_its_own_are_not_moved_alike():
    assert not list(shifted([beside(n, 9 * (-1) ** n, 5 * n - 10, sure=False) for n in range(8)]))
    assert not list(shifted([beside(n, 6, 6, sure=False) for n in range(4)])), "too few to tell"
    assert not list(shifted(DRAWN)) and not list(shifted([]))


@pytest.mark.parametrize("others", [{"saturated": 0.1}, {"channels": 3}, {"levels": 5}])
def test_what_is_usual_is_no_finding(others):
    assert not list(each_image(with_last(**others), choices()))


def test_an_image_of_two_values_is_not_called_saturated_too():
    assert [one.code for one in each_image(with_last(levels=2, saturated=0.5), choices(channels=1))] == [
        "few-grey-values"
    ]


def test_the_few_are_named_by_the_first_of_them():
    mixed = [facts(0), facts(1), facts(2), facts(3, dtype="uint16"), facts(4, dtype="uint16", channels=3)]
    one, other = acquisition(mixed)
    assert short([one]) == [("mixed-dtype", NOTE, "images/cell_03.png")]
    assert (one.found, one.expected) == ("dtype uint16 in 2 of 5 images", "dtype uint8 as in the others")
    assert short([other]) == [("mixed-channels", ERROR, "images/cell_04.png")]
    assert (other.found, other.expected) == ("channels 3 in 1 of 5 images", "channels 1 as in the others")
    assert not list(acquisition(DRAWN))


@pytest.mark.parametrize(("size", "wrong"), [(0.25, True), (0.41, False), (0.62, False), (0.63, True), (None, False)])
def test_another_magnification(size, wrong):
    found = list(acquisition([facts(number, pixel_size=0.5) for number in range(3)] + [facts(3, pixel_size=size)]))
    assert short(found) == [("pixel-size", WARNING, "images/cell_03.png")] * wrong
    if size == 0.25:
        assert (found[0].found, found[0].expected) == ("0.25 µm a pixel", "about 0.5, as in most images")
        assert found[0].fix == "rescale image and labels by 0.5"


@pytest.mark.parametrize(
    ("group", "code", "severity", "found"),
    [
        ({}, "duplicate", WARNING, "the same image as cell_01"),
        (
            *(GROUP, "duplicate-across-split", ERROR),
            "the same image as cell_01; one is a training image, the other a held-out image",
        ),
        ({"cell_01": "train"}, "duplicate", WARNING, "the same image as cell_01"),
        (GROUP | {"cell_03": "train"}, "duplicate", WARNING, "the same image as cell_01"),
    ],
)
def test_the_same_image_twice(group, code, severity, found):
    (one,) = duplicates(with_last(digest=DRAWN[1].digest), group)
    assert short([one]) == [(code, severity, "images/cell_03.png")] and one.found == found


def test_black_images_are_no_copies():
    assert not list(duplicates(with_last(digest=DRAWN[1].digest, levels=1), GROUP))
    assert not list(duplicates(DRAWN, GROUP))


def test_a_size_that_is_not_learnt():
    (one,) = sizes([*[facts(n) for n in range(9)], facts(9, size=(80, 96))], GROUP | {"cell_09": "held_out"})
    assert short([one]) == [("size-not-learnt", WARNING, "images/cell_09.png")]
    assert one.found == "80×96 px, a size that no training image has"
    assert one.expected == "training images of the same kind as each held-out image"


def test_sizes_tell_nothing_where_each_image_has_its_own():
    own = [facts(number, size=(70 + number, 96)) for number in range(4)]
    assert not list(sizes(own, GROUP))
    half = [facts(number) for number in range(2)]  # of four slices
    assert not list(sizes([*half, *own[2:]], GROUP))


def test_a_size_of_a_slice_in_no_group_is_no_matter():
    assert not list(sizes([*[facts(n) for n in range(9)], facts(9, size=(80, 96))], GROUP))
