"""What every command shares: paths as they are on the command line, errors as one message, a table of scores."""

import errno
import functools
import hashlib
import logging
import math
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from src import CONF, build
from src.files import guard
from src.metrics.semantic import OF_CLASS, PER_IMAGE
from src.signals import Stopped, are_heeded, hand_over, heeded

PATH_KEYS = (
    *("input", "output", "checkpoint", "run", "truth", "prediction"),
    *("data.root", "data_dir", "cache_dir", "hydra.run.dir", "hydra.sweep.dir"),
)
SPLIT_KEYS = ("data.train", "data.validation", "data.held_out")  # 0-9,15 is one value, unless it is swept
# In a list of checkpoints, one that is quoted or one that is not.
LISTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]+""")
MULTIRUN = {"-m", "--multirun"}
# Characters that steer a terminal: controls but for tab and line, ends of lines and directions of text, halves.
CONTROLS = (
    *(range(9), range(11, 32), range(127, 160)),
    *(range(0x2028, 0x202F), range(0x2066, 0x206A), range(0xD800, 0xE000)),
)
# Of Lightning, about what is meant here.
EXPECTED_WARNINGS = (
    ".*LeafSpec.*",  # Lightning 2.6 on torch 2.13
    ".*does not have many workers.*",
    ".*irectory .* exists and is not empty",  # a run that continues
    "You're resuming from a checkpoint that ended before the epoch ended",  # our draws follow the step
    "Total length of `list` across ranks is zero",  # no validation slices
    "The ``compute`` method of metric .* was called before",  # another process has the slices
    "It is recommended to use `self.log",  # they are of all processes already
    "The `srun` command is available",  # a start without it on a cluster is refused where it matters
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room on the disk, for this user, in one file
AGAIN = "the same command begins again"
# What a person can mend. Anything else is a fault of ours and keeps its traceback.
MENDABLE = (ValueError, OSError, HydraException, OmegaConfBaseException, MisconfigurationException)


def run(main: Callable[[], object]) -> None:
    """Start a `verb`, with each path argument quoted, so that it may hold spaces, = , ( ) or Hangul."""
    quieten()
    keys = PATH_KEYS if MULTIRUN & set(sys.argv) else (*PATH_KEYS, *SPLIT_KEYS)
    sys.argv[1:] = [quote(argument, keys) for argument in sys.argv[1:]]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors come here, instead of being printed with half a traceback
    try:
        with stoppable(lambda: AGAIN):
            main()
    except MENDABLE as error:
        if "debug=true" in sys.argv:
            raise
        # Of a wrong key OmegaConf says more than Hydra.
        more = f"\n{error.__cause__}" if isinstance(error.__cause__, OmegaConfBaseException) else ""
        sys.exit(printable(f"error: {str(error).removeprefix('error: ')}{more}"))


def quieten() -> None:
    """Keep from the user what Lightning says about what is meant here, and what a run says itself in one line."""
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "alembic", "optuna"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds in a file becomes one message of ours


def quote(argument: str, keys: Collection[str] = PATH_KEYS) -> str:
    """Quote the value of an argument of ``keys`` for Hydra's override grammar, so that it is taken as it stands there.

    What is quoted already and any other argument stay as they are. In a list of checkpoints each one is quoted.

    >>> quote("input=my cells (1)=a,b.tif")
    "input='my cells (1)=a,b.tif'"
    >>> quote("checkpoint=[a=1.ckpt,b.ckpt]")
    "checkpoint=['a=1.ckpt','b.ckpt']"
    >>> quote("model.depth=3")
    'model.depth=3'
    """
    key, separator, value = argument.partition("=")
    name = key.lstrip("+")
    if not separator or not value or name not in keys:
        return argument
    if name == "checkpoint" and value.startswith("[") and value.endswith("]"):
        each = LISTED.findall(value[1:-1])
        return f"{key}=[{','.join(_quoted(path.strip(), name) for path in each)}]"
    return f"{key}={_quoted(value, name)}"


def _quoted(value: str, key: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value
    value = value if key.startswith("hydra.") else literal(value)
    # In the grammar, backslashes escape only where they stand before a quote.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def literal(value: str) -> str:
    """Text that OmegaConf gives back as it is, also where it holds what looks like an interpolation.

    >>> literal("a${b}")
    'a\\\\${b}'
    """
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)


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


def configuration(values: object) -> DictConfig:
    """Plain values as a configuration in which ``${…}``, which a path may hold, is no interpolation."""
    return OmegaConf.create(_literally(values))


def _literally(node: object) -> object:
    if isinstance(node, dict):
        return {key: _literally(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_literally(value) for value in node]
    return literal(node) if isinstance(node, str) else node


def verb(
    name: str, goes_on: Callable[[Path], str] = lambda directory: AGAIN
) -> Callable[[Callable[[DictConfig], object]], Callable[[], object]]:
    """Make a function of a configuration the command ``python -m src.NAME``, of the file ``conf/NAME.yaml``.

    Hydra composes a configuration twice, once to learn whether it is a sweep, which takes longer than all that most
    commands do. So one run is composed here, once; Hydra gets what has a flag, such as ``-m``, or tells it more than
    the run directory.

    Args:
        name: of the command.
        goes_on: says what to do after a signal has stopped it, given the run directory.
    """

    def decorate(main: Callable[[DictConfig], object]) -> Callable[[], object]:
        reporting = one_message(main, goes_on)
        by_hydra = hydra.main(config_path=str(CONF), config_name=name, version_base="1.3")(reporting)

        @functools.wraps(main)
        def start() -> object:
            if any(re.match(r"-|[+~]*hydra(?!\.run\.dir=)", argument) for argument in sys.argv[1:]):
                return by_hydra()
            with initialize_config_dir(str(CONF), job_name=name, version_base="1.3"):
                config = compose(name, sys.argv[1:], return_hydra_config=True)
                if config.hydra.mode is RunMode.MULTIRUN:
                    GlobalHydra.instance().clear()
                    return by_hydra()
                return reporting(_as_one_run(config))

        return start

    return decorate


def _as_one_run(config: DictConfig) -> DictConfig:
    """What one run gets: Hydra's part of the configuration where `HydraConfig` finds it, and its directory made."""
    HydraConfig.instance().set_config(config)
    directory = Path(config.hydra.run.dir)
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = literal(str(directory.absolute()))
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    directory.mkdir(parents=True, exist_ok=True)
    return config


def one_message(
    main: Callable[[DictConfig], object], goes_on: Callable[[Path], str] = lambda directory: AGAIN
) -> Callable[[DictConfig], object]:
    """Turn an error that the user can mend into one message and exit status 1; ``debug=true`` shows all.

    Likewise a signal, from the first line of ``main`` to the last, and exit status 128 + its number.
    """

    def what_next() -> str:
        hydra_config = HydraConfig.get()
        if hydra_config.mode is RunMode.MULTIRUN:
            return "the same command goes on with the sweep"
        return goes_on(Path(hydra_config.runtime.output_dir))

    @functools.wraps(main)
    def reporting(config: DictConfig) -> object:
        try:
            with stoppable(what_next):
                if "max_pixels" in config:
                    check_least("max_pixels", config.max_pixels, 1)
                    guard.allow(config.max_pixels)
                return main(config)
        except Exception as error:
            full = full_disk(error)
            if config.debug or not (full or isinstance(error, MENDABLE)):
                raise
            said = f"{no_room(full)}; make room, and {what_next()}" if full else build.cause(error, MENDABLE)
            if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
                sys.exit(printable(f"error: {said}"))
            # To exit would end the sweep; Hydra runs the other jobs first and then shows this.
            print(printable(f"error: {said}"), file=sys.stderr)
            raise CompactHydraException(f"error: a job of the sweep failed: {said}") from error

    return reporting


def full_disk(error: BaseException) -> OSError | None:
    """The error of a disk without room, or of a limit like it, that an error is or came from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def no_room(error: OSError) -> str:
    """For what there is no room, and how much is free there."""
    path = Path(os.fsdecode(error.filename or Path.cwd())).absolute()
    free = shutil.disk_usage(next(each for each in (path, *path.parents) if each.exists())).free
    return f"{error.strerror}: {path}, where {free / 1e6:,.1f} MB are free"


@contextmanager
def stoppable(what_next: Callable[[], str]) -> Iterator[None]:
    """Let a signal end the command with exit status 128 + its number, in whatever it is doing.

    Of two within each other, the inner one says what to do next, once for all processes of a run; the outer one hands
    the signal over to whom it was for before, and ends.

    Raises:
        SystemExit: a signal came.
    """
    within = are_heeded()
    try:
        with heeded():
            yield
    except Stopped as stopped:
        if not stopped.told and rank_zero_only.rank == 0:
            print(printable(f"{stopped}; {what_next()}"), file=sys.stderr, flush=True)
        stopped.told = True
        if within:
            raise
        hand_over(stopped.numbers)
        sys.exit(stopped.status)


def goes_on(directory: Path) -> str:
    """How an interrupted run goes on."""
    return f"the same command with {shlex.quote(f'hydra.run.dir={directory}')} goes on from there"


class Failures:
    """Of many files those that failed: none of them ends the others.

    Args:
        count: of all files. Of one alone its error is the command's.
        debug: whether an error ends everything, so that its traceback is seen.
    """

    def __init__(self, count: int, debug: bool):
        self.count, self.debug = count, debug
        self.messages: list[str] = []

    @contextmanager
    def noted(self, file: Path) -> Iterator[None]:
        """Take an error for the failure of ``file``, and say so; what is no message of ours becomes one."""
        try:
            yield
        except Exception as error:
            mendable = isinstance(error, MENDABLE)
            if self.debug or (self.count == 1 and mendable):
                raise
            self.messages.append(f"{file}: {error if mendable else guard.reason(error)}")
            warn(self.messages[-1])

    def check(self, done: str) -> None:
        """Raise what has failed.

        Args:
            done: what the others were, such as ``predicted``.

        Raises:
            ValueError: any file did.
        """
        if self.messages:
            summary = f"{len(self.messages)} of {self.count} images were not {done}:"
            raise ValueError("\n".join([summary, *self.messages]))


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
    other = ("-", "hydra", "extend=")  # how to run, and what goes on in the same directory
    choices = sorted(argument for argument in arguments if not argument.startswith(other))
    return Path(given[-1]) if given else Path("runs/sweeps") / slug(",".join(choices))


def constant_keys(arguments: list[str]) -> list[str]:
    """The keys that have one value in all points of a sweep, which need not be in the names of their directories.

    Raises:
        HydraException: an argument has no meaning to Hydra.
    """
    parsed = OverridesParser.create().parse_overrides([quote(each) for each in arguments if not each.startswith("-")])
    return [override.key_or_group for override in parsed if not override.is_sweep_override()]


@functools.cache
def default_config() -> dict:
    """What `src.train` does if nothing is chosen, what follows from others as ``${…}``; to be called by a command."""
    return OmegaConf.to_container(compose("train"), resolve=False)


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


def printable(text: str) -> str:
    r"""Text without characters that steer a terminal, which the name of a file may hold: they are shown as escapes.

    >>> printable("a\x1b[2J.tif")
    'a\\x1b[2J.tif'
    """
    return "".join(repr(each)[1:-1] if any(ord(each) in controls for controls in CONTROLS) else each for each in text)


def say(line: str) -> None:
    """Print a line, in which names of files may stand."""
    print(printable(line), flush=True)


def warn(line: str) -> None:
    """Say on standard error what the user should know but what stops nothing."""
    print(printable(f"warning: {line}"), file=sys.stderr)


def print_scores(scores: dict) -> None:
    """Print scores in the layout of ``scores.json``: a row an image, the total below; then a row a class."""
    total = scores["scores"]
    columns = [name for name in total if not re.search(OF_CLASS, name) and not name.endswith(PER_IMAGE)]
    rows = {row["name"]: [row.get(column) for column in columns] for row in scores["per_image"]}
    foot = {"all": [total[column] for column in columns]}
    means = [total.get(column + PER_IMAGE) for column in columns]
    if any(mean is not None for mean in means):
        foot["mean of images"] = means
    _print_table("image", columns, rows, foot)
    classes = sorted({int(found[1]) for found in (re.search(OF_CLASS, name) for name in total) if found})
    if classes:
        _print_table("class", columns, {str(c): [total.get(f"{name}_class_{c}") for name in columns] for c in classes})


def print_ranking(rows: list[dict]) -> None:
    """Print the points of a sweep, as `run.ranking.ranking` gives them."""
    names = list(dict.fromkeys(name for row in rows for name in row["scores"] or {}))
    shown = [name for name in names if not re.search(OF_CLASS, name) and not name.endswith(PER_IMAGE)]
    columns = [f"validation {rows[0]['monitor']}", *(f"held-out {name}" for name in shown), "minutes", "choices"]
    table = {}
    for place, row in enumerate(rows, start=1):
        scores = [(row["scores"] or {}).get(name) for name in shown]
        minutes = f"{row['seconds'] / 60:.1f}" if row["seconds"] is not None else "unfinished"
        table[str(place)] = [row["validation"], *scores, minutes, " ".join(row["overrides"])]
    _print_table("", columns, table)


def _print_table(corner: str, columns: list[str], rows: dict[str, list], foot: dict[str, list] | None = None) -> None:
    table = Table(corner, *columns)
    for name, values in rows.items():
        cells = (name, *map(shown, values))
        table.add_row(*(Text(printable(cell)) for cell in cells))  # not markup: a name may hold [ and ]
    table.add_section()
    for name, values in (foot or {}).items():
        table.add_row(name, *map(shown, values), style="bold")
    # In its full width, because a number broken in two cannot be read.
    wide = Console(width=10_000)
    Console(width=max(Console().width, Measurement.get(wide, wide.options, table).maximum)).print(table)


def shown(score: float | str | None) -> str:
    """A score as people read it, with as many digits as tell it from 0."""
    if isinstance(score, str):
        return score
    if score is None or score != score:
        return "–"
    if isinstance(score, int):
        return str(score)
    if score == 0 or abs(score) >= 0.01:
        return f"{score:.4f}"
    return f"{score:.6f}" if abs(score) >= 1e-6 else f"{score:.1e}"
