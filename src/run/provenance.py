"""Compare the data and the settings that a run was started with to the current data and settings."""

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
COUNTED = ("trainer.val_check_interval",)  # keys that may be ``auto``, in place of which a run stores a number
_known_hashes: dict[tuple[str, ...], dict[str, str]] = {}  # hashes of data that several runs of a sweep share


def hashes(data: SliceData) -> dict[str, str]:
    """Hash all images of a run: one hash of pixels and true classes, and one hash of true cells and image names."""
    stacks = list(data.split.values())
    cells = [content_hash(*stack.instances) + repr(stack.names) for stack in stacks]
    return {
        name: hashlib.sha256("".join(each).encode()).hexdigest()
        for name, each in zip(HASHES, ([stack.content for stack in stacks], cells), strict=True)
    }


def facts(data: SliceData) -> dict[str, str | None]:
    """Return the entries of ``environment.json`` that describe the data: hashes, and a stamp of the files."""
    return {**hashes(data), "data_stamp": stamped(data.folder)}


def different(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Return whether two contents of ``environment.json`` differ in a data hash that both contain."""
    return any(before[name] != now[name] for name in HASHES if name in before and name in now)


def hold_against(directory: Path, data: SliceData) -> str | None:
    """Check that a finished run was trained on the current data.

    If names, sizes and times of the files are unchanged, the data are not read.

    Returns:
        None if the data are the same, or the reason why that cannot be verified.

    Raises:
        ValueError: the data have changed.
    """
    if data.folder is None:
        return None  # synthetic data are determined by the configuration
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
    """Return the precision with which a run was started, or None if it is unknown or the run cannot be resumed."""
    file = directory / "environment.json"
    if not file.exists() or not resumable_files(directory):
        return None
    found = unless_damaged(lambda file: read_json(file, Facts), file, None, "its precision is chosen again")
    precision = found.get("precision") if found else None
    return precision if precision in PRECISIONS else None


def judged_before(directory: Path) -> dict[str, Any] | None:
    """Return the meaning of the label values with which a run was started, as a dictionary with the fields of `Meant`.

    The meaning is stored when the run starts, so that a later version of the program that would infer another meaning
    still resumes the run with the same labels. None if the run has not been started or the stored file is damaged.
    """
    file = directory / "check.json"
    if not file.exists() or (finished_scores(directory) is None and not resumable_files(directory)):
        return None
    unknown = "the meaning of its labels is inferred again"
    found = unless_damaged(lambda file: read_json(file, Meant), file, None, unknown)
    return found and {key: found[key] for key in Meant.model_fields}


def as_started(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings to restore when resuming a run because their defaults have changed since it was started.

    These are the configuration keys that later versions added or whose default they changed, unless the command that
    started the run or the current command sets them. Also included are numbers that the run computed
    for settings that are ``auto`` in ``config``.

    Args:
        directory: the run directory, which need not exist.
        config: the current configuration, including ``overrides``, the settings on the command line.

    Returns:
        The values to restore, by dotted keys.

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
    """Split the overrides of a command line, such as ``seed=1``, into keys and values."""
    parted = (each.lstrip("+~").partition("=") for each in overrides)
    return {key: value for key, _, value in parted}
