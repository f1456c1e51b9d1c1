"""Show the results of a run or sweep: ``python -m src.report run=DIR``; or compare runs: ``compare=[RUN_A,RUN_B]``."""

from pathlib import Path

from omegaconf import DictConfig

from src import command


@command.verb("report")
def main(config: DictConfig) -> None:
    """Show the results of a run or sweep and write its page, or compare runs."""
    from src import results  # here, as in each command, so that --help starts fast

    if (config.run is None) == (config.compare is None):
        raise ValueError("expected run=DIR or compare=[RUN_A,RUN_B], but got neither, or both; nearest valid: run=DIR")
    if config.run is not None:
        return results.show(Path(config.run))
    results.show_comparison([Path(each) for each in config.compare])


if __name__ == "__main__":
    command.run(main, "report")
