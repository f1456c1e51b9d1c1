"""What every command shares: paths as they are on the command line, errors as one message, a table of scores."""

import functools
import sys
import warnings
from collections.abc import Callable, Collection

from hydra.errors import HydraException, InstantiationException
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

PATH_KEYS = (
    *("input", "output", "checkpoint", "run", "truth", "prediction"),
    *("data.root", "data_dir", "hydra.run.dir", "hydra.sweep.dir"),
)
# Of Lightning, about what is meant here.
EXPECTED_WARNINGS = (
    ".*LeafSpec.*",  # Lightning 2.6 on torch 2.13
    ".*does not have many workers.*",
    ".*irectory .* exists and is not empty",  # a run that continues
    "You're resuming from a checkpoint that ended before the epoch ended",  # our draws follow the step
    "Total length of `list` across ranks is zero",  # no validation slices
)
# What a person can mend. Anything else is a fault of ours and keeps its traceback.
MENDABLE = (ValueError, OSError, HydraException, OmegaConfBaseException, MisconfigurationException)


def run(main: Callable[[], None]) -> None:
    """Start a Hydra command, with each path argument quoted, so that it may hold spaces, = , ( ) or Hangul."""
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    sys.argv[1:] = [quote(argument) for argument in sys.argv[1:]]
    main()


def quote(argument: str) -> str:
    """Quote the value of a path argument for Hydra's override grammar; leave any other as it is.

    >>> quote("input=my cells (1)=a,b.tif")
    "input='my cells (1)=a,b.tif'"
    >>> quote("model.depth=3")
    'model.depth=3'
    """
    key, separator, value = argument.partition("=")
    if not separator or key.lstrip("+") not in PATH_KEYS or value[:1] in ("'", '"', ""):
        return argument
    # In the grammar, backslashes escape only where they stand before a quote.
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    return f"{key}='{escaped}'"


def one_message(main: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Turn an error that the user can mend into one message and exit status 1; ``debug=true`` shows all."""

    @functools.wraps(main)
    def reporting(config: DictConfig) -> None:
        try:
            main(config)
        except MENDABLE as error:
            if config.debug:
                raise
            sys.exit(f"error: {cause(error)}")

    return reporting


def cause(error: BaseException) -> BaseException:
    """The error that a call from the configuration raised, without Hydra's wrapping."""
    wrapped = isinstance(error, InstantiationException) and isinstance(error.__cause__, MENDABLE)
    return cause(error.__cause__) if wrapped else error


def check_choice(key: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is none of ``choices``.

    Raises:
        ValueError: names the key and the choices.
    """
    if value not in choices:
        raise ValueError(f"expected {key} to be one of {', '.join(choices)}, but got {value}")


def print_scores(scores: dict) -> None:
    """Print scores in the layout of ``scores.json``: a row an image, the total below."""
    columns = list(scores["scores"])
    table = Table("image", *columns)
    for row in scores["per_image"]:
        table.add_row(row["name"], *(f"{row[column]:.4f}" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{scores['scores'][column]:.4f}" for column in columns), style="bold")
    Console().print(table)
