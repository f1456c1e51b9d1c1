"""Interpretation of files: orientation, colour tables, axes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from src.files.stored import TURNED, Reading, is_intensity, ramp, stacked_axes, turned
from tests.files.micrographs import noise


@pytest.mark.parametrize("orientation", TURNED)
def test_orientation_is_applied_as_by_pillow(orientation):
    array = noise((5, 8), "u1")
    picture, content = Image.fromarray(array), io.BytesIO()
    tags = picture.getexif()
    tags[0x0112] = orientation
    picture.save(content, "PNG", exif=tags)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(content)))
    np.testing.assert_array_equal(turned(array, "YX", orientation), expected)
    np.testing.assert_array_equal(turned(np.stack([array] * 3, 2), "YXS", orientation)[..., 1], expected)
    np.testing.assert_array_equal(turned(np.stack([array] * 3), "ZYX", orientation)[2], expected)


GREYS = np.arange(256).repeat(3).reshape(256, 3)
FIRE = np.stack([GREYS[:, 0], GREYS[:, 0] // 2, 255 - GREYS[:, 0]], axis=1)


def test_a_ramp_rises_or_falls_or_is_none():
    assert [ramp(GREYS), ramp(GREYS[::-1]), ramp(FIRE), ramp(GREYS * 0), ramp(GREYS[:1])] == [1, -1, 0, 0, 0]
    assert ramp(GREYS.astype(np.uint16)[::-1] * 257) == -1


@pytest.mark.parametrize("seed", range(5))
def test_intensities_are_distinguished_from_indices_of_a_palette(seed):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :70]
    smooth = (100 + 90 * np.sin(y / 7) * np.cos(x / 9) + random.normal(0, 3, (60, 70))).astype(np.uint8)
    order = random.permutation(256)  # a palette has its colours in any order
    colours = np.zeros((256, 3), int)
    colours[order] = GREYS
    assert is_intensity(smooth, FIRE)
    assert is_intensity(smooth, random.integers(0, 256, (256, 3)))
    assert not is_intensity(order[smooth], colours)
    assert is_intensity(smooth, FIRE[:10]), "a value beyond the table is no colour of it"


@pytest.mark.parametrize(
    "wrong", [{"orientation": "turned"}, {"greys": "white"}, {"axes": "ZY"}, {"axes": "YYX"}, {"axes": "QYX"}]
)
def test_an_invalid_reading_is_refused(wrong):
    with pytest.raises(ValueError, match=f"expected {next(iter(wrong))}"):
        Reading(**wrong)


def test_unknown_axes_become_z_and_t():
    assert [stacked_axes(axes) for axes in ("YX", "QYX", "TRYX", "PQRYX")] == ["YX", "ZYX", "TZYX", "ZTRYX"]
