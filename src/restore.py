"""Restore a trained network from a checkpoint that may be untrusted, calling only what ``conf/`` calls."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from omegaconf import OmegaConf

from src import build
from src.build import Config
from src.data.appearance import MEASURES, MOST_ROWS, Appearance
from src.exports import as_onnx
from src.files.legend import legend_of
from src.files.limits import check_plain, reason
from src.files.stored import Reading
from src.instances import Decoder, Numbering
from src.metrics.evaluator import CHOSEN_FROM
from src.model import archive
from src.model.layout import calls, name_of
from src.model.trained import MEMORY_FORMAT, PRECISIONS, Trained, stored_scores
from src.tiles.symmetry import AVERAGES

PARTS = ("model", "loss", "metrics", "optimizer", "scheduler", "instances", "monitor")
NEEDED = ("model", "instances")  # the parts that prediction needs
# Limits on the content of a checkpoint, so that it cannot make the program allocate anything large.
MOST_METRICS, MOST_VALUES, LARGEST_INTEGER = 16, 64, 2**53


def restore(checkpoint: str | Path) -> Trained:
    """Restore a trained network from a checkpoint, or from an ONNX file of `src.export`.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file is not a checkpoint of this program, is damaged, or would call what ``conf/`` does not.
    """
    checkpoint = Path(checkpoint)
    is_onnx = checkpoint.suffix.lower() == ".onnx"
    content = as_onnx.read(checkpoint) if is_onnx else archive.read(checkpoint)
    try:
        parts = checked_parts(content, NEEDED if is_onnx else PARTS)
        with torch.device("meta"):  # allocates no memory until the weights are known to fit
            model = build.make(parts, "model")
        check_weights(content, {f"model.{name}": weight for name, weight in model.state_dict().items()})
        weights = {name.removeprefix("model."): weight for name, weight in content["state_dict"].items()}
        model.load_state_dict(weights, assign=True)
        decoder = Decoder(build.make(parts, "instances"), content["threshold"])
        choices, rows = checked_choices(content), checked_appearance(content)
        reading, legend = checked_reading(content), legend_of(content.get("legend", {}))
        if not legend.fits(model.classes):
            raise ValueError(f"expected a legend of {model.classes} classes, but got {str(legend)[:80]}")
    except OSError:
        raise
    except Exception as error:  # a component may raise any error when its arguments are wrong
        why = reason(build.cause(error))
        raise ValueError(f"expected a checkpoint written by src.train, but {checkpoint} is not one: {why}") from error
    model = model.to(memory_format=MEMORY_FORMAT).eval()
    step = content.get("global_step")
    scored = {"tta": content.get("tta", "none"), "precision": content.get("precision")}
    scored["step"] = step if type(step) is int else 0
    return Trained(model, decoder, stored_scores(content), reading, legend, **scored, choices=choices, appearance=rows)


def checked_reading(content: dict[str, Any]) -> Reading:
    """Return how the pixels of image files are read for the network of a checkpoint.

    Args:
        content: the content of the checkpoint; without the entry, as in earlier versions, the default is returned.

    Raises:
        ValueError: the entry is not valid.
    """
    said = content.get("reading", {})
    if type(said) is not dict or not all(value is None or type(value) is str for value in said.values()):
        raise ValueError(f"expected words as reading, but got {str(said)[:80]}")
    try:
        return Reading(**said)
    except TypeError as error:
        raise ValueError(f"expected reading of {', '.join(vars(Reading()))}, but got {str(said)[:80]}") from error


def checked_appearance(content: Mapping[str, object]) -> tuple[Appearance, ...]:
    """Return the appearance of each training image from a checkpoint.

    Args:
        content: the content of the checkpoint; without the entry, as in earlier versions, the result is empty.

    Raises:
        ValueError: the entry is not valid.
    """
    rows = content.get("appearance", [])
    if type(rows) is not list or len(rows) > MOST_ROWS or not all(type(row) is dict for row in rows):
        raise ValueError(f"expected appearance as a list of rows, but got {str(rows)[:80]}")
    for name, value in (pair for row in rows for pair in row.items()):
        if name not in MEASURES or type(value) not in (int, float) or not MEASURES[name].possible(value):
            raise ValueError(f"expected a number for each of {', '.join(MEASURES)}, but got {str((name, value))[:80]}")
    return tuple(rows)


def checked_choices(content: dict[str, Any]) -> tuple[tuple[Numbering, tuple[float, ...]], ...]:
    """Return the decoders that a run has compared, from its checkpoint, each with its score at each threshold.

    The entries for test-time augmentation and precision are only validated.

    Args:
        content: the content of the checkpoint.

    Raises:
        ValueError: an entry is not valid.
    """
    for key, known in (("tta", AVERAGES), ("precision", PRECISIONS)):
        if key in content and (type(content[key]) is not str or content[key] not in known):
            raise ValueError(f"expected {key} to be one of {', '.join(known)}, but got {str(content[key])[:80]}")
    tried, found = content.get("choices", []), []
    if type(tried) is not list or len(tried) > MOST_VALUES:
        raise ValueError(f"expected choices as a list, but got {str(tried)[:80]}")
    for each in tried:
        node, ranks = (each.get("instances"), each.get("ranks")) if type(each) is dict else (None, None)
        scores = [_score(rank) for rank in ranks] if type(ranks) is list else []
        if len(scores) != len(CHOSEN_FROM) or None in scores:
            raise ValueError(f"expected a rank for each threshold, but got {str(each)[:80]}")
        found.append((made_numbering("choices", node), tuple(score for score in scores if score is not None)))
    return tuple(found)


def made_numbering(name: str, node: object) -> Numbering:
    """Make a decoder of cells from its description in a file, which is the name of a file in ``conf/instances``.

    Args:
        name: the key of the description, for messages.
        node: the description: the name, with arguments of the decoder.

    Raises:
        ValueError: the node does not describe a decoder.
    """
    called = {name: _call("instances", name, node)}
    build.check(OmegaConf.create(called[name]), name)
    numbering: Numbering = build.make(called, name)
    return numbering


def _score(rank: object) -> float | None:
    """Return a score from a file, in which null stands for −∞, or None if the score is not valid."""
    if rank is None:
        return -math.inf
    return rank if isinstance(rank, int | float) and type(rank) is not bool and abs(rank) <= LARGEST_INTEGER else None


def named(slot: str, node: Any) -> dict[str, Any] | str:  # noqa: ANN401  # a node of a configuration
    """Describe a part of a run for its checkpoint: by the name of a file in ``conf/`` and arguments, not by its code.

    Args:
        slot: the part, one of `PARTS`.
        node: the node of the configuration that describes the part.

    Raises:
        ValueError: no file of ``conf/`` makes the same call.
    """
    if slot == "monitor":
        return str(node)
    if slot == "metrics":
        return {name: _named(slot, each) for name, each in node.items()}
    return _named(slot, node)


def _named(slot: str, node: Config) -> dict[str, Any]:
    target = node["_target_"]
    name = name_of(slot, target)
    if name is None:
        raise ValueError(
            f"expected {slot} to call what a file of conf/{slot} calls, so that its checkpoint can be opened, but got "
            f"{target}; nearest valid: a file conf/{slot}/mine.yaml with _target_: {target}, and {slot}=mine"
        )
    return {"name": name} | {key: value for key, value in node.items() if key not in calls(slot)[name]}


def checked_parts(content: dict[str, Any], expected: Sequence[str] = PARTS) -> dict[str, Any]:
    """Convert the parts that a checkpoint describes (network, loss, …) to nodes for `build.make`, with safe calls only.

    A call is safe if a file of ``conf/`` makes the same call for the same part.

    Args:
        content: the content of the checkpoint.
        expected: the names of the parts that the checkpoint must have.

    Raises:
        ValueError: the checkpoint names a call that ``conf/`` does not make for this part, an argument that is not a
            small plain value, or other parts than expected.
    """
    parts, scores = content.get("hyper_parameters"), content.get("validation_scores", {})
    check_plain(parts, "hyper_parameters")
    if type(scores) is not dict or not all(type(score) in (int, float, NoneType) for score in scores.values()):
        raise ValueError(f"expected numbers as validation_scores, but got {str(scores)[:80]}")
    if type(parts) is not dict or set(parts) != set(expected):
        found = ", ".join(parts) if type(parts) is dict else parts
        raise ValueError(f"expected the parts {', '.join(expected)}, but got {found}")
    monitor = parts.get("monitor", "")
    if type(monitor) is not str:
        raise ValueError(f"expected monitor to name a score, but got {str(monitor)[:80]}")
    _check_argument_value("monitor", monitor)
    made, called_parts = dict(parts), [slot for slot in expected if slot != "monitor"]
    for slot in called_parts:
        nodes = parts["metrics"] if slot == "metrics" else {slot: parts[slot]}
        if type(nodes) is not dict or len(nodes) > MOST_METRICS:
            raise ValueError(f"expected {slot} by name, but got {str(nodes)[:80]}")
        called = {name: _call(slot, name, node) for name, node in nodes.items()}
        made[slot] = called if slot == "metrics" else called[slot]
    for slot in called_parts:
        build.check(OmegaConf.create(made[slot]), slot)
    return made


def _call(slot: str, name: str, node: object) -> dict[str, Any]:
    """Convert the description of a part, or of a metric, in a checkpoint to a node for `build.make`.

    Args:
        slot: the part, one of `PARTS`.
        name: the name of the part or metric, for messages.
        node: its description.

    Raises:
        ValueError: the description is not valid.
    """
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
    """Refuse a value that could be a path, a call or an interpolation, or that is larger than any valid argument."""
    if type(value) is list and len(value) <= MOST_VALUES:
        for each in value:
            _check_argument_value(key, each)
    elif type(value) is str and not re.fullmatch(r"[\w .+-]{0,64}", value):
        raise ValueError(f"expected {key} to be a short word, but got {value[:80]!r}")
    elif type(value) in (dict, list) or (type(value) is int and abs(value) > LARGEST_INTEGER):
        raise ValueError(f"expected {key} to be a number, a word or a list of them, but got {str(value)[:80]}")


def check_weights(content: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    """Check that the weights in a checkpoint fit the network, and that its threshold is a probability.

    Args:
        content: the content of the checkpoint.
        expected: weights of the network, by name, with the required shapes and dtypes.

    Raises:
        ValueError: a weight is missing, unknown, of another shape or type, NaN or infinite; or the threshold is not
            a probability.
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
    if not isinstance(threshold, int | float) or type(threshold) is bool or not 0 <= threshold <= 1:
        raise ValueError(f"expected a threshold from 0 to 1, but got {threshold}")
