"""Make the parts of a training run, train, choose the decoder, and score the held-out images."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch

from src import build, command, restore
from src.arguments import check_choice
from src.build import Config, PlainConfig
from src.data.annotated import Annotated
from src.data.datamodule import SliceData
from src.data.matching import Pair
from src.files import limits
from src.model.segmenter import Segmenter
from src.model.trained import Trained
from src.model.unet import UNet
from src.planning import STEP, steps_between, with_interval
from src.run import choice, lightning_seam, provenance
from src.run import directory as runs
from src.run.checkpoint import Checkpoints, OutOfTime, keep_for_prediction, last_checkpoint
from src.run.device import choose_accelerator, choose_precision, middle_channels, pays_to_compile
from src.saying import doing, say, warn
from src.starting import start_from
from src.tiles.overlap import computed_pixels


@dataclass(frozen=True)
class Parts:
    """Trainer, data and network of a run."""

    trainer: lightning.Trainer
    data: SliceData
    module: Segmenter


def parts(config: PlainConfig, read: Callable[[Pair], list[Annotated]] | None = None) -> Parts:
    """Make trainer, data and network of a run; called before anything is written, to refuse impossible settings first.

    Args:
        config: the configuration of the run.
        read: reads the annotated slices of an image file and its label file, such as from a cache; None: the default.

    Raises:
        ValueError: the settings contradict each other.
    """
    command.quieten()  # again, because importing Lightning has set its log level
    lightning.seed_everything(config["seed"], workers=True, verbose=False)
    provisional = config["trainer"]["val_check_interval"] == "auto"  # then `with_counted_interval` makes them again
    config = with_interval(config, STEP)
    with lightning_seam.its_errors_are_ours():
        module = make_segmenter(config)
        trainer = make_trainer(config, module.model)
    data = make_data(config, module.model)
    if read and "root" in config["data"]:
        data.source = build.make(config["data"], "source", read=read)
    data.tiles_of_process(trainer.num_devices * trainer.num_nodes)
    try:
        module.configure_optimizers()
    except ValueError as error:
        raise ValueError(f"expected an optimizer and a scheduler that can be created, but got: {error}") from error
    of_classes = module.instances.of_classes or any("classes" in metric.takes for metric in module.metrics.values())
    if data.target.added and of_classes:
        raise ValueError(
            "expected instances and metrics for cells, because target adds a class that the labels lack, but got those "
            "for classes; nearest valid: metrics=instances instances=auto, or target=classes"
        )
    modes = [module.validation.evaluator.mode(config["monitor"])]
    check_choice(f"monitor_mode of {config['monitor']}", config["monitor_mode"], modes)
    module.compiled = pays_to_compile(config["compile"], config["trainer"]["max_steps"])
    if config["start_from"] is not None and not provisional and not runs.resumable_files(Path(config["run_dir"])):
        start_from(module, Path(config["start_from"]), config["freeze"] == "encoder")
    return Parts(trainer, data, module)


def with_label_meaning(
    config: PlainConfig,
    directory: Path,
    checked: dict[str, Any] | None,
    made: Parts | None,
    read: Callable[[Pair], list[Annotated]] | None = None,
) -> tuple[PlainConfig, dict[str, Any] | None]:
    """Write the meaning of labels into a configuration: that at the start of the run, or that found by the check.

    Args:
        config: the configuration of the run.
        directory: the run directory.
        checked: the result of `checking.before_training`; None if the data were not checked.
        made: the parts of the run, whose source of data is updated; None if this process does not train.
        read: reads the annotated slices of an image file and its label file; None: the default.

    Returns:
        The configuration, and ``checked`` with the meaning of the labels that the run was started with.
    """
    source = config["data"]["source"]
    if source.get("kind") is None:  # not a folder of the user's own images
        return config, checked
    before = provenance.judged_before(directory)
    meaning = before or checked
    if meaning is None:
        return config, checked
    checked = checked and checked | (before or {})
    # Earlier versions did not store the values; they used small numbers in label images as the numbers of classes.
    highest = max(map(int, meaning["classes"]), default=0) if meaning["kind"] == "classes" else None
    values = meaning["values"] or (None if highest is None else list(range(highest + 1)))
    choices = {"kind": meaning["kind"] if source["kind"] == "auto" else source["kind"]}
    if source["values"] is None and choices["kind"] == meaning["kind"]:
        choices["values"] = values
    config = config | {"data": config["data"] | {"source": source | choices}}
    if made:
        made.data.source = build.make(config["data"], "source", read=read)
    return config, checked


def with_counted_interval(
    asked: PlainConfig, effective: PlainConfig, made: Parts | None
) -> tuple[PlainConfig, PlainConfig, Parts | None]:
    """Replace ``auto`` by the number of steps between validations in two configurations; make the run's parts again.

    The number is computed from pixel counts, not from durations, so that it is the same on every machine.

    Args:
        asked: the configuration for the run directory.
        effective: the configuration for training.
        made: the parts made from ``effective``, whose data are read here; None if this process does not train.
    """
    if made is None or asked["trainer"]["val_check_interval"] != "auto":
        return asked, effective, made
    made.data.setup()
    network, trainer = made.module.model, effective["trainer"]
    images = made.data.split["validation"].images
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    validation = sum(computed_pixels(height, width, network.depth, network.padded) for height, width in sizes)
    step = 3 * made.data.tile**2 * made.data.batch_size * trainer["accumulate_grad_batches"]  # forward and backward
    every = steps_between(validation / step, trainer["max_steps"])
    asked, effective = with_interval(asked, every), with_interval(effective, every)
    return asked, effective, replace(parts(effective), data=made.data)


def with_target(config: Config) -> PlainConfig:
    """Add the boundary class that the training target may need to the network and the decoder of a configuration.

    In a configuration, ``model.classes`` counts only the classes of the labels; the boundary class comes after them.
    """
    classes, added = config["model"]["classes"], build.make(config, "target").added
    parts = dict(config)
    if added:
        parts["model"] = {**config["model"], "classes": classes + added}
        if config["instances"].get("boundary", "") is None:
            parts["instances"] = {**config["instances"], "boundary": classes}
    return parts


def make_segmenter(config: Config) -> Segmenter:
    """Make the LightningModule, with hyper-parameters from which `restore` can make its parts again."""
    config = with_target(config)
    made = {name: build.make(config, name) for name in restore.PARTS if name != "monitor"}
    module = Segmenter(**made, monitor=config["monitor"])
    named = {slot: restore.named(slot, config[slot]) for slot in restore.PARTS}
    module.save_hyperparameters(named, logger=False)
    return module


def make_data(config: Config, model: UNet | None = None) -> SliceData:
    """Make the LightningDataModule, with the context that the network needs around the labelled part of a tile.

    Args:
        config: the configuration of the run.
        model: the network; None: make one without weights, of which only the properties are used.
    """
    if model is None:
        with torch.device("meta"):
            model = build.make(with_target(config), "model")
    data: SliceData = build.make(config, "data", _partial_=True)(
        classes=model.classes,
        channels=model.in_channels,
        augment=build.make(config, "augment"),
        weight_map=build.make(config, "weight_map"),
        context=model.context(config["data"]["tile"]),
        seed=config["seed"],
        cache_dir=config["cache_dir"],
        scaling=config["scaling"],
        target=build.make(config, "target"),
    )
    return data


def make_trainer(config: PlainConfig, network: UNet) -> lightning.Trainer:
    """Make the Trainer, by default with the precision that is fast on this hardware.

    The Trainer validates every ``val_check_interval`` steps, or once at the end of a shorter run. Lightning counts
    this interval in batches, of which a step may accumulate several.
    """
    asked, loggers, callbacks = config["trainer"], build.make(config, "logger"), build.make(config, "callbacks")
    accelerator = choose_accelerator(asked["accelerator"])
    if last := callbacks.get("last"):
        last.curves = loggers.get("csv")
    if held_out := callbacks.get("held_out"):
        held_out.last, held_out.diagnosis = last, callbacks.get("diagnosis")
    precision = asked["precision"]
    if precision == "auto":  # a continued run keeps its precision, even where another one would be faster
        precision = provenance.precision_of(Path(config["run_dir"])) or precision
    made = build.make(config, "trainer", _partial_=True)(
        val_check_interval=min(asked["val_check_interval"], asked["max_steps"]) * asked["accumulate_grad_batches"],
        num_sanity_val_steps=0,  # any validation may choose a checkpoint, and this one would see untrained weights
        accelerator=accelerator,
        precision=choose_precision(precision, accelerator, middle_channels(network)),
        logger=list(loggers.values()),
        callbacks=list(callbacks.values()),
        plugins=[Checkpoints()],
        # LastCheckpoint handles max_time: Lightning would validate once more, and count earlier parts of the run.
        max_time=None,
    )
    return lightning_seam.leave_signals(made)


def train(config: PlainConfig, directory: Path, made: Parts | None = None) -> None:
    """Train, choose the decoder, then score the held-out images once; called in each process of the run.

    Args:
        config: the configuration of the run.
        directory: the run directory.
        made: the parts of the run; None: make them here.

    Raises:
        ValueError: the data are not as expected, or ``max_time`` stopped the run before its last step.
        Stopped: a signal stopped the run.
    """
    limits.allow(config["max_pixels"])
    torch.compiler.reset()  # a sweep would otherwise exceed the limit of graphs for one function
    made = made or parts(config)
    trainer, module = made.trainer, made.module
    writes = runs.only_writer(directory) if trainer.is_global_zero else contextlib.nullcontext()
    with writes, lightning_seam.loggers_ended(trainer), lightning_seam.its_errors_are_ours():
        if runs.is_finished(directory, trainer.max_steps):
            return  # another process has finished it while this one waited
        fit(made, directory)
        asked = module.instances
        file, trained = to_score(trainer, directory, config["score"])
        module.take(trained)
        module.tta = config["tta"]
        with doing(f"choosing the decoder on {len(made.data.split['validation'])} validation images"):
            chosen = choice.choose(trainer, module, made.data, asked, config["monitor"])
        module.take(replace(trained, decoder=chosen.decoder, validation_scores=chosen.validation_scores))
        module.averages = {name: average.score for name, average in chosen.averages.items()}
        if trainer.is_global_zero:
            choice.keep(file, chosen, module.tta, str(trainer.precision))
            for line in choice.described(chosen, module.tta):
                say(line)
        with doing(f"scoring {len(made.data.split['held_out'])} held-out images"):
            trainer.test(module, made.data, verbose=False)
        if trainer.is_global_zero:
            runs.remove_previous_checkpoint(directory)


def fit(made: Parts, directory: Path) -> None:
    """Train to the last step, resuming from the last checkpoint in the run directory if there is one.

    Raises:
        ValueError: ``max_time`` stopped training before the last step.
        Stopped: a signal stopped training.
    """
    try:
        last = last_checkpoint(directory, restore.checked_parts)
        made.trainer.fit(made.module, made.data, ckpt_path=last)
    except OutOfTime as stopped:
        raise ValueError(
            f"stopped after step {stopped.step} of {made.trainer.max_steps}, because trainer.max_time was reached; "
            f"{command.continues(directory)}"
        ) from None
    finally:
        lightning_seam.end_workers(made.trainer)


def to_score(trainer: lightning.Trainer, directory: Path, score: str) -> tuple[Path, Trained]:
    """Return the checkpoint file to score, and its network as `src.predict` will use it.

    If ``score`` is ``best`` but the best checkpoint cannot be read, it is replaced by the checkpoint of the last step.

    Raises:
        ValueError: there is no valid checkpoint.
    """
    file = runs.checkpoint_file(directory, score)
    try:
        return file, restore.restore(file)
    except (OSError, ValueError) as error:
        last = runs.checkpoint_file(directory, "last")
        if file == last:
            raise
        if trainer.is_global_zero:
            warn(f"{error}; the weights of the last step are used instead")
            keep_for_prediction(last, file)
        return file, restore.restore(last)
