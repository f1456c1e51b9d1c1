"""Train a U-Net: ``python -m src.train experiment=isbi``.

If the same command is repeated with the same run directory, it continues an unfinished run, or shows the scores of a
finished run.
"""

import sys
from functools import partial

from omegaconf import DictConfig

from src import arguments, command, running


@command.verb("train", command.continues)
def main(config: DictConfig) -> float | None:
    """Train and score a run, unless it is already finished; return the validation score that a search optimises."""
    return running.finish(config)


def start() -> None:
    """Run the command in ``sys.argv``.

    Raises:
        SystemExit: an error occurred, or a signal stopped the command.
    """
    sys.argv[1:] = arguments.with_keys("train", sys.argv[1:])
    sweep = arguments.sweep_directory(sys.argv[1:])
    running.choose_experiment("train", sweep)
    if sweep is None:
        return command.run(main, "train")
    given = [argument for argument in sys.argv[1:] if argument not in arguments.MULTIRUN]
    sys.argv[1:] = running.as_sweep(given, sweep)
    command.run(partial(running.finish_runs, main, sweep), "train")


if __name__ == "__main__":
    start()
