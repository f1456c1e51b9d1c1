"""Files of a run directory as `src.train` has written them, or refused by name.

A power cut, a full disk or an editor may leave anything under their names. So each is opened only if it is a file, and
held against a layout, a model that lists what is read from it; what has the layout is given back as it stands there.
"""

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.files import guard

Number = Annotated[float, Field(allow_inf_nan=False)]
Read = TypeVar("Read")


class Layout(BaseModel):
    """What is read from a file. It may hold more."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Steps(Layout):
    """What ``trainer`` of a configuration says on the length of a run."""

    max_steps: int


class Planned(Layout):
    """What has to be known of ``config.yaml`` to go on with a run."""

    overrides: list[str] = Field(default_factory=list)
    trainer: Steps | None = None
    extend: int | None = None


class Judged(Planned):
    """And what has to be known to show what became of it."""

    overrides: list[str]
    monitor: str
    monitor_mode: Literal["max", "min"]


class Row(Layout):
    """The scores of one image; None is one that could not be judged."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Number | None] = Field(init=False)
    name: str


class Scores(Layout):
    """``scores.json``; what earlier versions did not write has a default."""

    scores: dict[str, Number | None] = Field(min_length=1)
    per_image: list[Row] = Field(min_length=1)
    validation: dict[str, Number | None] = {}
    diagnosis: list[str] = []
    threshold: Number
    steps: int = 0
    seconds: Number


class Facts(Layout):
    """``environment.json``."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, str | Number | None] = Field(init=False)
    packages: dict[str, str]
    data_hash: str = Field(pattern="^[0-9a-f]{64}$")


class Places(Layout):
    """``pictures/mistakes.json``: of each image the kind, row and column of mistakes."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, list[Annotated[list[str | int], Field(min_length=3, max_length=3)]]] = Field(
        init=False
    )


class Found(Layout):
    """One finding of ``check.json``."""

    severity: str
    code: str
    file: str
    found: str
    expected: str
    fix: str


class Findings(Layout):
    """``check.json``."""

    findings: list[Found]


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
        guard.check_plain(content, "choices")
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
        raise damaged(file, guard.reason(error)) from error
    return content


def read_text(file: Path) -> str:
    """The text of a file, also of one to which an editor has added a byte-order mark.

    Raises:
        ValueError: it is a folder, a pipe or a device, or holds no text.
        OSError: it is not there, or cannot be read.
    """
    if file.exists():
        guard.check_regular(file)
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
        print(f"warning: {error}; {consequence}", file=sys.stderr, flush=True)
        return otherwise


def set_aside(file: Path) -> Path:
    """Give a damaged file a name that says so, ``NAME.damaged.json``, and make room for another one: → that name."""
    names = (f"{file.stem}.damaged{'' if number == 1 else f'-{number}'}{file.suffix}" for number in itertools.count(1))
    place = next(place for name in names if not os.path.lexists(place := file.with_name(name)))
    with contextlib.suppress(FileNotFoundError):  # another process of the run was faster
        file.rename(place)
    return place
