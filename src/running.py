"""A run directory that is to hold a finished run, and the directory of a sweep that is to hold many."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src import arguments, command
from src.saying import is_first, say, warn


def finish(config: DictConfig) -> float | None:
    """Make the run directory hold a finished run; → what a search maximises or minimises."""
    from src import checking, folding, planning, results, training
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
        chosen = folding.resolved(chosen)
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


def as_sweep(given: list[str], sweep: Path) -> list[str]:
    """Arguments with which Hydra makes each run of a sweep in a directory of its own, named by what it varies.

    Args:
        given: the arguments without ``-m``.
        sweep: where the directories lie.

    Raises:
        HydraException: an argument has no meaning to Hydra.
    """
    names = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(arguments.constant_keys(given))}]"
    return ["-m", *given, f"hydra.sweep.dir={sweep}", names]


def finish_points(main: Callable[[], object], sweep: Path) -> None:
    """Make all points of a sweep, and show a table of them, also if some failed.

    Args:
        main: a `command.verb`.
        sweep: where their directories lie.

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


def choose_experiment(verb: str, sweep: Path | None = None, but: str | None = None) -> None:
    """Let the data choose the experiment where the command line names a folder of one's own and none.

    Args:
        verb: of the command.
        sweep: where the runs of a sweep lie; None of a single run.
        but: the code of findings that are none here.
    """
    if arguments.lacks_experiment(sys.argv[1:]):
        from src import checking

        command.run(partial(checking.add_suggestions, sweep, but), verb)
