"""Averages over versions of an image: invariance, equivariance, and windows that equal parts of the whole."""

import numpy as np
import pytest
import torch

from src.model.unet import UNet
from src.tiles import symmetry
from src.tiles.overlap import Window, overlap_tile, reader


def averaged(average, function, image):
    """Average a function of arrays ``(C, H, W)`` over versions of a whole image."""

    def predict(read, window):
        return torch.from_numpy(np.ascontiguousarray(function(read(window)[0].numpy())))[None]

    whole = Window(0, 0, *image.shape[1:])
    return average(predict, reader(torch.from_numpy(np.ascontiguousarray(image))[None]), whole)[0].numpy()


def average_rotations(function, image):
    return averaged(symmetry.average_rotations, function, image)


def average_symmetries(function, image):
    return averaged(symmetry.average_symmetries, function, image)


def random_image(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def smooth_image(height, width):
    rows, columns = np.mgrid[:height, :width]
    return (0.5 + 0.4 * np.sin(rows / 9) * np.cos(columns / 7))[None].astype(np.float32)


def lopsided(image):
    """A function without any symmetry: it depends on direction and position."""
    _, height, width = image.shape
    position = np.arange(height)[:, None] / height + 3 * np.arange(width) / width
    return image.cumsum(axis=2, dtype=np.float64) + 2 * np.roll(image, 1, axis=1) * position


def as_probabilities(image):
    return np.concatenate([image, 1 - image])


@pytest.mark.parametrize("shape", [(1, 6, 6), (2, 5, 8)])
def test_symmetries_leave_a_function_of_single_pixels_as_it_is(shape):
    image = random_image(*shape)
    np.testing.assert_allclose(average_symmetries(np.square, image), image**2, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 6, 6), (2, 5, 8)])
def test_the_average_over_symmetries_turns_and_mirrors_with_the_image(shape):
    image = random_image(*shape)
    result = average_symmetries(lopsided, image)
    for turns in range(4):
        for axes in ((), (1,), (2,)):
            moved = np.flip(np.rot90(image, turns, axes=(1, 2)), axes)
            expected = np.flip(np.rot90(result, turns, axes=(1, 2)), axes)
            np.testing.assert_allclose(average_symmetries(lopsided, moved), expected, rtol=1e-12)


def test_the_function_itself_does_not_turn_with_the_image():
    image = random_image(1, 6, 6)
    assert not np.allclose(lopsided(image[..., ::-1]), lopsided(image)[..., ::-1])


def test_symmetries_are_eight_different_versions():
    versions = []
    average_symmetries(lambda image: versions.append(image.tobytes()) or image, random_image(1, 4, 4))
    assert len(set(versions)) == len(versions) == 8


def test_the_seven_rotations_are_multiples_of_a_seventh_of_a_turn():
    slope = np.repeat(np.linspace(0.2, 0.8, 61, dtype=np.float32)[None], 61, axis=0)[None]  # it rises to the right
    slopes = []

    def see(image):
        centre = image.shape[1] // 2
        down, right = np.gradient(image[0, centre - 5 : centre + 6, centre - 5 : centre + 6])
        slopes.append(right.mean() + 1j * down.mean())
        return image

    average_rotations(see, slope)
    np.testing.assert_allclose(np.abs(slopes), 0.01, atol=1e-4)
    # The first angle is 0, and may come out just below 360.
    angles = np.sort((np.rad2deg(np.angle(slopes)) + 10) % 360) - 10
    np.testing.assert_allclose(angles, 360 / 7 * np.arange(7), atol=0.5)


@pytest.mark.parametrize("shape", [(40, 40), (40, 56), (7, 60)])
def test_seven_rotations_of_a_smooth_image_come_back_to_it_even_in_the_corners(shape):
    image = smooth_image(*shape)
    result = average_rotations(lambda image: image, image)
    assert result.shape == image.shape
    assert result.dtype == np.float32
    inside = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(result[inside], image[inside], atol=0.002)
    # At the border the mirrored image has a kink, which interpolation rounds off.
    slope = max(np.abs(np.diff(image, axis=axis)).max() for axis in (1, 2))
    np.testing.assert_allclose(result, image, atol=slope / 3)


def test_corners_that_a_rotation_uncovers_are_filled_from_the_image():
    seen = []
    grey = np.full((2, 20, 31), 0.7, np.float32)
    average_rotations(lambda image: seen.append(image) or image, grey)
    assert len(seen) == 7
    for version in seen:
        np.testing.assert_allclose(version, 0.7, atol=1e-5)


def test_rotated_images_stay_within_0_and_1():
    seen = []
    image = np.round(random_image(1, 24, 24))  # bicubic interpolation overshoots at such edges
    average_rotations(lambda image: seen.append(image) or image, image)
    assert min(version.min() for version in seen) >= 0
    assert max(version.max() for version in seen) <= 1


@pytest.mark.parametrize("top", [0, 512, 1003])
def test_each_rotation_of_a_window_of_512_pixels_is_read_as_one_tile(top):
    read_sides = []

    def predict(read, place):
        return overlap_tile(lambda tile: read_sides.append(tile.shape[-1]) or tile[..., 92:-92, 92:-92], read, place, 4)

    symmetry.average_rotations(predict, reader(torch.rand(1, 1, 60, 60)), Window(top, top, 512, 512))
    assert len(read_sides) == 7
    # A turned square is at most √2 as wide; a few pixels more reach the grid and the next valid side.
    assert max(read_sides) <= 512 * 2**0.5 + 184 + 3 * 16


@pytest.mark.parametrize("average", list(symmetry.AVERAGES.values()))
@pytest.mark.parametrize("window", [(0, 0, 70, 53), (0, 0, 9, 9), (17, 5, 40, 30), (69, 52, 1, 1)])
def test_a_window_is_equal_to_the_same_part_of_the_whole(average, window):
    torch.manual_seed(0)
    network = UNet(base_channels=2, depth=2).eval().requires_grad_(False)
    image = torch.rand(1, 1, 70, 53)

    def predict(read, place):
        return overlap_tile(lambda tile: network(tile).softmax(dim=1), read, place, depth=2, tile=76)

    whole = average(predict, reader(image), Window(0, 0, 70, 53))
    part = average(predict, reader(image), Window(*window))
    top, left, height, width = window
    torch.testing.assert_close(part, whole[..., top : top + height, left : left + width], atol=2e-5, rtol=0)


@pytest.mark.parametrize("average", [average_rotations, average_symmetries])
def test_averaged_probabilities_still_sum_to_1(average):
    result = average(as_probabilities, random_image(1, 21, 34))
    assert result.shape == (2, 21, 34)
    np.testing.assert_allclose(result.sum(axis=0), 1, atol=1e-5)
