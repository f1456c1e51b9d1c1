"""Ranks the runs of a sweep, from their directories alone."""

from pathlib import Path
from typing import NotRequired, TypedDict

from src.files.reading import unless_damaged
from src.files.whole import write_rows
from src.metrics.goodness import goodness
from src.run.directory import finished_scores, read_config
from src.run.layouts import Judged


class Ranked(TypedDict):
    """A run of a sweep.

    Attributes:
        directory: the name of the run directory.
        overrides: the overrides that not all runs of the sweep share.
        monitor: the name of the monitored score.
        validation: its value on the validation images; None if the run is unfinished or damaged.
        scores: the held-out scores; None likewise.
        seconds: the training time; None likewise.
        against: a phrase that compares the run with the first one, once `comparing.against_first` has made it.
    """

    directory: str
    overrides: list[str]
    monitor: str
    validation: float | None
    scores: dict[str, float | None] | None
    seconds: float | None
    against: NotRequired[str]


def ranking(directory: Path) -> list[Ranked]:
    """The runs of a sweep by their score on the validation images: the best first, unfinished ones last.

    They are not ranked by the score on the held-out images, because the best of many held-out scores would be
    optimistically biased. A run whose files are damaged counts as unfinished, and a warning names it.

    Raises:
        ValueError: there are no runs in the directory.
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
    """Write ``ranking.csv`` into the directory of a sweep."""
    names = dict.fromkeys(name for row in rows for name in row["scores"] or {})
    table = [
        {"directory": row["directory"], "overrides": " ".join(row["overrides"]), "validation": row["validation"]}
        | names
        | (row["scores"] or {})
        | {"seconds": row["seconds"]}
        for row in rows
    ]
    write_rows(directory / "ranking.csv", table)
