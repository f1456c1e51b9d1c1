"""Images and labels read together: of what a file leaves open, the labels decide."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.annotated import read_pair
from src.data.finding import Refused
from src.data.folder import read_folder
from src.data.matching import matched
from tests.data.own import draw, folder

TURNED = {3: 2, 6: 1, 8: 3}  # quarter turns by which pixels are stored that a tag turns upright


def photographs(root, orientation: int, kind: str = "png", upright: bool = True, height: int = 96, count: int = 4):
    """Pictures with a tag of orientation; labels as viewers show them, or on the stored pixels."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        image, cells = (each[:height] for each in draw(number))
        stored, drawn = (np.ascontiguousarray(np.rot90(each, TURNED[orientation])) for each in (image, cells))
        if kind == "tif":
            tifffile.imwrite(root / f"images/a{number}.tif", stored, extratags=[(274, "H", 1, orientation, True)])
        else:
            picture, content = Image.fromarray(stored), io.BytesIO()
            tags = picture.getexif()
            tags[0x0112] = orientation
            picture.save(content, {"jpg": "JPEG"}.get(kind, kind.upper()), exif=tags, quality=95)
            (root / f"images/a{number}.{kind}").write_bytes(content.getvalue())
        tifffile.imwrite(root / f"labels/a{number}.tif", cells if upright else drawn)
    return root


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("height", [96, 72], ids=["square", "oblong"])
@pytest.mark.parametrize("upright", [True, False], ids=["upright", "stored"])
def test_labels_tell_whether_a_tag_of_orientation_counts(tmp_path, kind, orientation, height, upright):
    root = photographs(tmp_path / "own", orientation, kind, upright, height)
    stack = read_folder(root)
    assert stack.reading.orientation == ("shown" if upright else "stored")
    for number in range(4):
        image, cells = (each[:height] for each in draw(number))
        expected = image if upright else np.rot90(image, TURNED[orientation])
        assert np.abs(stack.images[number].astype(int) - expected).max() <= (30 if kind == "jpg" else 0)
        np.testing.assert_array_equal(
            stack.instances[number] > 0, (cells if upright else np.rot90(cells, TURNED[orientation])) > 0
        )


def test_a_slice_that_cannot_tell_follows_the_others(tmp_path):
    root = photographs(tmp_path / "own", 3, "tif", upright=False)
    blank = np.zeros((96, 96), np.uint8)
    blank[0, 0] = 9
    tifffile.imwrite(root / "images/a4.tif", blank, extratags=[(274, "H", 1, 3, True)])
    tifffile.imwrite(root / "labels/a4.tif", np.zeros((96, 96), np.uint16))
    stack = read_folder(root)
    assert stack.reading.orientation == "stored"
    np.testing.assert_array_equal(stack.images[4], blank)


@pytest.mark.parametrize("asked", ["shown", "stored"])
def test_what_is_asked_for_is_done_whatever_the_labels_say(tmp_path, asked):
    root = photographs(tmp_path / "own", 3, upright=asked != "shown")
    stack = read_folder(root, orientation=asked)
    assert stack.reading.orientation == asked
    expected = draw(0)[0] if asked == "shown" else np.rot90(draw(0)[0], 2)
    np.testing.assert_array_equal(stack.images[0], expected)


def test_a_note_says_what_was_taken_and_the_key_that_takes_the_other(tmp_path):
    (pair, *_), _ = matched(photographs(tmp_path / "own", 6, upright=False))
    (note,) = read_pair(pair)[0].notes
    assert (note.code, note.severity) == ("turned", "note") and "tag 6" in note.found
    assert note.fix == "data.source.orientation=shown takes the other"


def stack_of(root, shape_of, labels: np.ndarray, **options) -> None:
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    tifffile.imwrite(root / "images/a.tif", shape_of, **options)
    tifffile.imwrite(root / "labels/a.tif", labels, photometric="minisblack")


DRAWN = [np.stack(each) for each in zip(*(draw(number) for number in range(6)), strict=True)]
RGB = {"photometric": "rgb", "planarconfig": "separate"}


def test_slices_tagged_as_channels_are_read_by_the_key_that_is_named(tmp_path):
    stack_of(tmp_path, DRAWN[0], DRAWN[1], imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(Refused, match=r"with 6 channels.*data.source.axes=ZYX, if the image is 6 slices"):
        read_folder(tmp_path)
    stack = read_folder(tmp_path, axes="ZYX")
    np.testing.assert_array_equal(np.stack(list(stack.images)), DRAWN[0])
    assert stack.reading.axes == "ZYX"


@pytest.mark.parametrize("axes", ["CYX", "YXC"])
def test_channels_tagged_as_slices_are_read_by_the_key_that_is_named(tmp_path, axes):
    image = DRAWN[0][:4] if axes == "CYX" else np.moveaxis(DRAWN[0][:4], 0, -1)
    stack_of(tmp_path, image, DRAWN[1][0], photometric="minisblack")
    with pytest.raises(Refused, match=f"data.source.axes={axes}, if the image is 4 channels"):
        read_folder(tmp_path)
    np.testing.assert_array_equal(read_folder(tmp_path, axes=axes).images[0], np.moveaxis(DRAWN[0][:4], 0, -1))


@pytest.mark.parametrize("count", [3, 4])
def test_planes_tagged_as_colours_are_slices_where_there_are_as_many_labels(tmp_path, count):
    stack_of(tmp_path / "slices", DRAWN[0][:count], DRAWN[1][:count], **RGB)
    stack = read_folder(tmp_path / "slices")
    np.testing.assert_array_equal(np.stack(list(stack.images)), DRAWN[0][:count])
    assert stack.reading.axes == "ZYX"
    stack_of(tmp_path / "channels", DRAWN[0][:count], DRAWN[1][0], **RGB)
    stack = read_folder(tmp_path / "channels")
    assert stack.images[0].shape == (96, 96, count) and stack.reading.axes == "SYX"


def test_planes_of_classes_are_one_label_of_an_image_of_three_channels(tmp_path):
    classes = DRAWN[1][0] % 3
    stack_of(tmp_path, DRAWN[0][:3], np.stack([classes == number for number in range(3)]).astype(np.uint8), **RGB)
    stack = read_folder(tmp_path, kind="classes")
    assert stack.images[0].shape == (96, 96, 3)
    np.testing.assert_array_equal(stack.targets[0], classes)


def test_a_file_without_a_choice_changes_nothing(tmp_path):
    stack = read_folder(folder(tmp_path / "own", 3))
    assert (stack.reading.orientation, stack.reading.axes, stack.reading.scaling) == ("shown", None, "objects")
