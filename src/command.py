"""What every command shares: it is composed once, ends with one message, and stops for a signal."""

import errno
import functools
import io
import logging
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from src import CONF
from src.arguments import HELP, MULTIRUN, PATH_KEYS, SPLIT_KEYS, check_least, quote, with_keys
from src.build import cause, literal
from src.files import limits
from src.helping import help_of
from src.refused import in_our_words, refuse_missing
from src.saying import is_first, warn, wrapped
from src.signals import Stopped, are_heeded, hand_over, heeded

# Of Lightning, about what is meant here.
EXPECTED_WARNINGS = (
    ".*LeafSpec.*",  # Lightning 2.6 on torch 2.13
    ".*does not have many workers.*",
    ".*irectory .* exists and is not empty",  # a run that continues
    "You're resuming from a checkpoint that ended before the epoch ended",  # our draws follow the step
    "The number of training batches .* is smaller than the logging interval",  # a first try of a few steps
    "Total length of `list` across ranks is zero",  # no validation slices
    "The ``compute`` method of metric .* was called before",  # another process has the slices
    "It is recommended to use `self.log",  # they are of all processes already
    "The `srun` command is available",  # a start without it on a cluster is refused where it matters
)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room on the disk, for this user, in one file

AGAIN = "the same command begins again"

# What a person can mend. Anything else is a fault of ours and keeps its traceback.
MENDABLE = (ValueError, OSError, HydraException, OmegaConfBaseException)


def run(main: Callable[[], object], name: str | None = None) -> None:
    """Start a `verb`, with each path argument quoted, so that it may hold spaces, = , ( ) or Hangul.

    Args:
        main: the verb, or what else its command does.
        name: of the command, where ``main`` does not say.
    """
    name = name or main.verb
    quieten()
    show_any_character()
    if HELP & set(sys.argv):
        print(help_of(name))
        return
    sys.argv[1:] = with_keys(name, sys.argv[1:])
    keys = PATH_KEYS if MULTIRUN & set(sys.argv) else (*PATH_KEYS, *SPLIT_KEYS)
    sys.argv[1:] = [quote(argument, keys) for argument in sys.argv[1:]]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors come here, instead of being printed with half a traceback
    try:
        with stoppable(lambda: AGAIN):
            main()
    except MENDABLE as error:
        if "debug=true" in sys.argv:
            raise
        sys.exit(wrapped(f"error: {in_our_words(error, name).removeprefix('error: ')}"))


def show_any_character() -> None:
    """Print what a terminal or a file has no character for, such as → in a code page of Windows, as an escape.

    Processes that are started from here will do the same.
    """
    encoding = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def quieten() -> None:
    """Keep from the user what Lightning says about what is meant here, and what a run says itself in one line."""
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "alembic", "optuna"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds in a file becomes one message of ours


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
        reporting = one_message(main, name, goes_on)
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

        start.verb = name
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
    main: Callable[[DictConfig], object], name: str, goes_on: Callable[[Path], str] = lambda directory: AGAIN
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
                    limits.allow(config.max_pixels)
                refuse_missing(config, name)
                return main(config)
        except Exception as error:
            full = full_disk(error)
            if config.debug or not (full or isinstance(error, MENDABLE)):
                raise
            said = f"{no_room(full)}; make room, and {what_next()}" if full else cause(error, MENDABLE)
            if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
                sys.exit(wrapped(f"error: {said}"))
            # To exit would end the sweep; Hydra runs the other jobs first and then shows this.
            print(wrapped(f"error: {said}"), file=sys.stderr)
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
        if not stopped.told and is_first():
            print(wrapped(f"{stopped}; {what_next()}"), file=sys.stderr, flush=True)
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

    def __init__(self, count: int, debug: bool) -> None:
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
            self.messages.append(f"{file}: {error if mendable else limits.reason(error)}")
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


@functools.cache
def default_config() -> dict:
    """What `src.train` does if nothing is chosen, what follows from others as ``${…}``; to be called by a command."""
    return OmegaConf.to_container(compose("train"), resolve=False)
