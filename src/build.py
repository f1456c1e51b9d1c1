"""From configuration to objects: the only place that instantiates.

A node of ``conf/`` with a ``_target_`` is one call. Before it is made, its arguments are held
against the callee's signature, so that a wrong key or type is named before anything starts.
"""

import difflib
import inspect
import re
import typing
from collections.abc import Callable
from pathlib import Path
from types import NoneType

import lightning
import numpy as np
import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from torchmetrics import Metric

from src.data.datamodule import SliceData
from src.files.guard import check_plain, reason
from src.model import archive
from src.model.layout import calls
from src.model.segmenter import Segmenter
from src.model.unet import UNet
from src.run.checkpoint import Checkpoints
from src.run.device import choose_precision
from src.run.lightning_seam import leave_signals
from src.tiles.geometry import output_side

SEGMENTER = ("model", "loss", "metrics", "optimizer", "scheduler", "instances", "monitor")
# Of a checkpoint, so that nothing large can be asked for.
MOST_METRICS, MOST_VALUES, LARGEST_INTEGER = 16, 64, 2**53


def segmenter(config: DictConfig, model: UNet | None = None) -> Segmenter:
    """The LightningModule, of ``model`` or a new network; its hyper-parameters hold what `restore` needs."""
    parts = {name: _make(config, name) for name in SEGMENTER if name not in ("model", "monitor")}
    module = Segmenter(model=model or _make(config, "model"), monitor=config.monitor, **parts)
    values = OmegaConf.to_container(config, resolve=True)
    module.save_hyperparameters({slot: named(slot, values[slot]) for slot in SEGMENTER}, logger=False)
    return module


def named(slot: str, node: dict | str) -> dict | str:
    """A part as a checkpoint names it: by its file in ``conf/``, not by where its code is, and its arguments.

    Raises:
        ValueError: no file of ``conf/`` calls it.
    """
    if slot == "monitor":
        return node
    if slot == "metrics":
        return {name: _named(slot, each) for name, each in node.items()}
    return _named(slot, node)


def _named(slot: str, node: dict) -> dict:
    target = node["_target_"]
    names = [name for name, call in calls(slot).items() if call["_target_"] == target]
    if not names:
        raise ValueError(
            f"expected {slot} to call what a file of conf/{slot} calls, so that its checkpoint can be opened, but got "
            f"{target}; nearest valid: a file conf/{slot}/mine.yaml with _target_: {target}, and {slot}=mine"
        )
    return {"name": names[0]} | {key: value for key, value in node.items() if key not in calls(slot)[names[0]]}


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
    made = _make(config, "trainer", _partial_=True)(
        val_check_interval=interval * config.trainer.accumulate_grad_batches,
        num_sanity_val_steps=0,  # a validation chooses a checkpoint, also one of weights that have learnt nothing
        precision=choose_precision(config.trainer.precision, config.trainer.accelerator),
        logger=list(_make(config, "logger").values()),
        callbacks=list(_make(config, "callbacks").values()),
        plugins=[Checkpoints()],
        # LastCheckpoint sees to it: Lightning would validate once more, and count earlier parts of the run.
        max_time=None,
    )
    return leave_signals(made)


def restore(checkpoint: str | Path) -> Segmenter:
    """A trained Segmenter, ready to predict, from its checkpoint alone.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it is not a checkpoint of ours, is damaged, or would call something that ``conf/`` does not.
    """
    checkpoint = Path(checkpoint)
    content = archive.read(checkpoint)
    try:
        parts = checked_parts(content)
        with torch.device("meta"):  # no memory, before it is known that the weights are those of this network
            model = _make(parts, "model")
        check_weights(content, {f"model.{name}": weight for name, weight in model.state_dict().items()})
        module = segmenter(parts, model)
        module.load_state_dict(content["state_dict"], assign=True)
        module.on_load_checkpoint(content)
    except OSError:
        raise
    except Exception as error:  # a part that refuses its arguments may do so in any way
        said = reason(cause(error))
        raise ValueError(f"expected a checkpoint written by src.train, but {checkpoint} is none: {said}") from error
    module.model.to(memory_format=torch.channels_last)
    return module.eval()


def checked_parts(content: dict) -> DictConfig:
    """The calls of the parts that a checkpoint names, each of them one that ``conf/`` makes in the same place.

    Args:
        content: of the file.

    Raises:
        ValueError: it names another call, an argument that is no small plain value, or too few or too many parts.
    """
    parts, scores = content.get("hyper_parameters"), content.get("validation_scores", {})
    check_plain(parts, "hyper_parameters")
    if type(scores) is not dict or not all(type(score) in (int, float, NoneType) for score in scores.values()):
        raise ValueError(f"expected numbers as validation_scores, but got {str(scores)[:80]}")
    if type(parts) is not dict or set(parts) != set(SEGMENTER):
        found = ", ".join(parts) if type(parts) is dict else parts
        raise ValueError(f"expected the parts {', '.join(SEGMENTER)}, but got {found}")
    if type(parts["monitor"]) is not str:
        raise ValueError(f"expected monitor to name a score, but got {str(parts['monitor'])[:80]}")
    _check_argument_value("monitor", parts["monitor"])
    made = dict(parts)
    for slot in SEGMENTER[:-1]:
        nodes = parts["metrics"] if slot == "metrics" else {slot: parts[slot]}
        if type(nodes) is not dict or len(nodes) > MOST_METRICS:
            raise ValueError(f"expected {slot} by name, but got {str(nodes)[:80]}")
        called = {name: _call(slot, name, node) for name, node in nodes.items()}
        made[slot] = called if slot == "metrics" else called[slot]
    config = OmegaConf.create(made)
    for slot in SEGMENTER[:-1]:
        check(config[slot], slot)
    return config


def _call(slot: str, name: str, node: object) -> dict:
    """The call that a node of a checkpoint stands for."""
    known = calls(slot)
    if type(node) is not dict or type(node.get("name")) is not str or node["name"] not in known:
        asked = (node.get("name") or node.get("_target_") or node) if type(node) is dict else node
        raise ValueError(f"expected {name} to be one of {', '.join(known)}, but it would call {str(asked)[:80]}")
    for key, value in node.items():
        if key.startswith("_"):
            raise ValueError(f"expected arguments in {name}, but got {key}")
        _check_argument_value(f"{name}.{key}", value)
    return known[node["name"]] | {key: value for key, value in node.items() if key != "name"}


def _check_argument_value(key: str, value: object) -> None:
    """Refuse what could be a path, a call, an interpolation, or larger than any argument is."""
    if type(value) is list and len(value) <= MOST_VALUES:
        for each in value:
            _check_argument_value(key, each)
    elif type(value) is str and not re.fullmatch(r"[\w .+-]{0,64}", value):
        raise ValueError(f"expected {key} to be a short word, but got {value[:80]!r}")
    elif type(value) in (dict, list) or (type(value) is int and abs(value) > LARGEST_INTEGER):
        raise ValueError(f"expected {key} to be a number, a word or a list of them, but got {str(value)[:80]}")


def check_weights(content: dict, expected: dict[str, torch.Tensor]) -> None:
    """Hold stored weights and threshold against the network that they are for.

    Raises:
        ValueError: a weight is missing, not of this network, of another shape or type, NaN or infinite; or the
            threshold is no probability.
    """
    stored = content.get("state_dict")
    if type(stored) is not dict or not all(isinstance(weight, torch.Tensor) for weight in stored.values()):
        raise ValueError("it holds no weights")
    for what, names in (("lacks", expected.keys() - stored.keys()), ("has also", stored.keys() - expected.keys())):
        if names:
            raise ValueError(f"it {what} {len(names)} weights, such as {str(min(map(str, names)))[:80]}")
    for name, weight in stored.items():
        like = expected[name]
        if weight.shape != like.shape or weight.dtype != like.dtype:
            raise ValueError(
                f"expected {name} of {tuple(like.shape)} {like.dtype}, but got {tuple(weight.shape)} {weight.dtype}"
            )
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(f"its weights {name} are NaN or infinite")
    threshold = content.get("threshold")
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        raise ValueError(f"expected a threshold from 0 to 1, but got {threshold}")


def cause(error: BaseException, kinds: tuple[type[BaseException], ...] = (Exception,)) -> BaseException:
    """The error of one of ``kinds`` that a call from the configuration raised, without Hydra's wrapping."""
    wrapped = isinstance(error, InstantiationException) and isinstance(error.__cause__, kinds)
    return cause(error.__cause__, kinds) if wrapped else error


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
