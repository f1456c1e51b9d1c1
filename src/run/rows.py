"""Read the rows of ``metrics.csv``, and refuse damaged rows."""

import csv
from pathlib import Path

from src.files.reading import damaged, read_text
from src.saying import warn


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read the complete rows of ``metrics.csv``, as text by column name; an empty list if the file does not exist.

    The last row is left out if it is incomplete, as after a killed process, or damaged, as after a power cut.

    Raises:
        ValueError: a row before the last is damaged, or the file is not a table of learning curves.
        OSError: the file cannot be read.
    """
    if not file.exists() and not file.is_symlink():
        return []
    try:
        text = read_text(file)
    except ValueError as error:
        raise damaged(file, str(error)) from error
    lines = text.split("\n")[:-1]  # the text after the last newline is an incomplete line, or empty
    cells = [_cells(line) for line in lines if line]
    columns = cells[0] if cells else []
    if not columns or columns[0] != "step" or len(set(columns)) < len(columns):
        raise damaged(file, "expected the names of curves in its first line")
    rows = [dict(zip(columns, row, strict=True)) if _is_row(row, len(columns)) else None for row in cells[1:]]
    if None in rows[:-1]:
        raise damaged(file, f"expected a step and numbers in row {rows.index(None) + 1}")
    if rows and rows[-1] is None:
        warn(f"the last row of {file} is damaged and left out")
    return [row for row in rows if row is not None]


def _cells(line: str) -> list[str]:
    """Split a line of CSV into its cells; return an empty list if the line is not valid CSV."""
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return []


def _is_row(cells: list[str], columns: int) -> bool:
    """Return whether the cells of a line are a step, followed by a number or an empty cell in each other column."""
    if len(cells) != columns or not (cells[0].isdecimal() and len(cells[0]) < 16):
        return False
    try:
        [float(value) for value in cells[1:] if value]
    except ValueError:
        return False
    return True
