"""The points of a sweep beside each other, from their run directories alone."""

from pathlib import Path

from src.files.reading import unless_damaged
from src.files.whole import write_rows
from src.metrics.goodness import goodness
from src.run.directory import finished_scores, read_config
from src.run.layouts import Judged


def ranking(directory: Path) -> list[dict]:
    """The points of a sweep, by their score on the validation slices: the best first, unfinished ones last.

    Not by the score on the held-out slices, which would flatter it: that of the best of many is no
    longer an honest estimate.

    Returns:
        For each point its ``directory``, ``overrides`` (those that not all points share), the score that it
        was to ``monitor`` and its ``validation`` value, held-out ``scores``, and ``seconds`` of training; the
        last three are None of an unfinished point, and of one whose files are damaged, which a warning names.

    Raises:
        ValueError: there are no runs in the directory.
    """
    points = sorted({file.parent for name in ("config.yaml", "scores.json") for file in directory.glob(f"*/{name}")})
    if not points:
        raise ValueError(f"expected a run or a directory of runs, but got {directory}; nearest valid: runs/demo")
    listed = "its point is listed as unfinished"
    configs = {point: unless_damaged(lambda point: read_config(point, Judged), point, None, listed) for point in points}
    whole = [config for config in configs.values() if config]
    shared = set.intersection(*(set(config["overrides"]) for config in whole)) if whole else set()
    rows = []
    for point in points:
        config = configs[point] or {"overrides": [], "monitor": "", "monitor_mode": ""}
        scores = unless_damaged(finished_scores, point, None, listed) if configs[point] else None
        scores = scores or {}
        row = {
            "directory": point.name,
            "overrides": [override for override in config["overrides"] if override not in shared],
            "monitor": config["monitor"],
            "validation": scores.get("validation", {}).get(config["monitor"]),
            "scores": scores.get("scores"),
            "seconds": scores.get("seconds"),
        }
        rank = goodness(row["validation"], config["monitor_mode"])
        rows.append(((row["scores"] is None, -rank, point.name), row))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def write_ranking(directory: Path, rows: list[dict]) -> None:
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
