"""Damaged run directories, made of a whole one: what a power cut, a full disk, an editor or another tool leaves."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

NEEDED = ("config.yaml", "scores.json")  # without which there is nothing to show
JSON = ("scores.json", "environment.json", "check.json", "pictures/mistakes.json")
PICTURES = ("pictures/held_out/slice_24_truth.webp", "pictures/tiles.webp", "pictures/validation/step_000001.png")
FILES = ("config.yaml", "metrics.csv", *JSON, *PICTURES)

Damage = Callable[[Path], object]


def complete(directory: Path) -> Path:
    """Give a run of synthetic micrographs, which are not checked, the findings that one of own data has."""
    finding = dict.fromkeys(("severity", "code", "file", "found", "expected", "fix"), "saturated")
    (directory / "check.json").write_text(json.dumps({"root": "cells", "findings": [finding]}))
    return directory


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


# Of any file.
BYTES: dict[str, Damage] = {
    "missing": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "zeros_at_the_end": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] + bytes(4096)),
    "not_utf8": lambda file: file.write_bytes(b"\xff\xfe\xa9" + file.read_bytes()),
    "folder": _folder,
    "pipe": _pipe,
    "loop": _loop,
}


def _parts(content: dict) -> dict[str, object]:
    """Other values of what a file holds: of all of it, and of each of its keys."""
    others = {"list": [1, {"a": 2}], "null": None, "nan": float("nan"), "text": "a", "number": 7, "half": "\ud800"}
    found = {f"all_{name}": value for name, value in others.items()} | {"all_nothing": {}}
    for key in content:
        found |= {f"{key}_{name}": content | {key: value} for name, value in others.items()}
        found[f"{key}_missing"] = {name: value for name, value in content.items() if name != key}
        if isinstance(content[key], dict):
            found |= {f"{key}_in_{name}": content | {key: value} for name, value in _shallow(content[key]).items()}
    return found


def _shallow(content: dict) -> dict[str, object]:
    others = {"list": [1], "null": None, "text": "a", "dict": {"a": {}}}
    return {
        f"{key}_{name}": content | {key: value}
        for key in content
        if not key.startswith("_")
        for name, value in others.items()
    }


def _structures(name: str, content: dict) -> Iterator[tuple[str, Damage]]:
    dump = yaml.safe_dump if name.endswith(".yaml") else json.dumps
    for what, value in _parts(content).items():
        yield what, lambda file, value=value: file.write_text(dump(value))
    deep = "[" * 100_000 if name.endswith(".json") else "a: " + "[" * 3000
    yield "deep", lambda file: file.write_text(deep)
    digits = dump({"a": 1}).replace("1", "1" * 5000)
    yield "digits", lambda file: file.write_text(digits)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Curves of which a line, a step or a value is wrong."""
    header, first, *others = text.splitlines(keepends=True)
    rest = "".join(others)
    yield "longer", header + first.rstrip("\n") + ",1,2\n" + rest
    yield "shorter", header + first.partition(",")[0] + "\n" + rest
    yield "step_no_number", header + "x" + first + rest
    yield "step_nan", header + "nan," + first.partition(",")[2] + rest
    yield "step_endless", header + "9" * 5000 + "," + first.partition(",")[2] + rest
    yield "value_no_number", header + first.replace(",", ",?", 1) + rest
    yield "decimal_commas", header + first.replace(".", ",") + rest.replace(".", ",")
    yield "semicolons", text.replace(",", ";")
    yield "quote", header + '"' + first + rest
    yield "no_header", first + rest
    yield "column_twice", header.replace("epoch", "step") + first + rest
    yield "zeros_within", header + "\0" * 50 + "\n" + first + rest


def damaged(directory: Path) -> Iterator[tuple[str, str, Damage]]:
    """File, what is wrong, and what makes it so: of each file of a whole run that can be read."""
    for name in FILES:
        for what, damage in BYTES.items():
            yield name, what, damage
        text = (directory / name).read_text(encoding="utf-8") if name not in PICTURES else ""
        if name in JSON or name == "config.yaml":
            content = yaml.safe_load(text) if name == "config.yaml" else json.loads(text)
            for what, damage in _structures(name, content):
                yield name, what, damage
    for what, text in _lines((directory / "metrics.csv").read_text()):
        yield "metrics.csv", what, lambda file, text=text: file.write_text(text)


def made(whole: Path, place: Path, name: str, damage: Damage) -> Path:
    """A copy of a whole run with one file damaged."""
    shutil.copytree(whole, place, ignore=shutil.ignore_patterns("tensorboard", "predictions", "report.html"))
    damage(place / name)
    return place
