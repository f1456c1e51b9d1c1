"""Train a U-Net: ``python -m src.train experiment=isbi``.

The run directory is the unit of work: the same command on the same directory continues an
unfinished run and returns at once for a finished one.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from src import build, check, command
from src.data.datamodule import SliceData
from src.files import guard
from src.files.whole import write_json
from src.model.segmenter import Segmenter
from src.pages.page import PAGE, write_page
from src.report import show_sweep
from src.run import directory as runs
from src.run import ranks
from src.run.checkpoint import OutOfTime, keep_for_prediction, last_checkpoint
from src.run.device import pays_to_compile
from src.run.provenance import hold_against
from src.tiles.symmetry import AVERAGES

# The least value of whole numbers that Lightning or PyTorch would refuse too late, or in words of their own.
LEAST = dict.fromkeys(
    (
        *("trainer.max_steps", "trainer.val_check_interval", "trainer.accumulate_grad_batches"),
        *("trainer.num_nodes", "data.batch_size"),
    ),
    1,
) | dict.fromkeys(("trainer.log_every_n_steps", "data.workers", "seed"), 0)


@command.verb("train", command.goes_on)
def main(config: DictConfig) -> float | None:
    """Make the run directory hold a finished run; → what a search maximises or minimises."""
    directory = Path(config.run_dir)
    chosen = OmegaConf.to_container(config, resolve=True)
    asked = {"overrides": list(HydraConfig.get().overrides.task), **chosen}
    with refusals(directory, asked):
        check_numbers(config)
        runs.set_aside_damaged_scores(directory)
        steps = runs.planned_steps(chosen)
        finished = runs.is_finished(directory, steps)
        config.trainer.max_steps = steps
        made = None if finished else parts(config)
        processes = ranks.to_start(made[0]) if made else 0
        checked = None if finished else check.before_training(config)
    runs.open_run(directory, asked)
    if checked:
        write_json(directory / "check.json", checked)
    if finished:
        command.say(f"{directory} is finished")
        runs.remove_previous_checkpoint(directory)  # left by a process that was killed when all else was done
        if unknown := hold_against(directory, build.data(config)):
            command.warn(f"these scores are of data of which nothing is known now: {unknown}")
    else:
        plain = OmegaConf.to_container(config, resolve=True)
        if processes:
            ranks.start(processes, train, plain, directory)
        else:
            train(plain, directory, made)
    return report(directory, config.monitor, config.page)


@contextmanager
def refusals(directory: Path, asked: dict) -> Iterator[None]:
    """Leave no empty directory of a run that is refused; of a point of a sweep its choices, which its table names."""
    try:
        yield
    except BaseException:
        if HydraConfig.get().mode is RunMode.MULTIRUN and not any(directory.iterdir()):
            runs.open_run(directory, asked)
        with suppress(OSError):
            directory.rmdir()
        raise


def check_numbers(config: DictConfig) -> None:
    """Refuse numbers with which there is nothing to train, or nothing to choose a checkpoint by.

    Raises:
        ValueError: names the key and the nearest valid value.
    """
    command.check_steps("extend", config.extend)
    for key, least in LEAST.items():
        command.check_least(key, OmegaConf.select(config, key), least)
    if isinstance(config.trainer.devices, int) and config.trainer.devices != -1:  # which means all
        command.check_least("trainer.devices", config.trainer.devices, 1)
    command.check_choice("score", config.score, ("best", "last"))
    command.check_choice("tta", config.tta, AVERAGES)
    command.check_choice("compile", config.compile, ("auto", True, False))
    if config.score == "best" and not str(config.data.validation).strip():
        raise ValueError(
            "expected slices in data.validation, by which score=best chooses the checkpoint, but got none; "
            "nearest valid: score=last"
        )


def parts(config: DictConfig) -> tuple[lightning.Trainer, SliceData, Segmenter]:
    """What trains: trainer, data and network, made before anything is written, so that what cannot be is refused.

    Raises:
        ValueError: a choice is impossible.
    """
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    trainer, data, module = build.trainer(config), build.data(config), build.segmenter(config)
    data.tiles_of_process(trainer.num_devices * trainer.num_nodes)
    try:
        module.configure_optimizers()
    except ValueError as error:
        raise ValueError(f"expected an optimizer and a scheduler that can be made, but got: {error}") from error
    modes = [module.validation.mode(config.monitor)]
    command.check_choice(f"monitor_mode of {config.monitor}", config.monitor_mode, modes)
    module.compiled = pays_to_compile(config.compile, config.trainer.max_steps)
    return trainer, data, module


def train(chosen: dict, directory: Path, made: tuple[lightning.Trainer, SliceData, Segmenter] | None = None) -> None:
    """Fit, then score the held-out slices once; in each process of the run, which makes its `parts` or is given them.

    Raises:
        ValueError: the data are not as expected, or ``max_time`` stopped the run before its last step.
        Stopped: a signal stopped it.
    """
    command.quieten()
    config = command.configuration(chosen)
    guard.allow(config.max_pixels)
    torch.compiler.reset()  # a sweep would else run into the limit of graphs for one function
    trainer, data, module = made or parts(config)
    with runs.only_writer(directory) if trainer.is_global_zero else nullcontext(), loggers_ended(trainer):
        if runs.is_finished(directory, trainer.max_steps):
            return  # by another process, for which this one has waited
        fit(trainer, module, data, directory)
        # From the file alone, so that what is scored is what predict will use.
        trained = to_score(trainer, directory, config.score)
        trained.tta = config.tta
        trainer.test(trained, data, verbose=False)
        if trainer.is_global_zero:
            runs.remove_previous_checkpoint(directory)


@contextmanager
def loggers_ended(trainer: lightning.Trainer) -> Iterator[None]:
    """End what Weights & Biases has begun, which the next point of a sweep would else go on with."""
    try:
        yield
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()


def fit(trainer: lightning.Trainer, module: Segmenter, data: SliceData, directory: Path) -> None:
    """Train up to the last step, from the last checkpoint on if there is one.

    Raises:
        ValueError: ``max_time`` stopped training.
        Stopped: a signal did.
    """
    try:
        trainer.fit(module, data, ckpt_path=last_checkpoint(directory, build.checked_parts))
    except OutOfTime as stopped:
        raise ValueError(
            f"stopped after step {stopped.step} of {trainer.max_steps}, when trainer.max_time was up; "
            f"{command.goes_on(directory)}"
        ) from None
    finally:
        trainer.fit_loop.teardown()  # which Lightning forgets when training is stopped in a validation


def to_score(trainer: lightning.Trainer, directory: Path, score: str) -> Segmenter:
    """The network that is scored. The weights of the last step take the place of the best ones, if those are lost.

    Raises:
        ValueError: there is none.
    """
    file = runs.checkpoint_file(directory, score)
    try:
        return build.restore(file)
    except (OSError, ValueError) as error:
        last = runs.checkpoint_file(directory, "last")
        if file == last:
            raise
        if trainer.is_global_zero:
            command.warn(f"{error}; the weights of the last step take its place")
            keep_for_prediction(last, file)
        return build.restore(last)


@rank_zero_only
def report(directory: Path, monitor: str, with_page: bool) -> float | None:
    """Print the scores and say where everything is, once for all processes; → the validation score."""
    scores = runs.finished_scores(directory)
    command.print_scores(scores)
    page = directory / PAGE
    if with_page:
        current = page.exists() and page.stat().st_mtime >= (directory / "scores.json").stat().st_mtime
        if not current:  # the run has just been finished, or extended
            write_page(directory, command.default_config(), command.shown)
        command.say(f"report: {page}")
    command.say(f"scores, predictions and checkpoints: {directory}")
    return scores.get("validation", {}).get(monitor)


def start() -> None:
    """Run the command.

    Raises:
        SystemExit: something failed, or a signal stopped it.
    """
    sweep = command.sweep_directory(sys.argv[1:])
    if sweep is None:
        command.run(main)
        return
    given = [argument for argument in sys.argv[1:] if argument not in command.MULTIRUN]
    names = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(command.constant_keys(given))}]"
    sys.argv[1:] = ["-m", *given, f"hydra.sweep.dir={sweep}", names]
    command.run(partial(points, sweep))


def points(sweep: Path) -> None:
    """Make all points of a sweep, and show a table of them, also if some failed.

    Raises:
        SystemExit: something failed, or a signal stopped it.
    """
    try:
        main()
    finally:
        begun = any(sweep.glob("*/config.yaml"))
        unfinished = begun and [row for row in show_sweep(sweep) if row["scores"] is None]
    if unfinished:
        sys.exit(f"error: {len(unfinished)} points are not finished; the same command goes on with them")


if __name__ == "__main__":
    start()
