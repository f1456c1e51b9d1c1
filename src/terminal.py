"""Print tables of scores that fit the terminal."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from src.metrics.goodness import OF_CLASS, PER_IMAGE, by_class, worst_first
from src.saying import columns as width_of_lines
from src.saying import printable, say, shortened

LONGEST_NAME = 40  # characters of the name of an image
WORDS = 24  # minimum width of a column of words
MOST_ROWS = 30  # of more images, the worst ones are shown


def print_scores(scores: Mapping[str, Any], monitor: str, mode: str) -> None:
    """Print scores in the layout of ``scores.json``: a row for each image, the totals below, then a row for each class.

    Args:
        scores: the content of ``scores.json``.
        monitor: the score that ranks images.
        mode: ``max`` or ``min``, whichever is better.
    """
    total, images = scores["scores"], scores["per_image"]
    columns = [name for name in total if not re.search(OF_CLASS, name) and not name.endswith(PER_IMAGE)]
    columns.sort(key=lambda name: name != monitor)
    some = worst_first(images, monitor, mode)[:MOST_ROWS] if len(images) > MOST_ROWS else images
    rows = [(row["name"], [row.get(column) for column in columns]) for row in some]
    foot = [("all", [total[column] for column in columns])]
    means = [total.get(column + PER_IMAGE) for column in columns]
    if any(mean is not None for mean in means):
        foot.append(("mean of images", means))
    _print_table("image", columns, rows, foot)
    if len(some) < len(images):
        say(f"shown are the {len(some)} worst of {len(images)} images by {monitor}")
    if classes := by_class(total):
        _print_table("class", columns, [(str(c), [each.get(name) for name in columns]) for c, each in classes.items()])


def print_ranking(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the runs of a sweep, as returned by `run.ranking.ranking`."""
    names = list(dict.fromkeys(name for row in rows for name in row["scores"] or {}))
    held_out = [name for name in names if not re.search(OF_CLASS, name) and not name.endswith(PER_IMAGE)]
    columns = ["choices", f"validation {rows[0]['monitor']}", "minutes", *(f"held-out {name}" for name in held_out)]
    table = []
    for place, row in enumerate(rows, start=1):
        scores = [(row["scores"] or {}).get(name) for name in held_out]
        minutes = f"{row['seconds'] / 60:.1f}" if row["seconds"] is not None else "unfinished"
        table.append((str(place), [" ".join(row["overrides"]), row["validation"], minutes, *scores]))
    _print_table("", columns, table, wrapping="choices")
    for place, row in enumerate(rows, start=1):
        if row.get("against"):
            say(f"1 less {place}, held-out {row['monitor']} of the same images: {row['against']}")


def _print_table(
    corner: str,
    columns: list[str],
    rows: Sequence[tuple[str, Sequence[float | str | None]]],
    foot: Sequence[tuple[str, Sequence[float | str | None]]] = (),
    wrapping: str | None = None,
) -> None:
    """Print a table of the first columns that fit, and name the others below it.

    Args:
        corner: the heading of the names of the rows.
        columns: the headings of the others.
        rows: name and values.
        foot: likewise, below a line.
        wrapping: the heading of the column of words, which may wrap.
    """
    width, every = width_of_lines(), [*rows, *foot]
    texts = [aligned([values[place] for _, values in every]) for place in range(len(columns))]
    names = [shortened(printable(name), LONGEST_NAME) for name, _ in every]
    for count in range(len(columns), 0, -1):
        table = Table()
        table.add_column(corner, min_width=max(map(cell_len, [corner, *names])))
        for name, column in zip(columns[:count], texts, strict=False):
            widest = max(cell_len(each) for each in [name, *map(printable, column)])
            table.add_column(name, overflow="fold", min_width=min(widest, WORDS) if name == wrapping else widest)
        for row, name in enumerate(names):
            if row == len(rows):
                table.add_section()
            cells = [Text(name), *(Text(printable(texts[column][row])) for column in range(count))]  # no markup
            table.add_row(*cells, style="bold" if row >= len(rows) else None)
        unlimited = Console(width=10_000)
        if Measurement.get(unlimited, unlimited.options, table).minimum <= width:
            break
    Console(width=width).print(table)
    if count < len(columns):
        say(f"columns that do not fit: {', '.join(columns[count:])}")


def aligned(values: Sequence[float | str | None]) -> list[str]:
    """Format the values of a column with the same number of digits after the point.

    >>> aligned([0.5, 0.000353, None])
    ['0.500000', '0.000353', '–']
    """
    numbers = [value for value in values if isinstance(value, float) and not isnan(value)]
    if any(0 < abs(value) < 1e-6 for value in numbers):
        return [shown(value) for value in values]
    digits = 6 if any(0 < abs(value) < 0.01 for value in numbers) else 4
    return [
        f"{value:.{digits}f}" if isinstance(value, float) and not isnan(value) else shown(value) for value in values
    ]


def shown(score: float | str | None) -> str:
    """Format a score with as many digits as distinguish it from 0."""
    if isinstance(score, str):
        return score
    if score is None or isnan(score):
        return "–"
    if isinstance(score, int):
        return str(score)
    if score == 0 or abs(score) >= 0.01:
        return f"{score:.4f}"
    return f"{score:.6f}" if abs(score) >= 1e-6 else f"{score:.1e}"
