"""Write ``metrics.csv``, the learning curves of a run, and continue the file when the run is resumed."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from src.files.reading import set_aside
from src.files.whole import complete_file
from src.run.rows import read_rows
from src.saying import warn


class Curves(Logger):
    """A logger that writes ``metrics.csv``, with a row for each step at which something was logged.

    When a run is resumed, this logger continues the existing file, whereas Lightning's CSVLogger would delete it.

    Args:
        directory: the run directory.
    """

    name = version = ""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.file = Path(directory) / "metrics.csv"
        self.rows: list[Mapping[str, object]] = []
        self.columns = ["step"]
        self.written: int | None = None  # number of rows in the file so far; None if the whole file must be rewritten

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        """Load the existing file and drop its rows from ``step`` on, because these steps will be trained again.

        A damaged file is renamed, and the curves start anew.
        """
        try:
            rows = read_rows(self.file)
        except (OSError, ValueError) as error:
            place = set_aside(self.file)
            warn(f"{error}; it is now {place.name}, and the curves start again")
            rows = []
        self.columns = list(rows[0]) if rows else ["step"]
        self.rows = [row for row in rows if int(row["step"]) < step]
        self.written = None

    @rank_zero_only
    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": step, **metrics}
        # `LastCheckpoint` may have logged this step already. Rows are compared as text, because NaN does not equal NaN.
        if self.rows and str(self.rows[-1]) == str(row):
            return
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self.written = None
        self.rows.append(row)

    @override
    def log_hyperparams(self, params: dict[str, object] | Namespace, *args: object, **kwargs: object) -> None:
        """Do nothing, because config.yaml holds the hyperparameters."""

    @rank_zero_only
    @override
    def save(self) -> None:
        if self.written is None:
            with complete_file(self.file) as partial, partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns)
                writer.writeheader()
                writer.writerows(self.rows)
        else:
            with self.file.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerows(self.rows[self.written :])
        self.written = len(self.rows)

    @override
    def finalize(self, status: str) -> None:
        self.save()
