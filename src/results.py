"""A finished run or sweep, shown: on the terminal, as a page, as a table of points."""

from pathlib import Path

from src import command
from src.run import comparing
from src.run.directory import finished_scores, read_config
from src.run.folds import fold_directories, folded_scores, lines, write_folds_page
from src.run.layouts import Judged
from src.run.ranking import ranking, write_ranking
from src.run.report import PAGE, write_page
from src.saying import doing, say
from src.terminal import print_ranking, print_scores, shown


def show_run(directory: Path, with_page: bool = True, anew: bool = True) -> dict:
    """Print the scores of a finished run and write its page; → the scores.

    Args:
        directory: of the run.
        with_page: whether there is to be a page.
        anew: whether it is written again where it is as new as the scores.

    Raises:
        ValueError: the run is not finished, or damaged.
    """
    page = directory / PAGE
    if with_page and (anew or not page.exists() or page.stat().st_mtime < (directory / "scores.json").stat().st_mtime):
        with doing("writing the report"):
            write_page(directory, command.default_config(), shown)
    scores = finished_scores(directory)
    config = read_config(directory, Judged)
    print_scores(scores, config["monitor"], config["monitor_mode"])
    if with_page:
        say(f"report: {page}")
    return scores


def show_sweep(directory: Path) -> list[dict]:
    """Print and write the ranking of a sweep; → its rows.

    Raises:
        ValueError: there are no runs in the directory.
    """
    rows = ranking(directory)
    for row, against in zip(rows, comparing.against_first(directory, rows), strict=True):
        row["against"] = against
    write_ranking(directory, rows)
    print_ranking(rows)
    say(f"ranking.csv and the runs: {directory}")
    return rows


def show_folds(directory: Path, with_page: bool | None = None) -> dict:
    """Print the scores of a cross-validation, which are made of its folds where that is not done, and write its page.

    Args:
        directory: of the cross-validation.
        with_page: whether there is to be a page; None: if the folds have one.

    Returns:
        The scores.

    Raises:
        ValueError: a fold is not finished, or damaged.
    """
    scores = folded_scores(directory)
    if scores is None:
        from src.out_of_fold import pool  # here, because it takes a while to import

        scores = pool(directory)
    config = read_config(fold_directories(directory)[0], Judged)
    print_scores(scores, config["monitor"], config["monitor_mode"])
    for line in lines(scores, config["monitor"], shown):
        say(line)
    if config.get("page", True) if with_page is None else with_page:
        say(f"report: {write_folds_page(directory, scores, shown)}")
    say(f"scores, predictions and the networks, which src.predict takes together: {directory}")
    return scores


def show(directory: Path) -> None:
    """Show a finished run, a cross-validation or a sweep, whichever lies there.

    Raises:
        ValueError: there is none, or it is not finished.
    """
    if fold_directories(directory):
        show_folds(directory, with_page=True)
    elif any((directory / name).exists() for name in ("config.yaml", "scores.json")):
        show_run(directory)
    else:
        show_sweep(directory)


def show_comparison(directories: list[Path]) -> None:
    """Print whether the first of several runs can be told from each other one, by the images that both have scored.

    Raises:
        ValueError: one is not finished, or they have no images in common.
    """
    for line in comparing.lines(directories[0], *comparing.compared(directories)):
        say(line)
