"""What one slice holds: each fact on a drawing that has it and on one that has not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.data.finding import WARNING, Finding, Refused
from src.data.matching import matched
from src.findings.facts import look, look_at_files, missing_chunks
from tests.data.own import SIDE, change_image, draw, folder
from tests.findings.broken import annotated, facts

IMAGE, LABELS = draw(0)


def looked(image=IMAGE, labels=LABELS, ignore_label=None):
    return look(annotated(image=image, labels=labels), ignore_label)


def test_a_drawing_without_fault():
    found = facts(3)
    assert (found.name, found.source) == ("cell_03", "cell_03.png")
    assert (found.file, found.labels_file) == ("images/cell_03.png", "labels/cell_03.tif")
    assert (found.size, found.channels, found.dtype, found.levels) == ((SIDE, SIDE), 1, "uint8", 5)
    assert (
        found.finite
        and not found.is_its_labels
        and not found.lossy
        and (found.shift.rows, found.shift.columns) == (0, 0)
    )
    assert (found.part, found.texture > 0.5, 14 <= found.width <= 24) == ("", True, True)
    assert (found.saturated, found.ignored, found.pixel_size, found.labels.cells) == (0, 0, None, 7)


def test_colours_are_channels():
    found = looked(np.stack([IMAGE, IMAGE // 2, IMAGE], -1))
    assert (found.size, found.channels) == ((SIDE, SIDE), 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_is_seen(value):
    image = IMAGE.astype(np.float32)
    assert looked(image).finite
    image[5, 7] = value
    found = looked(image)
    assert not found.finite and np.isfinite(found.thumbnail).all()


def test_a_range_beyond_all_numbers_is_not_finite():
    assert not looked(np.where(IMAGE > 60, 1e308, -1e308)).finite
    assert looked(np.where(IMAGE > 60, 1e9, -1e9)).finite


@pytest.mark.parametrize(("values", "levels"), [(1, 1), (2, 2), (4, 4), (5, 5), (9, 5)])
def test_grey_values_are_counted_to_five(values, levels):
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[0, 1 : values + 1] = range(values)  # single pixels, which a sample would miss
    assert looked(image).levels == levels


@pytest.mark.parametrize(
    ("dtype", "value", "share"),
    [("uint8", 255, 0.25), ("uint8", 254, 0), ("uint16", 4095, 0.25), ("uint16", 4094, 0), ("float32", 255, 0)],
)
def test_saturated_is_the_largest_value_of_a_camera(dtype, value, share):
    image = np.clip(IMAGE, 0, 250).astype(dtype)
    image[: SIDE // 2, : SIDE // 2] = value
    assert looked(image).saturated == share


def test_copies_have_one_digest_and_others_another():
    other = IMAGE.copy()
    other[0, 0] += 1
    assert looked(IMAGE.copy()).digest == looked().digest != looked(other).digest


def test_the_thumbnail_forgets_brightness_and_contrast():
    one, other = looked().thumbnail, looked(IMAGE * 3.0 + 40).thumbnail
    assert np.linalg.norm(one) == pytest.approx(1) and one.mean() == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert not looked(np.full_like(IMAGE, 9)).thumbnail.any()


def test_the_thumbnail_forgets_light_that_falls_off():
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    lit = IMAGE * (0.5 + y) + 60 * x
    assert looked(lit.astype(np.float32)).thumbnail @ looked().thumbnail > 0.9


def test_the_part_of_the_split_is_what_the_folders_say():
    pair = replace(annotated().pair, part="held_out")
    assert look(annotated(pair=pair)).part == "held_out"


def test_pieces_of_a_number_that_do_not_touch_are_counted():
    labels = LABELS.copy()
    labels[LABELS == 3] = 0
    labels[50:54, 50:54] = labels[54:58, 54:58] = 3  # by their corners they do
    assert looked(labels=labels).scattered == 0
    labels[0, 0] = labels[0, 2] = 3
    labels[-1, 0] = 5
    assert looked(labels=labels).scattered == 2
    assert looked(labels=(labels > 0).astype(np.uint8)).scattered == 0


def test_labels_in_the_place_of_the_image_are_seen():
    assert looked(image=LABELS).is_its_labels


def test_what_nobody_has_annotated_is_a_share_and_no_label():
    labels = LABELS.copy()
    labels[: SIDE // 2] = 255
    found = looked(labels=labels, ignore_label=255)
    assert found.ignored == 0.5 and 255 not in found.labels.counts
    assert looked(labels=labels).ignored == 0 and 255 in looked(labels=labels).labels.counts


@pytest.mark.parametrize(("suffix", "lossy"), [(".JPG", True), (".jpeg", True), (".png", False)])
def test_a_jpeg_is_lossy(suffix, lossy):
    pair = replace(annotated().pair, image=Path(f"cell{suffix}"))
    assert look(annotated(pair=pair)).lossy == lossy


def test_a_file_that_cannot_be_read_is_a_finding_and_no_facts(tmp_path):
    pairs, _ = matched(folder(tmp_path / "own", 3))
    pairs[1].image.write_text("cell")
    found, findings = look_at_files(pairs[1], None)
    assert found == [] and [each.code for each in findings] == ["unreadable"]
    found, findings = look_at_files(pairs[2], None)
    assert [each.name for each in found] == ["cell_02"] and findings == []


def test_chunks_that_are_not_there_are_counted(tmp_path):
    root = folder(tmp_path / "own", 4)
    change_image(root, lambda image: image, range(4), ".zarr")
    inside = (root / "images" / "cell_03.zarr").rglob("*")
    next(file for file in inside if file.is_file() and "zarr" not in file.name).unlink()
    pairs, _ = matched(root)
    assert missing_chunks(pairs[2]) == []
    (found,) = missing_chunks(pairs[3])
    assert (found.code, found.severity, found.file) == ("missing-chunks", WARNING, str(pairs[3].image))
    assert found.found == "1 missing chunks, which are read as one grey value"
    assert look_at_files(pairs[3], None)[1] == [found]


def test_files_that_cannot_be_used_say_why():
    finding = Finding("unreadable", "error", "a.tif", "nothing", "an image", "copy it again")

    def read(pair):
        raise Refused(finding)

    assert look_at_files(annotated().pair, None, read) == ([], [finding])


def test_files_are_read_by_who_has_read_them():
    given = annotated()
    (found,), findings = look_at_files(given.pair, None, lambda pair: [replace(given, name=f"{pair.name}_000")])
    assert found.name == f"{given.name}_000" and findings == []
