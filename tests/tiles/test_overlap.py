"""Tiled prediction has no seams: it equals one pass over the whole, mirrored image."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from src.model.unet import UNet
from src.tiles.geometry import LARGEST_KEPT, is_valid_side, kept_side, margin, output_side
from src.tiles.overlap import Window, mirrored_range, overlap_tile, reader


@cache
def random_unet(depth, padded, norm="none", in_channels=1):
    """A small network in fp64 without any bias, statistic or affine parameter at its neutral initial value."""
    torch.manual_seed(3)  # with this seed no dead unit disconnects a level, as tested below
    network = UNet(in_channels, classes=3, base_channels=2, depth=depth, padded=padded, norm=norm).double().eval()
    for layer in network.modules():
        if getattr(layer, "bias", None) is not None:
            nn.init.uniform_(layer.bias)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return network.requires_grad_(False)


def mirror(image, before, rows, columns):
    """The image (N, C, H, W), mirrored by ``before`` pixels at the start of each axis and by the others at its end."""
    return torch.from_numpy(np.pad(image.numpy(), [(0, 0), (0, 0), (before, rows), (before, columns)], mode="reflect"))


def whole(network, image, depth, padded):
    """One pass over the mirrored image, padded to a size that the network takes."""
    before, after = margin(depth, padded), []
    for length in image.shape[-2:]:
        behind = before
        while not is_valid_side(before + length + behind, depth, padded):
            behind += 1
        after.append(behind)
    result = network(mirror(image, before, *after))
    first = before if padded else 0
    return result[..., first : first + image.shape[-2], first : first + image.shape[-1]]


def overlap(network, image, depth, padded=False, tile=None):
    """The whole image, in tiles."""
    return overlap_tile(network, reader(image), Window(0, 0, *image.shape[-2:]), depth, padded, tile)


def tiled(network, image, side, stride, depth):
    """Tiles of a valid network at any stride, right or wrong."""
    before = margin(depth)
    extended = mirror(image, before, side + stride, side + stride)
    rows = []
    for top in range(0, image.shape[-2], stride):
        lefts = range(0, image.shape[-1], stride)
        tiles = [network(extended[..., top : top + side, left : left + side]) for left in lefts]
        rows.append(torch.cat([tile[..., :stride, :stride] for tile in tiles], dim=-1))
    return torch.cat(rows, dim=-2)[..., : image.shape[-2], : image.shape[-1]]


def random_image(*shape):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def difference(a, b):
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def tile_that_keeps(blocks, depth, padded):
    """The smallest tile that keeps ``blocks`` pooling windows."""
    enough = blocks * 2**depth + 2 * margin(depth, padded)
    return next(side for side in range(enough, enough + 2**depth) if is_valid_side(side, depth, padded))


NETWORKS = pytest.mark.parametrize(
    ("depth", "padded", "norm"), list(product((1, 2, 3), (False, True), ("none", "batch", "batch_after")))
)


@NETWORKS
def test_the_random_networks_use_all_their_levels(depth, padded, norm):
    network, image, changed = random_unet(depth, padded, norm), random_image(1, 1, 81, 81), random_image(1, 1, 81, 81)
    changed[..., 40, 40] += 1
    reached = (whole(network, image, depth, padded) != whole(network, changed, depth, padded)).any(dim=1)[0].nonzero()
    # Without the lowest level the network would see half as far.
    assert (reached - 40).abs().max() > margin(depth - 1)


@NETWORKS
@given(height=st.integers(1, 40), width=st.integers(1, 40), blocks=st.none() | st.integers(1, 6))
@example(height=37, width=23, blocks=1)
@example(height=24, width=33, blocks=2)
@example(height=1, width=1, blocks=1)
@example(height=1, width=1, blocks=None)
@settings(deadline=None, max_examples=6, derandomize=True)
def test_any_tile_gives_what_one_pass_over_the_whole_image_gives(depth, padded, norm, height, width, blocks):
    network, image = random_unet(depth, padded, norm), random_image(1, 1, height, width)
    tile = blocks and tile_that_keeps(blocks, depth, padded)
    result = overlap(network, image, depth, padded, tile)
    assert result.shape == (1, 3, height, width)
    assert difference(result, whole(network, image, depth, padded)) <= 1e-12


@pytest.mark.parametrize(("padded", "tile"), [(False, 300), (True, 288)])
def test_at_the_papers_depth_there_are_no_seams(padded, tile):
    network, image = random_unet(4, padded), random_image(1, 1, 130, 70)
    expected = whole(network, image, 4, padded)
    assert difference(overlap(network, image, 4, padded, tile), expected) <= 1e-12
    assert difference(overlap(network, image, 4, padded), expected) <= 1e-12


@pytest.mark.parametrize("padded", [False, True])
def test_an_image_longer_than_the_largest_tile_has_no_seam(padded):
    network, image = random_unet(3, padded), random_image(1, 1, 9, LARGEST_KEPT + 18)
    assert difference(overlap(network, image, 3, padded), whole(network, image, 3, padded)) <= 1e-12


def test_several_images_of_several_channels_have_no_seam():
    network, image = random_unet(2, False, "batch", in_channels=3), random_image(2, 3, 11, 14)
    tile = tile_that_keeps(2, 2, False)
    assert difference(overlap(network, image, 2, tile=tile), whole(network, image, 2, False)) <= 1e-12


def test_tiles_at_the_stride_of_the_output_disagree_with_the_whole_image():
    # Output sides are 4 beyond a multiple of 8 at depth 3: such a tile pools in another phase than its neighbour.
    network, image, side = random_unet(3, False), random_image(1, 1, 40, 40), 108
    expected = whole(network, image, 3, False)
    scale = expected.abs().max().item()
    assert difference(tiled(network, image, side, output_side(side, 3), 3), expected) > 0.01 * scale
    assert difference(tiled(network, image, side, kept_side(side, 3), 3), expected) <= 1e-12


@given(depth=st.sampled_from([2, 3, 4]), height=st.integers(1, 30), width=st.integers(1, 30), blocks=st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_a_network_that_only_crops_returns_the_image_itself(depth, height, width, blocks):
    image, border = random_image(1, 2, height, width), margin(depth)

    def crop(tile):
        return tile[..., border:-border, border:-border]

    assert torch.equal(overlap(crop, image, depth, tile=tile_that_keeps(blocks, depth, False)), image)
    assert torch.equal(overlap(crop, image, depth), image)


@given(depth=st.sampled_from([2, 3, 4]), height=st.integers(1, 30), width=st.integers(1, 30), blocks=st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_a_padded_network_that_does_nothing_returns_the_image_itself(depth, height, width, blocks):
    image = random_image(1, 2, height, width)
    tile = tile_that_keeps(blocks, depth, True)
    assert torch.equal(overlap(lambda tile: tile, image, depth, padded=True, tile=tile), image)
    assert torch.equal(overlap(lambda tile: tile, image, depth, padded=True), image)


def test_context_beyond_the_border_is_mirrored():
    # Each pixel is answered by the pixel two to its left, so the first two must come from beyond the border.
    border = margin(2)
    left = overlap(lambda tile: tile[..., border:-border, border - 2 : -border - 2], torch.arange(4.0)[None], 2)
    assert left.tolist() == [[2, 1, 0, 1]]


@NETWORKS
@given(data=st.data())
@settings(deadline=None, max_examples=4, derandomize=True)
def test_a_window_is_equal_to_the_same_part_of_the_whole(depth, padded, norm, data):
    network, image = random_unet(depth, padded, norm), random_image(1, 1, 41, 50)
    top, left = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 49))
    height, width = data.draw(st.integers(1, 41 - top)), data.draw(st.integers(1, 50 - left))
    blocks = data.draw(st.none() | st.integers(1, 4))
    tile = blocks and tile_that_keeps(blocks, depth, padded)
    part = overlap_tile(network, reader(image), Window(top, left, height, width), depth, padded, tile)
    expected = whole(network, image, depth, padded)[..., top : top + height, left : left + width]
    assert difference(part, expected) <= 1e-12


@given(length=st.integers(1, 9), start=st.integers(-30, 30), extent=st.integers(1, 30))
def test_positions_beyond_an_axis_are_mirrored_at_its_ends(length, start, extent):
    far = np.pad(np.arange(length), 60, mode="reflect") if length > 1 else np.zeros(121, int)
    expected = far[60 + start : 60 + start + extent]
    np.testing.assert_array_equal(mirrored_range(length, start, extent), expected)


def test_a_wrong_tile_is_refused_with_the_nearest():
    image = torch.zeros(1, 1, 20, 20)
    with pytest.raises(ValueError, match="got 570; nearest valid: 556 and 572"):
        overlap(pytest.fail, image, depth=4, tile=570)
    with pytest.raises(ValueError, match="got 570; nearest valid: 560 and 576"):
        overlap(pytest.fail, image, depth=4, padded=True, tile=570)
    with pytest.raises(ValueError, match="got side 188; nearest valid: 204"):
        overlap(pytest.fail, image, depth=4, tile=188)
