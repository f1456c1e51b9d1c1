"""Tables of scores on the terminal, as wide as it is."""

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from src.metrics.goodness import OF_CLASS, PER_IMAGE, by_class, worst_first
from src.saying import columns as width_of_lines
from src.saying import printable, say, shortened

LONGEST_NAME = 40  # characters of the name of an image
WORDS = 24  # columns that words take at least
MOST_ROWS = 30  # images; of more, the worst ones are shown


def print_scores(scores: dict, monitor: str, mode: str) -> None:
    """Print scores in the layout of ``scores.json``: a row an image, the total below; then a row a class.

    Args:
        scores: as said.
        monitor: the score by which images are worse or better.
        mode: whether ``max`` or ``min`` of it is better.
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


def print_ranking(rows: list[dict]) -> None:
    """Print the points of a sweep, as `run.ranking.ranking` gives them."""
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
    rows: Sequence[tuple[str, list]],
    foot: Sequence[tuple[str, list]] = (),
    wrapping: str | None = None,
) -> None:
    """Print a table of the first columns that fit; the others are named below it.

    Args:
        corner: above the names of the rows.
        columns: their names.
        rows: name and values.
        foot: likewise, below a line.
        wrapping: the column of words, which may take several lines.
    """
    width, every = width_of_lines(), [*rows, *foot]
    texts = [aligned([values[place] for _, values in every]) for place in range(len(columns))]
    names = [shortened(printable(name), LONGEST_NAME) for name, _ in every]
    for count in range(len(columns), 0, -1):
        table = Table()
        table.add_column(corner, min_width=max(map(cell_len, [corner, *names])))
        for name, column in zip(columns[:count], texts, strict=False):
            wide = max(cell_len(each) for each in [name, *map(printable, column)])
            table.add_column(name, overflow="fold", min_width=min(wide, WORDS) if name == wrapping else wide)
        for row, name in enumerate(names):
            if row == len(rows):
                table.add_section()
            cells = [Text(name), *(Text(printable(texts[column][row])) for column in range(count))]  # no markup
            table.add_row(*cells, style="bold" if row >= len(rows) else None)
        wide = Console(width=10_000)
        if Measurement.get(wide, wide.options, table).minimum <= width:
            break
    Console(width=width).print(table)
    if count < len(columns):
        say(f"no room here for {', '.join(columns[count:])}")


def aligned(values: Sequence[float | str | None]) -> list[str]:
    """The values of a column as people read them, with equally many digits behind the point.

    >>> aligned([0.5, 0.000353, None])
    ['0.500000', '0.000353', '–']
    """
    numbers = [value for value in values if isinstance(value, float) and value == value]
    if any(0 < abs(value) < 1e-6 for value in numbers):
        return [shown(value) for value in values]
    digits = 6 if any(0 < abs(value) < 0.01 for value in numbers) else 4
    return [f"{value:.{digits}f}" if isinstance(value, float) and value == value else shown(value) for value in values]


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
