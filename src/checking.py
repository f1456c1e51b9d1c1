"""Check data before training, and suggest a training command that fits the data."""

import hashlib
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from src import CONF, build, version
from src.arguments import MULTIRUN, NO_VALIDATION, PATH_KEYS, SPLIT_KEYS, constant_keys, key_of, quote, unquote
from src.build import Config
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
from src.fitting import Found, fitted
from src.memory import room
from src.run.directory import read_config
from src.saying import doing, is_first, say, warn

CHECK_ONLY = ("output=", "draws=", "mend=")  # arguments of src.check and src.preview that src.train lacks

# Keys that a check may set if the user has not set them; a resumed run keeps the values that it was started with.
SUGGESTED = {
    *("experiment", "score", "model.in_channels", "model.classes", "model.base_channels", "instances.min_size"),
    *("data.tile", "data.batch_size", "data.source.kind", "data.source.values", "data.source.ignore_label"),
    *("data.source.orientation", "data.source.axes"),
}

LAYOUT = 5  # version of the check results in ``cache_dir``; to be increased when the check is extended


def before_training(config: Config, read: Callable[[Pair], list[Annotated]] = read_pair) -> Found | None:
    """Check a folder of the user's own images before training; the result is cached until the files change.

    Args:
        config: the configuration of the run.
        read: reads the annotated slices of an image file and its label file.

    Returns:
        The result of `summary`, or None if the data are not a folder of the user's own images.

    Raises:
        ValueError: the data have errors, or lack the validation images that ``score=best`` needs.
    """
    if "root" not in config["data"]:
        return None
    found = summary(config, for_training=True, read=read)
    again = refuse_errors(found, given_arguments())
    if config["score"] == "best" and not found["split"]["validation"]:
        raise ValueError(NO_VALIDATION)
    warnings = [finding["code"] for finding in found["findings"] if finding["severity"] == WARNING]
    if warnings and is_first():
        warn(f"the data have findings ({', '.join(dict.fromkeys(warnings))}); {again}")
    return found


def refuse_errors(found: Found, arguments: list[str]) -> str:
    """Refuse data with errors; otherwise return the command that shows all findings.

    Args:
        found: the result of `summary`.
        arguments: the arguments of the command as the user typed them.

    Raises:
        ValueError: the data have errors; the message has a line for each kind of error.
    """
    errors = [finding for finding in found["findings"] if finding["severity"] == ERROR]
    again = f"python -m src.check {shlex.join(arguments)}"
    if errors:
        lines = [
            f"  {code}{times(findings)}: {Finding(**findings[0])}" for (_, code), findings in by_code(errors).items()
        ]
        raise ValueError("\n".join(["expected data without errors, but got", *lines, f"all findings: {again}"]))
    return again


def summary(config: Config, for_training: bool, read: Callable[[Pair], list[Annotated]] = read_pair) -> Found:
    """Check data, and return the findings and facts about them as plain values, see `findings.summary.Summary`.

    The results for a folder are cached in ``cache_dir``.

    Args:
        config: a configuration like that of `src.train`.
        for_training: whether an experiment is given; the data are then also checked against its network and metrics.
        read: reads the annotated slices of an image file and its label file.
    """
    data, model, source = config["data"], config["model"], config["data"]["source"]
    metrics = build.make(config, "metrics") if for_training else {}
    choices = Choices(
        classes=model["classes"] if for_training else None,
        channels=model["in_channels"] if for_training else None,
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
        min_size=config["instances"].get("min_size", 0) if for_training else 0,
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


def look_at(root: Path, choices: Choices, read: Callable[[Pair], list[Annotated]]) -> Found:
    """Check all images and labels in a folder, without using the cache."""
    with doing(f"checking all images and labels in {root}"):
        return described(str(root), inspect_folder(root, choices, read), choices)


def fingerprint(root: Path, choices: Choices) -> str:
    """Return a hash of everything that the findings on a folder depend on: files, settings and program version."""
    pairs, alone = matched(root, choices.wanted)
    files = [file for file in (root / LABELMAP, *dataset_files(root)) if file.is_file()]
    for pair in pairs:
        for file in (*(pair.channels or (pair.image,)), *(pair.form.parts or (pair.labels,))):
            files += file.rglob("*") if file.is_dir() else [file]  # a folder is an OME-Zarr
    facts = (LAYOUT, version(), str(root), choices, alone, [pair.name for pair in pairs], stamp(root, set(files)))
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def given_arguments() -> list[str]:
    """Return the arguments of this command as the user typed them, without those that `src.train` refuses."""
    return [unquote(each) for each in HydraConfig.get().overrides.task if not each.startswith(CHECK_ONLY)]


def for_hydra(arguments: list[str]) -> list[str]:
    """Quote arguments as Hydra's override grammar requires."""
    return [quote(each, (*PATH_KEYS, *SPLIT_KEYS)) for each in arguments]


def advice(found: Found) -> list[str]:
    """Return two lines for the user: the memory that training takes, and a command that trains on the checked data.

    Args:
        found: the result of `summary`, without errors.

    Raises:
        ValueError: the user's values do not fit the data.
    """
    arguments, memory = completed(found, given_arguments())
    return [memory, f"train: python -m src.train {shlex.join(arguments)}"]


def completed(found: Found, arguments: list[str], swept: Collection[str] = ()) -> tuple[list[str], str]:
    """Add the arguments that are needed to train on checked data; Hydra must be initialised with ``conf/``.

    Args:
        found: the result of `summary`, without errors.
        arguments: the arguments as the user typed them.
        swept: keys that have several values in a sweep.

    Returns:
        The completed arguments, and a line that describes the memory that training takes.

    Raises:
        ValueError: the user's values do not fit the data.
    """
    keys = {key_of(each) for each in arguments} | set(swept)
    if {"model.depth", "model.padded"} & set(swept):
        keys.add("data.tile")  # no single tile is the smallest valid one for every depth
    if "experiment" not in keys:
        arguments = from_labels(found, keys, [each for each in arguments if not each.startswith("data=")])
    config = compose("train", for_hydra(arguments))
    added, memory = fitted(config, found, keys, room(config["trainer"]["accelerator"]))
    return [*arguments, *(f"{key}={value}" for key, value in added.items())], memory


def from_labels(found: Found, keys: Collection[str], others: list[str]) -> list[str]:
    """Return arguments that choose an experiment suited to the labels, with the settings that the labels require.

    Args:
        found: the result of `summary`, without errors.
        keys: the keys that the user has set, for which no argument is added.
        others: the user's arguments, which are returned after the experiment.
    """
    void, kind = found["void"] or (None, found["kind"])
    classes = len(found["classes"]) - (void is not None) if kind == "classes" else 2
    turned = found["values"] if kind == "boundary" or (found["other"] and kind == "binary" and not void) else None
    wanted: dict[str, tuple[object, object]] = {
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
    needed = [f"{key}={value}" for key, (value, usual) in wanted.items() if value != usual and key not in keys]
    return [f"experiment={EXPERIMENTS[kind]}", *others, *needed]


def add_suggestions(sweep: Path | None = None, ignored: str | None = None) -> None:
    """Add the arguments that a check suggests to a command line that names a folder of images but no experiment.

    The added arguments are printed. A resumed run keeps the values that it was started with.

    Args:
        sweep: the directory of a sweep; None for a single run.
        ignored: the code of the findings to ignore because the command splits the data itself; None: ignore none.

    Raises:
        ValueError: the data have errors.
    """
    given = [each for each in sys.argv[1:] if each not in MULTIRUN]
    constant = set(constant_keys(given))
    keys = {key_of(each) for each in given}
    if (began := begun_with(given, sweep)) is not None:
        added = [each for each in began if key_of(each) in SUGGESTED - keys]
        messages = [f"{' '.join(added)}, as the run began"]
    else:
        arguments = [
            unquote(each)
            for each in given
            if key_of(each) in constant and not each.startswith((*CHECK_ONLY, "hydra", "data="))
        ]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("check", ["data=folder", *for_hydra(arguments)])
            limits.allow(config["max_pixels"])
            found = summary(config, for_training=False)
            found["findings"] = [each for each in found["findings"] if each["code"] != ignored]
            refuse_errors(found, arguments)
            complete, memory = completed(found, arguments, keys - constant)
        added = [each for each in complete if each not in arguments]
        experiment, *others = added
        also = f"; with {' '.join(others)}" if others else ""
        messages = [f"{experiment}, chosen from the labels: {found['kind']}{also}", memory]
    if is_first():
        for line in messages:
            say(line)
    sys.argv[1:] += added


def begun_with(given: list[str], sweep: Path | None) -> list[str] | None:
    """Return the arguments with which an existing run was started, or None if no such run exists.

    Args:
        given: the arguments of this command, quoted for Hydra; ``hydra.run.dir=`` names the directory of the run.
        sweep: the directory of a sweep, any run of which is taken instead; None for a single run.

    Raises:
        ValueError: the ``config.yaml`` of the run is damaged.
    """
    named = [unquote(each).partition("=")[2] for each in given if key_of(each) == "hydra.run.dir"]
    directories = [*sorted(sweep.glob("*"))] if sweep else [Path(each) for each in named[-1:]]
    for directory in directories:
        if (directory / "config.yaml").exists():
            overrides: list[str] = read_config(directory).get("overrides", [])
            return overrides
    return None
