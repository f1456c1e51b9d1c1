"""Run a command: compose its configuration once, turn errors into one message, and stop cleanly on signals."""

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
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from src import CONF
from src.arguments import HELP, MULTIRUN, PATH_KEYS, SPLIT_KEYS, check_least, quote, with_keys
from src.build import PlainConfig, cause, literal, plain
from src.files import limits
from src.helping import help_of
from src.refused import explained, refuse_missing
from src.saying import is_first, warn, wrapped
from src.signals import Stopped, are_heeded, hand_over, heeded

# Lightning's warnings about behaviour that is intended here.
EXPECTED_WARNINGS = (
    ".*LeafSpec.*",  # Lightning 2.6 on torch 2.13
    ".*does not have many workers.*",
    ".*irectory .* exists and is not empty",  # a run that continues
    "You're resuming from a checkpoint that ended before the epoch ended",  # our random draws follow the step
    "The number of training batches .* is smaller than the logging interval",  # a trial of a few steps
    "Total length of `list` across ranks is zero",  # no validation images
    "The ``compute`` method of metric .* was called before",  # another process has the images
    "It is recommended to use `self.log",  # already reduced over ranks
    "The `srun` command is available",  # we refuse a start without srun where it matters
)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota exceeded, file too large

STARTS_OVER = "the same command starts over"

# Errors that a user can correct. Any other error is a bug and keeps its traceback.
MENDABLE = (ValueError, OSError, HydraException, OmegaConfBaseException)


def run(main: Callable[[], object], name: str) -> None:
    """Run a command: quote its path arguments, and turn errors and signals into one message and an exit status.

    Args:
        main: a function decorated with `verb`, or another part of the command.
        name: the name of the command, such as ``train``.
    """
    quieten()
    show_any_character()
    if HELP & set(sys.argv):
        print(help_of(name))
        return
    sys.argv[1:] = with_keys(name, sys.argv[1:])
    keys = PATH_KEYS if MULTIRUN & set(sys.argv) else (*PATH_KEYS, *SPLIT_KEYS)
    sys.argv[1:] = [quote(argument, keys) for argument in sys.argv[1:]]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises its errors instead of printing half a traceback
    try:
        with stoppable(lambda: STARTS_OVER):
            main()
    except MENDABLE as error:
        if "debug=true" in sys.argv:
            raise
        sys.exit(wrapped(f"error: {explained(error, name).removeprefix('error: ')}"))


def show_any_character() -> None:
    """Let this and its child processes print an escape sequence in place of a character that the output cannot encode.

    For example, a code page of Windows may lack the character →.
    """
    encoding = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def quieten() -> None:
    """Suppress messages of libraries about behaviour that is intended here, or that a run reports in its own words."""
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "alembic", "optuna"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its findings in a file become one message of ours


def verb(
    name: str, what_next: Callable[[Path], str] = lambda directory: STARTS_OVER
) -> Callable[[Callable[[DictConfig], object]], Callable[[], object]]:
    """Return a decorator that turns a function of a configuration into the command ``python -m src.NAME``.

    ``conf/NAME.yaml`` holds the defaults of the command. `hydra.main` would compose the configuration twice, first to
    see whether the command is a sweep, which takes longer than most commands. So the configuration of a single run is
    composed once, without `hydra.main`, which gets only command lines with a flag, such as ``-m``, or with a key of
    Hydra other than the run directory.

    Args:
        name: the name of the command.
        what_next: returns advice on what to do after a signal has stopped the command, given the run directory.
    """

    def decorate(main: Callable[[DictConfig], object]) -> Callable[[], object]:
        reporting = one_message(main, name, what_next)
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
    """Set `HydraConfig` and create the run directory as `hydra.main` does; return ``config`` without node ``hydra``."""
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
    main: Callable[[DictConfig], object], name: str, next_of: Callable[[Path], str] = lambda directory: STARTS_OVER
) -> Callable[[DictConfig], object]:
    """Wrap a function so that errors that the user can correct end in one message and exit status 1.

    A signal also ends in one message, with exit status 128 + its number. With ``debug=true``, errors show their
    traceback.

    Args:
        main: the function of a configuration.
        name: the name of the command.
        next_of: returns advice on what to do after a signal or a full disk, given the run directory.
    """

    def what_next() -> str:
        hydra_config = HydraConfig.get()
        if hydra_config.mode is RunMode.MULTIRUN:
            return "the same command continues the sweep"
        return next_of(Path(hydra_config.runtime.output_dir))

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
            message = f"{no_room(full)}; make room, and {what_next()}" if full else str(cause(error, MENDABLE))
            if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
                sys.exit(wrapped(f"error: {message}"))
            # Exiting would end the sweep; Hydra first runs the other jobs, then shows this error.
            print(wrapped(f"error: {message}"), file=sys.stderr)
            raise CompactHydraException(f"error: a job of the sweep failed: {message}") from error

    return reporting


def full_disk(error: BaseException) -> OSError | None:
    """Return the cause of an error if it is a full disk, an exceeded quota or too large a file, or else None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def no_room(error: OSError) -> str:
    """Describe which file did not fit on its disk, and how much space is free on that disk."""
    path = Path(os.fsdecode(error.filename or Path.cwd())).absolute()
    free = shutil.disk_usage(next(each for each in (path, *path.parents) if each.exists())).free
    return f"{error.strerror}: {path}, where {free / 1e6:,.1f} MB are free"


@contextmanager
def stoppable(what_next: Callable[[], str]) -> Iterator[None]:
    """Let a signal that arrives within this context end the command with exit status 128 + the number of the signal.

    These contexts can be nested. The innermost context prints what to do next, in only one of the processes of a run.
    The outermost context passes the signal on to the previous handler of the signal, and exits.

    Args:
        what_next: returns the advice to print.

    Raises:
        SystemExit: a signal arrived.
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


def continues(directory: Path) -> str:
    """Describe how to continue the interrupted run in a run directory."""
    return f"the same command with {shlex.quote(f'hydra.run.dir={directory}')} continues it"


class Failures:
    """A collection of the errors of single files, so that one failed file does not end the command.

    Args:
        count: the number of all files; if there is only one, its error ends the command.
        debug: whether any error ends the command at once, so that its traceback is shown.
    """

    def __init__(self, count: int, debug: bool) -> None:
        self.count, self.debug = count, debug
        self.messages: list[str] = []

    @contextmanager
    def noted(self, file: Path) -> Iterator[None]:
        """Record an error raised in this context as the failure of ``file``, and print it as a warning."""
        try:
            yield
        except Exception as error:
            mendable = isinstance(error, MENDABLE)
            if self.debug or (self.count == 1 and mendable):
                raise
            self.messages.append(f"{file}: {error if mendable else limits.reason(error)}")
            warn(self.messages[-1])

    def check(self, done: str) -> None:
        """Raise an error that lists the files that failed, if any did.

        Args:
            done: what the command does with files, as a past participle such as ``predicted``, for the message.

        Raises:
            ValueError: at least one file failed.
        """
        if self.messages:
            summary = f"{len(self.messages)} of {self.count} images were not {done}:"
            raise ValueError("\n".join([summary, *self.messages]))


@functools.cache
def default_config() -> PlainConfig:
    """Return the defaults of `src.train`, with interpolations as text ``${…}``; works only inside a command."""
    return plain(compose("train"), resolve=False)
