"""Show the results of a finished run, cross-validation or sweep on the terminal, and write its page or table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src import command
from src.run import comparing
from src.run.directory import finished_scores, read_config
from src.run.folds import fold_directories, folded_scores, lines, write_folds_page
from src.run.layouts import Judged
from src.run.ranking import ranking, write_ranking
from src.run.report import PAGE, write_page
from src.saying import doing, say
from src.terminal import print_ranking, print_scores, shown


def show_run(directory: Path, with_page: bool = True, anew: bool = True) -> dict[str, Any]:
    """Print the scores of a finished run and write its page; return the scores.

    Args:
        directory: the run directory.
        with_page: whether to write the page.
        anew: whether to write the page again even if the existing page is newer than the scores.

    Raises:
        ValueError: the run is unfinished or damaged.
    """
    page = directory / PAGE
    if with_page and (anew or not page.exists() or page.stat().st_mtime < (directory / "scores.json").stat().st_mtime):
        with doing("writing the report"):
            write_page(directory, command.default_config(), shown)
    scores = finished_scores(directory)
    if scores is None:
        raise ValueError(f"expected a finished run, but {directory} is unfinished; the same command continues it")
    config = read_config(directory, Judged)
    print_scores(scores, config["monitor"], config["monitor_mode"])
    if with_page:
        say(f"report: {page}")
    return scores


def show_sweep(directory: Path) -> Sequence[Mapping[str, Any]]:
    """Print the ranking of the runs of a sweep and write ``ranking.csv``; return a row for each run.

    Raises:
        ValueError: the directory contains no runs.
    """
    rows = ranking(directory)
    for row, against in zip(rows, comparing.against_first(directory, rows), strict=True):
        row["against"] = against
    write_ranking(directory, rows)
    print_ranking(rows)
    say(f"ranking.csv and the runs: {directory}")
    return rows


def show_folds(directory: Path, with_page: bool | None = None) -> dict[str, Any]:
    """Print the scores of a cross-validation and write its page; first pool its folds if they have not been pooled.

    Args:
        directory: the directory of the cross-validation.
        with_page: whether to write the page; None: as the key ``page`` in the configuration of the folds says.

    Returns:
        The scores.

    Raises:
        ValueError: a fold is unfinished or damaged.
    """
    scores = folded_scores(directory)
    if scores is None:
        from src.out_of_fold import pool  # slow to import

        scores = pool(directory)
    config = read_config(fold_directories(directory)[0], Judged)
    print_scores(scores, config["monitor"], config["monitor_mode"])
    for line in lines(scores, config["monitor"], shown):
        say(line)
    if config.get("page", True) if with_page is None else with_page:
        say(f"report: {write_folds_page(directory, scores, shown)}")
    say(f"scores, predictions and the networks, which src.predict averages: {directory}")
    return scores


def show(directory: Path) -> None:
    """Show the finished run, cross-validation or sweep in a directory.

    Raises:
        ValueError: the directory contains none of them, or an unfinished one.
    """
    if fold_directories(directory):
        show_folds(directory, with_page=True)
    elif any((directory / name).exists() for name in ("config.yaml", "scores.json")):
        show_run(directory)
    else:
        show_sweep(directory)


def show_comparison(directories: list[Path]) -> None:
    """Print whether the first run differs from each of the others, by a statistical test on the images scored by both.

    Args:
        directories: the run directories.

    Raises:
        ValueError: a run is unfinished, or has too few images in common with the first run.
    """
    for line in comparing.lines(directories[0], *comparing.compared(directories)):
        say(line)
