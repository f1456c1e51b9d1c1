"""Masks in which smoothing or JPEG has left more than two values."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from src.data.annotated import read_pair
from src.data.finding import Refused
from src.data.matching import matched
from src.data.two_values import TwoValues, black_and_white, without_smoothing
from tests.data.drawn import KINDS, mask
from tests.data.own import change_labels, draw, folder
from tests.findings.broken import annotated, compress, shrink


def decoded(labels, level):
    return imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(labels, level=level))


@pytest.mark.parametrize("level", [50, 75, 95])
@pytest.mark.parametrize("name", ["mask", "vessels", "clump", "confluent", "membranes", "inverted mask"])
def test_a_mask_is_what_it_was_before_it_was_a_jpeg(name, level):
    for number in range(3):
        drawn = np.where(KINDS[name][2](number)[0] > 0, np.uint8(255), np.uint8(0))
        wrong = black_and_white(decoded(drawn, level)) != drawn
        assert wrong.mean() < 0.02


def test_nothing_and_all_are_masks_too():
    for value in (0, 255):
        drawn = np.full((40, 50), value, np.uint8)
        np.testing.assert_array_equal(black_and_white(decoded(drawn, 75)), drawn)


@pytest.mark.parametrize(
    "labels",
    [
        decoded(mask(0, 1)[0] * 128, 75),  # which of two greys is the cell, and which half of one?
        decoded(KINDS["organs"][2](0)[0] * 80, 75),
        decoded(draw(0)[0], 90),
        draw(0)[1],
        np.zeros((3, 40, 50), np.uint8),
    ],
    ids=["half grey", "three classes", "a picture", "numbers", "a stack"],
)
def test_what_is_no_mask_is_none(labels):
    assert black_and_white(labels) is None


def test_smoothed_masks_alone_are_changed():
    cells = annotated(0)
    assert without_smoothing([cells]) == [cells]
    (found,) = without_smoothing([annotated(0, labels=shrink(cells.labels))])
    assert set(np.unique(found.labels)) == {0, 255}
    assert [note.code for note in found.notes] == ["smoothed-label"]
    assert np.mean((found.labels > 0) != (cells.labels > 0)) < 0.02


def test_a_jpeg_is_read_as_its_mask_under_its_own_name(tmp_path):
    change_labels(folder(tmp_path / "own", 1), compress, [0], ".jpg")
    (pair,), _ = matched(tmp_path / "own")
    read = TwoValues(tmp_path)
    (each,) = read(pair)
    assert each.pair == pair and read.pairs == {"cell_00": pair}
    assert set(np.unique(each.labels)) == {0, 255}
    assert [(note.code, note.file) for note in each.notes] == [("jpeg-label", str(pair.labels))]
    with pytest.raises(Refused):
        read_pair(pair)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda labels: np.uint8(labels) * 30, "jpeg-label"),
        (lambda labels: compress(labels)[:80], "size-mismatch"),
        (lambda labels: np.dstack([compress(labels), compress(labels), 255 - compress(labels)]), "rgb-label"),
    ],
)
def test_a_jpeg_that_is_no_mask_of_its_image_is_refused_by_name(change, code, tmp_path):
    change_labels(folder(tmp_path / "own", 1), change, [0], ".jpg")
    (pair,), _ = matched(tmp_path / "own")
    with pytest.raises(Refused) as refused:
        TwoValues(tmp_path)(pair)
    assert (refused.value.finding.code, refused.value.finding.file) == (code, str(pair.labels))


def test_half_a_jpeg_is_refused_by_name(tmp_path):
    change_labels(folder(tmp_path / "own", 1), compress, [0], ".jpg")
    (pair,), _ = matched(tmp_path / "own")
    data = Path(pair.labels).read_bytes()
    Path(pair.labels).write_bytes(data[: len(data) // 2])
    with pytest.raises(Refused) as refused:
        TwoValues(tmp_path)(pair)
    assert refused.value.finding.code == "unreadable"
