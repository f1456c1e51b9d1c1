"""What a person sees on the terminal: lines, warnings, tables of scores."""

import re
import sys

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from src.metrics.goodness import OF_CLASS, PER_IMAGE

# Characters that steer a terminal: controls but for tab and line, ends of lines and directions of text, halves.
CONTROLS = (
    *(range(9), range(11, 32), range(127, 160)),
    *(range(0x2028, 0x202F), range(0x2066, 0x206A), range(0xD800, 0xE000)),
)


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
    for place, row in enumerate(rows, start=1):
        if row.get("against"):
            say(f"1 less {place}, held-out {row['monitor']} of the same images: {row['against']}")


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
