"""Plan the folds of a cross-validation, and write the split of a fold into the configuration of its run."""

from pathlib import Path

from hydra import compose, initialize_config_dir

from src import CONF, build
from src.arguments import NO_VALIDATION, check_least, constant_keys, key_of
from src.build import Config, PlainConfig
from src.checking import for_hydra
from src.data.folds import Plan, as_text, planned
from src.data.split import GROUPS
from src.data.stack import Stack
from src.files import limits
from src.files.kept import stamped

_planned: dict[object, Plan] = {}  # cached for all folds that one process trains


def plan(config: Config, count: int | None, stack: Stack | None = None) -> Plan:
    """Plan the folds of a cross-validation; the plan is cached for all folds that one process trains.

    Args:
        config: the configuration of a run.
        count: the number of folds; None: `data.folds.planned` chooses it.
        stack: all images, if they are already in memory; None: read them.

    Raises:
        ValueError: the data do not allow these folds, or cannot be read.
    """
    data = config["data"]
    source, groups = build.make(data, "source"), {group: str(data[group]) for group in GROUPS}
    folder = data.get("folder") or data.get("root")
    key = (repr(source), repr(groups), data.get("groups"), count, stamped(Path(folder)) if folder else None)
    if key not in _planned:
        _planned[key] = planned(stack or source(), groups, data.get("groups"), count)
    return _planned[key]


def of_command(given: list[str]) -> Plan:
    """Plan the folds that the command line of a cross-validation asks for.

    Args:
        given: the arguments, without the directory of the cross-validation.

    Raises:
        ValueError: the data do not allow these folds, a key has several values, or a single fold is asked for.
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
    """Describe the folds of a plan, in lines for the user."""
    sizes = sorted({len(fold["held_out"]) for fold in found.folds})
    several = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))
    lines = [f"{len(found.folds)} folds of {len(found.scored)} images, {several} each: {found.apart}"]
    if found.untouched:
        lines.append(f"{len(found.untouched)} held-out images are kept to score the mean of the networks")
    if found.left_out:
        lines.append(f"images left out, because they are too similar to held-out ones: {len(found.left_out)}")
    return lines


def resolved(config: PlainConfig) -> PlainConfig:
    """Write the split of a fold into its configuration, as image indices; return other configurations unchanged.

    Args:
        config: a configuration; that of a fold has values of ``folds`` and ``fold``.

    Raises:
        ValueError: the fold does not exist, or has no validation images although ``score=best`` needs them.
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
