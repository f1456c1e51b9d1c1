"""Compares the data and choices that a run was started with to the current ones."""

import hashlib
from pathlib import Path
from typing import Any

from src.data.datamodule import SliceData
from src.files.arrays import content_hash
from src.files.kept import stamped
from src.files.reading import read_json, read_yaml, unless_damaged
from src.model.layout import ADDED, CHANGED, moved
from src.model.trained import PRECISIONS
from src.run.directory import finished_scores, flatten, resumable_files
from src.run.layouts import Facts, Meant, Planned

HASHES = ("data_hash", "cells_hash")
COUNTED = ("trainer.val_check_interval",)  # keys that may be auto, for which a run stores a number
_known_hashes: dict[tuple[str, ...], dict[str, str]] = {}  # of data that several runs of a sweep share


def hashes(data: SliceData) -> dict[str, str]:
    """Hashes of the training, validation and held-out images: of pixels and targets, and of cells and names."""
    stacks = list(data.split.values())
    cells = [content_hash(*stack.instances) + repr(stack.names) for stack in stacks]
    return {
        name: hashlib.sha256("".join(each).encode()).hexdigest()
        for name, each in zip(HASHES, ([stack.content for stack in stacks], cells), strict=True)
    }


def facts(data: SliceData) -> dict[str, str | None]:
    """The facts on the data in ``environment.json``, which `different` compares."""
    return {**hashes(data), "data_stamp": stamped(data.folder)}


def different(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the hashes differ; a hash that only one of the two has does not count."""
    return any(before[name] != now[name] for name in HASHES if name in before and name in now)


def hold_against(directory: Path, data: SliceData) -> str | None:
    """Make sure that a finished run was trained on the current data; → the reason if that is unknown, else None.

    If names, sizes and times of the files are unchanged, the data are not read.

    Raises:
        ValueError: the data have changed.
    """
    if data.folder is None:
        return None  # synthetic data follow from the configuration
    there = stamped(data.folder)
    if there is None:
        return f"there are no data in {data.folder} to compare with"
    try:
        before = read_json(directory / "environment.json", Facts)
    except (OSError, ValueError) as error:
        return str(error)
    if before.get("data_stamp") == there:
        return None
    key = (repr(data.source), repr(data.parts), repr(data.groups), there)
    changed = f"expected the data that {directory} was trained on, but those in {data.folder} have changed"
    cure = "nearest valid: another hydra.run.dir"
    if key not in _known_hashes:
        try:
            data.setup()
        except (ValueError, OSError) as error:
            raise ValueError(f"{changed}: {error}; {cure}") from error
        _known_hashes[key] = hashes(data)
    if different(before, _known_hashes[key]):
        raise ValueError(f"{changed}; {cure}")
    return None


def precision_of(directory: Path) -> str | None:
    """The precision that a resumable run was started in; None if it has not been started, or if it is unknown."""
    file = directory / "environment.json"
    if not file.exists() or not resumable_files(directory):
        return None
    found = unless_damaged(lambda file: read_json(file, Facts), file, None, "its precision is chosen again")
    precision = found.get("precision") if found else None
    return precision if precision in PRECISIONS else None


def judged_before(directory: Path) -> dict[str, Any] | None:
    """The meaning of the labels that a run was started with; None if it has not been started, or if it is unknown.

    It is written once, so that the run is resumed with the same labels by a later version that would infer another
    meaning.
    """
    file = directory / "check.json"
    if not file.exists() or (finished_scores(directory) is None and not resumable_files(directory)):
        return None
    unknown = "the meaning of its labels is inferred again"
    found = unless_damaged(lambda file: read_json(file, Meant), file, None, unknown)
    return found and {key: found[key] for key in Meant.model_fields}


def as_started(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The values with which a run must be resumed because defaults have changed since it was started.

    These are the keys that later versions added, and those whose default they changed, unless one of the two commands
    names them.

    Args:
        directory: the run directory, which need not exist.
        config: the current configuration, with its overrides.

    Returns:
        Values by dotted keys.

    Raises:
        ValueError: ``config.yaml`` of the run is damaged.
    """
    if finished_scores(directory) is None and not resumable_files(directory):
        return {}
    stored = moved(read_yaml(directory / "config.yaml", Planned))
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
            kept[key] = found
    return added | kept


def _keys(overrides: list[str]) -> dict[str, str]:
    """The values of the overrides of a command line, by key."""
    parted = (each.lstrip("+~").partition("=") for each in overrides)
    return {key: value for key, _, value in parted}
