"""The warp of §3.1: positions compared with drawings, splines and numpy; alignment of image, mask and weight."""

import albumentations as A
import cv2
import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.interpolate import make_interp_spline

from src import CONF
from src.data.augment import LARGEST_SOURCE, Warp, coordinates, sample

EXACT = pytest.mark.parametrize("interpolation", [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
quick = settings(max_examples=25, deadline=None)


def picture(*shape, dtype=np.float32):
    return (np.random.default_rng(0).random(shape) * (1 if np.dtype(dtype).kind == "f" else 255)).astype(dtype)


def around(source, centre, tile):
    """The plain crop whose centre is at ``(x, y)``."""
    left, top = (int(c - (tile - 1) / 2) for c in centre)
    return source[top : top + tile, left : left + tile]


# The centre of an odd tile is a pixel, that of an even tile lies between two.
TILES = pytest.mark.parametrize(("tile", "centre"), [(9, (10, 12)), (8, (10.5, 12.5))])


@EXACT
@TILES
def test_a_tile_that_nothing_moves_is_the_crop(tile, centre, interpolation):
    source = picture(25, 21)
    result = sample(source, *coordinates(tile, centre), interpolation)
    np.testing.assert_array_equal(result, around(source, centre, tile))


@EXACT
@TILES
@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_and_flips_are_those_of_numpy(tile, centre, interpolation, flip, quarters):
    source = picture(25, 21)
    result = sample(source, *coordinates(tile, centre, angle=quarters * np.pi / 2, flip=flip), interpolation)
    # The tile is flipped first and then turned into the slice: cutting it out undoes both in the other order.
    np.testing.assert_allclose(result, np.rot90(around(source, centre, tile), quarters)[:, ::flip], atol=1e-5)


@EXACT
def test_flip_mirrors_left_and_right(interpolation):
    source = picture(25, 21)
    result = sample(source, *coordinates(9, (10, 12), flip=-1), interpolation)
    np.testing.assert_array_equal(result, around(source, (10, 12), 9)[:, ::-1])


# 31 px reach less than one slice beyond the border, 111 px reach several, as a tile of 444 px on a slice of 256 does.
@EXACT
@pytest.mark.parametrize("tile", [31, 111])
@pytest.mark.parametrize("centre", [(0, 0), (20, 24), (3, 24)])
def test_beyond_the_border_the_slice_is_mirrored_again_and_again(interpolation, tile, centre):
    source, margin = picture(25, 21), tile // 2
    padded = np.pad(source, margin, mode="reflect")
    expected = around(padded, (centre[0] + margin, centre[1] + margin), tile)
    np.testing.assert_array_equal(sample(source, *coordinates(tile, centre), interpolation), expected)


@quick
@given(st.floats(-np.pi, np.pi), st.sampled_from([1, -1]), st.tuples(st.floats(0, 40), st.floats(0, 40)))
def test_rotation_keeps_distances_and_the_centre(angle, flip, centre):
    x, y = (position.astype(float) for position in coordinates(7, centre, angle, flip))
    assert (x[3, 3], y[3, 3]) == pytest.approx(centre, abs=1e-4)
    along, across = np.array([x[3, 6] - x[3, 3], y[3, 6] - y[3, 3]]), np.array([x[6, 3] - x[3, 3], y[6, 3] - y[3, 3]])
    np.testing.assert_allclose(along, 3 * flip * np.array([np.cos(angle), np.sin(angle)]), atol=1e-4)
    np.testing.assert_allclose(across, 3 * np.array([-np.sin(angle), np.cos(angle)]), atol=1e-4)


@pytest.mark.parametrize("tile", [3, 9, 101])
def test_elastic_displacement_at_the_nodes_is_the_given_one(tile):
    displacements = np.random.default_rng(0).normal(scale=10, size=(2, 3, 3))
    still, moved = coordinates(tile, (50, 60)), coordinates(tile, (50, 60), displacements=displacements)
    nodes = np.array([0, (tile - 1) // 2, tile - 1])
    for given_one, before, after in zip(displacements, still, moved, strict=True):
        np.testing.assert_allclose((after - before)[np.ix_(nodes, nodes)], given_one, atol=2e-5)


def test_one_elastic_vector_moves_its_own_corner_in_its_own_direction():
    displacements = np.zeros((2, 3, 3))
    displacements[0, 0, 2] = 5  # along x, at the top right
    (x, y), (still_x, still_y) = coordinates(9, (50, 60), displacements=displacements), coordinates(9, (50, 60))
    np.testing.assert_array_equal(y, still_y)
    assert np.unravel_index(np.argmax(x - still_x), x.shape) == (0, 8)


@pytest.mark.parametrize("tile", [8, 33])
def test_elastic_displacement_between_the_nodes_is_a_natural_cubic_spline(tile):
    displacements = np.random.default_rng(1).normal(scale=10, size=(2, 3, 3))
    still, moved = coordinates(tile, (50, 60)), coordinates(tile, (50, 60), displacements=displacements)
    nodes, pixels = np.linspace(0, tile - 1, 3), np.arange(tile)
    for vectors, before, after in zip(displacements, still, moved, strict=True):
        rows = make_interp_spline(nodes, vectors, k=3, bc_type="natural", axis=0)(pixels)
        expected = make_interp_spline(nodes, rows, k=3, bc_type="natural", axis=1)(pixels)
        np.testing.assert_allclose(after - before, expected, atol=5e-5)


def draws(warp, shape, count):
    """Positions of many tiles of a slice, ``(count, tile, tile)`` for x and for y."""
    warp.set_random_seed(0)
    drawn = [warp.get_params_dependent_on_data({}, {"image": np.zeros(shape)}) for _ in range(count)]
    return np.array([d["x"] for d in drawn], float), np.array([d["y"] for d in drawn], float)


def test_elastic_displacements_deviate_by_10_pixels():
    pixels = np.arange(3)  # the pixels of a tile of three are the nodes of its grid
    drawn = draws(Warp(3, rotation=0, mirror=False), (80, 90), 400)
    for positions, still in zip(drawn, (pixels, pixels[:, None]), strict=True):
        moved = positions - still
        # The random centre is common to the nine nodes.
        assert np.sqrt(moved.var(axis=(1, 2), ddof=1).mean()) == pytest.approx(10, rel=0.05)


def test_centres_are_uniform_over_the_slice():
    x, y = draws(Warp(1, rotation=0, mirror=False, elastic=0), (50, 200), 2000)
    for positions, length in ((x, 200), (y, 50)):
        assert positions.min() >= 0
        assert positions.max() <= length - 1
        counts, _ = np.histogram(positions, bins=4, range=(0, length - 1))
        assert counts.min() > 420  # 500 expected, standard deviation 19


@pytest.mark.parametrize("largest", [20, 180])
def test_angles_are_uniform_up_to_the_largest(largest):
    x, y = draws(Warp(9, rotation=largest, mirror=False, elastic=0), (80, 90), 1000)
    angles = np.rad2deg(np.arctan2(y[:, 0, -1] - y[:, 0, 0], x[:, 0, -1] - x[:, 0, 0]))
    assert np.abs(angles).max() <= largest + 0.01
    counts, _ = np.histogram(angles, bins=4, range=(-largest, largest))
    assert counts.min() > 190  # 250 expected, standard deviation 14


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_factor_enlarges_about_the_centre(factor):
    x, y = coordinates(9, (20, 30), factor=factor)
    assert (x[4, 4], y[4, 4]) == (20, 30)
    np.testing.assert_allclose(np.diff(x, axis=1), 1 / factor)
    np.testing.assert_allclose(np.diff(y, axis=0), 1 / factor)


def test_factors_are_uniform_in_their_logarithm_and_none_as_in_the_paper():
    def factors(scale):
        warp = Warp(9, elastic=0, scale=scale)
        warp.set_random_seed(0)
        for _ in range(400):
            found = warp.get_params_dependent_on_data({}, {"image": np.zeros((50, 50))})
            yield 1 / np.hypot(found["x"][0, 1] - found["x"][0, 0], found["y"][0, 1] - found["y"][0, 0])

    assert np.allclose(list(factors(1.0)), 1, atol=1e-5)
    logarithms = np.log2(list(factors(2.0)))
    assert logarithms.min() > -1.001 and logarithms.max() < 1.001
    assert abs(np.quantile(logarithms, [0.25, 0.5, 0.75]) - [-0.5, 0, 0.5]).max() < 0.12


@pytest.mark.parametrize(("mirror", "share"), [(True, 0.5), (False, 0)])
def test_half_of_the_tiles_are_mirrored_or_none(mirror, share):
    x, y = draws(Warp(9, mirror=mirror, elastic=0), (80, 90), 1000)
    along, down = ((p[:, 0, -1] - p[:, 0, 0], p[:, -1, 0] - p[:, 0, 0]) for p in (x, y))
    mirrored = along[0] * down[1] - along[1] * down[0] < 0
    assert mirrored.mean() == pytest.approx(share, abs=0.06)


def test_without_rotation_mirror_and_elastic_a_tile_is_only_shifted():
    x, y = draws(Warp(9, rotation=0, mirror=False, elastic=0), (80, 90), 50)
    np.testing.assert_allclose(x - x[:, :1, :1], np.broadcast_to(np.arange(9), x.shape), atol=2e-5)
    np.testing.assert_allclose(y - y[:, :1, :1], np.broadcast_to(np.arange(9)[:, None], y.shape), atol=2e-5)
    assert len(np.unique(x[:, 0, 0])) == 50


def warped(seed, warp, **arrays):
    pipeline = A.Compose([warp])
    pipeline.set_random_seed(seed)
    return pipeline(**arrays)


@quick
@given(st.integers(0, 2**32 - 1))
def test_nearest_keeps_the_values_of_labels(seed):
    mask = np.array([0, 3, 7, 255], np.uint8)[picture(40, 50, dtype=np.uint8) % 4]
    tile = warped(seed, Warp(32), image=picture(40, 50), mask=mask)["mask"]
    assert tile.dtype == np.uint8
    assert set(np.unique(tile)) <= {0, 3, 7, 255}


@quick
@given(st.integers(0, 2**32 - 1))
def test_image_mask_and_weight_stay_aligned(seed):
    y, x = np.mgrid[:60, :50].astype(np.float32)
    slope = 0.005
    ramp = slope * (2 * y + x)  # from 0 to 0.84; twice as steep downwards, so that no rotation maps it to itself
    tile = warped(seed, Warp(40), image=ramp, mask=ramp, weight=ramp)
    # At most half a pixel off along both axes; at the border the mirrored ramp has a kink, where cubics overshoot.
    np.testing.assert_allclose(tile["mask"], tile["weight"], atol=slope * 1.51)
    np.testing.assert_allclose(tile["image"], tile["weight"], atol=slope * 0.75)
    discs = ((x % 25 - 12) ** 2 + (y % 30 - 15) ** 2 < 64).astype(np.uint8)
    tile = warped(seed, Warp(40), image=discs.astype(np.float32), mask=discs, weight=discs.astype(np.float32))
    inside = np.abs(tile["weight"] - 0.5) == 0.5  # all four pixels around the position agree
    np.testing.assert_array_equal(tile["mask"][inside], tile["weight"][inside])
    assert np.abs(tile["image"] - tile["weight"])[inside].max() < 0.25  # the cubic overshoots near an edge


@quick
@given(st.floats(-np.pi, np.pi), st.sampled_from([1, -1]))
def test_a_ramp_is_sampled_at_the_position_itself(angle, flip):
    y, x = np.mgrid[:60, :50].astype(np.float32)
    at_x, at_y = coordinates(21, (24.3, 30.7), angle, flip, np.random.default_rng(0).normal(size=(2, 3, 3)))
    # OpenCV's cubic interpolation (a = −0.75) distorts a slope of 1 by up to 0.03.
    for interpolation, tolerance in ((cv2.INTER_LINEAR, 0.02), (cv2.INTER_CUBIC, 0.05)):
        np.testing.assert_allclose(sample(x, at_x, at_y, interpolation), at_x, atol=tolerance)
        np.testing.assert_allclose(sample(y, at_x, at_y, interpolation), at_y, atol=tolerance)


@EXACT
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7, 8, 9])
def test_channels_are_sampled_as_if_each_were_alone(interpolation, channels):
    source = picture(20, 21, channels)
    positions = coordinates(9, (9.3, 8.2), 0.3, -1)
    expected = [sample(np.ascontiguousarray(source[..., c]), *positions, interpolation) for c in range(channels)]
    # OpenCV rounds positions to 1/32 px when it interpolates two channels linearly.
    tolerance = 1 / 32 if interpolation == cv2.INTER_LINEAR else 1e-6
    np.testing.assert_allclose(sample(source, *positions, interpolation), np.stack(expected, axis=2), atol=tolerance)


@EXACT
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (6,)])
def test_samples_have_the_dtype_of_the_source_and_the_shape_of_the_positions(interpolation, dtype, channels):
    result = sample(picture(20, 21, *channels, dtype=dtype), *coordinates(9, (3, 4), 0.3), interpolation)
    assert result.dtype == dtype
    assert result.shape == (9, 9, *channels)


@pytest.fixture(scope="module")
def long_slice():
    return picture(40, 40000, dtype=np.uint8)


@EXACT
@pytest.mark.parametrize("centre", [0, 31.25, 20000.5, 33000.125, 39990])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_source_too_large_for_opencv_is_sampled_as_its_crop(long_slice, interpolation, centre, transposed):
    assert max(long_slice.shape) > LARGEST_SOURCE
    # A tile of 64 px on 40: it reaches beyond both long borders, and beyond the short one at each end.
    along, across = coordinates(64, (centre, 20), angle=0.7)
    left = int(np.clip(centre - 500, 0, 39000))
    crop = np.ascontiguousarray(long_slice[:, left : left + 1000])
    expected = sample(crop, along - np.float32(left), across, interpolation)
    source, positions = (long_slice.T, (across, along)) if transposed else (long_slice, (along, across))
    result = sample(source, *positions, interpolation)
    # A position halfway between two pixels may be rounded to either.
    ties = (along % 1 == 0.5) | (across % 1 == 0.5) if interpolation == cv2.INTER_NEAREST else np.zeros((64, 64), bool)
    assert ties.mean() < 0.05
    np.testing.assert_array_equal(result[~ties], expected[~ties])


def test_a_large_source_may_have_many_channels(long_slice):
    source = np.stack([long_slice, 255 - long_slice] * 3, axis=2)
    result = sample(source, *coordinates(16, (39990, 20), 0.3), cv2.INTER_CUBIC)
    assert result.shape == (16, 16, 6)
    np.testing.assert_array_equal(result[..., 4], result[..., 0])
    assert np.abs(result[..., 0].astype(int) + result[..., 1] - 255).max() <= 1  # each channel is rounded on its own


def pipeline_of(name):
    config = OmegaConf.create({"data": {"tile": 32}, "augment": OmegaConf.load(CONF / "augment" / f"{name}.yaml")})
    return instantiate(config.augment, _convert_="all")


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "augment").glob("*.yaml")))
@pytest.mark.parametrize("channels", [(), (3,)])
def test_each_configured_pipeline_cuts_tiles_with_values_from_0_to_1(name, channels):
    pipeline = pipeline_of(name)
    image = (picture(40, 50, *channels) > 0.5).astype(np.float32)  # noise of 0 and 1: the cubic overshoots everywhere
    mask = picture(40, 50, dtype=np.uint8) % 3
    for seed in range(20):
        pipeline.set_random_seed(seed)
        tile = pipeline(image=image, mask=mask, weight=1 + picture(40, 50))
        assert tile["image"].shape == (32, 32, *channels)
        assert tile["mask"].shape == tile["weight"].shape == (32, 32)
        assert [tile[key].dtype for key in ("image", "mask", "weight")] == [np.float32, np.uint8, np.float32]
        assert tile["image"].min() >= 0
        assert tile["image"].max() <= 1
        assert tile["weight"].min() >= 1
        assert tile["weight"].max() <= 2


def test_pixel_transforms_change_the_image_of_a_tile_and_nothing_else():
    arrays = {"image": picture(40, 50), "mask": picture(40, 50, dtype=np.uint8), "weight": picture(40, 50)}
    alone, varied = A.Compose([Warp(32)]), A.Compose([Warp(32), A.RandomBrightnessContrast(p=1)])
    for pipeline in (alone, varied):
        pipeline.set_random_seed(3)
    plain, changed = alone(**arrays), varied(**arrays)
    np.testing.assert_array_equal(changed["mask"], plain["mask"])
    np.testing.assert_array_equal(changed["weight"], plain["weight"])
    assert np.abs(changed["image"] - plain["image"]).max() > 0.01


def test_a_seed_decides_everything():
    pipeline, image = pipeline_of("paper"), picture(40, 50)

    def draw(seed):
        pipeline.set_random_seed(seed)
        return pipeline(image=image, mask=image, weight=image)["image"]

    np.testing.assert_array_equal(draw(1), draw(1))
    assert np.abs(draw(1) - draw(2)).max() > 0.1
