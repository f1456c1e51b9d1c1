"""The points of a sweep beside each other, from their run directories alone."""

import csv
from pathlib import Path

from src.files.whole import complete_file, spreadsheet_safe
from src.run.directory import finished_scores, read_config
from src.run.reading import Judged, unless_damaged


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
        sign = -1 if config["monitor_mode"] == "max" else 1
        known = row["validation"] is not None
        rows.append(((row["scores"] is None, not known, sign * row["validation"] if known else 0, point.name), row))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def write_ranking(directory: Path, rows: list[dict]) -> None:
    """Write ``ranking.csv`` into the directory of a sweep."""
    names = list(dict.fromkeys(name for row in rows for name in row["scores"] or {}))
    with complete_file(directory / "ranking.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(map(spreadsheet_safe, ["directory", "overrides", "validation", *names, "seconds"]))
        for row in rows:
            scores = [(row["scores"] or {}).get(name) for name in names]
            cells = [row["directory"], " ".join(row["overrides"]), row["validation"], *scores, row["seconds"]]
            writer.writerow(map(spreadsheet_safe, cells))
