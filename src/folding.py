"""A configuration of one fold of a cross-validation, as that of a run whose split is said in numbers."""

from collections.abc import Mapping
from pathlib import Path

from hydra import compose, initialize_config_dir

from src import CONF, build
from src.arguments import NO_VALIDATION, check_least, constant_keys, key_of
from src.checking import for_hydra
from src.data.folds import Plan, as_text, planned
from src.data.split import GROUPS
from src.data.stack import Stack
from src.files import limits
from src.files.kept import stamped

_planned: dict[tuple, Plan] = {}  # what the folds of a cross-validation have in common


def plan(config: Mapping, count: int | None, stack: Stack | None = None) -> Plan:
    """Plan the folds of a cross-validation, once for all of them that one process makes.

    Args:
        config: of a run.
        count: of folds; None: as many as `data.folds.planned` chooses.
        stack: its slices, where they have been read already.

    Raises:
        ValueError: there are no such folds, or the data cannot be read.
    """
    data = config["data"]
    source, groups = build.make(data, "source"), {group: str(data[group]) for group in GROUPS}
    folder = data.get("folder") or data.get("root")
    key = (repr(source), repr(groups), data.get("groups"), count, stamped(Path(folder)) if folder else None)
    if key not in _planned:
        _planned[key] = planned(stack or source(), groups, data.get("groups"), count)
    return _planned[key]


def of_command(given: list[str]) -> Plan:
    """The folds that the command line of a cross-validation asks for.

    Args:
        given: the arguments, without where the folds lie.

    Raises:
        ValueError: there are no such folds, something is swept, or a single fold is asked for.
    """
    keys = {key_of(each) for each in given}
    if several := keys - set(constant_keys(given)):
        key = min(several)
        raise ValueError(f"expected one value of each key, but got several of {key}; nearest valid: a command for each")
    if "hparams_search" in keys:
        raise ValueError("expected no search, but got hparams_search; nearest valid: src.train -m first")
    if "fold" in keys:
        raise ValueError("expected all folds, but got fold=…; nearest valid: python -m src.train folds=5 fold=0")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("crossval", for_hydra([each for each in given if not each.startswith("hydra")]))
    limits.allow(config["max_pixels"])
    if config["folds"] != "auto":
        check_least("folds", config["folds"], 2)
    return plan(config, None if config["folds"] == "auto" else config["folds"])


def described(found: Plan) -> list[str]:
    """What the folds are, in lines for a person."""
    sizes = sorted({len(fold["held_out"]) for fold in found.folds})
    several = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))
    lines = [f"{len(found.folds)} folds of {len(found.scored)} images, {several} each: {found.apart}"]
    if found.untouched:
        lines.append(f"{len(found.untouched)} held-out images are left for the mean of the networks")
    if found.left_out:
        lines.append(f"{len(found.left_out)} images take no part, because they are too much like those held out")
    return lines


def resolved(config: dict) -> dict:
    """A configuration of a fold with its split in numbers; any other one as it is.

    Raises:
        ValueError: there is no such fold, or nothing by which it could choose a checkpoint.
    """
    folds, fold = config["folds"], config["fold"]
    if folds is None and fold is None:
        return config
    check_least("folds", folds, 2)
    check_least("fold", fold, 0)
    if fold >= folds:
        raise ValueError(f"expected a fold from 0 to {folds - 1}, but got fold={fold}; nearest valid: fold={folds - 1}")
    parts = plan(config, folds).folds[fold]
    if config["score"] == "best" and not parts["validation"]:
        raise ValueError(NO_VALIDATION)
    return config | {"data": config["data"] | {group: as_text(numbers) for group, numbers in parts.items()}}
