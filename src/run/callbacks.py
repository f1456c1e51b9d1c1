"""Callbacks that write files into the run directory: environment, pictures, and held-out predictions and scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from typing_extensions import override

from src.data.stack import Stack
from src.files.legend import NUMBERS
from src.files.reading import read_json, set_aside, unless_damaged
from src.files.whole import complete_file, write_json
from src.metrics.mistakes import KINDS, largest_places, mistakes_of
from src.model.layout import part_of
from src.model.segmenter import Segmenter, data_of, segmenter
from src.pages.pictures import encoded, overlay, panels, write_comparison, write_picture
from src.pages.samples import images_figure, tiles_figure
from src.prediction.tiff import write_prediction
from src.run.checkpoint import LastCheckpoint
from src.run.device import describe
from src.run.diagnosis import Diagnosis
from src.run.directory import changed_facts, environment, picture_file
from src.run.layouts import Facts
from src.run.provenance import HASHES, different, facts
from src.run.ranks import gathered
from src.saying import warn

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import STEP_OUTPUT

COUNTS = ("images_learnt_from", "cells_learnt_from")  # keys in environment.json


class Prior(Callback):
    """A callback that sets the initial biases of the last layer to the logarithms of the weighted class frequencies.

    The frequencies are those in the training images. With other biases, training on a rare class starts with learning
    to predict only background, and may never get further. The paper does not state its initial biases.
    """

    least = 1e-4  # smallest frequency that is assumed for a class

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        bias = segmenter(module).model.classify.bias
        if bias is not None and trainer.global_step == 0 and "classify" not in segmenter(module).taken:
            logarithms = np.log(data_of(trainer).patches.class_shares(len(bias)).clip(self.least))
            with torch.no_grad():
                bias.copy_(torch.from_numpy(logarithms.astype(np.float32)))  # Apple's GPU has no float64


class Environment(Callback):
    """A callback that writes ``environment.json``: everything that the result depends on besides the configuration.

    Args:
        directory: the run directory.

    Raises:
        ValueError: when a run is resumed and its data differ from the data that it was started with.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)

    @override
    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        data = data_of(trainer)
        now = environment(
            world_size=trainer.world_size,
            device=describe(module.device),
            precision=str(trainer.precision),
            start_from=segmenter(module).begun_with,
            **learnt_from(data.split["train"]),
            **facts(data),
        )
        file = self.directory / "environment.json"
        if trainer.ckpt_path:
            unknown = "the run is resumed, without a check that its data are the same"
            before = unless_damaged(lambda file: read_json(file, Facts), file, None, unknown)
            if before is None and file.exists():
                set_aside(file)
            if before is not None and different(before, now):
                raise ValueError(f"expected the data that {self.directory} was started with, but got different data")
            now["start_from"] = before and before.get("start_from")
            changed = [] if before is None else changed_facts(before, now)
            changed = [name for name in changed if name not in (*HASHES, *COUNTS, "data_stamp")]
            if changed:
                warn(f"the run is resumed, although these have changed: {', '.join(changed)}")
        write_json(file, now)


class Samples(Callback):
    """A callback that writes pictures of training images and training tiles when training starts.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.is_global_zero and trainer.global_step == 0:
            for name, figure in (("slices", images_figure), ("tiles", tiles_figure)):
                with complete_file(picture_file(self.directory, f"{name}.webp")) as partial:
                    partial.write_bytes(encoded(figure(data_of(trainer).patches)))


class Overlay(Callback):
    """A callback that saves a picture of the first validation image, with its prediction, after each validation.

    The picture is written into the run directory and passed to all loggers that accept pictures.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.first: dict[str, Any] | None = None  # batch of the first validation image, and its probabilities

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: "STEP_OUTPUT",
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.is_global_zero and batch_idx == 0 and isinstance(outputs, Mapping):
            self.first = {**batch, **outputs}

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero or self.first is None:
            return  # there are no validation images
        image, truth = image_and_truth(segmenter(module), self.first)
        step = trainer.global_step
        picture = overlay(image, truth, segmenter(module).decoder(self.first["probabilities"]))
        write_picture(picture_file(self.directory, f"validation/step_{step:06}.png"), picture)
        title = f"validation/{self.first['name'][0]}"
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(title, picture, step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image(title, [picture], step)
            elif isinstance(logger, MLFlowLogger):
                logger.experiment.log_image(logger.run_id, picture, key=title, step=step)


class HeldOut(Callback):
    """A callback that writes predictions and pictures of the held-out images, and their scores (``scores.json``).

    Args:
        directory: the run directory.
    """

    last: LastCheckpoint | None = None  # supplies the training time
    diagnosis: Diagnosis | None = None  # supplies the problems that occurred

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.rows: list[dict[str, Any]] = []
        self.places: dict[str, list[tuple[str, int, int]]] = {}

    @override
    def on_test_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.rows, self.places = [], {}

    @override
    def on_test_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: "STEP_OUTPUT",
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not isinstance(outputs, Mapping):
            return
        module, name = segmenter(module), batch["name"][0]
        probabilities = outputs["probabilities"]
        labels = module.decoder(probabilities)
        legend = module.legend if module.instances.of_classes else NUMBERS
        write_prediction(self.directory / "predictions", name, probabilities, labels, legend)
        image, truth = image_and_truth(module, batch)
        write_comparison(self.directory / "predictions" / f"{name}.png", image, truth, labels)
        known = np.where(batch["known"][0].cpu().numpy(), labels, 0)
        kinds = mistakes_of(module.instances.of_classes, known, truth)
        for panel, content in panels(image, truth, labels, kinds).items():
            with complete_file(picture_file(self.directory, f"held_out/{name}_{panel}.webp")) as partial:
                partial.write_bytes(content)
        self.places[name] = [(KINDS[kind], row, column) for kind, row, column in largest_places(kinds)]
        self.rows.append({"name": name, **outputs["scores"]})

    @override
    def on_test_end(self, trainer: Trainer, module: LightningModule) -> None:
        module = segmenter(module)
        rows = {row["name"]: row for share in gathered(self.rows) for row in share}
        places = {name: found for share in gathered([self.places]) for each in share for name, found in each.items()}
        if not trainer.is_global_zero:
            return
        content = {
            "scores": module.held_out_scores,
            "per_image": [rows[name] for name in data_of(trainer).split["held_out"].names],
            "validation": module.validation_scores,
            "diagnosis": list(self.diagnosis.told.values()) if self.diagnosis else [],
            "extend_by": self.diagnosis.extend_by if self.diagnosis else None,
            "threshold": module.threshold,
            "instances": part_of("instances", module.instances),
            "tta": module.averages,
            "steps": module.steps,
            "scored_step": module.scored_step,
            "planned_steps": trainer.max_steps,
            "seconds": round(self.last.seconds_before, 1) if self.last else 0.0,
        }
        write_json(picture_file(self.directory, "mistakes.json"), places)
        write_json(self.directory / "scores.json", content)


def learnt_from(stack: Stack) -> dict[str, int]:
    """Count the training images and the cells in them; return the counts under their keys in ``environment.json``."""
    cells = sum(len(np.setdiff1d(instances, 0)) for instances in stack.instances)
    return dict(zip(COUNTS, (len(stack), cells), strict=True))


def image_and_truth(module: Segmenter, batch: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the single image in a batch, ``(C, H, W)``, and its truth, ``(H, W)``.

    The truth is a label image of classes if the decoder predicts classes, or else a label image of cells.
    """
    truth = batch["target" if module.instances.of_classes else "instances"]
    return batch["image"][0].cpu().numpy(), truth[0].cpu().numpy()
