"""Build objects from the configuration; no other module uses Hydra's `instantiate`.

A node of the configuration with a ``_target_`` describes a call of that function or class; its other keys are the
arguments. They are first checked against the signature of the function or class, so that a wrong key or type is
reported before anything starts. Only the modules of the functions and classes that are called are imported.
"""

import difflib
import inspect
import re
import typing
from collections.abc import Mapping

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

# A configuration, composed by Hydra or as plain values. Users may add keys to conf/, so no static type can list them.
Config = Mapping[str, typing.Any]
PlainConfig = dict[str, typing.Any]


def make(config: Config, name: str, **options: object) -> typing.Any:  # noqa: ANN401  # any object
    """Make the object that a node of a configuration describes.

    Args:
        config: a configuration composed by Hydra, or plain values, in which ``${…}`` is literal text.
        name: the key of the node in ``config``.
        options: further arguments of the call; with ``_partial_=True``, a partial function is returned instead of the
            object.

    Raises:
        ValueError: an argument does not exist or has a wrong type.
        InstantiationException: the call raised an error, which `cause` returns.
    """
    node = config[name]
    if not OmegaConf.is_config(node):
        node = OmegaConf.create({name: _literally(_literally(node))})[name]  # twice, because Hydra resolves it twice
    check(node, name)
    return instantiate(node, _convert_="all", **options)


def plain(config: DictConfig, resolve: bool = True) -> PlainConfig:
    """Convert a configuration composed by Hydra to dicts, lists and plain values.

    Args:
        config: the configuration.
        resolve: whether interpolations ``${…}`` are replaced by their values; otherwise they remain as text.
    """
    return OmegaConf.to_container(config, resolve=resolve)  # type: ignore[return-value]  # a DictConfig gives a dict


def literal(value: str) -> str:
    r"""Escape a text so that OmegaConf returns the text unchanged, even if it contains an interpolation ``${…}``.

    >>> literal("a${b}")
    'a\\${b}'
    """
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)


def _literally(node: object) -> object:
    if isinstance(node, dict):
        return {key: _literally(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_literally(value) for value in node]
    return literal(node) if isinstance(node, str) else node


def cause(error: BaseException, kinds: tuple[type[BaseException], ...] = (Exception,)) -> BaseException:
    """Return the original error that Hydra has wrapped in an InstantiationException when a call failed.

    Args:
        error: any error; an error other than an InstantiationException is returned unchanged.
        kinds: the types of original errors to return; other errors remain wrapped.
    """
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, kinds):
        return cause(error.__cause__, kinds)
    return error


def check(node: object, key: str) -> None:
    """Check the arguments of each call that a node describes against the signature of the called function or class.

    Args:
        node: a node of a configuration; nested nodes are checked too.
        key: the key of the node, for messages.

    Raises:
        ValueError: an argument does not exist or has a wrong type; the message names its key in the configuration.
    """
    if isinstance(node, ListConfig):
        for index, child in enumerate(node):
            check(child, f"{key}[{index}]")
    if not isinstance(node, DictConfig):
        return
    target = node.get("_target_")
    for name, value in ((str(name), value) for name, value in node.items()):
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
        return  # a type from a package that the function or class imports later, such as wandb
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
