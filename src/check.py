"""Find what is wrong with data before training: ``python -m src.check data.root=DIR``."""

import hashlib
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from src import build, command, version
from src.data.finding import ERROR, SHOWN_FILES, WARNING, Finding, by_code
from src.data.folder import matched
from src.files.arrays import file_hash
from src.files.kept import kept
from src.files.whole import write_json
from src.findings.inspection import EXPERIMENTS, Choices, Inspection, class_shares, inspect_folder, inspect_stack
from src.run.reading import Findings, read_json

LAYOUT = 1  # of what is kept in ``cache_dir``; another one where a check finds something else than before


class Summary(Findings):
    """What `described` gives, as it is kept."""

    root: str
    slices: int
    sizes: list[list[int]]
    channels: list[int]
    dtypes: list[str]
    kind: str
    values: list[int] | None
    cells: int
    smallest_cell: float
    classes: dict[str, float]
    split: dict[str, list[str]]


@command.verb("check")
def main(config: DictConfig) -> None:
    if config.output and Path(config.output).suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {config.output}")
    chosen = HydraConfig.get().runtime.choices.experiment is not None
    found = summary(config, chosen)
    show(found)
    if config.output:
        write_json(Path(config.output), found)
    if errors := [finding for finding in found["findings"] if finding["severity"] == ERROR]:
        sys.exit(f"error: {len(errors)} errors; training would be wrong")
    if chosen or found["root"]:
        command.say(f"train: python -m src.train {' '.join(given() if chosen else suggested(found))}")


def before_training(config: DictConfig) -> dict | None:
    """Look at a folder of one's own before it is learnt from; the result is kept as long as nothing changes.

    Returns:
        What `summary` gives; None for other data.

    Raises:
        ValueError: training would be wrong.
    """
    if "root" not in config.data:
        return None
    found = summary(config, chosen=True)
    errors, warnings = (
        [finding for finding in found["findings"] if finding["severity"] == severity] for severity in (ERROR, WARNING)
    )
    again = f"python -m src.check {' '.join(given())}"
    if errors:
        lines = [
            f"  {code}{times(findings)}: {Finding(**findings[0])}" for (_, code), findings in by_code(errors).items()
        ]
        raise ValueError("\n".join(["expected data without errors, but got", *lines, f"all findings: {again}"]))
    if warnings:
        codes = ", ".join(dict.fromkeys(finding["code"] for finding in warnings))
        rank_zero_only(command.warn)(f"of the data: {codes}; {again}")
    return found


def summary(config: DictConfig, chosen: bool) -> dict:
    """What the data are and what is wrong with them, as plain values; of a folder kept in ``cache_dir``.

    Args:
        config: as of `src.train`.
        chosen: whether network and scores have been chosen, so that the data are held against them.
    """
    source = config.data.source
    metrics = build.metrics(config) if chosen else {}
    choices = Choices(
        classes=config.model.classes if chosen else None,
        channels=config.model.in_channels if chosen else None,
        depth=config.model.depth,
        padded=config.model.padded,
        groups={group: str(config.data[group]) for group in ("train", "validation", "held_out")},
        kind=source.get("kind", "auto"),
        values=tuple(source["values"]) if source.get("values") else None,
        ignore_label=source.get("ignore_label"),
        min_size=config.instances.get("min_size", 0) if chosen else 0,
        metrics=tuple(name for metric in metrics.values() for name in metric.modes),
    )
    if "root" not in config.data:
        return described("", inspect_stack(build.data(config).source(), choices), choices)
    root, include = Path(config.data.root), source.get("include", "*")
    file = Path(config.cache_dir) / "checks" / f"{fingerprint(root, include, choices)}.json"
    return kept(
        file,
        lambda file: read_json(file, Summary),
        lambda: described(str(root), inspect_folder(root, include, choices), choices),
        write_json,
    )


def fingerprint(root: Path, include: str, choices: Choices) -> str:
    """A hash of all that the findings depend on: files, choices, and the version of the program."""
    content = hashlib.sha256(repr((LAYOUT, version(), str(root), include, choices)).encode())
    pairs, alone = matched(root, include)
    content.update(repr(alone).encode())
    for pair in pairs:
        inside = sorted(pair.image.rglob("*")) if pair.image.is_dir() else [pair.image]  # of an OME-Zarr
        for file in (*(path for path in inside if path.is_file()), pair.labels):
            content.update(os.fsencode(file) + file_hash(file))
    return content.hexdigest()[:32]


def described(root: str, found: Inspection, choices: Choices) -> dict:
    """An inspection as plain values."""
    sides = sorted({each.size for each in found.facts})
    areas = [each.labels.area for each in found.facts if each.labels.area]
    return {
        "root": root,
        "slices": len(found.facts),
        "sizes": [list(side) for side in dict.fromkeys((sides[0], sides[-1]))] if sides else [],
        "channels": sorted({each.channels for each in found.facts}),
        "dtypes": sorted({each.dtype for each in found.facts}),
        "kind": found.kind,
        "values": found.values,
        "cells": sum(each.labels.cells for each in found.facts),
        "smallest_cell": min(areas, default=0),
        "classes": {str(number): share for number, share in class_shares(found.facts, found.kind, choices).items()},
        "split": found.groups,
        "findings": [asdict(finding) for finding in found.findings],
    }


def times(findings: list[dict]) -> str:
    """How often, if more than once."""
    return f" ({len(findings)} times)" if len(findings) > 1 else ""


def show(found: dict) -> None:
    """Print what the data are, then each kind of finding with the first files that have it."""
    if found["slices"]:
        sizes = " to ".join("×".join(map(str, side)) for side in found["sizes"])
        channels, dtypes = ("/".join(map(str, found[key])) for key in ("channels", "dtypes"))
        command.say(f"{found['slices']} slices of {sizes} px, channels {channels}, {dtypes}")
        shares = ", ".join(f"class {number} {share:.1%}" for number, share in found["classes"].items())
        named = f" with the values {', '.join(map(str, found['values']))}" if found["values"] else ""
        what = {"instances": "cells", "classes": "areas"}.get(found["kind"], "pieces")
        command.say(f"labels: {found['kind']}{named}; {found['cells']} {what}; {shares}")
    for group, names in found["split"].items():
        shown = f"{names[0]} … {names[-1]}" if len(names) > 2 else ", ".join(names)
        command.say(f"{group.replace('_', '-')}: {len(names)} slices{(names and f' ({shown})') or ''}")
    for (severity, code), findings in by_code(found["findings"]).items():
        command.say(f"\n{severity} {code}{times(findings)}")
        for finding in findings[:SHOWN_FILES]:
            command.say(f"  {finding['file']}\n    found     {finding['found']}")
            command.say(f"    expected  {finding['expected']}\n    fix       {finding['fix']}")
    command.say("")


def given() -> list[str]:
    """The arguments of this command as one types them, without those of the check alone."""
    task = [each for each in HydraConfig.get().overrides.task if not each.startswith("output=")]
    return [shlex.quote(command.unquote(each)) for each in task]


def suggested(found: dict) -> list[str]:
    """What to train with, where nothing has been chosen yet."""
    overrides = [each for each in given() if not each.startswith("data=")]
    arguments = [f"experiment={EXPERIMENTS[found['kind']]}", *overrides]
    wanted = {
        "model.in_channels": (found["channels"][0], 1),
        "model.classes": (len(found["classes"]) if found["kind"] == "classes" else 2, 2),
    }
    if found["kind"] in ("instances", "binary"):
        wanted["instances.min_size"] = (max(20, int(found["smallest_cell"] / 3)), 20)
    return arguments + [
        f"{key}={value}" for key, (value, usual) in wanted.items() if value != usual and f"{key}=" not in str(overrides)
    ]


if __name__ == "__main__":
    command.run(main)
