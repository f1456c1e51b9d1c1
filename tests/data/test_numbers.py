"""Label files of any tool, read as the numbers that were drawn, whatever colours they are shown in."""

import cv2
import imagecodecs
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.finding import Refused
from src.data.numbers import as_colours, one_hot, packed, read_labels, sharpened, unpacked
from src.files.stored import Reading
from tests.data.own import draw

CELLS = draw(0)[1]
MASK = (CELLS > 0).astype(np.uint8)


FILES = {
    "uint8.tif": (MASK, MASK),
    "uint32.tif": (CELLS.astype(np.uint32), CELLS),
    "int16.tif": (CELLS.astype(np.int16) - 1, CELLS.astype(int) - 1),
    "uint16.png": (CELLS, CELLS),
    "grey as rgb.png": (np.repeat(MASK[..., None] * 255, 3, axis=2), MASK * 255),
    "grey as rgb.tif": (np.repeat(MASK[..., None] * 255, 3, axis=2), MASK * 255),
    "grey and opaque.png": (np.stack([MASK * 255] * 3 + [np.full_like(MASK, 255)], axis=-1), MASK * 255),
    "stack.tif": (np.stack([CELLS] * 3), np.stack([CELLS] * 3)),
}


@pytest.mark.parametrize("name", FILES)
def test_labels_are_read_as_numbers(name, tmp_path):
    written, expected = FILES[name]
    if name.endswith(".tif"):
        photometric = "rgb" if written.ndim == 3 and written.shape[-1] == 3 else "minisblack"
        tifffile.imwrite(tmp_path / name, written, photometric=photometric)
    else:
        iio.imwrite(tmp_path / name, written)
    np.testing.assert_array_equal(read_labels(tmp_path / name).numbers, expected)


def test_a_palette_gives_its_numbers_and_not_its_colours(tmp_path):
    image = Image.fromarray(CELLS.astype(np.uint8), mode=None)
    image = image.convert("P")
    image.putpalette([value for number in range(256) for value in (255 - number, number * 37 % 256, 9)])
    image.save(tmp_path / "palette.png")
    with Image.open(tmp_path / "palette.png") as saved:
        assert saved.mode == "P"
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png").numbers, CELLS)


def test_a_mask_of_one_bit_is_read(tmp_path):
    Image.fromarray(MASK * 255).convert("1").save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "bits.png").numbers, MASK)


def test_whole_numbers_that_were_saved_as_real_ones_are_numbers(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", CELLS.astype(np.float32))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, CELLS)
    assert codes(tmp_path / "a.tif") == ["float-label"]
    tifffile.imwrite(tmp_path / "b.tif", CELLS.astype(np.float32) / 2)
    with pytest.raises(Refused, match=r"b\.tif: expected labels of whole numbers.*apply a threshold"):
        read_labels(tmp_path / "b.tif")


def codes(file) -> list[str]:
    return [note.code for note in read_labels(file).notes]


def test_cells_in_16_bits_of_equal_colours_keep_numbers_above_255(tmp_path):
    many = (np.arange(96 * 96).reshape(96, 96) // 16).astype(np.uint16)
    for channels in (3, 4):
        colours = np.repeat(many[..., None], channels, axis=2)
        colours[..., 3:] = 65535
        (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(colours))
        np.testing.assert_array_equal(read_labels(tmp_path / "a.png").numbers, many)


def test_signed_numbers_of_imagej_are_those_that_it_shows(tmp_path):
    metadata = {"cf": 0, "c0": -32768.0, "c1": 1.0}
    tifffile.imwrite(tmp_path / "a.tif", (CELLS + 32768).astype(np.uint16), imagej=True, metadata=metadata)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, CELLS)


@pytest.mark.parametrize("how", ["miniswhite", "falling palette", "coloured palette"])
def test_under_any_table_of_colours_the_stored_numbers_are_the_labels(tmp_path, how):
    values = MASK * 255
    if how == "miniswhite":
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    else:
        ramp = np.arange(255, -1, -1).astype(np.uint16) * 257
        table = np.stack([ramp, ramp if "falling" in how else ramp // 2, ramp])
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, values)
    (note,) = read_labels(tmp_path / "a.tif").notes
    assert note.code == ("colour-table" if "coloured" in how else "white-is-zero")
    assert ("data.source.values=[255,0]" in note.fix) == (note.code == "white-is-zero")


def test_a_mask_of_one_bit_in_which_0_is_white_is_read_as_it_is_shown(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", MASK == 0, photometric="miniswhite")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, MASK)
    (note,) = read_labels(tmp_path / "a.tif").notes
    assert "data.source.values=[1,0]" in note.fix
    tifffile.imwrite(tmp_path / "b.tif", MASK > 0, photometric="minisblack")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif").numbers, MASK)
    assert codes(tmp_path / "b.tif") == []


@pytest.mark.parametrize("orientation", [3, 6])
def test_labels_with_a_tag_of_orientation_are_turned_as_images_are(tmp_path, orientation):
    tifffile.imwrite(tmp_path / "a.tif", CELLS, extratags=[(274, "H", 1, orientation, True)])
    expected = np.rot90(CELLS, {3: 2, 6: 3}[orientation])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, expected)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif", Reading()).numbers, CELLS)


def test_planes_tagged_as_channels_are_slices(tmp_path):
    stack = np.stack([draw(number)[1] for number in range(5)])
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, stack)
    rgb = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "b.tif", stack[:3].astype(np.uint8), **rgb)
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif").numbers, stack[:3])
    tifffile.imwrite(tmp_path / "c.tif", np.stack([MASK] * 3), **rgb)
    np.testing.assert_array_equal(read_labels(tmp_path / "c.tif").numbers, MASK)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_planes_of_which_one_is_on_that_one_is_the_class(tmp_path, count):
    classes = CELLS % count
    planes = np.stack([classes == number for number in range(count)]).astype(np.uint8) * 255
    np.testing.assert_array_equal(one_hot(planes), classes)
    rgb = {"photometric": "rgb", "planarconfig": "separate"} if count == 3 else {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", planes, **rgb)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").numbers, classes)


def test_slices_of_masks_are_no_planes_of_classes():
    stack = np.stack([draw(number)[1] > 0 for number in range(3)])
    assert one_hot(stack) is stack and one_hot(stack[:1]).shape == (1, 96, 96)


@pytest.mark.parametrize("name", ["a.bmp", "a.gif"])
def test_masks_of_other_programs_are_read(tmp_path, name):
    Image.fromarray(MASK * 255).save(tmp_path / name)
    found = read_labels(tmp_path / name).numbers
    assert len(np.unique(found)) == 2 and np.array_equal(found != found[0, 0], MASK[0, 0] != MASK)


SMOOTH = np.kron(MASK * 255, np.ones((2, 2), np.uint8))
EDGES = np.argwhere((SMOOTH[1:] == 0) & (SMOOTH[:-1] == 255))[::20][:4]


def smoothed(values, labels=SMOOTH, places=EDGES):
    """A mask with other values at some places."""
    found = labels.copy()
    for (row, column), value in zip(places, np.resize(values, len(places)), strict=True):
        found[row, column] = value
    return found


@pytest.mark.parametrize("values", [[1], [127], [128, 200], [254]])
@pytest.mark.parametrize("form", ["grey", "rgb", "stack"])
def test_a_few_pixels_of_smooth_edges_become_the_nearer_value(values, form, tmp_path):
    drawing = smoothed(values)
    written = {"grey": drawing, "rgb": np.repeat(drawing[..., None], 3, axis=2), "stack": np.stack([drawing, SMOOTH])}
    tifffile.imwrite(tmp_path / "a.tif", written[form], photometric="rgb" if form == "rgb" else "minisblack")
    found = read_labels(tmp_path / "a.tif")
    expected = np.where(drawing > 127, 255, 0)
    np.testing.assert_array_equal(found.numbers, np.stack([expected, SMOOTH]) if form == "stack" else expected)
    (note,) = found.notes
    assert note.code == "smooth-edges" and note.found.startswith(f"{len(EDGES)} pixels between 0 and 255")


@pytest.mark.parametrize(
    "labels",
    [
        SMOOTH,
        CELLS,
        smoothed([1], places=np.argwhere(SMOOTH == 0)[:4]),  # far from any edge
        smoothed([1], places=np.argwhere(SMOOTH == 255)[-40:]),  # more than a few
        smoothed([1], SMOOTH // 255 * 2),  # a class between two
        np.where(SMOOTH, 40, 0) + np.pad(np.full((3, 2), 12), ((0, SMOOTH.shape[0] - 3), (0, SMOOTH.shape[1] - 2))),
    ],
)
def test_all_other_labels_stay_as_they_are(labels):
    found, notes = sharpened(labels)
    assert found is labels and notes == []


def test_axes_of_length_1_are_none(tmp_path):
    for number, written in enumerate([CELLS[None, None], CELLS[..., None], CELLS[:, None][None]]):
        tifffile.imwrite(tmp_path / f"{number}.tif", written, photometric="minisblack")
    np.testing.assert_array_equal(read_labels(tmp_path / "0.tif").numbers, CELLS)
    np.testing.assert_array_equal(read_labels(tmp_path / "1.tif").numbers, CELLS)


COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 200, 0]], np.uint8)[CELLS % 3]


@pytest.mark.parametrize("form", ["RGB", "opaque", "transparent", "16 bits", "tif"])
def test_colours_are_one_number_each(form, tmp_path):
    alpha = np.where(form == "opaque", 255, np.where(CELLS % 3, 255, 0))[..., None].astype(np.uint8)
    written = np.concatenate([COLOURS, alpha], axis=-1) if form in ("opaque", "transparent") else COLOURS
    file = tmp_path / ("a.tif" if form == "tif" else "a.png")
    if form == "16 bits":
        file.write_bytes(imagecodecs.png_encode(written.astype(np.uint16) * 257))
    elif form == "tif":
        tifffile.imwrite(file, written, photometric="rgb")
    else:
        iio.imwrite(file, written)
    found = read_labels(file)
    assert found.in_colours and not found.was_grey
    np.testing.assert_array_equal(found.numbers, packed(COLOURS))
    assert {unpacked(int(value)) for value in np.unique(found.numbers)} == {(0, 0, 0), (255, 0, 0), (0, 200, 0)}


def test_grey_that_was_saved_as_colours_may_stand_beside_colours(tmp_path):
    iio.imwrite(tmp_path / "a.png", np.repeat(MASK[..., None] * 255, 3, axis=2))
    found = read_labels(tmp_path / "a.png")
    assert found.was_grey and not found.in_colours
    assert unpacked(int(as_colours(found.numbers).max())) == (255, 255, 255)


@pytest.mark.parametrize("how", ["smooth", "jpeg", "half transparent"])
def test_colours_that_nobody_has_drawn_are_refused(how, tmp_path):
    changed = {
        "smooth": cv2.GaussianBlur(COLOURS, (0, 0), 1),
        "jpeg": imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(COLOURS, level=70)),
        "half transparent": np.concatenate([COLOURS, cv2.GaussianBlur(MASK * 255, (0, 0), 1)[..., None]], axis=-1),
    }[how]
    iio.imwrite(tmp_path / "a.png", changed)
    with pytest.raises(Refused, match=r"a\.png: expected labels as they were drawn, but got"):
        read_labels(tmp_path / "a.png")
