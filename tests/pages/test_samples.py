"""Figures show the training images, tiles and weights themselves, and draws are counted."""

import albumentations as A
import matplotlib.pyplot
import numpy as np

from src.data.augment import Warp
from src.data.patches import Patches
from src.data.phantom import phantom
from src.data.weight_map import WeightMap
from src.files.grey import normalise
from src.pages.samples import count_draws, images_figure, tiles_figure

STACK = phantom(slices=3, size=64)
WEIGHTS = WeightMap()(STACK.targets, STACK.instances, 2)


def patches(*transforms, slices=3, tile=40):
    images = [normalise(image, "objects") for image in STACK.images[:slices]]
    augment = A.Compose([Warp(tile), *transforms])
    return Patches(images, STACK.targets[:slices], WEIGHTS[:slices], augment, 8, 0, names=list("abc")[:slices])


def shown(axes):
    return axes.get_images()[0].get_array()


def test_images_are_shown_beside_their_classes_and_weights():
    figure = images_figure(patches())
    rows = np.array([axes for axes in figure.axes if len(axes.get_images()) and axes.get_title(loc="left")])
    titles = [axes.get_title(loc="left") for axes in rows]
    assert titles == ["a", "classes", "weight", "b", "classes", "weight", "c", "classes", "weight"]
    for number, (image, classes, weight) in enumerate(rows.reshape(3, 3)):
        grey = shown(image)
        assert np.corrcoef(grey[..., 0].ravel(), STACK.images[number].ravel())[0, 1] > 0.99
        coloured = (shown(classes) != grey).any(axis=-1)
        np.testing.assert_array_equal(coloured, STACK.targets[number] > 0)
        np.testing.assert_array_equal(shown(weight), WEIGHTS[number])


def test_tiles_are_the_first_draws_with_a_frame_around_the_predicted_part():
    stream = patches()
    figure = tiles_figure(stream, draws=4)
    wholes = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in wholes] == [f"{draw}: {stream[draw]['name']}" for draw in range(4)]
    for draw, axes in enumerate(wholes):
        np.testing.assert_allclose(shown(axes)[..., 0], stream[draw]["image"][0] * 255, atol=1)
        assert axes.patches[0].get_bbox().bounds == (8, 8, 24, 24)


def test_figures_are_drawn_without_a_window(tmp_path):
    tiles_figure(patches(slices=1)).savefig(tmp_path / "tiles.webp")
    assert (tmp_path / "tiles.webp").stat().st_size > 1000
    assert matplotlib.pyplot.get_fignums() == []


def test_draws_are_counted_by_their_pixels_and_images():
    different, names = count_draws(patches(), 30)
    assert different == 30 and sum(names.values()) == 30 and set(names) == set("abc")


def test_equal_tiles_count_once():
    stream = patches()
    stream.images = [np.zeros_like(image) for image in stream.images]
    assert count_draws(stream, 10)[0] == 1
