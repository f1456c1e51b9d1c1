"""The layout of a checkpoint, which has a number, and how one of an earlier version becomes the present one.

1   each part by its name in ``conf/``, such as ``unet``, and its arguments
0   each part by where its code was, such as ``src.model.unet.UNet``; no number
"""

LAYOUT = 1
# What layout 0 called, wherever it is today.
NAMES = {
    "src.model.unet.UNet": "unet",
    "src.model.loss.weighted_cross_entropy": "weighted_cross_entropy",
    "src.model.loss.cross_entropy": "cross_entropy",
    "src.model.loss.dice": "dice",
    "src.metrics.rand.AfterThinning": "after_thinning",
    "src.metrics.rand.RandError": "rand_error",
    "src.metrics.pixel.PixelError": "pixel_error",
    "src.metrics.warping.WarpingError": "warping_error",
    "src.metrics.instance.Instances": "cells",
    "src.metrics.semantic.Semantic": "classes",
    "torch.optim.AdamW": "adamw",
    "torch.optim.SGD": "sgd",
    "torch.optim.lr_scheduler.ConstantLR": "constant",
    "torch.optim.lr_scheduler.CosineAnnealingLR": "cosine",
    "torch.optim.lr_scheduler.PolynomialLR": "poly",
    "src.tiles.instances.classes": "classes",
    "src.tiles.instances.components": "components",
    "src.tiles.instances.watershed": "watershed",
}


def present(content: dict) -> dict:
    """The content of a checkpoint in the present layout; what it does not know is left for who checks it.

    Raises:
        ValueError: a later version has written it.
    """
    layout = content.get("layout", 0)
    if type(layout) is not int or not 0 <= layout <= LAYOUT:
        raise ValueError(f"expected a layout from 0 to {LAYOUT}, but it has {str(layout)[:80]}, of a later version")
    parts = content.get("hyper_parameters")
    if layout == 0 and type(parts) is dict:
        named = {slot: _all_named(node) if slot == "metrics" else _named(node) for slot, node in parts.items()}
        content = content | {"hyper_parameters": named}
    return content | {"layout": LAYOUT}


def _all_named(nodes: object) -> object:
    return {name: _named(node) for name, node in nodes.items()} if type(nodes) is dict else nodes


def _named(node: object) -> object:
    target = node.get("_target_") if type(node) is dict else None
    if type(target) is not str or target not in NAMES:
        return node
    dropped = {"_target_"} | {key for key in ("_partial_",) if node.get(key) is True}
    return {"name": NAMES[target]} | {key: value for key, value in node.items() if key not in dropped}
