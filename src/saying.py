"""Lines for a person: printed so that they fit, and said while something takes long."""

import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 100  # columns of a line in a file, and at most on a terminal
MINUTE = 60.0  # seconds between two lines on what still goes on
MOMENT = 3.0  # seconds for which nothing is said of what is being done

# Characters that steer a terminal: controls but for tab and line, ends of lines and directions of text, halves.
CONTROLS = (
    *(range(9), range(11, 32), range(127, 160)),
    *(range(0x2028, 0x202F), range(0x2066, 0x206A), range(0xD800, 0xE000)),
)

# A command to be copied: its arguments are quoted whole, or begin with a key.
ARGUMENT = r"""(?:-m|--[a-z-]+|'(?:[^']|'"'"')*'|[+~]?[\w./@]+=(?:'[^']*'|"[^"]*"|[^\s;'"])*)"""
COMMAND = re.compile(rf"python -m src\.[a-z]+(?: {ARGUMENT})+(?<![,.:)])")


def printable(text: str) -> str:
    r"""Text without characters that steer a terminal, which the name of a file may hold: they are shown as escapes.

    >>> printable("a\x1b[2J.tif")
    'a\\x1b[2J.tif'
    """
    return "".join(repr(each)[1:-1] if any(ord(each) in controls for controls in CONTROLS) else each for each in text)


def say(line: str) -> None:
    """Print a line, in which names of files may stand."""
    print(wrapped(line), flush=True)


def warn(line: str) -> None:
    """Say on standard error what the user should know but what stops nothing."""
    print(wrapped(f"warning: {line}"), file=sys.stderr, flush=True)


def is_first() -> bool:
    """Whether this is the first process of a run, as torchrun, `run.ranks` or Slurm has numbered it."""
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if "LOCAL_RANK" in os.environ:
        return os.environ["LOCAL_RANK"] == os.environ.get("NODE_RANK", "0") == "0"
    return os.environ.get("SLURM_PROCID", "0") == "0"


def columns() -> int:
    """The width of lines: what ``COLUMNS`` says, or that of the terminal, but no more than `WIDTH`."""
    terminal = shutil.get_terminal_size((WIDTH, 0)).columns
    return terminal if "COLUMNS" in os.environ else min(terminal, WIDTH)


def wrapped(text: str, width: int | None = None) -> str:
    """Text in lines that fit, of printable characters; a command to be copied stands on a line of its own.

    >>> print(wrapped("expected images, but got none; see python -m src.check data.root=here first", 60))
    expected images, but got none; see
      python -m src.check data.root=here
      first
    """
    width = width or columns()
    return "\n".join(each for line in printable(text).split("\n") for each in _fitting(line, width))


def _fitting(line: str, width: int) -> Iterator[str]:
    """The lines of a line: what does not fit goes on below it, indented further."""
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
            kept = {"break_long_words": False, "break_on_hyphens": False}
            yield from textwrap.wrap(words, width, initial_indent=first, subsequent_indent=below, **kept)
            begun = True
        if found:
            yield (below if begun else indent) + found[0]
            begun, place = True, found.end()
    if not begun:
        yield line


@contextmanager
def each_minute(line: Callable[[], str], wait: Callable[[float], bool] | None = None) -> Iterator[None]:
    """Say each minute how far something is, until it ends; in a thread, so that nothing need ask for it.

    Args:
        line: says how far it is; "" says nothing.
        wait: waits for so many seconds; → whether it has ended meanwhile.
    """

    def speak(ended: threading.Event) -> None:
        while not (wait or ended.wait)(MINUTE):
            if text := line():
                say(text)

    with _meanwhile(speak):
        yield


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what takes more than a moment: that it has begun, each minute that it goes on, and how long it took.

    Args:
        what: such as ``weight maps of 24 images``.
    """
    if not is_first():  # which says it for all
        yield
        return
    begun, said = time.monotonic(), []

    def speak(ended: threading.Event) -> None:
        if ended.wait(MOMENT):
            return
        said.append(what)
        say(f"{what} …")
        while not ended.wait(MINUTE):
            say(f"{what}: {duration(time.monotonic() - begun)} so far")

    with _meanwhile(speak):
        yield
    if said:
        say(f"{what}: {duration(time.monotonic() - begun)}")


@contextmanager
def _meanwhile(speak: Callable[[threading.Event], None]) -> Iterator[None]:
    """Speak in a thread until the block ends, of which an event tells the thread."""
    ended = threading.Event()
    thread = threading.Thread(target=speak, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def shortened(text: str, longest: int) -> str:
    """Text of at most so many characters, of which those in the middle are left out.

    >>> shortened("a long name of a file.tif", 15)
    'a long …ile.tif'
    """
    if len(text) <= longest:
        return text
    kept = longest - 1
    return f"{text[: kept // 2]}…{text[len(text) - kept + kept // 2 :]}"


def duration(seconds: float) -> str:
    """A duration as a person says it.

    >>> duration(42), duration(150), duration(9000)
    ('42 s', '2.5 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
