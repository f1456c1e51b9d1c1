"""One training run in one process: what it is made of, and how it goes."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import lightning
import torch

from src import build, command, restore
from src.arguments import check_choice
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
    """What trains."""

    trainer: lightning.Trainer
    data: SliceData
    module: Segmenter


def parts(config: dict, read: Callable[[Pair], list[Annotated]] | None = None) -> Parts:
    """What trains, made before anything is written, so that what cannot be is refused.

    Args:
        config: of the run.
        read: gives the slices of a pair of files of a folder, where somebody else has read them already.

    Raises:
        ValueError: a choice is impossible.
    """
    command.quieten()  # once more: Lightning has set its own level when it was imported
    lightning.seed_everything(config["seed"], workers=True, verbose=False)
    again = config["trainer"]["val_check_interval"] == "auto"  # `counted` makes all once more, with the number of steps
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
        raise ValueError(f"expected an optimizer and a scheduler that can be made, but got: {error}") from error
    of_classes = module.instances.of_classes or any("classes" in metric.takes for metric in module.metrics.values())
    if data.target.added and of_classes:
        raise ValueError(
            "expected cells to be numbered and scored, because target adds a class that the labels do not hold, but "
            "got classes; nearest valid: metrics=instances instances=auto, or target=classes"
        )
    modes = [module.validation.evaluator.mode(config["monitor"])]
    check_choice(f"monitor_mode of {config['monitor']}", config["monitor_mode"], modes)
    module.compiled = pays_to_compile(config["compile"], config["trainer"]["max_steps"])
    if config["start_from"] is not None and not again and not runs.resumable_files(Path(config["run_dir"])):
        start_from(module, Path(config["start_from"]), config["freeze"] == "encoder")
    return Parts(trainer, data, module)


def as_judged(
    config: dict,
    directory: Path,
    checked: dict | None,
    made: Parts | None,
    read: Callable[[Pair], list[Annotated]] | None = None,
) -> tuple[dict, dict | None]:
    """What to train with and what was found, where labels mean what the check took them for, or the run has begun with.

    Args:
        config: of the run.
        directory: of the run.
        checked: what `checking.before_training` gives.
        made: what trains, in this process, if it does.
        read: gives the slices of a pair of files.
    """
    source = config["data"]["source"]
    if source.get("kind") is None:  # no folder of one's own
        return config, checked
    before = provenance.judged_before(directory)
    if before is None and checked is None:
        return config, checked
    checked = checked and checked | (before or {})
    judged = before or checked
    # Versions that did not write the values took small numbers as the classes themselves.
    highest = max(map(int, judged["classes"]), default=0) if judged["kind"] == "classes" else None
    values = judged["values"] or (None if highest is None else list(range(highest + 1)))
    chosen = {"kind": judged["kind"] if source["kind"] == "auto" else source["kind"]}
    if source["values"] is None and chosen["kind"] == judged["kind"]:
        chosen["values"] = values
    config = config | {"data": config["data"] | {"source": source | chosen}}
    if made:
        made.data.source = build.make(config["data"], "source", read=read)
    return config, checked


def counted(asked: dict, chosen: dict, made: Parts | None) -> tuple[dict, dict, Parts | None]:
    """Two configurations and what trains, with a number of steps where the steps between validations are ``auto``.

    It is counted, not timed, so that it is the same on every machine.

    Args:
        asked: what the run directory will hold.
        chosen: what trains.
        made: of it, if it does; its data are read here.
    """
    if made is None or asked["trainer"]["val_check_interval"] != "auto":
        return asked, chosen, made
    made.data.setup()
    network, trainer = made.module.model, chosen["trainer"]
    sizes = [image.shape[:2] for image in made.data.split["validation"].images]
    validation = sum(computed_pixels(*size, network.depth, network.padded) for size in sizes)
    step = 3 * made.data.tile**2 * made.data.batch_size * trainer["accumulate_grad_batches"]  # forwards and backwards
    every = steps_between(validation / step, trainer["max_steps"])
    asked, chosen = with_interval(asked, every), with_interval(chosen, every)
    return asked, chosen, replace(parts(chosen), data=made.data)


def with_target(config: Mapping) -> dict:
    """A configuration whose network and numbering know the class that the target adds, if it adds one.

    ``model.classes`` counts the classes of the labels, behind which that of the boundary stands.
    """
    classes, added = config["model"]["classes"], build.make(config, "target").added
    parts = dict(config)
    if added:
        parts["model"] = {**config["model"], "classes": classes + added}
        if config["instances"].get("boundary", "") is None:
            parts["instances"] = {**config["instances"], "boundary": classes}
    return parts


def make_segmenter(config: Mapping) -> Segmenter:
    """The LightningModule; its hyper-parameters hold what `restore` needs."""
    config = with_target(config)
    made = {name: build.make(config, name) for name in restore.PARTS if name != "monitor"}
    module = Segmenter(**made, monitor=config["monitor"])
    named = {slot: restore.named(slot, config[slot]) for slot in restore.PARTS}
    module.save_hyperparameters(named, logger=False)
    return module


def make_data(config: Mapping, model: UNet | None = None) -> SliceData:
    """The LightningDataModule, told by the network how much context it needs at the border of a tile.

    Args:
        config: of the run.
        model: the network; None makes one without weights, which knows it too.
    """
    if model is None:
        with torch.device("meta"):
            model = build.make(with_target(config), "model")
    return build.make(config, "data", _partial_=True)(
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


def make_trainer(config: dict, network: UNet) -> lightning.Trainer:
    """The Trainer, with the precision that the hardware is fast in.

    It validates every ``val_check_interval`` steps, or once, at the end, where a run has fewer. Lightning counts
    batches, of which a step may accumulate several.
    """
    asked, loggers, callbacks = config["trainer"], build.make(config, "logger"), build.make(config, "callbacks")
    accelerator = choose_accelerator(asked["accelerator"])
    if last := callbacks.get("last"):
        last.curves = loggers.get("csv")
    if held_out := callbacks.get("held_out"):
        held_out.last, held_out.diagnosis = last, callbacks.get("diagnosis")
    precision = asked["precision"]
    if precision == "auto":  # a run keeps what it has begun with, also where another one would be faster
        precision = provenance.precision_of(Path(config["run_dir"])) or precision
    made = build.make(config, "trainer", _partial_=True)(
        val_check_interval=min(asked["val_check_interval"], asked["max_steps"]) * asked["accumulate_grad_batches"],
        num_sanity_val_steps=0,  # a validation chooses a checkpoint, also one of weights that have learnt nothing
        accelerator=accelerator,
        precision=choose_precision(precision, accelerator, middle_channels(network)),
        logger=list(loggers.values()),
        callbacks=list(callbacks.values()),
        plugins=[Checkpoints()],
        # LastCheckpoint sees to it: Lightning would validate once more, and count earlier parts of the run.
        max_time=None,
    )
    return lightning_seam.leave_signals(made)


def train(config: dict, directory: Path, made: Parts | None = None) -> None:
    """Fit, choose how cells are numbered, then score the held-out slices once; in each process of the run.

    Args:
        config: of the run.
        directory: of the run.
        made: what trains; None makes it here.

    Raises:
        ValueError: the data are not as expected, or ``max_time`` stopped the run before its last step.
        Stopped: a signal stopped it.
    """
    limits.allow(config["max_pixels"])
    torch.compiler.reset()  # a sweep would else run into the limit of graphs for one function
    made = made or parts(config)
    trainer, module = made.trainer, made.module
    writes = runs.only_writer(directory) if trainer.is_global_zero else contextlib.nullcontext()
    with writes, lightning_seam.loggers_ended(trainer), lightning_seam.its_errors_are_ours():
        if runs.is_finished(directory, trainer.max_steps):
            return  # by another process, for which this one has waited
        fit(made, directory)
        asked = module.instances
        file, trained = to_score(trainer, directory, config["score"])
        module.take(trained)
        module.tta = config["tta"]
        with doing(f"choosing by {len(made.data.split['validation'])} validation images how cells are numbered"):
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
    """Train up to the last step, from the last checkpoint on if there is one.

    Raises:
        ValueError: ``max_time`` stopped training.
        Stopped: a signal did.
    """
    try:
        last = last_checkpoint(directory, restore.checked_parts)
        made.trainer.fit(made.module, made.data, ckpt_path=last)
    except OutOfTime as stopped:
        raise ValueError(
            f"stopped after step {stopped.step} of {made.trainer.max_steps}, when trainer.max_time was up; "
            f"{command.continues(directory)}"
        ) from None
    finally:
        lightning_seam.end_workers(made.trainer)


def to_score(trainer: lightning.Trainer, directory: Path, score: str) -> tuple[Path, Trained]:
    """The file of the network that is scored, and what it holds, as `src.predict` will use it.

    The weights of the last step take the place of the best ones, if those are lost.

    Raises:
        ValueError: there is none.
    """
    file = runs.checkpoint_file(directory, score)
    try:
        return file, restore.restore(file)
    except (OSError, ValueError) as error:
        last = runs.checkpoint_file(directory, "last")
        if file == last:
            raise
        if trainer.is_global_zero:
            warn(f"{error}; the weights of the last step take its place")
            keep_for_prediction(last, file)
        return file, restore.restore(last)
