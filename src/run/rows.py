"""The rows of ``metrics.csv`` as they were written, or refused by name."""

import csv
from pathlib import Path

from src.files.reading import damaged, read_text
from src.saying import warn


def read_rows(file: Path) -> list[dict[str, str]]:
    """The complete rows of the curves of a run; none of a file that does not exist.

    A killed process may leave a part of the last row, and a power cut a last row that is none: only that is lost.

    Raises:
        ValueError: another line is damaged, or the file is none of ours.
        OSError: it cannot be read.
    """
    if not file.exists() and not file.is_symlink():
        return []
    try:
        text = read_text(file)
    except ValueError as error:
        raise damaged(file, str(error)) from error
    lines = text.split("\n")[:-1]  # what follows the last end of a line is no whole line
    cells = [_cells(line) for line in lines if line]
    columns = cells[0] if cells else None
    if not columns or columns[0] != "step" or len(set(columns)) < len(columns):
        raise damaged(file, "expected the names of curves in its first line")
    whole = [_is_row(row, len(columns)) for row in cells[1:]]
    if not all(whole[:-1]):
        raise damaged(file, f"expected a step and numbers in row {whole.index(False) + 1}")
    if whole and not whole[-1]:
        warn(f"the last row of {file} is damaged and left out")
    return [dict(zip(columns, row, strict=True)) for row, good in zip(cells[1:], whole, strict=True) if good]


def _cells(line: str) -> list[str] | None:
    """The cells of a line, None of one that is no CSV."""
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return None


def _is_row(cells: list[str] | None, columns: int) -> bool:
    """Whether cells are a step and numbers, or nothing, in each column."""
    if cells is None or len(cells) != columns or not (cells[0].isdecimal() and len(cells[0]) < 16):
        return False
    try:
        [float(value) for value in cells[1:] if value]
    except ValueError:
        return False
    return True
