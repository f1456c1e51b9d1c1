"""Files that appear under their names complete or not at all: bytes, text, JSON, CSV."""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from src.files.incomplete import beside


@contextmanager
def complete_file(file: str | Path) -> Iterator[Path]:
    """Write to a temporary name that becomes ``file`` when all went well, and vanishes otherwise.

    Raises:
        OSError: it cannot be written; names ``file``.
    """
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(file)
    try:
        yield partial
        partial.replace(file)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(partial)):  # to write names none, to open this one
            error.filename = str(file)
        raise
    finally:
        partial.unlink(missing_ok=True)


def spreadsheet_safe(name: object) -> object:
    """A name as it may stand in a CSV file: a spreadsheet takes one that begins as a formula for one."""
    return f"'{name}" if isinstance(name, str) and name.startswith(tuple("=+-@\t\r")) else name


def write_json(file: Path, content: object) -> None:
    """Write JSON that appears under its name only when it is complete; nan, which JSON lacks, as null."""
    write_text(file, json.dumps(without_nan(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def without_nan(content: object) -> object:
    """Plain values with None for nan, which JSON and checkpoints lack."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def write_text(file: Path, text: str) -> None:
    r"""Write text that appears under its name only when it is complete; a name that is not UTF-8 as ``\udce9``.

    It is the same on every machine: Windows would else end its lines otherwise.
    """
    with complete_file(file) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_rows(file: Path, rows: Iterable[dict], columns: Iterable[str] | None = None) -> None:
    """Write a CSV file with a line a row; None and nan are left empty.

    Args:
        file: where to.
        rows: of which one at a time is in memory, where ``columns`` are given.
        columns: names in their order; None: those of all cells of all rows.
    """
    if columns is None:
        rows = list(rows)
        columns = dict.fromkeys(name for row in rows for name in row)
    columns = list(columns)
    how = {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}  # a name may be no UTF-8
    with complete_file(file) as partial, partial.open("w", **how) as lines:
        table = csv.DictWriter(lines, columns)
        table.writerow({name: spreadsheet_safe(name) for name in columns})
        known = ({name: value for name, value in row.items() if value == value} for row in rows)  # no nan
        table.writerows({name: spreadsheet_safe(value) for name, value in row.items()} for row in known)
