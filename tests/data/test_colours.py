"""Coloured labels: one table for all files, whatever colours each of them has."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from src.data.colours import read_labelmap, shown, table
from src.data.description import describe
from src.data.finding import Refused
from src.data.folder import read_folder
from src.data.labels import to_learn
from src.data.numbers import packed
from tests.data import drawn
from tests.data.own import folder

RED, GREEN, WHITE = 0xFF0000, 0x00C800, 0xFFFFFF
COLOURS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 200, 0)}


def in_colours(labels, colours=COLOURS):
    return np.array([colours[value] for value in range(len(colours))], np.uint8)[labels]


@pytest.fixture
def own(tmp_path):
    """A folder with six label images, of which each second one lacks a class."""
    root = folder(tmp_path / "own", 6)
    for number in range(6):
        labels, image = drawn.types(number)
        kept = np.where(labels == 1 + number // 2 % 2, 0, labels) if number % 2 else labels
        iio.imwrite(root / f"images/cell_{number:02d}.png", image)
        (root / f"labels/cell_{number:02d}.tif").unlink()
        iio.imwrite(root / f"labels/cell_{number:02d}.png", in_colours(kept))
    return root


def rewrite(root, change):
    for file in (root / "labels").iterdir():
        iio.imwrite(file, change(iio.imread(file)))


def classes(stack):
    """The labels as they were drawn, of the colours of the table."""
    return [in_colours(target, dict(enumerate(stack.legend.colours))) for target in stack.targets]


def test_each_colour_is_the_same_class_in_all_files(own):
    stack = read_folder(own)
    assert stack.legend.colours[0] == (0, 0, 0) and set(stack.legend.colours) == set(COLOURS.values())
    for found, file in zip(classes(stack), sorted((own / "labels").iterdir()), strict=True):
        np.testing.assert_array_equal(found, iio.imread(file))


def test_a_labelmap_names_and_orders_them(own):
    lines = [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "dead cell:0,200,0::",
        "cell:255,0,0::",
        "x:1,2,3::",
    ]
    (own / "labelmap.txt").write_text("\n".join(lines))
    stack = read_folder(own)
    assert stack.legend.names == ("background", "dead cell", "cell", "x")
    assert stack.legend.colours == ((0, 0, 0), (0, 200, 0), (255, 0, 0), (1, 2, 3))
    for found, file in zip(classes(stack), sorted((own / "labels").iterdir()), strict=True):
        np.testing.assert_array_equal(found, iio.imread(file))


@pytest.mark.parametrize("line", ["cell", "cell:red", "cell:1,2", "cell:1,2,256", "cell:1,2,-3"])
def test_a_line_that_is_none_is_named(line, tmp_path):
    (tmp_path / "labelmap.txt").write_text(f"background:0,0,0\n{line}\n")
    with pytest.raises(Refused, match=rf"labelmap\.txt: expected name:red,green,blue.*{line}"):
        read_labelmap(tmp_path)


def test_a_folder_need_have_no_labelmap(tmp_path):
    assert read_labelmap(tmp_path) is None


def test_without_one_the_most_frequent_ones_come_first_after_the_background():
    drawing = np.array([[RED] * 9 + [GREEN] * 5 + [0] * 2 + [WHITE] * 7])
    assert table([describe(drawing)], None) == (0, RED, WHITE, GREEN)
    assert table([describe(np.where(drawing == 0, RED, drawing))], None) == (RED, WHITE, GREEN)


def test_white_paper_is_background_and_what_was_saved_as_grey_has_its_colours(own):
    paper = {0: (255, 255, 255), 1: (255, 0, 0), 2: (0, 200, 0)}

    def on_paper(picture):
        found = picture.copy()
        found[(picture == 0).all(axis=2)] = paper[0]
        return found

    rewrite(own, on_paper)
    iio.imwrite(own / "labels/cell_00.png", np.full((96, 96, 3), 255, np.uint8))  # nothing in it
    stack = read_folder(own)
    assert stack.legend.colours[0] == (255, 255, 255) and not stack.targets[0].any()
    assert 0 < (stack.targets[2] > 0).mean() < 0.5


def test_values_may_be_chosen_among_them(own):
    stack = read_folder(own, kind="binary", values=[0, GREEN])
    np.testing.assert_array_equal(stack.targets[0], (iio.imread(own / "labels/cell_00.png") == (0, 200, 0)).all(axis=2))


def test_a_colour_for_each_cell_makes_cells(tmp_path):
    root = folder(tmp_path / "own", 6)
    random = np.random.default_rng(0)
    wanted = []
    for number in range(6):
        labels, _ = drawn.cells(number)
        palette = np.concatenate([[[0, 0, 0]], random.integers(1, 255, (9, 3))]).astype(np.uint8)
        (root / f"labels/cell_{number:02d}.tif").unlink()
        iio.imwrite(root / f"labels/cell_{number:02d}.png", palette[labels])
        wanted.append(to_learn(packed(palette[labels]), "instances")[1])
    stack = read_folder(root)
    assert stack.targets.max() == 1
    np.testing.assert_array_equal(stack.instances, wanted)


def test_numbers_among_colours_are_refused(own):
    (own / "labels/cell_03.png").unlink()
    iio.imwrite(own / "labels/cell_03.png", drawn.types(3)[0])
    with pytest.raises(Refused, match=r"cell_03\.png: expected colours, as in most files, but got numbers"):
        read_folder(own)


def test_a_table_is_shown_with_its_names():
    assert shown([0, RED], ["ground"]) == "0 ground (0, 0, 0), 1 (255, 0, 0)"


def test_a_packed_colour_may_mark_what_nobody_has_annotated(own):
    stack = read_folder(own, ignore_label=RED)
    assert stack.legend.colours == ((0, 0, 0), (0, 200, 0))
    for target, known, file in zip(stack.targets, stack.known, sorted((own / "labels").iterdir()), strict=True):
        picture = iio.imread(file)
        np.testing.assert_array_equal(known, (picture != (255, 0, 0)).any(axis=2))
        np.testing.assert_array_equal(target, (picture == (0, 200, 0)).all(axis=2))


@pytest.mark.parametrize("differ", [True, False])
def test_labels_with_different_palettes_are_identified_by_their_colours(differ, own):
    for number, file in enumerate(sorted((own / "labels").iterdir())):
        labels = drawn.types(number)[0]
        order = [0, 2, 1] if differ and number % 2 else [0, 1, 2]  # the colour that each number of the file is shown in
        picture = Image.fromarray(np.argsort(order).astype(np.uint8)[labels]).convert("P")
        picture.putpalette([part for value in order for part in COLOURS[value]])
        picture.save(file)
    stack = read_folder(own)
    packed_colours = [red << 16 | green << 8 | blue for red, green, blue in stack.legend.colours]
    again = read_folder(own, kind="classes", values=packed_colours or [0, 1, 2])  # as a check passes on what it found
    assert again.content == stack.content
    assert bool(stack.legend.colours) == differ and len(stack.legend.values) == (0 if differ else 3)
    for number, target in enumerate(stack.targets):
        found = in_colours(target, dict(enumerate(stack.legend.colours or COLOURS.values())))
        np.testing.assert_array_equal(found, in_colours(drawn.types(number)[0]))
