"""Write files atomically: text, JSON and CSV files appear under their final names complete or not at all."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from src.files.incomplete import beside


@contextmanager
def complete_file(file: str | Path) -> Iterator[Path]:
    """Yield the path of a temporary file to write; the file is renamed to ``file`` if the ``with`` block succeeds.

    If the block raises an error, the temporary file is removed.

    Raises:
        OSError: the file cannot be written; the error names ``file``.
    """
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(file)
    try:
        yield partial
        partial.replace(file)
    except OSError as error:
        # Errors in writing name no file; errors in opening name the temporary file.
        if error.errno is not None and error.filename in (None, str(partial)):
            error.filename = str(file)
        raise
    finally:
        partial.unlink(missing_ok=True)


def spreadsheet_safe(name: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would run as a formula; return other values unchanged."""
    return f"'{name}" if isinstance(name, str) and name.startswith(tuple("=+-@\t\r")) else name


def write_json(file: Path, content: object) -> None:
    """Write a JSON file atomically; NaN, which JSON lacks, becomes null."""
    write_text(file, json.dumps(without_nan(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def without_nan(content: object) -> object:
    """Replace NaN by None in nested dictionaries and lists, because JSON and our checkpoints cannot contain NaN."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def write_text(file: Path, text: str) -> None:
    r"""Write a UTF-8 text file atomically, with the line end ``\n`` on all systems.

    File names in the text that are not valid UTF-8 are written with escapes such as ``\udce9``.
    """
    with complete_file(file) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_rows(file: Path, rows: Iterable[Mapping[str, object]], columns: Iterable[str] | None = None) -> None:
    """Write a CSV file atomically; None and NaN are written as empty fields.

    Args:
        file: the file.
        rows: one dictionary per row, with column names as keys. If ``columns`` is given, only one row at a time is in
            memory.
        columns: names of the columns. None uses the keys of all rows, in order of first appearance.
    """
    if columns is None:
        rows = list(rows)
        columns = dict.fromkeys(name for row in rows for name in row)
    names = list(columns)
    with (
        complete_file(file) as partial,
        # A value may be a file name that is not valid UTF-8.
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as lines,
    ):
        table = csv.DictWriter(lines, names)
        table.writerow({name: spreadsheet_safe(name) for name in names})
        known = ({name: value for name, value in row.items() if not _is_nan(value)} for row in rows)
        table.writerows({name: spreadsheet_safe(value) for name, value in row.items()} for row in known)


def _is_nan(value: object) -> bool:
    """Return whether a value of any type is NaN."""
    return value != value  # noqa: PLR0124 (only NaN differs from itself)
