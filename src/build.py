"""From configuration to objects: the only place that instantiates.

A node of ``conf/`` with a ``_target_`` is one call. Before it is made, its arguments are held
against the callee's signature, so that a wrong key or type is named before anything starts. Nothing is imported
but what is called.
"""

import difflib
import inspect
import re
import typing
from collections.abc import Mapping

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError


def make(config: Mapping, name: str, **options: typing.Any) -> typing.Any:
    """What the node ``name`` of a configuration calls.

    Args:
        config: composed, or the same as plain values, in which a ``${…}`` is text.
        name: of the node.
        options: further arguments of the call; with ``_partial_=True`` it is left to the caller.

    Raises:
        ValueError: an argument does not exist or has a wrong type.
        InstantiationException: the call refuses its arguments; `cause` gives its error.
    """
    node = config[name]
    if not OmegaConf.is_config(node):
        node = OmegaConf.create(_literally(_literally(node)))  # twice, because Hydra resolves what it has resolved
    check(node, name)
    return instantiate(node, _convert_="all", **options)


def literal(value: str) -> str:
    """Text that OmegaConf gives back as it is, also where it holds what looks like an interpolation.

    >>> literal("a${b}")
    'a\\\\${b}'
    """
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)


def _literally(node: object) -> object:
    if isinstance(node, dict):
        return {key: _literally(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_literally(value) for value in node]
    return literal(node) if isinstance(node, str) else node


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
