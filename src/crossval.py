"""Score each image by a network that has not seen it: ``python -m src.crossval experiment=isbi folds=5``.

The folds are the points of one sweep, so that the same command goes on with what is unfinished, here or on a cluster.
"""

import sys
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from src import arguments, command, running
from src.saying import say


@command.verb("crossval")
def main(config: DictConfig) -> float | None:
    """Make the directory of one fold hold a finished run."""
    return running.finish(config)


def prepare(directory: Path) -> None:
    """Turn the command line into that of a sweep over folds, as many as the data allow, and say what they are.

    Raises:
        ValueError: there are no such folds, or something else is swept.
    """
    from src import folding

    given = [each for each in sys.argv[1:] if each not in arguments.MULTIRUN]
    given = [each for each in given if arguments.key_of(each) not in arguments.DIRECTORIES]
    plan = folding.of_command(given)
    for line in folding.described(plan):
        say(line)
    count = len(plan.folds)
    folds = [f"folds={count}", f"fold={','.join(map(str, range(count)))}"]
    given = [each for each in given if arguments.key_of(each) != "folds"]
    sys.argv[1:] = running.as_sweep([*given, *folds], directory)


def finish(directory: Path) -> None:
    """Make all folds, and pool what they have predicted."""
    from src import results

    running.finish_points(main, directory)
    results.show_folds(directory)


def start() -> None:
    """Run the command.

    Raises:
        SystemExit: something failed, or a signal stopped it.
    """
    sys.argv[1:] = arguments.with_keys("crossval", sys.argv[1:])
    if any(each.startswith("-") and each not in arguments.MULTIRUN for each in sys.argv[1:]):  # such as --help
        return command.run(main, "crossval")
    directory = arguments.folds_directory(sys.argv[1:])
    running.choose_experiment("crossval", directory, but="duplicate-across-split")  # copies stay in one fold
    command.run(partial(prepare, directory), "crossval")
    command.run(partial(finish, directory), "crossval")


if __name__ == "__main__":
    start()
