"""Score each image with a network that was not trained on it: ``python -m src.crossval experiment=isbi folds=5``.

The folds are the runs of one sweep, so that the same command continues unfinished folds, here or on a cluster.
"""

import sys
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from src import arguments, command, running
from src.saying import say


@command.verb("crossval")
def main(config: DictConfig) -> float | None:
    """Train and score one fold, unless its directory holds a finished run."""
    return running.finish(config)


def prepare(directory: Path) -> None:
    """Change ``sys.argv`` into the command line of a sweep over the folds, and print a description of the folds.

    Args:
        directory: the directory of the cross-validation.

    Raises:
        ValueError: the data do not allow these folds, or the command line sweeps another key.
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
    """Train and score all folds of the cross-validation in a directory, then pool and score their predictions."""
    from src import results

    running.finish_runs(main, directory)
    results.show_folds(directory)


def start() -> None:
    """Run the command in ``sys.argv``.

    Raises:
        SystemExit: an error occurred, or a signal stopped the command.
    """
    sys.argv[1:] = arguments.with_keys("crossval", sys.argv[1:])
    if any(each.startswith("-") and each not in arguments.MULTIRUN for each in sys.argv[1:]):  # such as --help
        return command.run(main, "crossval")
    directory = arguments.folds_directory(sys.argv[1:])
    running.choose_experiment("crossval", directory, ignored="duplicate-across-split")  # duplicates are in one fold
    command.run(partial(prepare, directory), "crossval")
    command.run(partial(finish, directory), "crossval")


if __name__ == "__main__":
    start()
