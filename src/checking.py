"""Data held against what is to be learnt from them, for the commands that do so before anything else."""

import hashlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from src import build, command, version
from src.arguments import unquote
from src.data.annotated import Annotated, read_pair
from src.data.colours import LABELMAP
from src.data.finding import ERROR, WARNING, Finding, by_code
from src.data.matching import Pair, Wanted, matched
from src.files.kept import kept, stamp
from src.files.reading import read_json
from src.files.whole import write_json
from src.findings.facts import Choices
from src.findings.inspection import inspect_folder, inspect_stack
from src.findings.meanings import EXPERIMENTS
from src.findings.summary import Summary, described, times
from src.terminal import warn

LAYOUT = 3  # of what is kept in ``cache_dir``; another one where a check finds something else than before


def before_training(config: Mapping, read: Callable[[Pair], list[Annotated]] = read_pair) -> dict | None:
    """Look at a folder of one's own before it is learnt from; the result is kept as long as nothing changes.

    Args:
        config: of the run.
        read: gives the slices of a pair of files.

    Returns:
        What `summary` gives; None for other data.

    Raises:
        ValueError: training would be wrong.
    """
    if "root" not in config["data"]:
        return None
    found = summary(config, chosen=True, read=read)
    errors, warnings = (
        [finding for finding in found["findings"] if finding["severity"] == severity] for severity in (ERROR, WARNING)
    )
    again = f"python -m src.check {' '.join(given())}"
    if errors:
        lines = [
            f"  {code}{times(findings)}: {Finding(**findings[0])}" for (_, code), findings in by_code(errors).items()
        ]
        raise ValueError("\n".join(["expected data without errors, but got", *lines, f"all findings: {again}"]))
    if warnings and command.is_first():
        codes = ", ".join(dict.fromkeys(finding["code"] for finding in warnings))
        warn(f"of the data: {codes}; {again}")
    return found


def summary(config: Mapping, chosen: bool, read: Callable[[Pair], list[Annotated]] = read_pair) -> dict:
    """What the data are and what is wrong with them, as plain values; of a folder kept in ``cache_dir``.

    Args:
        config: as of `src.train`.
        chosen: whether network and scores have been chosen, so that the data are held against them.
        read: gives the slices of a pair of files.
    """
    data, model, source = config["data"], config["model"], config["data"]["source"]
    metrics = build.make(config, "metrics") if chosen else {}
    choices = Choices(
        classes=model["classes"] if chosen else None,
        channels=model["in_channels"] if chosen else None,
        depth=model["depth"],
        padded=model["padded"],
        groups={group: str(data[group]) for group in ("train", "validation", "held_out")},
        wanted=Wanted(
            include=source.get("include", "*"),
            orientation=source.get("orientation", "auto"),
            axes=source.get("axes"),
            classes=tuple(source["classes"]) if source.get("classes") else None,
            kind=source.get("kind", "auto"),
            images=source.get("images"),
            labels=source.get("labels"),
        ),
        values=tuple(source["values"]) if source.get("values") else None,
        ignore_label=source.get("ignore_label"),
        min_size=config["instances"].get("min_size", 0) if chosen else 0,
        metrics=tuple(name for metric in metrics.values() for name in metric.modes),
        scaling=config["scaling"],
    )
    if "root" not in data:
        return described("", inspect_stack(build.make(data, "source")(), choices), choices)
    root = Path(data["root"])
    file = Path(config["cache_dir"]) / "checks" / f"{fingerprint(root, choices)}.json"
    return kept(
        file,
        lambda file: read_json(file, Summary),
        lambda: described(str(root), inspect_folder(root, choices, read), choices),
        write_json,
    )


def fingerprint(root: Path, choices: Choices) -> str:
    """A hash of all that the findings depend on: files, choices, and the version of the program."""
    pairs, alone = matched(root, choices.wanted)
    files = [root / LABELMAP] if (root / LABELMAP).is_file() else []
    for pair in pairs:
        for file in (pair.image, *(pair.form.parts or (pair.labels,))):
            files += file.rglob("*") if file.is_dir() else [file]  # an OME-Zarr
    facts = (LAYOUT, version(), str(root), choices, alone, [pair.name for pair in pairs], stamp(root, set(files)))
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def given() -> list[str]:
    """The arguments of this command as one types them, without those of the check alone."""
    task = [each for each in HydraConfig.get().overrides.task if not each.startswith("output=")]
    return [shlex.quote(unquote(each)) for each in task]


def suggested(found: dict) -> list[str]:
    """What to train with, where nothing has been chosen yet."""
    overrides = [each for each in given() if not each.startswith("data=")]
    void, kind = found["void"] or (None, found["kind"])
    arguments = [f"experiment={EXPERIMENTS[kind]}", *overrides]
    classes = len(found["classes"]) - (void is not None) if kind == "classes" else 2
    turned = found["values"] if kind == "boundary" or (found["other"] and kind == "binary" and not void) else None
    wanted = {
        "data.source.kind": (kind if found["other"] else None, None),
        "data.source.values": (str(turned).replace(" ", ""), "None"),
        "data.source.ignore_label": (void, None),
        "model.in_channels": (found["channels"][0], 1),
        "model.classes": (max(2, classes), 2),
        "data.source.orientation": (found["orientation"], "shown"),
        "data.source.axes": (found["axes"], None),
    }
    if kind in ("instances", "binary") and not void:
        wanted["instances.min_size"] = (max(20, int(found["smallest_cell"] / 3)), 20)
    return arguments + [
        f"{key}={value}" for key, (value, usual) in wanted.items() if value != usual and f"{key}=" not in str(overrides)
    ]
