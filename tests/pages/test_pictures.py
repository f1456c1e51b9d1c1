"""Pictures show image, truth, prediction and mistakes where they are."""

import imageio.v3 as iio
import numpy as np
import pytest

from src.metrics.mistakes import EXTRA, MISSED
from src.pages.pictures import COLOURS, ORANGE, SKY_BLUE, colours, overlay, panels, write_comparison, write_picture


def test_equal_labels_look_equal_and_different_ones_do_not(tmp_path):
    image = np.linspace(0, 1, 400, dtype=np.float32).reshape(1, 20, 20)
    truth = np.ones((20, 20), np.int64)
    truth[:, 10] = 0
    split = np.where(np.arange(20) < 10, 1, 2) * truth
    merged = truth.copy()
    truth = split
    for name, labels in (("split", split), ("merged", merged)):
        write_comparison(tmp_path / f"{name}.png", image, truth, labels)
    shown = {name: iio.imread(tmp_path / f"{name}.png") for name in ("split", "merged")}
    panels = {name: (picture[:, 28:48], picture[:, 56:76]) for name, picture in shown.items()}
    assert shown["split"].shape == (20, 76, 3)
    np.testing.assert_array_equal(*panels["split"])
    assert (panels["merged"][0] != panels["merged"][1]).any()


IMAGE = np.linspace(0, 1, 60 * 80, dtype=np.float32).reshape(1, 60, 80)


def square(top, left, side=20, number=1):
    cells = np.zeros((60, 80), int)
    cells[top : top + side, left : left + side] = number
    return cells


def test_panels_show_truth_prediction_and_mistakes_in_their_places():
    truth, labels = square(5, 5) + square(35, 50, number=2), square(5, 5)
    kinds = square(35, 50, number=MISSED)
    shown = {name: iio.imread(content).astype(int) for name, content in panels(IMAGE, truth, labels, kinds).items()}
    assert list(shown) == ["image", "truth", "prediction", "mistakes"]
    assert np.abs(shown["image"][..., 0] - IMAGE[0] * 255).mean() < 3
    coloured = {name: np.ptp(picture, axis=-1) > 25 for name, picture in shown.items()}
    inside = {"truth": ((15, 15), (45, 60)), "prediction": ((15, 15),), "mistakes": ((45, 60),), "image": ()}
    for name, places in inside.items():
        assert {place for place in ((15, 15), (45, 60), (50, 20)) if coloured[name][place]} == set(places), name
    np.testing.assert_allclose(shown["mistakes"][36, 60], COLOURS[MISSED], atol=40)


def test_without_an_image_there_are_the_other_panels_upon_black():
    drawn = panels(None, square(5, 5), square(5, 5), square(0, 0, 0))
    assert list(drawn) == ["truth", "prediction", "mistakes"]
    assert iio.imread(drawn["truth"])[50, 70].max() < 10


def test_each_kind_of_mistake_of_cells_has_a_colour_of_its_own():
    assert len({tuple(colour) for kind, colour in COLOURS.items() if kind <= EXTRA}) == 4


def test_large_panels_are_reduced_and_show_the_same_places():
    large = np.zeros((3, 1500, 2500), np.float32)
    cells = np.zeros((1500, 2500), int)
    cells[700:900, 2000:2400] = 1
    large[0, cells > 0] = 1
    shown = {name: iio.imread(content).astype(int) for name, content in panels(large, cells, cells, cells).items()}
    assert {picture.shape for picture in shown.values()} == {(614, 1024, 3)}
    assert overlay(large, cells, cells).shape == (614, 1024, 3)
    red = np.argwhere(shown["image"][..., 0] > 128)
    wrong = np.argwhere(np.ptp(shown["mistakes"], axis=-1) > 60)
    np.testing.assert_allclose(red.min(axis=0), wrong.min(axis=0), atol=3)  # WebP blurs colours
    np.testing.assert_allclose(red.max(axis=0), wrong.max(axis=0), atol=3)


def test_an_overlay_has_the_outline_of_the_truth_below_that_of_the_prediction():
    picture = overlay(IMAGE, square(10, 10), square(10, 14))
    assert tuple(picture[15, 10]) == tuple(SKY_BLUE) and tuple(picture[15, 14]) == tuple(ORANGE)
    untouched = colours(IMAGE)
    np.testing.assert_array_equal(picture[20, 20], untouched[20, 20])  # inside
    np.testing.assert_array_equal(picture[50, 50], untouched[50, 50])


@pytest.mark.parametrize(("channels", "expected"), [(1, (0, 0, 0)), (2, (0, 0, 0)), (3, (0, 51, 102)), (5, (0, 0, 0))])
def test_three_channels_are_colours_and_any_other_number_is_grey(channels, expected):
    image = np.arange(channels, dtype=np.float32)[:, None, None] / 5 * np.ones((channels, 4, 4), np.float32)
    assert tuple(colours(image)[0, 0]) == expected


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    write_picture(tmp_path / "deep" / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(Exception, match=r"."):
        write_picture(tmp_path / "b.png", np.zeros((4, 4, 3), complex))
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["a.png"]
