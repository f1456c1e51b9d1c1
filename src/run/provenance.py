"""The data and the choices that a run has begun with, held against those of now."""

import hashlib
from pathlib import Path

from src.data.datamodule import SliceData
from src.files.arrays import content_hash
from src.files.kept import stamped
from src.files.reading import read_json, read_yaml, unless_damaged
from src.model.layout import ADDED, CHANGED, moved
from src.model.trained import PRECISIONS
from src.run.directory import finished_scores, flatten, resumable_files
from src.run.layouts import Facts, Meant, Planned

HASHES = ("data_hash", "cells_hash")
COUNTED = ("trainer.val_check_interval",)  # what a run has counted where auto was asked for
_read: dict[tuple, dict[str, str]] = {}  # hashes of data that the points of a sweep have in common


def hashes(data: SliceData) -> dict[str, str]:
    """Of all that is learnt from and scored: images and targets; cells and names."""
    stacks = list(data.split.values())
    cells = [content_hash(*stack.instances) + repr(stack.names) for stack in stacks]
    return {
        name: hashlib.sha256("".join(each).encode()).hexdigest()
        for name, each in zip(HASHES, ([stack.content for stack in stacks], cells), strict=True)
    }


def facts(data: SliceData) -> dict[str, str | None]:
    """What `different` compares, as ``environment.json`` holds it."""
    return {**hashes(data), "data_stamp": stamped(data.folder)}


def different(before: dict, now: dict) -> bool:
    """Whether two hashes that both know are not the same."""
    return any(before[name] != now[name] for name in HASHES if name in before and name in now)


def hold_against(directory: Path, data: SliceData) -> str | None:
    """Make sure that a finished run answers for the data that are there; → why that cannot be known, or None.

    Names, sizes and times of the files are enough where they are as they were; else the data are read.

    Raises:
        ValueError: the data have changed.
    """
    if data.folder is None:
        return None  # they are made, as the configuration says
    there = stamped(data.folder)
    if there is None:
        return f"there are no data in {data.folder} that they could be compared with"
    try:
        before = read_json(directory / "environment.json", Facts)
    except (OSError, ValueError) as error:
        return str(error)
    if before.get("data_stamp") == there:
        return None
    key = (repr(data.source), repr(data.parts), repr(data.groups), there)
    changed = f"expected the data that {directory} was trained on, but those in {data.folder} have changed"
    cure = "nearest valid: another hydra.run.dir"
    if key not in _read:
        try:
            data.setup()
        except (ValueError, OSError) as error:
            raise ValueError(f"{changed}: {error}; {cure}") from error
        _read[key] = hashes(data)
    if different(before, _read[key]):
        raise ValueError(f"{changed}; {cure}")
    return None


def precision_of(directory: Path) -> str | None:
    """The precision that a run which can go on has begun in; None if it has not begun, or nobody knows."""
    file = directory / "environment.json"
    if not file.exists() or not resumable_files(directory):
        return None
    found = unless_damaged(lambda file: read_json(file, Facts), file, None, "its precision is chosen anew")
    said = found and found.get("precision")
    return said if said in PRECISIONS else None


def judged_before(directory: Path) -> dict | None:
    """What the labels mean to a run that has begun; None if it has not, or nobody knows.

    It is written once, so that a later version, which may judge otherwise, goes on with the same labels.
    """
    file = directory / "check.json"
    if not file.exists() or (finished_scores(directory) is None and not resumable_files(directory)):
        return None
    unknown = "its labels are judged anew"
    found = unless_damaged(lambda file: read_json(file, Meant), file, None, unknown)
    return found and {key: found[key] for key in Meant.model_fields}


def as_started(directory: Path, config: dict) -> dict[str, object]:
    """What later versions mean otherwise than the one that a run was started with, by dotted keys.

    It is what they have added, and what they have chosen otherwise, where neither command names it.

    Args:
        directory: of the run, if there is one.
        config: of the command, with its overrides.

    Raises:
        ValueError: config.yaml is damaged.
    """
    if finished_scores(directory) is None and not resumable_files(directory):
        return {}
    stored = read_yaml(directory / "config.yaml", Planned)
    before, now, given = flatten(stored), flatten(config), _keys(config["overrides"])
    added = {key: value for key, value in ADDED.items() if key in now and key not in {*before, *given}}
    added |= {key: before[key] for key in COUNTED if now.get(key) == "auto" and key in before}
    if _keys(stored.get("overrides", [])).get("experiment") != given.get("experiment"):
        return added
    named = {*given, *_keys(stored.get("overrides", []))}
    kept = {}
    for key in CHANGED:
        if any(each == key or each.startswith(f"{key}.") for each in named):
            continue
        noun, _, name = key.partition(".")
        found = stored.get(noun, ADDED.get(noun))
        found = found.get(name) if name and isinstance(found, dict) else found
        if found is not None:
            kept[key] = moved(found)
    return added | kept


def _keys(overrides: list[str]) -> dict[str, str]:
    """What is chosen on a command line, by its keys."""
    parted = (each.lstrip("+~").partition("=") for each in overrides)
    return {key: value for key, _, value in parted}
