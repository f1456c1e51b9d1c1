"""The layout of a checkpoint, which has a number, and how one of an earlier version becomes the present one.

1   each part by its name in ``conf/``, such as ``unet``, and its arguments
0   each part by where its code was, such as ``src.model.unet.UNet``; no number
"""

import copy
import dataclasses
import functools

import yaml

from src import CONF

LAYOUT = 1
# Where the code was that an earlier version has written into a checkpoint or a config.yaml, and where it is today.
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

# Keys that versions have added, and what a configuration without them means.
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

# Nouns and keys of which versions have changed what is chosen where nobody says.
CHANGED = (
    *("callbacks.average", "instances", "metrics", "scheduler", "target"),
    *("trainer.max_steps", "trainer.val_check_interval"),
)


def moved(node: object) -> object:
    """Choices of an earlier version, which call code by where it was, as they would be written today."""
    if isinstance(node, list):
        return [moved(value) for value in node]
    if not isinstance(node, dict):
        return node
    target = _today(node.get("_target_"))
    was_function = target != node.get("_target_") and str(target).startswith("src.instances.")
    return {
        key: target if key == "_target_" else moved(value)
        for key, value in node.items()
        if not (was_function and key == "_partial_")
    }


def _today(target: object) -> object:
    return MOVED.get(target, target) if isinstance(target, str) else target


def with_added(config: dict) -> dict:
    """A configuration that has the keys that versions have added, with what they mean where it does not say."""
    config = copy.deepcopy(config)
    for key, value in ADDED.items():
        *nouns, name = key.split(".")
        node = config
        for noun in nouns:
            node = node.get(noun, {}) if isinstance(node, dict) else {}
        if not nouns or "kind" in node or "kind" in node.get("source", {}):  # of a folder
            node.setdefault(name, value)
    return config


@functools.cache
def calls(slot: str) -> dict[str, dict]:
    """What the files of a folder of ``conf/`` call, by their names, of metrics by the names in them."""
    found = {}
    for file in sorted((CONF / slot).glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for name, node in content.items() if slot == "metrics" else [(file.stem, content)]:
            if "_target_" in node:
                found[name] = {key: node[key] for key in ("_target_", "_partial_") if key in node}
    return found


def name_of(slot: str, target: str | None) -> str | None:
    """The name of the first file of a folder of ``conf/`` that calls ``target``; None if none does."""
    return next((name for name, call in calls(slot).items() if call["_target_"] == target), None)


def part_of(slot: str, made: object) -> dict[str, object]:
    """What a checkpoint holds of a part that was made: its name in ``conf/`` and its arguments."""
    name = name_of(slot, f"{type(made).__module__}.{type(made).__qualname__}")
    return {"name": name, **dataclasses.asdict(made)}


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
        named = {slot: _all_named(node) if slot == "metrics" else _named(slot, node) for slot, node in parts.items()}
        content = content | {"hyper_parameters": named}
    return content | {"layout": LAYOUT}


def _all_named(nodes: object) -> object:
    return {name: _named("metrics", node) for name, node in nodes.items()} if type(nodes) is dict else nodes


def _named(slot: str, node: object) -> object:
    target = _today(node.get("_target_")) if type(node) is dict else None
    name = name_of(slot, target)
    if name is None:
        return node
    dropped = {"_target_"} | {key for key in ("_partial_",) if node.get(key) is True}
    return {"name": name} | {key: value for key, value in node.items() if key not in dropped}
