"""Messages on the terminal, wrapped to its width, and progress of steps that take long."""

import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 100  # characters per line in a file; the maximum on a terminal
MINUTE = 60.0  # seconds between two progress messages
MOMENT = 3.0  # seconds that a step may take without a message

# Control characters except tab and newline; separators of lines and marks of text direction; surrogates.
CONTROLS = (
    *(range(9), range(11, 32), range(127, 160)),
    *(range(0x2028, 0x202F), range(0x2066, 0x206A), range(0xD800, 0xE000)),
)

# A command that a user can copy. Each argument is an option, is quoted as a whole, or has the form key=value.
ARGUMENT = r"""(?:-m|--[a-z-]+|'(?:[^']|'"'"')*'|[+~]?[\w./@]+=(?:'[^']*'|"[^"]*"|[^\s;'"])*)"""
COMMAND = re.compile(rf"python -m src\.[a-z]+(?: {ARGUMENT})+(?<![,.:)])")


def printable(text: str) -> str:
    r"""Escape control characters in a text, because file names may contain them and a terminal would obey them.

    >>> printable("a\x1b[2J.tif")
    'a\\x1b[2J.tif'
    """
    return "".join(repr(each)[1:-1] if any(ord(each) in controls for controls in CONTROLS) else each for each in text)


def say(line: str) -> None:
    """Print a message, wrapped and with control characters escaped."""
    print(wrapped(line), flush=True)


def warn(line: str) -> None:
    """Print a warning to standard error, wrapped and with control characters escaped."""
    print(wrapped(f"warning: {line}"), file=sys.stderr, flush=True)


def is_first() -> bool:
    """Return whether this process is rank 0 of a run started by torchrun, `run.ranks` or Slurm, or the only process."""
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if "LOCAL_RANK" in os.environ:
        return os.environ["LOCAL_RANK"] == os.environ.get("NODE_RANK", "0") == "0"
    return os.environ.get("SLURM_PROCID", "0") == "0"


def columns() -> int:
    """Return the width of printed lines: ``COLUMNS`` if it is set, else the terminal's width, but at most `WIDTH`."""
    terminal = shutil.get_terminal_size((WIDTH, 0)).columns
    return terminal if "COLUMNS" in os.environ else min(terminal, WIDTH)


def wrapped(text: str, width: int | None = None) -> str:
    """Wrap a text and escape control characters; commands get a separate line, so that users can copy them.

    >>> print(wrapped("expected images, but got none; see python -m src.check data.root=here first", 60))
    expected images, but got none; see
      python -m src.check data.root=here
      first
    """
    width = width or columns()
    return "\n".join(each for line in printable(text).split("\n") for each in _fitting(line, width))


def _fitting(line: str, width: int) -> Iterator[str]:
    """Wrap one line as in `wrapped`, with continuation lines indented by two more spaces."""
    indent = line[: len(line) - len(line.lstrip(" "))]
    if line.startswith("python -m src."):
        yield f"  {line}"
        return
    begun, place = False, 0
    for found in [*COMMAND.finditer(line), None]:
        words = line[place : found.start() if found else None].strip()
        words = words.lstrip(";,.: " if begun else "").rstrip(";, " if found else "")
        below = f"{indent}  "
        if words:
            first = below if begun else indent
            yield from textwrap.wrap(
                words,
                width,
                initial_indent=first,
                subsequent_indent=below,
                break_long_words=False,
                break_on_hyphens=False,
            )
            begun = True
        if found:
            yield (below if begun else indent) + found[0]
            begun, place = True, found.end()
    if not begun:
        yield line


@contextmanager
def each_minute(line: Callable[[], str], wait: Callable[[float], bool] | None = None) -> Iterator[None]:
    """Print a progress message every minute, from a separate thread, while the block of a with statement runs.

    Args:
        line: returns the message; if it is empty, nothing is printed.
        wait: waits for a number of seconds and returns whether the block has ended; None means real time.
    """

    def speak(ended: threading.Event) -> None:
        while not (wait or ended.wait)(MINUTE):
            if text := line():
                say(text)

    with _meanwhile(speak):
        yield


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Print the name of a step, its progress every minute and its duration if it takes longer than `MOMENT`.

    The step is the block of the with statement. Only rank 0 prints.

    Args:
        what: name of the step, such as ``weight maps of 24 images``.
    """
    if not is_first():  # rank 0 prints for all
        yield
        return
    begun, printed = time.monotonic(), []

    def speak(ended: threading.Event) -> None:
        if ended.wait(MOMENT):
            return
        printed.append(what)
        say(f"{what} …")
        while not ended.wait(MINUTE):
            say(f"{what}: {duration(time.monotonic() - begun)} so far")

    with _meanwhile(speak):
        yield
    if printed:
        say(f"{what}: {duration(time.monotonic() - begun)}")


@contextmanager
def _meanwhile(speak: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ``speak`` in a thread while a block runs; the argument of ``speak`` is an event set when the block ends."""
    ended = threading.Event()
    thread = threading.Thread(target=speak, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def shortened(text: str, longest: int) -> str:
    """Shorten a text to at most ``longest`` characters by an ellipsis in place of its middle.

    >>> shortened("a long name of a file.tif", 15)
    'a long …ile.tif'
    """
    if len(text) <= longest:
        return text
    kept = longest - 1
    return f"{text[: kept // 2]}…{text[len(text) - kept + kept // 2 :]}"


def duration(seconds: float) -> str:
    """Format a duration, given in seconds, in seconds, minutes, or hours and minutes.

    >>> duration(42), duration(150), duration(9000)
    ('42 s', '2.5 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
