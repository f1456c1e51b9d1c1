"""Show a finished run or sweep again and write its page: ``python -m src.report run=DIR``."""

from pathlib import Path

from omegaconf import DictConfig

from src import command
from src.pages.page import write_page
from src.run.directory import finished_scores
from src.run.ranking import ranking, write_ranking


@command.verb("report")
def main(config: DictConfig) -> None:
    directory = Path(config.run)
    if any((directory / name).exists() for name in ("config.yaml", "scores.json")):
        page = write_page(directory, command.default_config(), command.shown)
        command.print_scores(finished_scores(directory))
        command.say(f"report: {page}")
    else:
        show_sweep(directory)


def show_sweep(directory: Path) -> list[dict]:
    """Print and write the ranking of a sweep; → its rows.

    Raises:
        ValueError: there are no runs in the directory.
    """
    rows = ranking(directory)
    write_ranking(directory, rows)
    command.print_ranking(rows)
    command.say(f"ranking.csv and the runs: {directory}")
    return rows


if __name__ == "__main__":
    command.run(main)
