"""Data held against what is to be learnt from them, for the commands that do so before anything else."""

import hashlib
import shlex
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from src import CONF, build, version
from src.arguments import MULTIRUN, NO_VALIDATION, PATH_KEYS, SPLIT_KEYS, constant_keys, key_of, quote, unquote
from src.data.annotated import Annotated, read_pair
from src.data.colours import LABELMAP
from src.data.finding import ERROR, WARNING, Finding, by_code
from src.data.matching import Pair, Wanted, matched
from src.data.nnunet import dataset_files
from src.files import limits
from src.files.kept import kept, stamp
from src.files.reading import read_json
from src.files.whole import write_json
from src.findings.facts import Choices
from src.findings.inspection import inspect_folder, inspect_stack
from src.findings.meanings import EXPERIMENTS
from src.findings.summary import Summary, described, times
from src.fitting import fitted
from src.memory import room
from src.run.directory import read_config
from src.saying import doing, is_first, say, warn

OF_OTHERS = ("output=", "draws=", "mend=")  # arguments of the check and the preview, which training does not know

# What is chosen from the data, where nobody has: a run that goes on keeps it.
CHOSEN = {
    *("experiment", "score", "model.in_channels", "model.classes", "model.base_channels", "instances.min_size"),
    *("data.tile", "data.batch_size", "data.source.kind", "data.source.values", "data.source.ignore_label"),
    *("data.source.orientation", "data.source.axes"),
}

LAYOUT = 5  # of what is kept in ``cache_dir``; another one where a check finds something else than before


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
    again = refuse_errors(found, typed())
    if config["score"] == "best" and not found["split"]["validation"]:
        raise ValueError(NO_VALIDATION)
    warnings = [finding["code"] for finding in found["findings"] if finding["severity"] == WARNING]
    if warnings and is_first():
        warn(f"of the data: {', '.join(dict.fromkeys(warnings))}; {again}")
    return found


def refuse_errors(found: dict, arguments: list[str]) -> str:
    """Refuse data with which training would be wrong; → the line that shows all that was found.

    Args:
        found: what `summary` gives.
        arguments: of the command, as one types them.

    Raises:
        ValueError: there are errors; names each kind of them.
    """
    errors = [finding for finding in found["findings"] if finding["severity"] == ERROR]
    again = f"python -m src.check {shlex.join(arguments)}"
    if errors:
        lines = [
            f"  {code}{times(findings)}: {Finding(**findings[0])}" for (_, code), findings in by_code(errors).items()
        ]
        raise ValueError("\n".join(["expected data without errors, but got", *lines, f"all findings: {again}"]))
    return again


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
            order=source.get("order", "natural"),
        ),
        values=tuple(source["values"]) if source.get("values") else None,
        ignore_label=source.get("ignore_label"),
        min_size=config["instances"].get("min_size", 0) if chosen else 0,
        metrics=tuple(name for metric in metrics.values() for name in metric.modes),
        scaling=config["scaling"],
        together=data.get("groups"),
        target=build.make(config, "target"),
    )
    if "root" not in data:
        return described("", inspect_stack(build.make(data, "source")(), choices), choices)
    root = Path(data["root"])
    file = Path(config["cache_dir"]) / "checks" / f"{fingerprint(root, choices)}.json"
    return kept(
        file,
        lambda file: read_json(file, Summary),
        lambda: look_at(root, choices, read),
        write_json,
    )


def look_at(root: Path, choices: Choices, read: Callable[[Pair], list[Annotated]]) -> dict:
    """What is in a folder and what is wrong with it, as plain values."""
    with doing(f"looking at all images and labels in {root}"):
        return described(str(root), inspect_folder(root, choices, read), choices)


def fingerprint(root: Path, choices: Choices) -> str:
    """A hash of all that the findings depend on: files, choices, and the version of the program."""
    pairs, alone = matched(root, choices.wanted)
    files = [file for file in (root / LABELMAP, *dataset_files(root)) if file.is_file()]
    for pair in pairs:
        for file in (*(pair.channels or (pair.image,)), *(pair.form.parts or (pair.labels,))):
            files += file.rglob("*") if file.is_dir() else [file]  # an OME-Zarr
    facts = (LAYOUT, version(), str(root), choices, alone, [pair.name for pair in pairs], stamp(root, set(files)))
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def typed() -> list[str]:
    """The arguments of this command as one types them, without those that training does not know."""
    return [unquote(each) for each in HydraConfig.get().overrides.task if not each.startswith(OF_OTHERS)]


def quoted(arguments: list[str]) -> list[str]:
    """Arguments as Hydra takes them."""
    return [quote(each, (*PATH_KEYS, *SPLIT_KEYS)) for each in arguments]


def advice(found: dict) -> list[str]:
    """The lines that say how to train on what a check has found: the memory that it takes, and the command.

    Args:
        found: what `summary` gives, without errors.

    Raises:
        ValueError: what has been chosen cannot be trained with.
    """
    arguments, memory = completed(found, typed())
    return [memory, f"train: python -m src.train {shlex.join(arguments)}"]


def completed(found: dict, arguments: list[str], swept: Collection[str] = ()) -> tuple[list[str], str]:
    """Arguments with which training runs as they stand, and how much memory it takes, as a line.

    To be called where Hydra knows ``conf/``.

    Args:
        found: what `summary` gives, without errors.
        arguments: those that were given, as one types them.
        swept: keys that have several values, and are given otherwise.

    Raises:
        ValueError: what has been chosen cannot be trained with.
    """
    keys = {key_of(each) for each in arguments} | set(swept)
    if {"model.depth", "model.padded"} & set(swept):
        keys.add("data.tile")  # no tile is the smallest one for each of them
    if "experiment" not in keys:
        arguments = from_labels(found, keys, [each for each in arguments if not each.startswith("data=")])
    config = compose("train", quoted(arguments))
    added, memory = fitted(config, found, keys, room(config["trainer"]["accelerator"]))
    return [*arguments, *(f"{key}={value}" for key, value in added.items())], memory


def from_labels(found: dict, keys: Collection[str], others: list[str]) -> list[str]:
    """The experiment for the labels that were found, and what it has to be told of them.

    Args:
        found: what `summary` gives, without errors.
        keys: of arguments that were given.
        others: those arguments, which stand behind the experiment.
    """
    void, kind = found["void"] or (None, found["kind"])
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
    told = [f"{key}={value}" for key, (value, usual) in wanted.items() if value != usual and key not in keys]
    return [f"experiment={EXPERIMENTS[kind]}", *others, *told]


def choose(sweep: Path | None = None, but: str | None = None) -> None:
    """Add to the command line what a check suggests, for who names a folder of their own but no experiment.

    Say in a line what that is. A run that goes on keeps what it began with.

    Args:
        sweep: where the runs of a sweep lie.
        but: the code of findings that are none for who splits the data otherwise.

    Raises:
        ValueError: training would be wrong.
    """
    given = [each for each in sys.argv[1:] if each not in MULTIRUN]
    constant = set(constant_keys(given))
    keys = {key_of(each) for each in given}
    if (began := begun_with(given, sweep)) is not None:
        added = [each for each in began if key_of(each) in CHOSEN - keys]
        said = [f"{' '.join(added)}, as the run began"]
    else:
        arguments = [
            unquote(each)
            for each in given
            if key_of(each) in constant and not each.startswith((*OF_OTHERS, "hydra", "data="))
        ]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("check", ["data=folder", *quoted(arguments)])
            limits.allow(config["max_pixels"])
            found = summary(config, chosen=False)
            found["findings"] = [each for each in found["findings"] if each["code"] != but]
            refuse_errors(found, arguments)
            chosen, memory = completed(found, arguments, keys - constant)
        added = [each for each in chosen if each not in arguments]
        experiment, *others = added
        others = f"; with {' '.join(others)}" if others else ""
        said = [f"{experiment}, chosen from the labels: {found['kind']}{others}", memory]
    if is_first():
        for line in said:
            say(line)
    sys.argv[1:] += added


def begun_with(given: list[str], sweep: Path | None) -> list[str] | None:
    """The arguments that a run was begun with in the directory of this one, or a point of this sweep; None if none was.

    Args:
        given: the arguments, quoted for Hydra.
        sweep: where the runs of a sweep lie.

    Raises:
        ValueError: its config.yaml is damaged.
    """
    named = [unquote(each).partition("=")[2] for each in given if key_of(each) == "hydra.run.dir"]
    directories = [*sorted(sweep.glob("*"))] if sweep else [Path(each) for each in named[-1:]]
    for directory in directories:
        if (directory / "config.yaml").exists():
            return read_config(directory).get("overrides", [])
    return None
