"""What happens around training: pictures, facts, predictions and scores of the held-out images."""

from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger

from src.data.stack import Stack
from src.files.legend import NUMBERS
from src.files.reading import read_json, set_aside, unless_damaged
from src.files.whole import complete_file, write_json
from src.metrics.mistakes import KINDS, largest_places, mistakes_of
from src.model.layout import part_of
from src.model.segmenter import Segmenter
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

COUNTS = ("images_learnt_from", "cells_learnt_from")  # in environment.json


class Prior(Callback):
    """Let the untrained network say how frequent each class is, by the bias of its last layer.

    Otherwise training on a rare class begins with, and may end in, predicting nothing but background. The paper
    does not say what biases begin with.
    """

    least = 1e-4  # share of a class that hardly occurs

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if trainer.global_step == 0 and "classify" not in module.taken:
            bias = module.model.classify.bias
            logarithms = np.log(trainer.datamodule.patches.class_shares(len(bias)).clip(self.least))
            with torch.no_grad():
                bias.copy_(torch.from_numpy(logarithms.astype(np.float32)))  # Apple's GPU has no float64


class Environment(Callback):
    """Write ``environment.json``: what the result depends on beside the configuration.

    Args:
        directory: the run directory.

    Raises:
        ValueError: the run is to go on with other data.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        now = environment(
            world_size=trainer.world_size,
            device=describe(module.device),
            precision=str(trainer.precision),
            start_from=module.begun_with,
            **learnt_from(trainer.datamodule.split["train"]),
            **facts(trainer.datamodule),
        )
        file = self.directory / "environment.json"
        if trainer.ckpt_path:
            unknown = "goes on, but it cannot be known whether with the same data"
            before = unless_damaged(lambda file: read_json(file, Facts), file, None, unknown)
            if before is None and file.exists():
                set_aside(file)
            if before is not None and different(before, now):
                raise ValueError(f"expected the data that {self.directory} was started with, but got others")
            now["start_from"] = before and before.get("start_from")
            changed = [] if before is None else changed_facts(before, now)
            changed = [name for name in changed if name not in (*HASHES, *COUNTS, "data_stamp")]
            if changed:
                warn(f"goes on with another {', '.join(changed)}")
        write_json(file, now)


class Samples(Callback):
    """Write pictures of what is learnt from into the run directory, when training starts.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if trainer.is_global_zero and trainer.global_step == 0:
            for name, figure in (("slices", images_figure), ("tiles", tiles_figure)):
                with complete_file(picture_file(self.directory, f"{name}.webp")) as partial:
                    partial.write_bytes(encoded(figure(trainer.datamodule.patches)))


class Overlay(Callback):
    """Write a picture of the first validation slice at each validation: into the run directory and to the loggers.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)

    def on_validation_batch_end(self, trainer, module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if trainer.is_global_zero and batch_idx == 0:
            self.slice = {**batch, **outputs}

    def on_validation_end(self, trainer: lightning.Trainer, module: Segmenter) -> None:
        if not trainer.is_global_zero or not hasattr(self, "slice"):
            return  # no validation slices
        image, truth = seen(module, self.slice)
        step = trainer.global_step
        picture = overlay(image, truth, module.decoder(self.slice["probabilities"]))
        write_picture(picture_file(self.directory, f"validation/step_{step:06}.png"), picture)
        title = f"validation/{self.slice['name'][0]}"
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(title, picture, step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image(title, [picture], step)
            elif isinstance(logger, MLFlowLogger):
                logger.experiment.log_image(logger.run_id, picture, key=title, step=step)


class HeldOut(Callback):
    """Write predictions and pictures of the held-out slices and ``scores.json`` into the run directory.

    Args:
        directory: the run directory.
    """

    last: LastCheckpoint | None = None  # knows for how long was trained
    diagnosis: Diagnosis | None = None  # and what went wrong

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.rows: list[dict] = []
        self.places: dict[str, list] = {}

    def on_test_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.rows, self.places = [], {}

    def on_test_batch_end(self, trainer, module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if outputs is None:
            return
        name = batch["name"][0]
        probabilities = outputs["probabilities"]
        labels = module.decoder(probabilities)
        legend = module.legend if module.instances.of_classes else NUMBERS
        write_prediction(self.directory / "predictions", name, probabilities, labels, legend)
        image, truth = seen(module, batch)
        write_comparison(self.directory / "predictions" / f"{name}.png", image, truth, labels)
        known = np.where(batch["known"][0].cpu().numpy(), labels, 0)
        kinds = mistakes_of(module.instances.of_classes, known, truth)
        for panel, content in panels(image, truth, labels, kinds).items():
            with complete_file(picture_file(self.directory, f"held_out/{name}_{panel}.webp")) as partial:
                partial.write_bytes(content)
        self.places[name] = [(KINDS[kind], row, column) for kind, row, column in largest_places(kinds)]
        self.rows.append({"name": name, **outputs["scores"]})

    def on_test_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        rows = {row["name"]: row for share in gathered(self.rows) for row in share}
        places = {name: found for share in gathered([self.places]) for each in share for name, found in each.items()}
        if not trainer.is_global_zero:
            return
        content = {
            "scores": module.held_out_scores,
            "per_image": [rows[name] for name in trainer.datamodule.split["held_out"].names],
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
    """How many images and cells there are, as ``environment.json`` holds it."""
    cells = sum(len(np.setdiff1d(instances, 0)) for instances in stack.instances)
    return dict(zip(COUNTS, (len(stack), cells), strict=True))


def seen(module: Segmenter, batch: dict) -> tuple[np.ndarray, np.ndarray]:
    """Of the one slice of a batch: image ``(C, H, W)``, and what its label image is compared with, ``(H, W)``."""
    truth = "target" if module.instances.of_classes else "instances"
    image, truth = (batch[key][0].cpu().numpy() for key in ("image", truth))
    return image, truth
