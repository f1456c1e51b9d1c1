"""Read text, JSON and YAML files that our commands have written, and refuse damaged ones.

After a power cut, on a full disk or in an editor, such a file may become anything. So it is opened only if it is a
regular file, and validated against a layout, a model of the values that the caller uses. Its content is returned
unchanged.
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
    """The values of a file that are read. The file may contain more."""

    model_config = ConfigDict(strict=True, extra="ignore")


def read_json(file: Path, layout: type[Layout]) -> dict[str, Any]:
    """Read a JSON file.

    Raises:
        ValueError: it is damaged, or does not have the layout.
        OSError: it does not exist, or cannot be read.
    """
    return _read(file, layout, lambda text: json.loads(text, parse_constant=_no_number))


def read_yaml(file: Path, layout: type[Layout]) -> dict[str, Any]:
    """Read a YAML file.

    Raises:
        ValueError: it is damaged, or does not have the layout.
        OSError: it does not exist, or cannot be read.
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
    """Read the text of a file; a byte-order mark, which some editors add, is dropped.

    Raises:
        ValueError: it is a folder, a pipe or a device, or its content is no text.
        OSError: it does not exist, or cannot be read.
    """
    if file.exists():
        limits.check_regular(file)
    return file.read_text(encoding="utf-8-sig")


def _no_number(name: str) -> float:
    raise ValueError(f"expected numbers, but got {name}")


def first_problem(error: ValidationError) -> str:
    """Where content differs from its layout first, and how."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place, message = ".".join(map(str, problem["loc"])), " ".join(problem["msg"].split())
    return f"at {place}, {message[0].lower()}{message[1:]}"


def damaged(file: Path, reason: str) -> ValueError:
    """The error to raise for a file whose content is not what was written."""
    printable = "".join(each if each.isprintable() else "?" for each in reason)
    return ValueError(f"expected what src.train has written, but {file} is not: {printable}")


def unless_damaged(read: Callable[[Path], Read], file: Path, otherwise: Read, consequence: str) -> Read:
    """Read an optional file: if it is damaged, warn and return ``otherwise``.

    Args:
        read: reads the file; raises ValueError or OSError that names it.
        file: the file.
        otherwise: value to return for a damaged file.
        consequence: end of the warning, such as ``the page is written without it``.
    """
    try:
        return read(file)
    except (OSError, ValueError) as error:
        warn(f"{error}; {consequence}")
        return otherwise


def set_aside(file: Path) -> Path:
    """Rename a damaged file to an unused name such as ``NAME.damaged.json``, and return that name."""
    names = (f"{file.stem}.damaged{'' if number == 1 else f'-{number}'}{file.suffix}" for number in itertools.count(1))
    place = next(place for name in names if not os.path.lexists(place := file.with_name(name)))
    with contextlib.suppress(FileNotFoundError):  # another process of the run has renamed it
        file.rename(place)
    return place
