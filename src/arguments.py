"""Quote the paths in command-line arguments, name the directories of sweeps, and check the values of arguments."""

import hashlib
import math
import re
from collections.abc import Collection
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from src.build import literal

PATH_KEYS = (
    *("input", "output", "images", "checkpoint", "run", "compare", "truth", "prediction", "mend", "start_from"),
    *("data.root", "data.groups", "data.source.images", "data.source.labels", "data_dir", "cache_dir"),
    *("hydra.run.dir", "hydra.sweep.dir"),
)

NULLABLE = ("data.source.", "data.groups", "start_from", "images")  # prefixes of keys for which null means "not given"

SPLIT_KEYS = ("data.train", "data.validation", "data.held_out")  # only in a sweep, commas as in 0-9,15 separate values

# One path in a list, quoted or not.
LISTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]+""")

LISTS = ("checkpoint", "compare")  # keys that accept several paths
DIRECTORIES = ("hydra.run.dir", "hydra.sweep.dir")

MULTIRUN, HELP = {"-m", "--multirun"}, {"-h", "--help"}

# The keys that paths without a key are given, in this order; a checkpoint is recognised by the ending of its name.
BARE: dict[str, tuple[str, ...]] = {verb: ("data.root",) for verb in ("train", "check", "preview", "crossval")}
BARE |= {"score": ("truth", "prediction"), "predict": ("input", "output"), "report": ("run",), "export": ("output",)}
CHECKPOINTS = {"predict": (".ckpt", ".onnx"), "export": (".ckpt",)}

NO_VALIDATION = (
    "expected validation images (data.validation), by which score=best chooses the checkpoint, but got none; "
    "nearest valid: score=last"
)


def quote(argument: str, keys: Collection[str] = PATH_KEYS) -> str:
    """Quote the value of a command-line argument, so that Hydra's override grammar takes the value literally.

    Only the values of ``keys`` are quoted; in a list of paths, each path separately. Values that are already quoted
    are returned unchanged.

    >>> quote("input=my cells (1)=a,b.tif")
    "input='my cells (1)=a,b.tif'"
    >>> quote("checkpoint=[a=1.ckpt,b.ckpt]")
    "checkpoint=['a=1.ckpt','b.ckpt']"
    >>> quote("model.depth=3")
    'model.depth=3'
    """
    key, separator, value = argument.partition("=")
    name = key.lstrip("+")
    none = value == "null" and name.startswith(NULLABLE)
    if not separator or not value or name not in keys or none:
        return argument
    if name in LISTS and value.startswith("[") and value.endswith("]"):
        each = LISTED.findall(value[1:-1])
        return f"{key}=[{','.join(_quoted(path.strip(), name) for path in each)}]"
    return f"{key}={_quoted(value, name)}"


def _quoted(value: str, key: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value
    value = value if key.startswith("hydra.") else literal(value)
    # In Hydra's grammar, a backslash is an escape character only in front of a quote.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def with_keys(verb: str, arguments: list[str]) -> list[str]:
    """Put the key that a command expects next in front of each argument that is only a path.

    >>> with_keys("predict", ["best.ckpt", "my images", "predicted", "tta=d4"])
    ['checkpoint=best.ckpt', 'input=my images', 'output=predicted', 'tta=d4']
    """
    keys = [key for key in BARE[verb] if not any(key_of(each) == key for each in arguments)]
    found = []
    for each in arguments:
        if "=" in each or each.startswith(("-", "+", "~")):
            found.append(each)
        elif each.endswith(CHECKPOINTS.get(verb, ())):
            found.append(f"checkpoint={each}")
        elif verb in ("check", "score") and each.endswith(".json") and "output" not in map(key_of, arguments):
            found.append(f"output={each}")
        elif keys:
            found.append(f"{keys.pop(0)}={each}")
        else:
            found.append(each)  # Hydra refuses an argument without a key
    if verb == "check" and not {"experiment", "data"} & set(map(key_of, found)):
        found.append("data=folder")  # not in conf/check.yaml, where it would override the data of an experiment
    return found


def unquote(argument: str) -> str:
    """Remove the quotes and escape characters that `quote` has added to an argument.

    >>> unquote("input='my cells (1)=a,b.tif'")
    'input=my cells (1)=a,b.tif'
    """
    key, _, value = argument.partition("=")
    if len(value) < 2 or value[0] != "'" or value[-1] != "'":
        return argument
    value = re.sub(r"(\\+)('|$)", lambda found: found[1][: len(found[1]) // 2] + found[2], value[1:-1])
    if not key.lstrip("+").startswith("hydra."):
        value = re.sub(r"(\\+)\$\{", lambda found: found[1][: len(found[1]) // 2] + "${", value)
    return f"{key}={value}"


def slug(overrides: str) -> str:
    """Return a readable directory name for the overrides of a command line, with a hash that makes the name unique.

    Args:
        overrides: the overrides, separated by commas.

    >>> slug("experiment=demo,optimizer.lr=0.0012345678901234")
    'demo_lr-0.001235_fccb8d7c'
    """
    words = []
    for override in filter(None, overrides.split(",")):
        key, equals, value = override.partition("=")
        name = key.rpartition(".")[2]
        value = f"{float(value):.4g}" if re.fullmatch(r"-?[0-9]+\.[0-9]{5,}(e-?[0-9]+)?", value) else value
        words.append(f"{name}-{value}" if equals and name != "experiment" else value or key)
    readable = "_".join(re.sub(r"[^\w.]+", "-", word).strip("-") for word in words)
    return f"{readable[:60]}_{hashlib.sha256(overrides.encode()).hexdigest()[:8]}" if words else "run"


OmegaConf.register_new_resolver("slug", slug, replace=True)


def sweep_directory(arguments: list[str]) -> Path | None:
    """Return the directory of a sweep, or None if the arguments lack ``-m``.

    The directory is the value of ``hydra.sweep.dir=``; otherwise its name is derived from the overrides, so that
    repeating the command continues the same sweep.
    """
    if not MULTIRUN & set(arguments):
        return None
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra.sweep.dir=")]
    return Path(given[-1]) if given else Path("runs/sweeps") / slug(_choices(arguments))


def _choices(arguments: list[str]) -> str:
    """Return the overrides that affect the results, joined by commas: all but those of Hydra and ``extend``."""
    return ",".join(sorted(each for each in arguments if not each.startswith(("-", "hydra", "extend="))))


def folds_directory(arguments: list[str]) -> Path:
    """Return the directory of a cross-validation, set by ``hydra.run.dir=`` or else named after the overrides."""
    given = [each.partition("=")[2] for each in arguments if key_of(each) in DIRECTORIES]
    return Path(given[-1] if given else Path("runs/crossval") / slug(_choices(arguments)))


def key_of(argument: str) -> str:
    """Return the key that an argument sets, adds or removes.

    >>> key_of("+data.source.include=a=b")
    'data.source.include'
    """
    return argument.lstrip("+~").partition("=")[0]


def lacks_experiment(arguments: list[str]) -> bool:
    """Return whether the arguments name a folder of the user's own images, but no experiment.

    >>> lacks_experiment(["data.root=my images", "seed=1"])
    True
    """
    keys = {key_of(argument) for argument in arguments}
    other = any(argument.startswith("data=") and argument != "data=folder" for argument in arguments)
    asks = any(argument.startswith("-") and argument not in MULTIRUN for argument in arguments)  # such as --help
    return "data.root" in keys and "experiment" not in keys and not other and not asks


def constant_keys(arguments: list[str]) -> list[str]:
    """Return the keys that have the same value in all runs of a sweep; the names of run directories omit these keys.

    Raises:
        HydraException: Hydra cannot parse an argument.
    """
    parsed = OverridesParser.create().parse_overrides([quote(each) for each in arguments if not each.startswith("-")])
    return [override.key_or_group for override in parsed if not override.is_sweep_override()]


def check_choice(key: str, value: object, choices: Collection[object]) -> None:
    """Refuse a value that is not one of ``choices``.

    Raises:
        ValueError: the value is refused; the message names the key and the choices.
    """
    if value not in choices:
        raise ValueError(f"expected {key} to be one of {', '.join(map(str, choices))}, but got {value}")


def check_steps(key: str, value: object) -> None:
    """Refuse a value that is neither None nor a number of steps, an integer of at least 0.

    Raises:
        ValueError: the value is refused; the message names the key.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"expected {key} to be a number of steps, but got {value}; nearest valid: +1000")


def check_least(key: str, value: object, least: int) -> None:
    """Refuse a value that is not an integer of at least ``least``.

    Raises:
        ValueError: the value is refused; the message names the key and the nearest valid value.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        near = max(least, round(value)) if isinstance(value, int | float) and math.isfinite(value) else least
        raise ValueError(f"expected {key} to be a whole number ≥ {least}, but got {value}; nearest valid: {near}")


def check_probability(key: str, value: object) -> None:
    """Refuse a value that is not a number from 0 to 1.

    Raises:
        ValueError: the value is refused; the message names the key.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"expected {key} to be a number from 0 to 1, but got {value}; nearest valid: 0.5")
