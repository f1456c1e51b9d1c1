"""Text, JSON and YAML as our commands have written them, or refused by name.

A power cut, a full disk or an editor may leave anything under their names. So each is opened only if it is a file, and
held against a layout, a model that lists what is read from it; what has the layout is given back as it stands there.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.files import limits
from src.saying import warn

Number = Annotated[float, Field(allow_inf_nan=False)]
Read = TypeVar("Read")


class Layout(BaseModel):
    """What is read from a file. It may hold more."""

    model_config = ConfigDict(strict=True, extra="ignore")


def read_json(file: Path, layout: type[Layout]) -> dict:
    """What a JSON file holds.

    Raises:
        ValueError: it is damaged, or holds something else.
        OSError: it is not there, or cannot be read.
    """
    return _read(file, layout, lambda text: json.loads(text, parse_constant=_no_number))


def read_yaml(file: Path, layout: type[Layout]) -> dict:
    """What a YAML file holds.

    Raises:
        ValueError: it is damaged, or holds something else.
        OSError: it is not there, or cannot be read.
    """

    def parsed(text: str) -> object:
        content = yaml.safe_load(text)
        limits.check_plain(content, "choices")
        return content

    return _read(file, layout, parsed)


def _read(file: Path, layout: type[Layout], parse: Callable[[str], object]) -> dict:
    try:
        content = parse(read_text(file))
        if type(content) is not dict:
            raise ValueError(f"expected values by name, but got {str(content)[:80]}")
        json.dumps(content, ensure_ascii=False).encode()  # refuses halves of characters, which no page can hold
        layout.model_validate(content)
    except ValidationError as error:
        raise damaged(file, _first(error)) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise damaged(file, limits.reason(error)) from error
    return content


def read_text(file: Path) -> str:
    """The text of a file, also of one to which an editor has added a byte-order mark.

    Raises:
        ValueError: it is a folder, a pipe or a device, or holds no text.
        OSError: it is not there, or cannot be read.
    """
    if file.exists():
        limits.check_regular(file)
    return file.read_text(encoding="utf-8-sig")


def _no_number(name: str) -> float:
    raise ValueError(f"expected numbers, but got {name}")


def _first(error: ValidationError) -> str:
    """The first thing that a file has another layout in."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place, said = ".".join(map(str, problem["loc"])), " ".join(problem["msg"].split())
    return f"at {place}, {said[0].lower()}{said[1:]}"


def damaged(file: Path, reason: str) -> ValueError:
    """What to raise of a file that holds something else than was written."""
    printable = "".join(each if each.isprintable() else "?" for each in reason)
    return ValueError(f"expected what src.train has written, but {file} is not: {printable}")


def unless_damaged(read: Callable[[Path], Read], file: Path, otherwise: Read, consequence: str) -> Read:
    """What ``read`` gives of a file that can be done without; of a damaged one a warning names it, and ``otherwise``.

    Args:
        read: raises ValueError or OSError, which names the file.
        file: that is read.
        otherwise: stands for the content of a damaged file.
        consequence: what follows, such as ``the page is written without it``.
    """
    try:
        return read(file)
    except (OSError, ValueError) as error:
        warn(f"{error}; {consequence}")
        return otherwise


def set_aside(file: Path) -> Path:
    """Give a damaged file a name that says so, ``NAME.damaged.json``, and make room for another one: → that name."""
    names = (f"{file.stem}.damaged{'' if number == 1 else f'-{number}'}{file.suffix}" for number in itertools.count(1))
    place = next(place for name in names if not os.path.lexists(place := file.with_name(name)))
    with contextlib.suppress(FileNotFoundError):  # another process of the run was faster
        file.rename(place)
    return place
