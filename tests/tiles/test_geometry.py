import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.tiles.geometry import (
    covering_side,
    is_valid_side,
    kept_side,
    margin,
    mirrored,
    nearest_valid_sides,
    output_side,
    shrinkage,
)

DEPTHS = st.integers(1, 5)


def simulate(side, depth, padded=False):
    """The side after every layer of figure 1, one by one; None if a layer cannot take its input."""
    lost = 0 if padded else 4  # two 3×3 convolutions
    for _ in range(depth):
        side -= lost
        if side <= 0 or side % 2:
            return None
        side //= 2
    side -= lost
    for _ in range(depth):
        side = 2 * side - lost
    return side if side > 0 else None


def sees_padding(side, depth):
    """Which output pixels of a padded network depend on a zero beyond the tile, layer by layer."""

    def convolve_twice(axis):
        for _ in range(2):
            around = np.pad(axis, 1, constant_values=True)
            axis = around[:-2] | around[1:-1] | around[2:]
        return axis

    axis, skips = np.zeros(side, bool), []
    for _ in range(depth):
        skips.append(convolve_twice(axis))
        axis = skips[-1].reshape(-1, 2).any(axis=1)
    axis = convolve_twice(axis)
    while skips:
        axis = convolve_twice(np.repeat(axis, 2) | skips.pop())
    return axis


def test_a_tile_of_572_gives_388():
    assert output_side(572, 4) == 388


def test_valid_sides_at_depth_4_are_16b_plus_60_beyond_184():
    valid = {side for side in range(2000) if is_valid_side(side, 4)}
    assert valid == {16 * b + 60 for b in range(130)} & set(range(185, 2000))
    assert {300, 572, 1020, 1212} <= valid


def test_valid_padded_sides_at_depth_4_are_multiples_of_16():
    assert [side for side in range(100) if is_valid_side(side, 4, padded=True)] == [16, 32, 48, 64, 80, 96]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_the_output_side_is_what_the_layers_leave_one_by_one(depth, padded):
    for side in range(701):
        left = simulate(side, depth, padded)
        assert is_valid_side(side, depth, padded) == (left is not None), side
        if left is not None:
            assert output_side(side, depth, padded) == left


def test_a_wrong_side_is_refused_with_the_nearest_valid_ones():
    with pytest.raises(ValueError, match=r"got 570; nearest valid: 556 and 572$"):
        output_side(570, 4)
    with pytest.raises(ValueError, match=r"got 570; nearest valid: 560 and 576$"):
        output_side(570, 4, padded=True)
    with pytest.raises(ValueError, match=r"got 100; nearest valid: 188$"):
        output_side(100, 4)


@given(side=st.integers(0, 700), depth=DEPTHS, padded=st.booleans())
@settings(deadline=None)
def test_no_valid_side_is_nearer_than_those_named(side, depth, padded):
    valid = [other for other in range(900) if simulate(other, depth, padded) is not None]
    if side not in valid:
        below = [other for other in valid if other < side][-1:]
        above = [other for other in valid if other > side][:1]
        assert nearest_valid_sides(side, depth, padded) == below + above


def test_the_network_loses_184_pixels_and_a_side_needs_92():
    assert shrinkage(4) == 572 - 388 == 184
    assert margin(4) == 92
    assert margin(4, padded=True) == 96  # the next pooling window


@given(side=st.integers(0, 700), depth=DEPTHS)
@settings(deadline=None)
def test_every_network_loses_its_shrinkage(side, depth):
    left = simulate(side, depth)
    assert left is None or side - left == shrinkage(depth) == 2 * margin(depth)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_no_kept_pixel_of_a_padded_tile_sees_its_padding(depth):
    side = covering_side(1, depth, padded=True)
    kept = slice(margin(depth, padded=True), margin(depth, padded=True) + kept_side(side, depth, padded=True))
    assert not sees_padding(side, depth)[kept].any()


def test_384_of_388_pixels_are_kept():
    assert kept_side(572, 4) == 384
    assert kept_side(576, 4, padded=True) == 576 - 2 * 96


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_tile_keeps_all_the_pooling_windows_that_fit_or_is_refused_with_one_that_does(depth, padded):
    keeping = []
    for side in range(1000):
        left = simulate(side, depth, padded)
        if left is None:
            continue
        exact = left - (2 * margin(depth, padded) if padded else 0)
        if exact >= 2**depth:
            keeping.append(side)
            kept = kept_side(side, depth, padded)
            assert kept % 2**depth == 0
            assert 0 <= exact - kept < 2**depth
    for too_small in range(keeping[0]):
        if simulate(too_small, depth, padded):
            with pytest.raises(ValueError, match=rf"got side {too_small}; nearest valid: {keeping[0]}$"):
                kept_side(too_small, depth, padded)


def test_a_tile_that_keeps_nothing_is_refused_with_the_smallest_that_does():
    with pytest.raises(ValueError, match=r"at least 16 pixels, but got side 188; nearest valid: 204$"):
        kept_side(188, 4)
    with pytest.raises(ValueError, match=r"at least 16 pixels, but got side 192; nearest valid: 208$"):
        kept_side(192, 4, padded=True)
    assert kept_side(204, 4) == kept_side(208, 4, padded=True) == 16


@given(length=st.integers(1, 300), depth=DEPTHS, padded=st.booleans(), largest=st.sampled_from([64, 512]))
@settings(deadline=None)
def test_the_covering_side_is_the_smallest_of_as_few_equal_tiles_as_can_be(length, depth, padded, largest):
    side = covering_side(length, depth, padded, largest)
    tiles = -(-length // largest)
    asked = -(-length // tiles)
    assert kept_side(side, depth, padded) >= asked
    for smaller in range(side):
        if is_valid_side(smaller, depth, padded):
            exact = output_side(smaller, depth, padded) - (2 * margin(depth, padded) if padded else 0)
            assert exact // 2**depth * 2**depth < asked


def test_a_small_axis_is_mirrored_as_drawn():
    assert mirrored(3, 2, 2).tolist() == [2, 1, 0, 1, 2, 1, 0]


@given(length=st.integers(1, 12), before=st.integers(0, 50), after=st.integers(0, 50))
def test_mirroring_is_that_of_numpy_however_far_and_short(length, before, after):
    expected = np.pad(np.arange(length), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirrored(length, before, after), expected)


def test_a_negative_side_is_refused_with_the_smallest_valid_one():
    with pytest.raises(ValueError, match=r"got -5; nearest valid: 188$"):
        output_side(-5, 4)
