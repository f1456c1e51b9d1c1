"""Translate checkpoints and configurations that earlier versions of the program wrote into the current layout."""

import copy
import dataclasses
import functools
from typing import Any

import yaml

from src import CONF

# The current layout of checkpoints, by number. In both layouts a checkpoint describes the parts that it was made of:
# 1: each part by its name in conf/, such as unet, with its arguments.
# 0: each part by its import path, such as src.model.unet.UNet, with its arguments; no layout number is stored.
LAYOUT = 1
# The import paths that earlier versions wrote into checkpoints and config.yaml, with the current import paths.
MOVED = {
    "src.tiles.instances.classes": "src.instances.Classes",
    "src.tiles.instances.components": "src.instances.Components",
    "src.tiles.instances.watershed": "src.instances.Watershed",
    "src.data.known.isbi2012": "src.data.public.isbi2012",
    "src.data.known.isbi2012_full": "src.data.public.isbi2012_full",
    "src.data.known.cell_tracking": "src.data.public.cell_tracking",
    "src.run.callbacks.ProgressBar": "src.run.progress.ProgressBar",
    "src.run.callbacks.Narrator": "src.run.progress.Narrator",
}

# Configuration keys that later versions added; a configuration that lacks a key behaves as if it had this value.
ADDED = {
    "scaling": "percentiles",
    "data.source.orientation": "stored",
    "data.source.axes": None,
    "data.source.classes": None,
    "data.source.images": None,
    "data.source.labels": None,
    "data.source.order": "plain",
    "data.groups": None,
    "start_from": None,
    "folds": None,
    "fold": None,
    "freeze": None,
    "optimizer.fused": None,
    "target": {"_target_": "src.data.targets.Classes"},
}

# Configuration keys, or whole groups of keys, whose default value was changed by later versions.
CHANGED = (
    *("callbacks.average", "instances", "metrics", "scheduler", "target"),
    *("trainer.max_steps", "trainer.val_check_interval"),
)


def moved(node: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration, or of a part of one, with outdated import paths replaced by current ones."""
    target = _today(node.get("_target_"))
    was_function = target != node.get("_target_") and str(target).startswith("src.instances.")
    return {
        key: target if key == "_target_" else _moved(value)
        for key, value in node.items()
        if not (was_function and key == "_partial_")
    }


def _moved(value: object) -> object:
    if isinstance(value, list):
        return [_moved(each) for each in value]
    return moved(value) if isinstance(value, dict) else value


def _today(target: object) -> object:
    return MOVED.get(target, target) if isinstance(target, str) else target


def with_added(config: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration in which each missing key of `ADDED` is set to the value given there.

    A nested key is set only if the data come from a folder.
    """
    config = copy.deepcopy(config)
    for key, value in ADDED.items():
        *nouns, name = key.split(".")
        node = config
        for noun in nouns:
            node = node.get(noun, {}) if isinstance(node, dict) else {}
        if not nouns or "kind" in node or "kind" in node.get("source", {}):  # the data come from a folder
            node.setdefault(name, value)
    return config


@functools.cache
def calls(slot: str) -> dict[str, dict[str, Any]]:
    """Return what the configuration files in a folder of ``conf/`` instantiate.

    Args:
        slot: the folder, such as ``model``.

    Returns:
        A dictionary from file name (without extension) to the file's entries ``_target_`` and, if present,
        ``_partial_``. For ``metrics``, where a file may define several metrics, its keys are the names of the metrics.
    """
    found = {}
    for file in sorted((CONF / slot).glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for name, node in content.items() if slot == "metrics" else [(file.stem, content)]:
            if "_target_" in node:
                found[name] = {key: node[key] for key in ("_target_", "_partial_") if key in node}
    return found


def name_of(slot: str, target: object) -> str | None:
    """Return the name of the first configuration in a folder of ``conf/`` that instantiates ``target``, or None.

    Args:
        slot: the folder, such as ``model``.
        target: the import path of the class or function, as in ``_target_``.
    """
    return next((name for name, call in calls(slot).items() if call["_target_"] == target), None)


def part_of(slot: str, made: object) -> dict[str, object]:
    """Describe an instantiated part for a checkpoint: by its name in ``conf/`` and its arguments.

    Args:
        slot: the folder of ``conf/`` that defines the part, such as ``instances``.
        made: the part, an instance of a dataclass.

    Raises:
        TypeError: the part is not an instance of a dataclass.
    """
    if not dataclasses.is_dataclass(made) or isinstance(made, type):
        raise TypeError(f"expected an instance of a dataclass, but got {made!r}")
    name = name_of(slot, f"{type(made).__module__}.{type(made).__qualname__}")
    return {"name": name, **dataclasses.asdict(made)}


def present(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a checkpoint, translated into the current layout.

    Parts that ``conf/`` does not define stay as they are, so that the caller can refuse them.

    Raises:
        ValueError: the checkpoint was written by a later version of the program.
    """
    layout = content.get("layout", 0)
    if type(layout) is not int or not 0 <= layout <= LAYOUT:
        raise ValueError(f"expected a layout from 0 to {LAYOUT}, but it has {str(layout)[:80]}, of a later version")
    parts = content.get("hyper_parameters")
    if layout == 0 and type(parts) is dict:
        named = {slot: _all_named(node) if slot == "metrics" else _named(slot, node) for slot, node in parts.items()}
        content = content | {"hyper_parameters": named}
    return content | {"layout": LAYOUT}


def _all_named(nodes: object) -> object:
    return {name: _named("metrics", node) for name, node in nodes.items()} if isinstance(nodes, dict) else nodes


def _named(slot: str, node: object) -> object:
    target = _today(node.get("_target_")) if isinstance(node, dict) else None
    name = name_of(slot, target)
    if name is None or not isinstance(node, dict):
        return node
    dropped = {"_target_"} | {key for key in ("_partial_",) if node.get(key) is True}
    return {"name": name} | {key: value for key, value in node.items() if key not in dropped}
