"""What stands on the command line: paths as they are, names for what was chosen, values that are none."""

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

NULLABLE = ("data.source.", "data.groups", "start_from", "images")  # where null means no such choice

SPLIT_KEYS = ("data.train", "data.validation", "data.held_out")  # 0-9,15 is one value, unless it is swept

# In a list of paths, one that is quoted or one that is not.
LISTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]+""")

LISTS = ("checkpoint", "compare")  # keys of which several paths may be given
DIRECTORIES = ("hydra.run.dir", "hydra.sweep.dir")

MULTIRUN, HELP = {"-m", "--multirun"}, {"-h", "--help"}

# What paths without a key are to each command, in their order; a checkpoint is known by its ending.
BARE = {verb: ("data.root",) for verb in ("train", "check", "preview", "crossval")}
BARE |= {"score": ("truth", "prediction"), "predict": ("input", "output"), "report": ("run",), "export": ("output",)}
CHECKPOINTS = {"predict": (".ckpt", ".onnx"), "export": (".ckpt",)}

NO_VALIDATION = (
    "expected slices in data.validation, by which score=best chooses the checkpoint, but got none; "
    "nearest valid: score=last"
)


def quote(argument: str, keys: Collection[str] = PATH_KEYS) -> str:
    """Quote the value of an argument of ``keys`` for Hydra's override grammar, so that it is taken as it stands there.

    What is quoted already and any other argument stay as they are. In a list of paths each one is quoted.

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
    # In the grammar, backslashes escape only where they stand before a quote.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def with_keys(verb: str, arguments: list[str]) -> list[str]:
    """Arguments in which each bare path has the key that it is meant for.

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
            found.append(each)  # which has no meaning, as will be said
    if verb == "check" and not {"experiment", "data"} & set(map(key_of, found)):
        found.append("data=folder")  # not in conf/check.yaml, where it would override the data of an experiment
    return found


def unquote(argument: str) -> str:
    """What `quote` was given.

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
    """The name of a directory for what was chosen on the command line: readable, and another one for each choice.

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
    """Where the runs of a sweep lie, so that the same command finds them again; None without ``-m``.

    It is what ``hydra.sweep.dir=`` says, or else named by all that was chosen.
    """
    if not MULTIRUN & set(arguments):
        return None
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra.sweep.dir=")]
    return Path(given[-1]) if given else Path("runs/sweeps") / slug(_choices(arguments))


def _choices(arguments: list[str]) -> str:
    """What was chosen, but for how to run and what goes on in the same directory."""
    return ",".join(sorted(each for each in arguments if not each.startswith(("-", "hydra", "extend="))))


def folds_directory(arguments: list[str]) -> Path:
    """Where the folds of a cross-validation lie: as ``hydra.run.dir=`` says, or else named by all that was chosen."""
    given = [each.partition("=")[2] for each in arguments if key_of(each) in DIRECTORIES]
    return Path(given[-1] if given else Path("runs/crossval") / slug(_choices(arguments)))


def key_of(argument: str) -> str:
    """What an argument chooses, adds or removes.

    >>> key_of("+data.source.include=a=b")
    'data.source.include'
    """
    return argument.lstrip("+~").partition("=")[0]


def lacks_experiment(arguments: list[str]) -> bool:
    """Whether arguments name a folder of one's own to learn from, but no experiment.

    >>> lacks_experiment(["data.root=my images", "seed=1"])
    True
    """
    keys = {key_of(argument) for argument in arguments}
    other = any(argument.startswith("data=") and argument != "data=folder" for argument in arguments)
    asks = any(argument.startswith("-") and argument not in MULTIRUN for argument in arguments)  # such as --help
    return "data.root" in keys and "experiment" not in keys and not other and not asks


def constant_keys(arguments: list[str]) -> list[str]:
    """The keys that have one value in all points of a sweep, which need not be in the names of their directories.

    Raises:
        HydraException: an argument has no meaning to Hydra.
    """
    parsed = OverridesParser.create().parse_overrides([quote(each) for each in arguments if not each.startswith("-")])
    return [override.key_or_group for override in parsed if not override.is_sweep_override()]


def check_choice(key: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is none of ``choices``.

    Raises:
        ValueError: names the key and the choices.
    """
    if value not in choices:
        raise ValueError(f"expected {key} to be one of {', '.join(map(str, choices))}, but got {value}")


def check_steps(key: str, value: object) -> None:
    """Refuse what is neither null nor a whole number of steps.

    Raises:
        ValueError: names the key.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"expected {key} to be a number of steps, but got {value}; nearest valid: +1000")


def check_least(key: str, value: object, least: int) -> None:
    """Refuse what is not a whole number of at least ``least``.

    Raises:
        ValueError: names the key and the nearest valid value.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        near = max(least, round(value)) if isinstance(value, int | float) and math.isfinite(value) else least
        raise ValueError(f"expected {key} to be a whole number from {least} on, but got {value}; nearest valid: {near}")


def check_probability(key: str, value: object) -> None:
    """Refuse what is not a number from 0 to 1.

    Raises:
        ValueError: names the key.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"expected {key} to be a number from 0 to 1, but got {value}; nearest valid: 0.5")
