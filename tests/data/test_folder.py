"""Folders of one's own, in each layout that people have; images of any kind, size and depth beside their labels."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from src.data.finding import Refused
from src.data.folder import read_folder
from src.data.matching import matched
from tests.data.own import change_labels, draw, folder, write

CELLS = [draw(number) for number in range(3)]


def lay_out(root, image, labels):
    """Three images and their labels under the names that are given, with ``{}`` for a number."""
    for number, (picture, cells) in enumerate(CELLS):
        for name, array in ((image, picture), (labels, cells)):
            file = root / name.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, array)
    return root


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/a{}.png", "labels/a{}.tif"),
        ("images/a{}.tif", "masks/a{}.tif"),
        ("imgs/a{}.png", "masks/a{}_mask.tif"),
        ("images/a{}.jpg", "masks/a{}.tif"),
        ("images/a{}.ome.tif", "labels/a{}.tif"),
        ("images/a{}.zarr", "labels/a{}.tif"),
        ("images/a{}_mask.png", "labels/a{}_mask.tif"),
        ("a{}.tif", "a{}_masks.tif"),
        ("a{}.png", "a{}_cp_masks.tif"),
        ("a{}.TIF", "a{}_labels.tif"),
    ],
)
def test_images_find_their_labels_in_every_layout(image, labels, tmp_path):
    stack = read_folder(lay_out(tmp_path, image, labels))
    assert len(stack) == 3
    assert [name.removesuffix("_mask") for name in stack.names] == ["a0", "a1", "a2"]
    for number, (picture, cells) in enumerate(CELLS):
        if not image.endswith(".jpg"):
            np.testing.assert_array_equal(stack.images[number], picture)
        np.testing.assert_array_equal(stack.instances[number], cells)
        np.testing.assert_array_equal(stack.targets[number], cells > 0)


def test_the_films_of_the_cell_tracking_challenge_keep_their_frames_together(tmp_path):
    for film in ("01", "02"):
        lay_out(tmp_path, f"{film}/t00{{}}.tif", f"{film}_GT/SEG/man_seg00{{}}.tif")
        (tmp_path / f"{film}_GT/SEG/man_seg001.tif").unlink()  # only some frames are annotated
        (tmp_path / f"{film}_ST/SEG").mkdir(parents=True)
    stack = read_folder(tmp_path)
    assert stack.names == ["01_t000", "01_t002", "02_t000", "02_t002"]
    assert stack.files == ["01", "01", "02", "02"]
    np.testing.assert_array_equal(stack.images[1], CELLS[2][0])
    np.testing.assert_array_equal(stack.instances[3], CELLS[2][1])


def test_images_of_many_sizes_and_depths_stand_in_one_data_set(tmp_path):
    root = folder(tmp_path / "own", 2)
    image, cells = draw(5)
    for dtype in ("uint8", "uint16", "float32"):
        write(root / f"images/{dtype}.tif", image[:50].astype(dtype) * (2 if dtype == "float32" else 1))
        write(root / f"labels/{dtype}.tif", cells[:50])
    stack = read_folder(root)
    assert [each.shape for each in stack.images] == [(96, 96)] * 2 + [(50, 96)] * 3
    assert [str(each.dtype) for each in stack.images] == ["uint8", "uint8", "float32", "uint8", "uint16"]
    assert stack.take([0, 4]).names == ["cell_00", "uint16"]


def test_the_slices_of_a_stack_are_numbered_and_of_one_file(tmp_path):
    for name, place in (("images", 0), ("labels", 1)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "stack.tif", np.stack([cells[place] for cells in CELLS]))
    stack = read_folder(tmp_path)
    assert stack.names == ["stack_000", "stack_001", "stack_002"] and set(stack.files) == {"images/stack.tif"}
    np.testing.assert_array_equal(stack.images, [image for image, _ in CELLS])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_stand_last_and_an_alpha_that_says_nothing_is_none(channels, tmp_path):
    root = folder(tmp_path / "own", 1)
    image = draw(0)[0]
    colours = np.stack([image, image // 2, image // 3, np.full_like(image, 255)][-channels:], axis=-1)
    iio.imwrite(root / "images/cell_00.png", colours)
    (read,) = read_folder(root).images
    expected = {2: colours[..., 0], 3: colours, 4: colours[..., :3]}[channels]  # of three none is transparency
    np.testing.assert_array_equal(read, expected)


def test_the_pixel_size_that_a_file_says_belongs_to_its_slices(tmp_path):
    root = folder(tmp_path / "own", 2)
    image, cells = draw(5)
    tifffile.imwrite(root / "images/sized.tif", image, resolution=(1e4 / 0.65,) * 2, resolutionunit="CENTIMETER")
    write(root / "labels/sized.tif", cells)
    assert read_folder(root).pixel_sizes == [None, None, pytest.approx(0.65)]


def test_only_images_that_are_included_count(tmp_path):
    root = folder(tmp_path / "own")
    (root / "labels/cell_07.tif").unlink()
    assert read_folder(root, include="cell_0[0-4]").names == [f"cell_0{number}" for number in range(5)]
    with pytest.raises(Refused, match=r"cell_07\.png: expected labels named cell_07"):
        read_folder(root)


def test_labels_without_an_image_are_left_out(tmp_path):
    root = folder(tmp_path / "own")
    (root / "images/cell_07.png").unlink()
    assert len(read_folder(root)) == 9


def test_what_nobody_annotated_is_ignored(tmp_path):
    root = folder(tmp_path / "own", 2)
    labels = tifffile.imread(root / "labels/cell_01.tif").astype(np.int16)
    labels[:40] = -1
    write(root / "labels/cell_01.tif", labels)
    stack = read_folder(root, ignore_label=-1)
    assert (stack.known[1] == (labels >= 0)).all() and stack.known[0].all()
    assert (stack.targets[1][:40] == 0).all() and (stack.instances[1][:40] == 0).all()
    np.testing.assert_array_equal(stack.targets[1][40:], labels[40:] > 0)
    np.testing.assert_array_equal(stack.targets[0], draw(0)[1] > 0)


def test_hidden_and_other_files_are_no_images(tmp_path):
    root = folder(tmp_path / "own")
    for name in ("images/.DS_Store", "images/._cell_00.png", "images/notes.txt", "labels/Thumbs.db"):
        (root / name).write_text("nothing")
    pairs, alone = matched(root)
    assert len(pairs) == 10 and not alone


@pytest.mark.parametrize("made", [(), ("images",), ("masks",), ("other",)])
def test_another_layout_is_explained(made, tmp_path):
    for name in made:
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=r"images/ and labels/, or NAME\.tif beside NAME_masks\.tif"):
        read_folder(tmp_path)


def test_a_colour_for_each_cell_is_read_as_cells_if_that_is_asked_for(tmp_path):
    root = folder(tmp_path / "own", 3)
    colours = np.random.default_rng(0).integers(1, 255, (8, 3)) * (np.arange(8) > 0)[:, None]
    change_labels(root, lambda cells: colours[cells].astype(np.uint8), range(3), ".png")
    for number, cells in enumerate(read_folder(root, kind="instances").instances):
        assert len(set(zip(draw(number)[1].ravel(), cells.ravel(), strict=True))) == 8
