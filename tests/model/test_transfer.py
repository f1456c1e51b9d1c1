"""Weights of one network for another one: layers that fit are copied, and the others are named."""

import pytest
import torch

from src.model.transfer import transfer
from src.model.unet import UNet


def network(**options):
    return UNet(**{"base_channels": 4, "depth": 3, "norm": "batch"} | options)


def test_of_an_equal_network_all_is_taken():
    model, other = network(), network()
    image = torch.rand(1, 1, 92, 92)
    taken, left = transfer(model, other)
    assert left == [] and {"down.0.0", "up.2", "classify"} <= set(taken)
    torch.testing.assert_close(model.eval()(image), other.eval()(image), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ({"classes": 5}, {"classify"}),
        ({"in_channels": 3}, {"down.0.0"}),
        ({"in_channels": 3, "classes": 3}, {"down.0.0", "classify"}),
    ],
)
def test_another_number_of_classes_or_channels_changes_one_layer(options, lacks):
    model, other = network(**options), network()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    taken, left = transfer(model, other)
    assert set(left) == lacks and not lacks & set(taken)
    for name, weight in model.state_dict().items():
        layer = name.rpartition(".")[0]
        expected = before[name] if layer in lacks else other.state_dict()[name]
        torch.testing.assert_close(weight, expected, rtol=0, atol=0)


def test_networks_of_different_depth_share_their_upper_levels():
    model, other = network(depth=2), network(depth=3)
    taken, left = transfer(model, other)
    assert {"down.0.0", "down.1.3", "down.2.0", "up.0", "up.1", "merge.0.0", "merge.1.3", "classify"} <= set(taken)
    assert left == []
    for here, there in (("up.0", "up.1"), ("up.1", "up.2"), ("merge.1.0", "merge.2.0")):
        torch.testing.assert_close(model.get_submodule(here).weight, other.get_submodule(there).weight, rtol=0, atol=0)
    deeper, other = network(depth=4), network(depth=3)
    _, left = transfer(deeper, other)
    assert set(left) == {layer for layer in left if layer.startswith(("down.4", "up.0", "merge.0"))} != set()


def test_a_network_of_other_widths_is_refused_with_those_that_fit():
    model = network()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"has 6 channels and that of this one 4; nearest valid: .*base_channels=6"):
        transfer(model, network(base_channels=6))
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)


def test_of_a_network_with_another_norm_no_layer_is_taken_in_part():
    model, other = network(norm="none"), network(norm="batch")
    with pytest.raises(ValueError, match=r"the same model\.norm"):
        transfer(model, other)  # its convolutions have no bias
