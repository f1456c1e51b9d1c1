"""Show a finished run or sweep again and write its page: ``python -m src.report run=DIR``."""

from pathlib import Path

from omegaconf import DictConfig

from src import command


@command.verb("report")
def main(config: DictConfig) -> None:
    from src import results  # here, as in each command, so that --help need not wait for it

    results.show(Path(config.run))


if __name__ == "__main__":
    command.run(main)
