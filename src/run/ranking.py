"""Rank the runs of a sweep, using only the files in their directories."""

from pathlib import Path
from typing import NotRequired, TypedDict

from src.files.reading import unless_damaged
from src.files.whole import write_rows
from src.metrics.goodness import goodness
from src.run.directory import finished_scores, read_config
from src.run.layouts import Judged


class Ranked(TypedDict):
    """A run in the ranking of a sweep.

    Attributes:
        directory: the name of the run directory.
        overrides: the settings on the command line that not all runs of the sweep have in common.
        monitor: the name of the monitored score.
        validation: the monitored score on the validation images; None if the run is unfinished or damaged.
        scores: the scores on the held-out images, by name; None if the run is unfinished or damaged.
        seconds: the training time; None if the run is unfinished or damaged.
        against: a phrase from `comparing.against_first` that compares the run with the first of the ranking; may be
            absent.
    """

    directory: str
    overrides: list[str]
    monitor: str
    validation: float | None
    scores: dict[str, float | None] | None
    seconds: float | None
    against: NotRequired[str]


def ranking(directory: Path) -> list[Ranked]:
    """Rank the runs of a sweep by the monitored score on the validation images: the best first, unfinished runs last.

    The runs are not ranked by their held-out scores, because the best of many held-out scores would be optimistically
    biased. A run whose files are damaged is reported in a warning and counts as unfinished.

    Args:
        directory: the directory of the sweep, whose immediate subfolders are the run directories.

    Raises:
        ValueError: the directory contains no runs.
    """
    runs = sorted({file.parent for name in ("config.yaml", "scores.json") for file in directory.glob(f"*/{name}")})
    if not runs:
        raise ValueError(f"expected a run or a directory of runs, but got {directory}; nearest valid: runs/demo")
    listed = "its run is listed as unfinished"
    configs = {run: unless_damaged(lambda run: read_config(run, Judged), run, None, listed) for run in runs}
    whole = [config for config in configs.values() if config]
    shared = set.intersection(*(set(config["overrides"]) for config in whole)) if whole else set()
    rows: list[tuple[tuple[bool, float, str], Ranked]] = []
    for run in runs:
        config = configs[run] or {"overrides": [], "monitor": "", "monitor_mode": ""}
        scores = (unless_damaged(finished_scores, run, None, listed) if configs[run] else None) or {}
        row: Ranked = {
            "directory": run.name,
            "overrides": [override for override in config["overrides"] if override not in shared],
            "monitor": config["monitor"],
            "validation": scores.get("validation", {}).get(config["monitor"]),
            "scores": scores.get("scores"),
            "seconds": scores.get("seconds"),
        }
        rank = goodness(row["validation"], config["monitor_mode"])
        rows.append(((row["scores"] is None, -rank, run.name), row))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def write_ranking(directory: Path, rows: list[Ranked]) -> None:
    """Write ``ranking.csv``, a table with the rows of `ranking`, into the directory of a sweep."""
    names = dict.fromkeys(name for row in rows for name in row["scores"] or {})
    table = [
        {"directory": row["directory"], "overrides": " ".join(row["overrides"]), "validation": row["validation"]}
        | names
        | (row["scores"] or {})
        | {"seconds": row["seconds"]}
        for row in rows
    ]
    write_rows(directory / "ranking.csv", table)
