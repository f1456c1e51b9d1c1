"""What an image looks like to a network: measures that mean what they say, and warnings that are few and right."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.data.appearance import MEASURES, MOST_LEVELS, appearance, of_cells, of_slice, unlike
from src.data.phantom import phantom
from src.files.image import Image


def measured(image: np.ndarray, axes: str = "", **options) -> dict[str, float]:
    return appearance(Image(Path("image"), image, axes or "YXC"[: image.ndim], scaling="objects", **options))


@pytest.fixture(scope="module")
def micrographs() -> np.ndarray:
    """Synthetic sections, the last five of which are not among the training images."""
    return phantom(slices=17, size=256).images


@pytest.fixture(scope="module")
def training(micrographs) -> list[dict[str, float]]:
    return [measured(image) for image in micrographs[:12]]


def checkerboard(size: int, side: int) -> np.ndarray:
    """Squares of a side, of the grey values 50 and 200."""
    rows, columns = np.indices((size, size)) // side
    return np.where((rows + columns) % 2, 200, 50).astype(np.uint8)


def test_grey_values_are_measured_as_the_network_sees_them(micrographs):
    image = micrographs[0]
    usual = measured(image)
    assert usual.keys() == MEASURES.keys() - {"pixel_size", "diameter"}
    brighter = measured(image.astype(np.uint16) * 100 + 7)
    assert brighter == pytest.approx(usual, abs=1e-3)
    assert measured((image / 7).astype(np.float32)) == pytest.approx(
        {name: value for name, value in usual.items() if name != "saturated"}, abs=1e-3
    )


def test_the_median_and_the_skewness_turn_round_with_light_and_dark(micrographs):
    usual, inverted = measured(micrographs[0]), measured(~micrographs[0])
    assert inverted["median"] == pytest.approx(1 - usual["median"], abs=0.01)
    assert inverted["skewness"] == pytest.approx(-usual["skewness"], abs=0.02)
    assert inverted["noise"] == pytest.approx(usual["noise"], rel=0.02)
    assert inverted["sharpness"] == pytest.approx(usual["sharpness"], rel=0.02)


@pytest.mark.parametrize("deviation", [0.02, 0.05, 0.1])
def test_noise_is_its_standard_deviation_as_a_share_of_the_grey_range(deviation):
    random = np.random.default_rng(0)
    image = np.where(np.indices((256, 256)).sum(axis=0) % 128 < 64, 0.2, 0.8)
    noisy = image + random.normal(0, deviation, image.shape)
    low, high = np.percentile(noisy, (0.5, 99.5))
    assert measured(noisy.astype(np.float32))["noise"] == pytest.approx(deviation / (high - low), rel=0.1)


def test_sharpness_is_0_of_what_has_no_detail_and_does_not_depend_on_contrast_or_noise():
    slope = np.add.outer(np.arange(256.0), np.arange(256.0)).astype(np.float32)
    assert measured(slope)["sharpness"] < 0.05
    sharp = checkerboard(256, 16)
    found = [measured(cv2.GaussianBlur(sharp, (0, 0), sigma))["sharpness"] for sigma in (0.5, 1, 2, 4)]
    assert measured(sharp)["sharpness"] > found[0] > found[1] > found[2] > found[3] > 0
    faint = measured((sharp / 255 * 0.01 + 5).astype(np.float32))
    assert faint["sharpness"] == pytest.approx(measured(sharp)["sharpness"], rel=0.01)
    noisy = sharp + np.random.default_rng(0).normal(0, 20, sharp.shape)
    assert measured(noisy.astype(np.float32))["sharpness"] == pytest.approx(measured(sharp)["sharpness"], rel=0.05)


def test_levels_are_counted_up_to_so_many_and_saturation_is_of_whole_numbers_only(micrographs):
    image = micrographs[0]
    assert measured(image // 32 * 32)["levels"] <= 9
    assert measured(np.random.default_rng(0).integers(0, 65536, (256, 256), np.uint16))["levels"] == MOST_LEVELS
    cut = np.minimum(image, np.percentile(image, 75).astype(np.uint8))
    assert measured(cut)["saturated"] == pytest.approx(0.25, abs=0.02)
    assert "saturated" not in measured(cut.astype(np.float32))


def test_of_a_constant_image_nothing_is_measured_but_that_and_of_a_tiny_one_nothing():
    assert measured(np.full((256, 256), 9, np.uint8)) == {"levels": 1}
    assert measured(np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8)) == {}
    assert measured(np.random.default_rng(0).integers(0, 255, (1, 40_000), np.uint8)) == {}


def test_of_a_large_image_windows_tell_the_same_in_flat_memory(micrographs):
    large = np.tile(micrographs[0], (6, 6))
    read = []

    class Watched:
        shape, dtype = large.shape, large.dtype

        def __getitem__(self, where):
            read.append(large[where].size)
            return large[where]

    found = measured(Watched(), "YX")
    assert max(read) <= 512 * large.shape[1]
    assert found == pytest.approx(measured(micrographs[0]), rel=0.1, abs=0.03)


def test_of_a_stack_and_of_channels_the_measures_are_those_of_their_planes(micrographs):
    stack = measured(micrographs[:3], "ZYX")
    rows = [measured(image) for image in micrographs[:3]]
    assert stack == {name: np.median([row[name] for row in rows]) for name in stack}
    grey = measured(np.repeat(micrographs[0][..., None], 3, axis=2))
    assert grey == pytest.approx(measured(micrographs[0]), rel=1e-3)


def test_pixel_size_and_cells_belong_to_a_training_image(micrographs):
    cells = np.zeros((256, 256), np.int32)
    cells[10:20, 10:20], cells[40:60, 40:60], cells[100:130, 100:130] = 1, 2, 7
    found = of_slice(micrographs[0], cells, "objects", 0.65)
    assert found == measured(micrographs[0]) | {"pixel_size": 0.65, "diameter": pytest.approx(np.sqrt(1600 / np.pi))}
    assert of_slice(micrographs[0], 0 * cells, "objects") == measured(micrographs[0])
    assert measured(micrographs[0], pixel_size={"Z": 1.0, "Y": 0.65, "X": 0.65})["pixel_size"] == 0.65
    assert of_cells(np.array([5])) == of_cells(np.zeros(0, int)) == {}


def test_images_like_the_training_images_are_not_warned_of(micrographs, training):
    assert [unlike(measured(image), training) for image in micrographs[12:]] == [{}] * 5
    for place, row in enumerate(training):
        assert unlike(row, training) == unlike(row, training[:place] + training[place + 1 :]) == {}
    darker = micrographs[12] // 2
    assert unlike(measured(darker), training) == {}  # the network sees the same


CHANGES = {
    "blurred": (lambda image: cv2.GaussianBlur(image, (0, 0), 2), "sharpness"),
    "inverted": (lambda image: ~image, "skewness"),
    "noisy": (lambda image: (image + np.random.default_rng(1).normal(0, 25, image.shape)).clip(0, 255), "noise"),
    "enlarged": (lambda image: cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), "sharpness"),
    "shrunk": (lambda image: cv2.resize(np.tile(image, (2, 2)), (256, 256), interpolation=cv2.INTER_AREA), "noise"),
    "of little contrast": (lambda image: 100 + image // 20, "levels"),
    "overexposed": (lambda image: np.minimum(2.5 * image, 255), "saturated"),
    "constant": (lambda image: np.full_like(image, 3), "levels"),
    "sparse": (lambda image: np.where(image > np.percentile(image, 97), image, image // 16), "median"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_image_that_is_unlike_them_is_warned_of_and_how(name, micrographs, training):
    change, expected = CHANGES[name]
    for image in micrographs[12:]:
        found = unlike(measured(change(image).astype(np.uint8)), training)
        assert expected in found
        assert found[expected].startswith(MEASURES[expected].title)
        assert ", training images " in found[expected]


def test_the_sentence_names_value_range_and_cause():
    training = [{"sharpness": value, "pixel_size": 0.5} for value in (0.45, 0.5, 0.55, 0.62)]
    assert unlike({"sharpness": 0.21, "pixel_size": 0.5}, training) == {
        "sharpness": "sharpness 0.21, training images 0.45–0.62: perhaps out of focus, or sampled more finely"
    }
    assert list(unlike({"pixel_size": 0.57}, training)) == []
    assert "rescale=auto" in unlike({"pixel_size": 0.6}, training)["pixel_size"]
    assert unlike({"diameter": 5}, training) == unlike({"sharpness": 0.1}, []) == {}


def test_one_odd_training_image_of_many_does_not_count():
    training = [{"sharpness": value} for value in [0.05, *np.linspace(0.4, 0.6, 200)]]
    assert unlike({"sharpness": 0.2}, training)
    assert not unlike({"sharpness": 0.35}, training)


def test_what_noise_hides_is_not_warned_of():
    training = [{"sharpness": 0.5, "noise": 0.01}] * 5
    assert list(unlike({"sharpness": 0.1, "noise": 0.1}, training)) == ["noise"]
    assert list(unlike({"sharpness": 0.1, "noise": 0.004}, training)) == ["noise", "sharpness"]
