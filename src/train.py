"""Train a U-Net: ``python -m src.train experiment=isbi``.

The run directory is the unit of work: the same command on it continues an unfinished run, and shows a finished one.
"""

import sys
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src import arguments, command
from src.saying import is_first, say, warn


@command.verb("train", command.goes_on)
def main(config: DictConfig) -> float | None:
    """Make the run directory hold a finished run; → what a search maximises or minimises."""
    from src import checking, planning, results, training
    from src.data.annotated import ReadTwice, read_pair
    from src.files.whole import write_json
    from src.run import directory as runs
    from src.run import provenance, ranks

    directory = Path(config.run_dir)
    asked = {"overrides": list(HydraConfig.get().overrides.task)} | OmegaConf.to_container(config, resolve=True)
    with runs.refusals(directory, asked, of_sweep=HydraConfig.get().mode is RunMode.MULTIRUN):
        planning.check_numbers(asked)
        runs.set_aside_damaged_scores(directory)
        for key, value in provenance.as_started(directory, asked).items():
            OmegaConf.update(config, key, value, merge=False)
        asked |= OmegaConf.to_container(config, resolve=True)
        config.trainer.max_steps = steps = runs.planned_steps(asked)
        chosen = OmegaConf.to_container(config, resolve=True) if config.extend else asked  # the schedule follows
        finished = runs.is_finished(directory, steps)
        read = ReadTwice()  # what is checked is what is learnt from
        made = None if finished else training.parts(chosen, read)
        processes = ranks.to_start(made.trainer) if made else 0
        checked = None if finished else checking.before_training(chosen, read_pair if processes else read)
        chosen, checked = training.as_judged(chosen, directory, checked, made, read)
        asked, chosen, made = training.counted(asked, chosen, made)
    runs.open_run(directory, asked)
    if checked:
        write_json(directory / "check.json", checked)
    if finished:
        say(f"{directory} is finished")
        runs.remove_previous_checkpoint(directory)  # left by a process that was killed when all else was done
        if unknown := provenance.hold_against(directory, training.make_data(chosen)):
            warn(f"these scores are of data of which nothing is known now: {unknown}")
    elif processes:
        ranks.start(processes, training.train, chosen, directory)
    else:
        training.train(chosen, directory, made)
    if not is_first():
        return None
    scores = results.show_run(directory, with_page=config.page, anew=False)
    say(f"scores, predictions and checkpoints: {directory}")
    return scores.get("validation", {}).get(config.monitor)


def start() -> None:
    """Run the command; SystemExit where something failed, or a signal stopped it."""
    sys.argv[1:] = arguments.with_keys("train", sys.argv[1:])
    sweep = arguments.sweep_directory(sys.argv[1:])
    if arguments.lacks_experiment(sys.argv[1:]):
        from src import checking

        command.run(partial(checking.choose, sweep), "train")
    if sweep is None:
        return command.run(main)
    given = [argument for argument in sys.argv[1:] if argument not in arguments.MULTIRUN]
    names = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(arguments.constant_keys(given))}]"
    sys.argv[1:] = ["-m", *given, f"hydra.sweep.dir={sweep}", names]
    command.run(partial(points, sweep), "train")


def points(sweep: Path) -> None:
    """Make all points of a sweep, and show a table of them, also if some failed.

    Raises:
        SystemExit: something failed, or a signal stopped it.
    """
    from src.results import show_sweep

    try:
        main()
    finally:
        begun = any(sweep.glob("*/config.yaml"))
        unfinished = begun and [row for row in show_sweep(sweep) if row["scores"] is None]
    if unfinished:
        sys.exit(f"error: {len(unfinished)} points are not finished; the same command goes on with them")


if __name__ == "__main__":
    start()
