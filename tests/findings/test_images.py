"""Checks of images: what each finds, and where it begins to."""

import pytest

from src.data.finding import ERROR, NOTE, WARNING
from src.findings.images import acquisition, duplicates, each_image, sizes
from tests.findings.broken import choices, facts

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


def test_moved_labels_are_moved_back():
    (one,) = each_image(with_last(shift=(6, -8)), choices())
    assert short([one]) == [("shifted-labels", WARNING, "labels/cell_03.tif")]
    assert one.found == "labels that fit their image better moved by -6 rows and 8 columns"
    assert one.fix == "labels = np.roll(labels, (-6, 8), axis=(0, 1))"


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
    assert (one.found, one.expected) == ("dtype uint16 in 2 of 5 slices", "dtype uint8 as in the others")
    assert short([other]) == [("mixed-channels", ERROR, "images/cell_04.png")]
    assert (other.found, other.expected) == ("channels 3 in 1 of 5 slices", "channels 1 as in the others")
    assert not list(acquisition(DRAWN))


@pytest.mark.parametrize(("size", "wrong"), [(0.25, True), (0.41, False), (0.62, False), (0.63, True), (None, False)])
def test_another_magnification(size, wrong):
    found = list(acquisition([facts(number, pixel_size=0.5) for number in range(3)] + [facts(3, pixel_size=size)]))
    assert short(found) == [("pixel-size", WARNING, "images/cell_03.png")] * wrong
    if size == 0.25:
        assert (found[0].found, found[0].expected) == ("0.25 µm a pixel", "about 0.5, as in most")
        assert found[0].fix == "rescale image and labels by 0.5"


@pytest.mark.parametrize(
    ("group", "code", "severity", "found"),
    [
        ({}, "duplicate", WARNING, "the same image as cell_01"),
        (GROUP, "duplicate-across-split", ERROR, "the same image as cell_01, one in train and one in held_out"),
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
    assert one.found == "80×96 px in held_out, a size of no training slice"


def test_sizes_tell_nothing_where_each_image_has_its_own():
    own = [facts(number, size=(70 + number, 96)) for number in range(4)]
    assert not list(sizes(own, GROUP))
    half = [facts(number) for number in range(2)]  # of four slices
    assert not list(sizes([*half, *own[2:]], GROUP))


def test_a_size_of_a_slice_in_no_group_is_no_matter():
    assert not list(sizes([*[facts(n) for n in range(9)], facts(9, size=(80, 96))], GROUP))
