"""Weights of one network for another one: what fits is taken, whatever the classes, channels and depth."""

import re

from torch import Tensor, nn

from src.model.unet import UNet


def transfer(model: UNet, other: UNet) -> tuple[list[str], list[str]]:
    """Give a network the weights of another one, layer by layer of figure 1, where both have the same shape.

    Levels are counted from the image downwards, so that networks of different depth share their upper levels. Another
    number of classes changes the last layer, another number of channels of the image the first one; all others fit.

    Args:
        model: takes weights.
        other: has them.

    Returns:
        The layers that were taken and those that were left as they are, by their names in ``model``.

    Raises:
        ValueError: no convolution but the last one fits.
    """
    there = {_level(name, other.depth): value for name, value in other.state_dict().items()}
    here = model.state_dict()
    fits = {name: _fits(value, there.get(_level(name, model.depth))) for name, value in here.items()}
    layers: dict[str, bool] = {}  # a layer is taken as a whole or not at all
    for name, each in fits.items():
        layer = name.rpartition(".")[0]
        layers[layer] = layers.get(layer, True) and each
    taken = [layer for layer, each in layers.items() if each]
    if not any(isinstance(model.get_submodule(layer), nn.Conv2d) for layer in set(taken) - {"classify"}):
        raise ValueError(
            f"expected a network whose convolutions fit, but its first level has {other.classify.in_channels} channels "
            f"and that of this one {model.classify.in_channels}; nearest valid: the same model.norm and "
            f"model.base_channels={other.classify.in_channels}"
        )
    chosen = {name: there[_level(name, model.depth)] for name in here if layers[name.rpartition(".")[0]]}
    model.load_state_dict(here | chosen)
    return taken, [layer for layer, each in layers.items() if not each]


def _level(name: str, depth: int) -> str:
    """The name of a weight with the number of its level, of which the decoder counts from the bottom up."""
    return re.sub(r"^(up|merge)\.(\d+)", lambda found: f"{found[1]}.{depth - 1 - int(found[2])}", name)


def _fits(value: Tensor, other: Tensor | None) -> bool:
    return other is not None and value.shape == other.shape and value.dtype == other.dtype
