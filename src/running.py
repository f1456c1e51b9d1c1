"""Train and score the run in a run directory, or all runs of a sweep, as far as they are not finished."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src import arguments, build, command
from src.saying import is_first, say, warn


def finish(config: DictConfig) -> float | None:
    """Train and score a run, unless it is already finished.

    Args:
        config: the configuration of the run.

    Returns:
        The validation score that a hyper-parameter search optimises; None if there is none, and in all processes of the
        run but the first.
    """
    from src import checking, folding, planning, results, training
    from src.data.annotated import ReadTwice, read_pair
    from src.files.whole import write_json
    from src.run import directory as runs
    from src.run import provenance, ranks

    directory = Path(config.run_dir)
    asked = {"overrides": list(HydraConfig.get().overrides.task)} | build.plain(config)
    with runs.refusals(directory, asked, of_sweep=HydraConfig.get().mode is RunMode.MULTIRUN):
        planning.check_numbers(asked)
        runs.set_aside_damaged_scores(directory)
        for key, value in provenance.as_started(directory, asked).items():
            OmegaConf.update(config, key, value, merge=False)
        asked |= build.plain(config)
        config.trainer.max_steps = steps = runs.planned_steps(asked)
        effective = build.plain(config) if config.extend else asked  # so that the schedule covers the extension
        finished = runs.is_finished(directory, steps)
        effective = folding.resolved(effective)
        read = ReadTwice()  # keeps the pixels that the check reads for training
        made = None if finished else training.parts(effective, read)
        processes = ranks.to_start(made.trainer) if made else 0
        checked = None if finished else checking.before_training(effective, read_pair if processes else read)
        effective, checked = training.with_label_meaning(effective, directory, checked, made, read)
        asked, effective, made = training.with_counted_interval(asked, effective, made)
    runs.open_run(directory, asked)
    if checked:
        write_json(directory / "check.json", checked)
    if finished:
        say(f"{directory} is finished")
        runs.remove_previous_checkpoint(directory)  # which a process may leave if it is killed at the very end
        if unknown := provenance.hold_against(directory, training.make_data(effective)):
            warn(f"the data behind these scores cannot be verified: {unknown}")
    elif processes:
        ranks.start(processes, training.train, effective, directory)
    else:
        training.train(effective, directory, made)
    if not is_first():
        return None
    scores = results.show_run(directory, with_page=config.page, anew=False)
    say(f"scores, predictions and checkpoints: {directory}")
    validation: float | None = scores.get("validation", {}).get(config.monitor)
    return validation


def as_sweep(given: list[str], sweep: Path) -> list[str]:
    """Return arguments with which Hydra gives each run of a sweep a directory named by its values of the swept keys.

    Args:
        given: the arguments of the sweep without ``-m``.
        sweep: the directory of the sweep.

    Raises:
        HydraException: Hydra cannot parse an argument.
    """
    names = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(arguments.constant_keys(given))}]"
    return ["-m", *given, f"hydra.sweep.dir={sweep}", names]


def finish_runs(main: Callable[[], object], sweep: Path) -> None:
    """Train and score all unfinished runs of a sweep, and show the ranking of all runs even if some of them failed.

    Args:
        main: a function decorated with `command.verb`.
        sweep: the directory of the sweep.

    Raises:
        SystemExit: a run remains unfinished, or a signal stopped the command.
    """
    from src.results import show_sweep

    try:
        main()
    finally:
        begun = any(sweep.glob("*/config.yaml"))
        unfinished = begun and [row for row in show_sweep(sweep) if row["scores"] is None]
    if unfinished:
        sys.exit(f"error: {len(unfinished)} runs of the sweep are unfinished; the same command continues them")


def choose_experiment(verb: str, sweep: Path | None = None, ignored: str | None = None) -> None:
    """Choose an experiment that fits the labels if the command line names a folder of images but no experiment.

    The chosen experiment, with all settings that it needs, is added to ``sys.argv``.

    Args:
        verb: the name of the command.
        sweep: the directory of a sweep; None for a single run.
        ignored: the code of the findings that the command ignores; None: it ignores none.
    """
    if arguments.lacks_experiment(sys.argv[1:]):
        from src import checking

        command.run(partial(checking.add_suggestions, sweep, ignored), verb)
