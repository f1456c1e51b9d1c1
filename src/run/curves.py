"""``metrics.csv``: the curves of a run, also of one that was interrupted."""

import csv
from pathlib import Path

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from src.files.reading import set_aside
from src.files.whole import complete_file
from src.run.rows import read_rows
from src.saying import warn


class Curves(Logger):
    """A row for each step at which something was logged, as in Lightning's CSVLogger.

    That one deletes the file of the part before an interruption; this one goes on with it.

    Args:
        directory: the run directory.
    """

    name = version = ""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.file = Path(directory) / "metrics.csv"
        self.rows: list[dict] = []
        self.columns = ["step"]
        self.written: int | None = None  # rows in the file; None: it is to be written anew

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        """Go on with the curves in the file, but for those from ``step`` on, because it will be trained again.

        Damaged ones are never worth a run: the file gets another name, and the curves begin again.
        """
        try:
            rows = read_rows(self.file)
        except (OSError, ValueError) as error:
            place = set_aside(self.file)
            warn(f"{error}; it is now {place.name}, and the curves begin again")
            rows = []
        self.columns = list(rows[0]) if rows else ["step"]
        self.rows = [row for row in rows if int(row["step"]) < step]
        self.written = None

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": step, **metrics}
        if self.rows and str(self.rows[-1]) == str(row):  # `LastCheckpoint` was first; as text, because nan is not nan
            return
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self.written = None
        self.rows.append(row)

    def log_hyperparams(self, params: object) -> None:
        """Nothing: config.yaml has them."""

    @rank_zero_only
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

    def finalize(self, status: str) -> None:
        self.save()
