"""``metrics.csv``: the curves of a run, also of one that was interrupted."""

import csv
from pathlib import Path

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from src.data.stack import complete_file


class Curves(Logger):
    """A row for each step at which something was logged, as in Lightning's CSVLogger.

    That one deletes the file of the part before an interruption; this one goes on with it.

    Args:
        directory: the run directory.
    """

    name = version = ""

    def __init__(self, directory: str):
        super().__init__()
        self.file = Path(directory) / "metrics.csv"
        self.rows = read_rows(self.file)
        self.columns = list(self.rows[0]) if self.rows else ["step"]
        self.written: int | None = None  # rows in the file; None: it is to be written anew

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        """Forget what was logged at ``step`` and later, because it will be trained again."""
        self.rows = [row for row in self.rows if int(row["step"]) < step]
        self.written = None

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": step, **metrics}
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


def read_rows(file: Path) -> list[dict[str, str]]:
    """The complete rows of a CSV file; none of one that does not exist."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a killed process may leave a part of the last one
    return list(csv.DictReader(whole))
