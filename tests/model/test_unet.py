import pytest
import torch
import torch.nn.functional as F
from torch import nn

from src.model.unet import UNet, centre_crop

CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d


def convolutions(network):
    return [layer for layer in network.modules() if isinstance(layer, CONVOLUTIONS)]


def kinds(layers):
    return [type(layer).__name__ for layer in layers]


@pytest.fixture
def shapes_only():
    """Compute shapes without numbers, so that the paper's network takes no time."""
    with torch.device("meta"):
        yield


@pytest.fixture
def walk(shapes_only):
    """The shape after each convolution of the paper's network for a tile of 572, in order of execution."""
    network, steps = UNet().eval(), []
    for layer in convolutions(network):
        layer.register_forward_hook(
            lambda layer, _, result: steps.append((layer.in_channels, layer.out_channels, result.shape[-1]))
        )
    network(torch.empty(1, 1, 572, 572))
    return steps


def test_the_papers_network_has_31030658_parameters(shapes_only):
    assert sum(parameter.numel() for parameter in UNet().parameters()) == 31_030_658


def test_the_papers_network_has_23_convolutions(shapes_only):
    assert len(convolutions(UNet())) == 23


def test_figure_1_is_walked_as_drawn(walk):
    down = [(1, 64, 570), (64, 64, 568), (64, 128, 282), (128, 128, 280), (128, 256, 138), (256, 256, 136)]
    bottom = [(256, 512, 66), (512, 512, 64), (512, 1024, 30), (1024, 1024, 28)]
    up = [(1024, 512, 56), (1024, 512, 54), (512, 512, 52), (512, 256, 104), (512, 256, 102), (256, 256, 100)]
    top = [(256, 128, 200), (256, 128, 198), (128, 128, 196), (128, 64, 392), (128, 64, 390), (64, 64, 388)]
    assert walk == down + bottom + up + top + [(64, 2, 388)]


def test_figure_1_is_made_of_3x3_convolutions_2x2_up_convolutions_and_one_1x1(shapes_only):
    layers = convolutions(UNet())
    sizes = {(type(layer), layer.kernel_size, layer.stride, layer.padding) for layer in layers}
    assert sizes == {
        (nn.Conv2d, (3, 3), (1, 1), (0, 0)),
        (nn.ConvTranspose2d, (2, 2), (2, 2), (0, 0)),
        (nn.Conv2d, (1, 1), (1, 1), (0, 0)),
    }
    assert sum(isinstance(layer, nn.ConvTranspose2d) for layer in layers) == 4
    assert sum(layer.kernel_size == (1, 1) for layer in layers) == 1


def test_a_colour_tile_of_572_gives_388_of_two_classes():
    network = UNet(in_channels=3, base_channels=2).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 572, 572)).shape == (1, 2, 388, 388)


def test_the_forward_pass_is_figure_1_written_by_hand():
    torch.manual_seed(0)
    network = UNet(2, classes=3, base_channels=2, depth=2).double().eval()
    for layer in convolutions(network):
        nn.init.normal_(layer.bias)

    def twice(image, layers):
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                image = F.conv2d(image, layer.weight, layer.bias).clamp(min=0)
        return image

    def up(image, layer):
        return F.conv_transpose2d(image, layer.weight, layer.bias, stride=2)

    # 44 → 40, 20 → 16, 8 → 4, 8 → 4, 8 → 4: the skips lose 4 and 16 pixels at each side.
    image = torch.rand(1, 2, 44, 44, dtype=torch.float64)
    first = twice(image, network.down[0])
    second = twice(F.max_pool2d(first, 2), network.down[1])
    bottom = twice(F.max_pool2d(second, 2), network.down[2])
    rising = twice(torch.cat([second[..., 4:12, 4:12], up(bottom, network.up[0])], 1), network.merge[0])
    rising = twice(torch.cat([first[..., 16:24, 16:24], up(rising, network.up[1])], 1), network.merge[1])
    expected = F.conv2d(rising, network.classify.weight, network.classify.bias)
    assert expected.shape == (1, 3, 4, 4)
    torch.testing.assert_close(network(image), expected)


def test_weights_of_every_layer_deviate_by_the_root_of_2_over_incoming_nodes():
    torch.manual_seed(0)
    network = UNet()
    assert len(convolutions(network)) == 23
    for layer in convolutions(network):
        weight = layer.weight.detach()
        # (out, in, k, k), but (in, out, 2, 2) of an up-convolution, whose output pixel sees one input pixel.
        incoming = weight.shape[0] if isinstance(layer, nn.ConvTranspose2d) else weight[0].numel()
        sampling_error = (2 * weight.numel()) ** -0.5
        assert weight.std().item() / (2 / incoming) ** 0.5 == pytest.approx(1, abs=5 * sampling_error), layer
        assert abs(weight.mean().item()) < 5 * weight.std().item() / weight.numel() ** 0.5, layer
        assert not layer.bias.any(), layer


def test_a_3x3_convolution_of_64_channels_has_576_incoming_nodes():
    torch.manual_seed(0)
    second = UNet(depth=1).down[0][2]  # the paper's own example, §3
    assert second.weight.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.02)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("norm", ["none", "batch", "batch_after"])
def test_dropout_ends_the_last_two_levels_of_the_contracting_path_and_no_other(depth, norm):
    network = UNet(base_channels=1, depth=depth, norm=norm, dropout=0.3)
    where = {name: layer.p for name, layer in network.named_modules() if isinstance(layer, nn.Dropout)}
    last = [f"down.{level}.{len(network.down[level]) - 1}" for level in (depth - 1, depth)]
    assert where == dict.fromkeys(last, 0.3)


def test_dropout_0_leaves_no_layer():
    assert "Dropout" not in kinds(UNet(base_channels=1, dropout=0).modules())


@pytest.mark.parametrize(
    ("norm", "order"),
    [
        ("none", ["Conv2d", "ReLU"]),
        ("batch", ["Conv2d", "BatchNorm2d", "ReLU"]),
        ("batch_after", ["Conv2d", "ReLU", "BatchNorm2d"]),
    ],
)
def test_norm_decides_what_follows_each_convolution(norm, order):
    network = UNet(base_channels=1, depth=2, norm=norm, dropout=0)
    for block in (*network.down, *network.merge):
        assert kinds(block) == 2 * order


@pytest.mark.parametrize(("norm", "biased"), [("none", True), ("batch", False), ("batch_after", True)])
def test_a_convolution_has_a_bias_unless_batch_normalisation_would_subtract_it(norm, biased):
    network = UNet(base_channels=1, depth=2, norm=norm)
    for block in (*network.down, *network.merge):
        assert all((layer.bias is not None) == biased for layer in convolutions(block))


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_a_norm_that_breaks_tiling_is_refused_with_the_reason(norm):
    with pytest.raises(ValueError, match=rf"got {norm}: its statistics change with the tile.*nearest valid: batch"):
        UNet(norm=norm)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"norm": "bacth"}, "expected norm none.*batch_after, but got 'bacth'"),
        ({"classes": 1}, "classes from 2 to 254, but got 1; nearest valid: 2"),
        ({"in_channels": 0}, "in_channels from 1 to 1024, but got 0; nearest valid: 1"),
        ({"base_channels": 0}, "base_channels from 1 to 2048, but got 0; nearest valid: 1"),
        ({"depth": 0}, "depth from 1 to 8, but got 0; nearest valid: 1"),
        ({"depth": 9}, "depth from 1 to 8, but got 9; nearest valid: 8"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\), but got 1.0"),
    ],
)
def test_an_impossible_option_is_refused_with_what_is_possible(option, message):
    with pytest.raises(ValueError, match=message):
        UNet(**option)


@pytest.mark.parametrize("norm", ["none", "batch", "batch_after"])
def test_a_padded_network_keeps_the_size(norm):
    network = UNet(1, 5, base_channels=2, depth=2, padded=True, norm=norm).eval()
    for height, width in ((4, 4), (12, 20)):
        assert network(torch.rand(2, 1, height, width)).shape == (2, 5, height, width)


def test_an_input_of_wrong_height_or_width_is_refused_with_the_nearest(shapes_only):
    network = UNet(base_channels=2)
    for height, width in ((570, 572), (572, 570)):
        with pytest.raises(ValueError, match="got 570; nearest valid: 556 and 572"):
            network(torch.empty(1, 1, height, width))


def test_the_centre_is_cropped_as_drawn():
    drawing = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 1, 2, 0, 0], [0, 0, 3, 4, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert centre_crop(drawing, torch.empty(2, 2)).tolist() == [[1, 2], [3, 4]]
    assert centre_crop(drawing, drawing).tolist() == drawing.tolist()


def test_every_channel_is_cropped_alike():
    larger = torch.arange(2 * 3 * 6 * 8).reshape(2, 3, 6, 8)
    assert torch.equal(centre_crop(larger, torch.empty(2, 7, 4, 2)), larger[:, :, 1:5, 3:5])
