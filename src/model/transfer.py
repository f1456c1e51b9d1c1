"""Copies the weights of one network to another that may differ in classes, channels and depth."""

import re

from torch import Tensor, nn

from src.model.unet import UNet


def transfer(model: UNet, other: UNet) -> tuple[list[str], list[str]]:
    """Copy to a network the weights of each layer of another network (figure 1) that has the same shape in both.

    Levels are counted from the image downwards, so that networks of different depth share their upper levels. If the
    number of classes differs, the last layer does not fit; if the image has another number of channels, the first.

    Args:
        model: the network that receives weights.
        other: the network that they are copied from.

    Returns:
        The layers that were copied and those that were not, by their names in ``model``.

    Raises:
        ValueError: no convolution fits, except perhaps the last one.
    """
    there = {_level(name, other.depth): value for name, value in other.state_dict().items()}
    here = model.state_dict()
    fits = {name: _fits(value, there.get(_level(name, model.depth))) for name, value in here.items()}
    layers: dict[str, bool] = {}  # a layer is copied completely or not at all
    for name, each in fits.items():
        layer = name.rpartition(".")[0]
        layers[layer] = layers.get(layer, True) and each
    copied = [layer for layer, each in layers.items() if each]
    if not any(isinstance(model.get_submodule(layer), nn.Conv2d) for layer in set(copied) - {"classify"}):
        raise ValueError(
            f"expected a network whose convolutions fit, but its first level has {other.classify.in_channels} channels "
            f"and that of this one {model.classify.in_channels}; nearest valid: the same model.norm and "
            f"model.base_channels={other.classify.in_channels}"
        )
    fitting = {name: there[_level(name, model.depth)] for name in here if layers[name.rpartition(".")[0]]}
    model.load_state_dict(here | fitting)
    return copied, [layer for layer, each in layers.items() if not each]


def _level(name: str, depth: int) -> str:
    """The name of a weight with its level counted from the image; the expanding path counts from the bottom."""
    return re.sub(r"^(up|merge)\.(\d+)", lambda found: f"{found[1]}.{depth - 1 - int(found[2])}", name)


def _fits(value: Tensor, other: Tensor | None) -> bool:
    return other is not None and value.shape == other.shape and value.dtype == other.dtype
