"""``cells.csv`` and ``cells.html``: the cells of all images whose tables are in a folder."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from src.files.names import PICTURED, natural
from src.files.stored import OF_PREDICT
from src.files.whole import complete_file, spreadsheet_safe
from src.pages.cells import write_cells_page
from src.prediction.outputs import table

FILES = ("cells.csv", "cells.html")
ENDING = "_table.csv"  # ending of the table of one image
MEASURES = r"area|area_um2|intensity_mean_\d+|confidence"  # columns of tables that the page shows
OURS = f"{OF_PREDICT} cells"


def check_room(folder: Path, overwrite: bool) -> None:
    """Refuse to replace ``cells.csv`` or ``cells.html`` of another program, before anything is computed.

    Raises:
        FileExistsError: there is such a file, and ``overwrite`` is False.
    """
    for name in FILES:
        if (folder / name).exists() and not overwrite and not _is_ours(folder / name):
            raise FileExistsError(f"expected no other {name}, but got {folder / name}; overwrite=true replaces it")


def write(folder: Path, unlike: Mapping[str, Sequence[str]] | None = None) -> Path | None:
    """Write ``cells.csv`` and ``cells.html`` from all tables in a folder that this program wrote.

    Args:
        folder: folder of the tables.
        unlike: differences of images from the training images, as sentences by name of the image.

    Returns:
        The path of ``cells.html``, or None, with nothing written, if there are fewer than two tables.
    """
    files = {file.name.removesuffix(ENDING): file for file in folder.glob(f"*{ENDING}") if _is_ours(file)}
    files = {name: files[name] for name in sorted(files, key=natural)}
    if len(files) < 2:
        return None
    rows, page = (folder / name for name in FILES)
    _write_rows(rows, files)
    measures = {name: _measures(file) for name, file in files.items()}
    pictures = {name: quote(f"{name}{PICTURED}.png") for name in files if (folder / f"{name}{PICTURED}.png").exists()}
    write_cells_page(page, measures, pictures, OURS, unlike)
    return page


def _write_rows(file: Path, tables: dict[str, Path]) -> None:
    """Write the rows of all tables (by name of the image) to one file; values that a table lacks stay empty."""
    found = dict.fromkeys(name for each in tables.values() for name in _columns(each))
    columns = [name for name in found if not name.startswith(table.MADE_FROM)]
    some = any(True for each in tables.values() for _ in _rows(each))
    with complete_file(file) as partial, partial.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.DictWriter(lines, ["image", *columns, table.MADE_FROM], extrasaction="ignore")
        header = {name: name for name in rows.fieldnames}
        rows.writerow(header if some else header | {table.MADE_FROM: f"{table.MADE_FROM} {OURS}"})
        for name, each in tables.items():
            rows.writerows({"image": spreadsheet_safe(name), **row} for row in _rows(each))


def _measures(file: Path) -> dict[str, np.ndarray]:
    """Read the measures for the page from a table, one value per cell; areas in µm² if the table has them."""
    names = [name for name in _columns(file) if re.fullmatch(MEASURES, name)]
    names = [name for name in names if f"{name}_um2" not in names]
    values = [[float(row[name] or "nan") for name in names] for row in _rows(file)]
    names = [_title(name) for name in names]
    return dict(zip(names, np.array(values, np.float64).reshape(-1, len(names)).T, strict=True))


def _title(column: str) -> str:
    """Return the heading on the page for a column of a table."""
    known = {"area": "area (px)", "area_um2": "area (µm²)"}
    return known.get(column, column.replace("intensity_mean_", "intensity of channel "))


def _columns(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8") as lines:
        return next(csv.reader(lines))


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _is_ours(file: Path) -> bool:
    try:
        if file.suffix == ".html":
            with file.open(encoding="utf-8") as page:
                return f'content="{OURS}"' in page.read(500)
        return table.made_from(file).startswith(OF_PREDICT)
    except (OSError, ValueError, StopIteration, IndexError):
        return False
