"""From configuration to objects: the only place that instantiates.

A node of ``conf/`` with a ``_target_`` is one call. Before it is made, its arguments are held
against the callee's signature, so that a wrong key or type is named before anything starts.
"""

import difflib
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning
import numpy as np
import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from torchmetrics import Metric

from src.data.datamodule import SliceData
from src.model.segmenter import Segmenter
from src.run.device import choose_precision
from src.tiles.geometry import output_side

CONF = Path(__file__).parent.parent / "conf"
SEGMENTER = ("model", "loss", "metrics", "optimizer", "scheduler", "instances", "monitor")


def segmenter(config: DictConfig) -> Segmenter:
    """The LightningModule; its hyper-parameters hold what `restore` needs, as plain values."""
    calls = {name: _make(config, name) for name in SEGMENTER if name != "monitor"}
    module = Segmenter(monitor=config.monitor, **calls)
    values = OmegaConf.to_container(config, resolve=True)
    module.save_hyperparameters({name: values[name] for name in SEGMENTER}, logger=False)
    return module


def metrics(config: DictConfig) -> dict[str, Metric]:
    """The metrics by name."""
    return _make(config, "metrics")


def instances(config: DictConfig) -> Callable[[np.ndarray, float], np.ndarray]:
    """The function that numbers cells."""
    return _make(config, "instances")


def data(config: DictConfig) -> SliceData:
    """The LightningDataModule, told how much context the network needs at the border of a tile."""
    output = output_side(config.data.tile, config.model.depth, config.model.padded)
    return _make(config, "data", _partial_=True)(
        classes=config.model.classes,
        channels=config.model.in_channels,
        augment=_make(config, "augment"),
        weight_map=_make(config, "weight_map"),
        context=(config.data.tile - output) // 2,
        seed=config.seed,
        cache_dir=config.cache_dir,
    )


def trainer(config: DictConfig) -> lightning.Trainer:
    """The Trainer, with the precision that the hardware is fast in.

    It validates every ``val_check_interval`` steps, or once, at the end, where a run has fewer. Lightning counts
    batches, of which a step may accumulate several.
    """
    interval = min(config.trainer.val_check_interval, config.trainer.max_steps)
    return _make(config, "trainer", _partial_=True)(
        val_check_interval=interval * config.trainer.accumulate_grad_batches,
        num_sanity_val_steps=0,  # a validation chooses a checkpoint, also one of weights that have learnt nothing
        precision=choose_precision(config.trainer.precision, config.trainer.accelerator),
        logger=list(_make(config, "logger").values()),
        callbacks=list(_make(config, "callbacks").values()),
        # LastCheckpoint sees to it: Lightning would validate once more, and count earlier parts of the run.
        max_time=None,
    )


def restore(checkpoint: str | Path) -> Segmenter:
    """A trained Segmenter, ready to predict, from its checkpoint alone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of ours, or would call something that ``conf/`` does not.
    """
    checkpoint = Path(checkpoint)
    if not checkpoint.is_file():
        raise FileNotFoundError(f"expected a checkpoint, but there is none at {checkpoint}")
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        parts, weights = content["hyper_parameters"], content["state_dict"]
        parts = {name: parts[name] for name in SEGMENTER}
    except Exception as error:  # torch.load raises whatever the first wrong byte leads to
        raise ValueError(f"expected a checkpoint written by src.train, but {checkpoint} is none: {error}") from error
    check_targets(parts)
    module = segmenter(OmegaConf.create(parts))
    module.load_state_dict(weights)
    module.on_load_checkpoint(content)
    return module.eval()


def check_targets(parts: dict) -> None:
    """Refuse a configuration from a file that could call anything which ``conf/`` does not.

    Raises:
        ValueError: names the call; or the interpolation, which could make one.
    """
    known = targets()
    for key, value in leaves(parts):
        if (key == "_target_" and value not in known) or "${" in str(value):
            raise ValueError(f"expected a checkpoint that calls what conf/ calls, but it would call {value!r}")


@functools.cache
def targets() -> frozenset[str]:
    """All that ``conf/`` calls."""
    files = (OmegaConf.to_container(OmegaConf.load(file), resolve=False) for file in CONF.rglob("*.yaml"))
    return frozenset(value for file in files for key, value in leaves(file) if key == "_target_")


def leaves(node: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Each value in nested dictionaries and lists, with the key that it stands under."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from leaves(child, name)
    elif isinstance(node, list):
        for child in node:
            yield from leaves(child, key)
    else:
        yield key, node


def check(node: DictConfig, key: str) -> None:
    """Hold the arguments of each call in ``node`` against the signature of what it calls.

    Raises:
        ValueError: an argument does not exist or has a wrong type; names the key in the configuration.
    """
    if OmegaConf.is_list(node):
        for index, child in enumerate(node):
            check(child, f"{key}[{index}]")
    if not OmegaConf.is_dict(node):
        return
    target = node.get("_target_")
    for name, value in node.items():
        if OmegaConf.is_config(value):
            check(value, f"{key}.{name}")
        elif target and not name.startswith("_"):
            _check_argument(target, name, value, f"{key}.{name}")


def _check_argument(target: str, name: str, value: object, key: str) -> None:
    callee = get_object(target)
    parameters = inspect.signature(callee).parameters
    if name not in parameters:
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            return
        nearest = ", ".join(difflib.get_close_matches(name, parameters, n=1) or parameters)
        raise ValueError(f"expected an argument of {target}, but got {key}; nearest valid: {nearest}")
    try:
        hints = typing.get_type_hints(callee.__init__ if inspect.isclass(callee) else callee)
    except NameError:
        return  # types of a package that is imported only when it is used, such as wandb
    if name not in hints or value == "auto":
        return
    try:
        adapter = TypeAdapter(hints[name], config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        return  # a type that pydantic cannot check
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError as error:
        expected = "; ".join(dict.fromkeys(problem["msg"] for problem in error.errors()))
        kind = hints[name].__name__ if inspect.isclass(hints[name]) else hints[name]
        raise ValueError(f"{key}: expected {kind}, but got {value!r} ({expected})") from None


def _make(config: DictConfig, name: str, **options: bool) -> typing.Any:
    check(config[name], name)
    return instantiate(config[name], _convert_="all", **options)
