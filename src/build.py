"""Build objects from the configuration: the only place that instantiates.

A node of ``conf/`` with a ``_target_`` is one call. Its arguments are first checked against the callee's signature, so
that a wrong key or type is named before anything starts. Only the modules of the callees are imported.
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

# A configuration, composed or as plain values. Its keys are those of conf/, which people extend: no type can list them.
Config = Mapping[str, typing.Any]
PlainConfig = dict[str, typing.Any]


def make(config: Config, name: str, **options: object) -> typing.Any:  # noqa: ANN401  # any object
    """Make the object that the node ``name`` of a configuration describes.

    Args:
        config: composed by Hydra, or as plain values, where ``${…}`` is literal text.
        name: of the node.
        options: further arguments of the call; ``_partial_=True`` returns a partial function instead.

    Raises:
        ValueError: an argument does not exist or has a wrong type.
        InstantiationException: the call raised; `cause` returns its error.
    """
    node = config[name]
    if not OmegaConf.is_config(node):
        node = OmegaConf.create({name: _literally(_literally(node))})[name]  # twice, because Hydra resolves it twice
    check(node, name)
    return instantiate(node, _convert_="all", **options)


def plain(config: DictConfig, resolve: bool = True) -> PlainConfig:
    """Convert a composed configuration to dicts, lists and plain values, its interpolations resolved or as text."""
    return OmegaConf.to_container(config, resolve=resolve)  # type: ignore[return-value]  # a DictConfig gives a dict


def literal(value: str) -> str:
    r"""Escape text so that OmegaConf returns it unchanged, even if it looks like an interpolation.

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
    """Unwrap the error of one of ``kinds`` that a call from the configuration raised inside Hydra's own."""
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, kinds):
        return cause(error.__cause__, kinds)
    return error


def check(node: object, key: str) -> None:
    """Check the arguments of each call in ``node`` against the signature of its callee.

    Raises:
        ValueError: an argument does not exist or has a wrong type; names the key in the configuration.
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
        return  # a type from a package that the callee imports later, such as wandb
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
