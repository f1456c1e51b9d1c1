"""Print tables of scores that fit the width of the terminal."""

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

LONGEST_NAME = 40  # characters; longer names of images are shortened
WORDS = 24  # minimum width of a column of words
MOST_ROWS = 30  # if there are more images, only the worst are shown


def print_scores(scores: Mapping[str, Any], monitor: str, mode: str) -> None:
    """Print a table with a row of scores for each image and the totals below, then a table with a row for each class.

    Args:
        scores: the content of ``scores.json``.
        monitor: the name of the score that ranks images.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
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


def print_estimates(rows: list[dict[str, Any]], score: str, mode: str) -> None:
    """Print the estimated scores of images as a table, or that of a single image in a line.

    Args:
        rows: rows as returned by `prediction.estimates.Estimates.write`.
        score: the name of the estimated score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
    """
    several = len({row["image"] for row in rows}) < len(rows)
    names = [f"{row['image']}, plane {row['plane']}" if several else row["image"] for row in rows]
    ordered = worst_first([{**row, "name": name} for row, name in zip(rows, names, strict=True)], "expected", mode)
    ordered.sort(key=lambda row: not row["outside"])  # images unlike the training images come first
    for row in ordered if len(rows) == 1 else ():
        low, high = shown(row["lower"]), shown(row["upper"])
        unlike = f"; it is unlike the training images ({row['outside']})" if row["outside"] else ""
        say(f"{row['name']}: estimated {score} {shown(row['expected'])}, {low} to {high}{unlike}")
    if len(rows) > 1:
        columns = ["expected", "lower", "upper", "outside"]
        table = [
            (row["name"], [None if row[name] == "" else row[name] for name in columns]) for row in ordered[:MOST_ROWS]
        ]
        _print_table(f"estimated {score}", columns, table, wrapping="outside")
    if len(rows) > MOST_ROWS:
        say(f"shown are the {MOST_ROWS} worst of {len(rows)} images")


def print_ranking(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of the ranked runs of a sweep; `run.ranking.ranking` returns such rows."""
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
            say(f"1 minus {place}, held-out {row['monitor']} of the same images: {row['against']}")


def _print_table(
    corner: str,
    columns: list[str],
    rows: Sequence[tuple[str, Sequence[float | str | None]]],
    foot: Sequence[tuple[str, Sequence[float | str | None]]] = (),
    wrapping: str | None = None,
) -> None:
    """Print a table with as many columns as fit the terminal, and name the omitted columns below the table.

    Args:
        corner: the heading of the first column, which shows the names of the rows.
        columns: the headings of the other columns.
        rows: the name and the values of each row.
        foot: the name and the values of each row below a horizontal line.
        wrapping: the heading of a column of words that may be wrapped; None: there is no such column.
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
    """Format the values of a table column with the same number of digits after the decimal point.

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
    """Format a score with enough digits to distinguish it from 0; None and NaN become a dash."""
    if isinstance(score, str):
        return score
    if score is None or isnan(score):
        return "–"
    if isinstance(score, int):
        return str(score)
    if score == 0 or abs(score) >= 0.01:
        return f"{score:.4f}"
    return f"{score:.6f}" if abs(score) >= 1e-6 else f"{score:.1e}"
