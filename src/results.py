"""A finished run or sweep, shown: on the terminal, as a page, as a table of points."""

from pathlib import Path

from src import command
from src.run.directory import finished_scores, read_config
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
    write_ranking(directory, rows)
    print_ranking(rows)
    say(f"ranking.csv and the runs: {directory}")
    return rows
