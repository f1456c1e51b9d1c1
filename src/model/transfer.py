"""Copy the weights of one U-Net to another, which may differ in its classes, input channels and depth."""

import re

from torch import Tensor, nn

from src.model.unet import UNet


def transfer(model: UNet, other: UNet) -> tuple[list[str], list[str]]:
    """Copy the weights of one network into another, layer by layer, wherever a layer has the same shape in both.

    Levels (figure 1) are counted from the image downwards, so networks of different depth have upper levels in common.
    If the numbers of classes differ, the last layer is not copied; if the numbers of input channels differ, the first
    layer is not copied.

    Args:
        model: the network that receives weights.
        other: the network whose weights are copied.

    Returns:
        The names, in ``model``, of the layers that were copied, and of the layers that were not.

    Raises:
        ValueError: no convolution has the same shape in both networks, except perhaps the last one.
    """
    there = {_level(name, other.depth): value for name, value in other.state_dict().items()}
    here = model.state_dict()
    fits = {name: _fits(value, there.get(_level(name, model.depth))) for name, value in here.items()}
    layers: dict[str, bool] = {}  # whether each layer is copied: completely or not at all
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
    """Return the name of a weight with its level counted from the image downwards.

    In the names of PyTorch, the levels of the expanding path are counted from the bottom upwards.

    Args:
        name: the name of the weight in the network's ``state_dict``.
        depth: the depth of the network.
    """
    return re.sub(r"^(up|merge)\.(\d+)", lambda found: f"{found[1]}.{depth - 1 - int(found[2])}", name)


def _fits(value: Tensor, other: Tensor | None) -> bool:
    return other is not None and value.shape == other.shape and value.dtype == other.dtype
