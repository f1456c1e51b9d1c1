"""Read text, JSON and YAML files that our commands have written, and refuse damaged ones.

A power cut, a full disk or an editor may have damaged such a file. Therefore, only a regular file is opened, and its
content is validated against a layout: a model of the values that the caller uses. The content is returned unchanged.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.files import limits
from src.saying import warn

Number = Annotated[float, Field(allow_inf_nan=False)]
Read = TypeVar("Read")


class Layout(BaseModel):
    """Base class of layouts: names and types of the values that a file must contain. Other values are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


def read_json(file: Path, layout: type[Layout]) -> dict[str, Any]:
    """Return the content of a JSON file, validated against ``layout``.

    Raises:
        ValueError: the file is damaged, or its content does not match the layout.
        OSError: the file does not exist, or cannot be read.
    """
    return _read(file, layout, lambda text: json.loads(text, parse_constant=_no_number))


def read_yaml(file: Path, layout: type[Layout]) -> dict[str, Any]:
    """Return the content of a YAML file, validated against ``layout``.

    Raises:
        ValueError: the file is damaged, or its content does not match the layout.
        OSError: the file does not exist, or cannot be read.
    """

    def parsed(text: str) -> object:
        content = yaml.safe_load(text)
        limits.check_plain(content, "choices")
        return content

    return _read(file, layout, parsed)


def _read(file: Path, layout: type[Layout], parse: Callable[[str], object]) -> dict[str, Any]:
    try:
        content = parse(read_text(file))
        if type(content) is not dict:
            raise ValueError(f"expected values by name, but got {str(content)[:80]}")
        json.dumps(content, ensure_ascii=False).encode()  # refuses lone surrogates, which no page can show
        layout.model_validate(content)
    except ValidationError as error:
        raise damaged(file, first_problem(error)) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise damaged(file, limits.reason(error)) from error
    return content


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file without the byte-order mark that some editors add.

    Raises:
        ValueError: the path is a folder, a pipe or a device, or the content of the file is not text.
        OSError: the file does not exist, or cannot be read.
    """
    if file.exists():
        limits.check_regular(file)
    return file.read_text(encoding="utf-8-sig")


def _no_number(name: str) -> float:
    raise ValueError(f"expected numbers, but got {name}")


def first_problem(error: ValidationError) -> str:
    """Describe the first place where the content of a file differs from its layout, and how it differs."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place, message = ".".join(map(str, problem["loc"])), " ".join(problem["msg"].split())
    return f"at {place}, {message[0].lower()}{message[1:]}"


def damaged(file: Path, reason: str) -> ValueError:
    """Return the error to raise for a file whose content is not what our commands have written."""
    printable = "".join(each if each.isprintable() else "?" for each in reason)
    return ValueError(f"expected what src.train has written, but {file} is not: {printable}")


def unless_damaged(read: Callable[[Path], Read], file: Path, otherwise: Read, consequence: str) -> Read:
    """Read an optional file; if it is damaged or cannot be read, print a warning and return ``otherwise``.

    Args:
        read: reads the file and returns its content; raises a ValueError or OSError whose message names the file.
        file: the file.
        otherwise: value to return if the file cannot be read.
        consequence: end of the warning, such as ``the page is written without it``.
    """
    try:
        return read(file)
    except (OSError, ValueError) as error:
        warn(f"{error}; {consequence}")
        return otherwise


def set_aside(file: Path) -> Path:
    """Rename a damaged file to an unused name such as ``NAME.damaged.json``, and return its new path."""
    names = (f"{file.stem}.damaged{'' if number == 1 else f'-{number}'}{file.suffix}" for number in itertools.count(1))
    place = next(place for name in names if not os.path.lexists(place := file.with_name(name)))
    with contextlib.suppress(FileNotFoundError):  # another process of the run has renamed it
        file.rename(place)
    return place
