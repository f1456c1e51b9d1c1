"""``estimated_scores.csv``: the estimated score of each predicted image."""

import csv
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from src.files.image import Image
from src.files.whole import spreadsheet_safe, write_rows
from src.metrics.conformal import Interval
from src.prediction.outputs.table import MADE_FROM
from src.prediction.predictor import PlaneReader, Predictor

FILE = "estimated_scores.csv"
COLUMNS = ("image", "plane", "score", "expected", "lower", "upper", "outside", MADE_FROM)
LARGEST = 2**24  # pixels of a plane for which a score is estimated
Row = dict[str, str | int | float | None]


class Estimates:
    """The estimated scores of the images that one command predicts.

    Args:
        score: name of the score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        estimate: returns the estimated score of a plane from the class probabilities ``(N, K, H, W)`` of N networks, or
            None if a network finds no cell.

    Attributes:
        rows: one row per plane of each image, with the columns `COLUMNS`.
    """

    def __init__(
        self,
        score: str,
        mode: str,
        estimate: Callable[[np.ndarray], Interval | None],
    ) -> None:
        self.score, self.mode, self.estimate = score, mode, estimate
        self.rows: list[Row] = []

    def add(self, image: Image, predictor: Predictor, made_from: str) -> None:
        """Append a row with the estimated score of each plane of an image; very large planes get no score.

        Args:
            image: the image, at the size at which it is predicted.
            predictor: predicts the image with each network separately.
            made_from: identifies everything that the labels of the image depend on.
        """
        with ThreadPoolExecutor(1) as threads:
            for plane in range(image.planes):
                found, read = None, PlaneReader(image, plane, predictor.device, threads)
                if image.height * image.width <= LARGEST:
                    found = self.estimate(predictor.apart(read, image.height, image.width))
                numbers = (found.expected, found.low, found.high) if found else (None, None, None)
                values = (image.name, plane, self.score, *numbers, "", made_from)
                self.rows.append(dict(zip(COLUMNS, values, strict=True)))

    def write(self, folder: Path, origin: Callable[[str], str | None], outside: Mapping[str, str]) -> list[Row]:
        """Write ``estimated_scores.csv``, keeping rows of earlier commands whose labels are still in the folder.

        Args:
            folder: folder of the predictions.
            origin: returns what the labels of an image in the folder were made from, given the name of the image.
            outside: differences of images from the training images, as text by name of the image.

        Returns:
            All rows of the file.
        """
        for row in self.rows:
            row["outside"] = outside.get(str(row["image"]), "")
        here = {row["image"] for row in self.rows}
        earlier = [row for row in read(folder / FILE) or () if row["image"] not in here]
        made = {str(row["image"]): origin(str(row["image"])) for row in earlier}
        rows = [row for row in earlier if made[str(row["image"])] == row[MADE_FROM]] + self.rows
        if rows:
            write_rows(folder / FILE, rows, COLUMNS)
        return rows


def check_room(folder: Path, overwrite: bool) -> None:
    """Refuse to replace an ``estimated_scores.csv`` that this program did not write, before anything is computed.

    Raises:
        FileExistsError: there is such a file in ``folder``, and ``overwrite`` is False.
    """
    file = folder / FILE
    if file.exists() and not overwrite and read(file) is None:
        raise FileExistsError(f"expected no other {FILE}, but got {file}; overwrite=true replaces it")


def read(file: Path) -> list[Row] | None:
    """Return the rows of a file that `Estimates.write` wrote, or None if it does not exist or has other content."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            return [_row(row) for row in table] if tuple(table.fieldnames or ()) == COLUMNS else None
    except (OSError, ValueError, TypeError):
        return None


def _row(cells: dict[str, str]) -> Row:
    numbers = {name: float(cells[name]) if cells[name] else None for name in ("expected", "lower", "upper")}
    bare = cells["image"].removeprefix("'")
    name = bare if spreadsheet_safe(bare) == cells["image"] else cells["image"]
    return {**cells, "image": name, "plane": int(cells["plane"]), **numbers}
