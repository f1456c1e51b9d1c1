"""Scaling of grey values: the range of a plane, however it is read, and the scaled values."""

import os
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from src.files import grey
from src.files.grey import grey_range, normalise, range_of, scaled, with_channels
from src.files.image import Image, open_image
from tests.files.micrographs import DTYPES, GREY, TIFFS, noise, opened, planes_of, write_tiff


@pytest.fixture(scope="module")
def real() -> Path:
    """The folder of a real data set."""
    if "DATA_DIR" not in os.environ:
        pytest.skip("needs DATA_DIR with isbi2012, phase_t98g and nuclei_fluo")
    return Path(os.environ["DATA_DIR"])


@pytest.fixture(scope="module")
def isbi(real) -> np.ndarray:
    return tifffile.imread(real / "isbi2012/train-volume.tif")[::5]


@pytest.fixture(scope="module")
def phase(real) -> list[np.ndarray]:
    return [tifffile.imread(file) for file in sorted((real / "phase_t98g/images").glob("*.tif"))[::3]]


@pytest.fixture(scope="module")
def nuclei(real) -> list[tuple[np.ndarray, np.ndarray]]:
    files = sorted((real / "nuclei_fluo/images").glob("*.png"))
    labels = real / "nuclei_fluo/labels"
    return [(iio.imread(file), tifffile.imread(labels / f"{file.stem}.tif")) for file in files]


def test_normalise_maps_the_percentiles_to_0_and_1_and_clips():
    image = np.arange(1001, dtype=np.uint16).reshape(7, 143)  # 0.5 % of it is 5, 99.5 % is 995
    result = normalise(image, "percentiles")
    assert result.dtype == np.float32
    assert (result[image <= 5] == 0).all()
    assert (result[image >= 995] == 1).all()
    inside = (image > 5) & (image < 995)
    np.testing.assert_allclose(result[inside], (image[inside] - 5) / 990, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_normalise_of_a_constant_image_is_zero(dtype):
    result = normalise(np.full((4, 5), 200, dtype), "objects")
    assert result.dtype == np.float32
    assert result.shape == (4, 5)
    assert not result.any()


@given(st.integers(0, 2**32), st.floats(0.01, 1000), st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_normalise_does_not_depend_on_unit_and_dtype(seed, scale, offset):
    image = np.random.default_rng(seed).integers(0, 256, (20, 21), dtype=np.uint8)
    expected = normalise(image, "objects")
    np.testing.assert_allclose(normalise(image.astype(np.uint16) * 257, "objects"), expected, atol=1e-5)
    np.testing.assert_allclose(normalise(image * scale + offset, "objects"), expected, atol=1e-3 if scale < 1 else 1e-4)


def test_normalise_takes_channels_together():
    image = np.stack([np.zeros((10, 10)), np.ones((10, 10))], axis=2)
    np.testing.assert_array_equal(normalise(image, "percentiles"), image)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "float64"])
def test_grey_values_far_from_zero_keep_their_contrast(dtype):
    image = (10**9 + np.arange(101)).astype(dtype).reshape(1, -1)
    assert len(np.unique(scaled(image, 10**9, 10**9 + 100))) == 101


def percentiles(plane: np.ndarray) -> tuple[float, float]:
    """Percentiles in floating point, because differences of int8 overflow in numpy."""
    return tuple(np.percentile(plane.astype(float) if plane.dtype.kind in "iub" else plane, (0.5, 99.5)))


@given(st.sampled_from(DTYPES), st.integers(1, 40), st.integers(1, 40), st.integers(1, 45), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_grey_range_is_the_percentiles_of_the_plane_but_for_rounding(dtype, height, width, rows, seed):
    array = noise((2, height, width), dtype, seed)
    image = Image(Path("image.tif"), array, "ZYX")
    for plane in range(2):
        assert grey_range(image, plane, rows) == pytest.approx(percentiles(array[plane]), rel=1e-12, abs=1e-9)


@given(st.sampled_from(DTYPES), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_grey_range_of_integers_is_that_of_numpy(dtype, height, width, seed):
    array = noise((height, width), dtype, seed)
    assert grey_range(Image(Path("image.tif"), array, "YX"), 0) == pytest.approx(
        percentiles(array), rel=1e-12, abs=1e-9
    )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u4", "i4"])
def test_grey_range_of_wide_values_is_exactly_that_of_numpy(dtype):
    array = noise((3, 21, 34), dtype)
    assert grey_range(Image(Path("image.tif"), array, "ZYX"), 1) == tuple(np.percentile(array[1], (0.5, 99.5)))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i2", "f4"])
def test_grey_range_covers_all_channels_that_are_read(dtype):
    array = noise((3, 21, 34), np.dtype(dtype).newbyteorder("=").str).astype(dtype)
    array[1] //= 2
    array[2] //= 3
    image = Image(Path("image.tif"), array, "CYX")
    assert grey_range(image, 0, rows=5) == pytest.approx(percentiles(array), rel=1e-12)
    assert grey_range(replace(image, channels=(2, 0)), 0, rows=5) == pytest.approx(
        percentiles(array[[2, 0]]), rel=1e-12
    )
    assert grey_range(replace(image, channels=(1,)), 0, rows=5) == pytest.approx(percentiles(array[1]), rel=1e-12)


@pytest.mark.parametrize(
    "name", ["pages", "big-endian", "tiles compressed", "colour tiles", "int16", "float32", "bits"]
)
def test_grey_range_of_a_file_is_that_of_its_last_plane(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    with opened(file) as image:
        wanted = percentiles(planes_of(array, TIFFS[name][3])[-1])
        assert grey_range(image, image.planes - 1, rows=7) == pytest.approx(wanted, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(("dtype", "value"), [("u1", 255), ("i1", -128), ("u2", 65535), ("i2", -5), ("f4", 0.1)])
def test_grey_range_of_a_constant_plane_is_that_value_twice(dtype, value):
    array = np.full((9, 7), value, dtype)
    assert grey_range(Image(Path("image.tif"), array, "YX"), 0, rows=2) == (array[0, 0], array[0, 0])


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_grey_range_of_one_pixel_is_its_value(dtype):
    assert grey_range(Image(Path("image.tif"), np.full((1, 1), 3, dtype), "YX"), 0) == (3, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_grey_range_refuses_values_that_are_not_finite_and_names_the_file(tmp_path, value):
    array, file = noise((2, 9, 7), "f4"), tmp_path / "image.tif"
    array[1, 4, 5] = value
    tifffile.imwrite(file, array, **GREY)
    image = open_image(file)
    assert grey_range(image, 0) == tuple(np.percentile(array[0], (0.5, 99.5)))
    with pytest.raises(ValueError, match=r"expected finite grey values, but .*image\.tif contains NaN or infinity"):
        grey_range(image, 1)


@pytest.mark.parametrize(("most", "step"), [(21 * 34 * 2, 1), (21 * 34 * 2 - 1, 2), (21 * 34, 2), (300, 5)])
def test_grey_range_of_many_floating_point_values_samples_every_nth_pair_of_rows(monkeypatch, most, step):
    monkeypatch.setattr(grey, "MOST_GREY_VALUES", most)
    array = noise((2, 21, 34), "f4")
    wanted = tuple(np.percentile(array[:, np.arange(21) // 2 % step == 0], (0.5, 99.5)))
    for rows in (2, 6, 512):
        assert grey_range(Image(Path("image.tif"), array, "CYX"), 0, rows) == wanted


def sparse(share: float, ground: float = 20, noise_of: float = 2, cell: float = 150, dtype="u1", side: int = 256):
    """Bright discs that cover about ``share`` of an image, and their mask."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    inside = np.zeros((side, side), bool)
    while inside.mean() < share:
        cy, cx = random.integers(6, side - 6, 2)
        inside |= (y - cy) ** 2 + (x - cx) ** 2 < 25
    texture = random.uniform(0.6, 1, (side, side))
    image = ground + random.normal(0, noise_of, inside.shape) + inside * texture * cell
    return np.clip(np.round(image), 0, 255).astype(dtype) if dtype == "u1" else image.astype(dtype), inside


@pytest.mark.parametrize("share", [0.0008, 0.003, 0.01, 0.04, 0.1, 0.3])
@pytest.mark.parametrize("ground", [0, 20])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_cells_keep_their_grey_values_however_few_they_are(share, ground, dtype):
    image, inside = sparse(share, ground, dtype=dtype)
    result = normalise(image, "objects")
    assert np.mean(result[inside] >= 1) < 0.05
    assert np.median(result[inside]) > 0.5
    assert np.percentile(result[~inside], 99) < 0.3
    if share < 0.005:
        assert np.mean(normalise(image, "percentiles")[inside] >= 1) > 0.3, "which this is for"


@pytest.mark.parametrize("share", [0.003, 0.04])
def test_dark_cells_on_a_bright_background_are_the_negative_of_bright_ones(share):
    image, _ = sparse(share)
    np.testing.assert_allclose(normalise(255 - image, "objects"), 1 - normalise(image, "objects"), atol=1e-6)


@pytest.mark.parametrize("hot", [1, 30, 200])
def test_hot_pixels_are_no_objects(hot):
    image, _ = sparse(0.2)
    places = np.random.default_rng(1).choice(image.size // 9, hot, replace=False)
    wide = image.astype(np.uint16)
    wide[places // 85 * 3, places % 85 * 3] = 4095  # none adjacent to another
    before = grey_range(Image(Path("image"), image.astype(np.uint16), "YX"), 0)
    after = grey_range(Image(Path("image"), wide, "YX"), 0)
    assert after == pytest.approx(before, rel=0.05)


def test_an_image_without_objects_has_the_range_of_percentiles():
    for seed in range(20):
        plane = np.random.default_rng(seed).normal(100, 15, (128, 128))
        for array in (plane, plane.round().astype(np.uint8), 50 + 30 * np.sin(np.mgrid[:128, :128][0] / 9)):
            assert grey_range(Image(Path("image"), array, "YX"), 0) == pytest.approx(percentiles(array))


@pytest.mark.parametrize("axes", ["ZYX", "YXC"])
def test_the_range_of_objects_does_not_depend_on_how_a_plane_is_read(axes):
    image, _ = sparse(0.003, side=120)
    whole = Image(Path("image"), image, "YX")
    stacked = Image(Path("image"), np.stack([image] * 2, axes.index(axes.strip("YX"))), axes)
    for rows in (1, 7, 40, 512):
        assert grey_range(whole, 0, rows) == grey_range(whole, 0)
        assert grey_range(stacked, 0, rows) == pytest.approx(grey_range(whole, 0), rel=0.01)


def test_dense_real_images_are_scaled_as_before(isbi, phase):
    """Within one 8-bit grey level, so that scores measured on these data sets do not change."""
    for image in [*isbi, *phase]:
        np.testing.assert_allclose(normalise(image, "objects"), normalise(image, "percentiles"), atol=1 / 255)


def test_few_pixels_of_real_nuclei_are_clipped(nuclei):
    clipped, before = [], []
    for image, labels in nuclei:
        cells = image[labels > 0]
        for scaling, shares in (("objects", clipped), ("percentiles", before)):
            low, high = range_of(image, scaling)
            shares.append(np.mean((cells < low) | (cells > high)))
    assert max(clipped) <= 0.05 and max(before) > 0.3


def test_grey_images_have_one_channel_or_three():
    grey_image = noise((6, 7), "u1")
    colours = np.repeat(grey_image[..., None], 3, axis=2)
    np.testing.assert_array_equal(with_channels(colours, 1), grey_image)
    np.testing.assert_array_equal(with_channels(grey_image, 3), colours)
    colours[0, 0, 0] += 1
    assert with_channels(colours, 1) is colours and with_channels(grey_image, 2) is grey_image


def test_the_range_of_a_plane_is_found_once_and_belongs_to_its_channels(monkeypatch):
    image = Image(Path("image"), np.random.default_rng(0).integers(0, 255, (2, 3, 40, 40)).astype(np.uint8), "ZCYX")
    found = [grey_range(image, plane) for plane in (0, 1)]
    assert grey_range(image.choose((0,)), 1) == grey_range(Image(Path("image"), image.array[:, :1], "ZCYX"), 1)
    monkeypatch.setattr(Image, "bands", lambda *_: pytest.fail("it is read again"))
    assert [grey_range(image, plane) for plane in (0, 1)] == found
