"""The folds of a cross-validation, pooled: each image is scored by a network that has not seen it."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import tifffile
import torch
from scipy.special import expit
from torch.utils.data import DataLoader

from src import build, folding, training
from src.data.folds import Plan, as_text
from src.data.stack import Stack
from src.files.incomplete import sweep_beside
from src.files.names import OUTPUTS
from src.files.whole import complete_file, write_json, write_rows
from src.instances import Decoder, cell_probability
from src.metrics import reliability
from src.metrics.bootstrap import intervals
from src.metrics.calibration import LOGITS, Calibration, fitted, needed, tally
from src.metrics.choosing import Contest, Judged
from src.metrics.evaluator import Evaluator, Probabilities, Sums
from src.model.layout import part_of
from src.model.segmenter import truth
from src.model.trained import Trained, common_average, common_precision
from src.prediction.names import prediction_file
from src.prediction.predictor import Predictor
from src.restore import restore
from src.run.choice import MOST_PIXELS
from src.run.device import inference, middle_channels
from src.run.directory import checkpoint_file, read_config
from src.run.folds import ENSEMBLE, SHARED, fold_directories, of_folds
from src.tiles.blocks import blocks
from src.tiles.overlap import reader


@dataclass(frozen=True)
class Image:
    """An image that a fold has scored.

    Attributes:
        name: of it.
        fold: that scored it.
        counts: what `evaluator.Evaluator.counts` gives of it.
        row: its scores.
        tally: of the probabilities of its pixels, as `calibration.tally` counts them.
    """

    name: str
    fold: int
    counts: Sums
    row: dict[str, float]
    tally: np.ndarray


def pool(directory: Path) -> dict:
    """Put the predictions of all folds together, score them, and choose how the mean of the networks is decoded.

    It writes ``predictions/``, ``ensemble.json``, ``scores.csv`` and at last ``scores.json``.

    Args:
        directory: of the cross-validation, whose folds are finished.

    Returns:
        What ``scores.json`` holds.

    Raises:
        ValueError: a fold is not finished or damaged, or the data have changed.
    """
    points = fold_directories(directory)
    rows_of_folds = of_folds(directory)
    config = as_begun(points[0])
    stack = build.make(config["data"], "source")()
    plan = folding.plan(config, len(points), stack)
    metrics = build.make(config, "metrics")
    files = [checkpoint_file(point, config["score"]) for point in points]
    trained = [restore(file) for file in files]
    sweep_beside(directory, SHARED)
    images = [
        each for fold in range(len(points)) for each in scored(fold, points[fold], trained[fold], stack, plan, metrics)
    ]
    images = [each for _, each in sorted(zip(order_of(images, stack), images, strict=True), key=lambda item: item[0])]
    copy_predictions(images, points, directory / "predictions")
    decoder = choose(images, points, stack, config, metrics)
    names = [str(file.relative_to(directory).as_posix()) for file in files]
    decoding = {"instances": part_of("instances", decoder.numbering), "threshold": decoder.threshold}
    calibrated = calibration_of(images, len(points))
    fit = Calibration(calibrated["temperature"], calibrated["shift"])
    write_json(directory / ENSEMBLE, {"checkpoints": names, **decoding, "calibration": asdict(fit)})
    content = {
        **summed(images, Evaluator(metrics, trained[0].decoder.threshold)),
        "mean_of_folds": means([row["scores"] for row in rows_of_folds]),
        "folds": rows_of_folds,
        **decoding,
        "calibration": calibrated,
        "ensemble": on_held_out(config, stack, plan, trained, decoder, fit, metrics) if plan.untouched else None,
        "seconds": sum(row["seconds"] for row in rows_of_folds),
    }
    write_rows(directory / "scores.csv", content["per_image"])
    write_json(directory / "scores.json", content)
    return content


def as_begun(point: Path) -> dict:
    """The configuration of a fold, with the labels meaning what they meant to it."""
    config = read_config(point)
    return training.as_judged(config, point, None, None, None)[0]


def scored(fold: int, point: Path, trained: Trained, stack: Stack, plan: Plan, metrics: dict) -> list[Image]:
    """Score the images of a fold as it has scored them, from the probabilities that it has written.

    Raises:
        ValueError: a prediction is not there.
    """
    evaluator, images = Evaluator(metrics, trained.decoder.threshold), []
    for number in plan.folds[fold]["held_out"]:
        name, image = stack.names[number], judged(point, number, stack)
        probabilities = Probabilities(image.probabilities, trained.decoder.numbering)
        counts = evaluator.counts(probabilities, image.target, image.instances, image.known)
        cell = cell_probability(image.probabilities)
        tallied = tally(cell[image.known], image.target[image.known] > 0)
        images.append(Image(name, fold, counts, evaluator.of_image(counts), tallied))
    return images


def judged(point: Path, number: int, stack: Stack) -> Judged:
    """A slice with the probabilities that a fold has written for it.

    Raises:
        ValueError: they are not there.
    """
    file = prediction_file(point / "predictions", stack.names[number], "probabilities")
    if not file.exists():
        raise ValueError(f"expected {file}, but it is not there; nearest valid: another hydra.run.dir")
    found = tifffile.imread(file)
    found = found if found.ndim == 3 else np.stack([1 - found, found])
    return Judged(found, stack.targets[number], stack.instances[number], stack.known[number])


def order_of(images: Sequence[Image], stack: Stack) -> list[int]:
    """The places of images in their stack."""
    place = {name: number for number, name in enumerate(stack.names)}
    return [place[image.name] for image in images]


def copy_predictions(images: Sequence[Image], points: Sequence[Path], folder: Path) -> None:
    """Copy what the folds have predicted for their images into one folder.

    Args:
        images: of all folds.
        points: the run directories of the folds.
        folder: where to.
    """
    names = {image.name: [f"{image.name}.png", *(f"{image.name}_{kind}.tif" for kind in OUTPUTS)] for image in images}
    sweep_beside(folder, {name for files in names.values() for name in files})
    for image in images:
        for name in names[image.name]:
            with complete_file(folder / name) as partial:
                shutil.copyfile(points[image.fold] / "predictions" / name, partial)


def choose(images: Sequence[Image], points: Sequence[Path], stack: Stack, config: dict, metrics: dict) -> Decoder:
    """Choose how the mean of the networks is numbered, and at which threshold, by all that they had not seen."""
    places = order_of(images, stack)
    pixels = sum(stack.targets[number].size for number in places)
    count = min(len(images), max(1, MOST_PIXELS * len(images) // pixels))
    chosen = np.linspace(0, len(images) - 1, count).astype(int)
    slices = [judged(points[images[each].fold], places[each], stack) for each in chosen]
    contest = Contest(metrics, config["monitor"], len(slices[0].probabilities))
    return contest.choose(slices, build.make(training.with_target(config), "instances"))[0]


def summed(images: Sequence[Image], evaluator: Evaluator) -> dict:
    """Scores of all images together, of each, their mean, and how sure they are."""
    counts = [image.counts for image in images]
    pooled = evaluator.compute({name: sum(each[name] for each in counts) for name in counts[0]})
    return {
        "scores": pooled,
        "per_image": [{"name": image.name, "fold": image.fold, **image.row} for image in images],
        "mean_of_images": means([image.row for image in images]),
        "intervals": intervals(counts, evaluator.compute),
    }


def calibration_of(images: Sequence[Image], folds: int) -> dict:
    """What calibrates probabilities; and how good it is, each fold judged with the fit of the others."""
    tallies = [sum(image.tally for image in images if image.fold == fold) for fold in range(folds)]
    free, cross = needed(tallies)
    return {
        "needed": free,
        **asdict(fitted(sum(tallies), free)),
        "scores": {name: reliability.scores(*each) for name, each in cross.items()},
        "before": reliability.diagram(*cross["none"]),
        "after": reliability.diagram(*cross[free]),
    }


def means(rows: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """The mean of each score over those rows that know it; None where none does."""
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [row[name] for row in rows if row.get(name) is not None and row[name] == row[name]]
        found[name] = fmean(known) if known else None
    return found


@torch.inference_mode()
def on_held_out(
    config: dict,
    stack: Stack,
    plan: Plan,
    trained: Sequence[Trained],
    decoder: Decoder,
    calibration: Calibration,
    metrics: dict,
) -> dict:
    """Score the mean of the networks, and each one of them, on images that none has seen, and say how long it takes.

    Args:
        config: of a fold.
        stack: all slices.
        plan: of the folds.
        trained: their networks.
        decoder: of the mean of them.
        calibration: of that mean.
        metrics: by name.
    """
    data = training.make_data(split_of(config, plan))
    data.source = lambda: stack
    data.setup()
    device, dtype = inference("auto", middle_channels(trained[0].model), common_precision(trained))
    each = [Predictor([one.model], device, dtype, common_average(trained), None) for one in trained]
    decoders = [decoder, *(one.decoder for one in trained)]
    evaluators = [Evaluator(metrics, one.threshold) for one in decoders]
    rows, seconds, counts = [], [], 0
    loader: DataLoader = data.test_dataloader()
    for batch in loader:
        started = time.perf_counter()
        found = [whole(predictor, batch["image"].to(device)) for predictor in each]
        seconds.append(time.perf_counter() - started)
        mean = torch.from_numpy(np.stack(found)).mean(dim=0).numpy()
        target, _, known = truth(batch)
        counts = counts + tally(cell_probability(mean)[known], target[known] > 0)
        scores = [
            evaluator.update(Probabilities(probabilities, one.numbering), *truth(batch))
            for evaluator, one, probabilities in zip(evaluators, decoders, [mean, *found], strict=True)
        ]
        rows.append({"name": batch["name"][0], **scores[0]})
    return {
        "scores": evaluators[0].compute(),
        "single": means([evaluator.compute() for evaluator in evaluators[1:]]),
        "per_image": rows,
        "calibration": {
            "before": reliability.scores(expit(LOGITS), counts),
            "after": reliability.scores(calibration.of_cell(expit(LOGITS)), counts),
        },
        "seconds": round(fmean(seconds), 3),
        "single_seconds": round(fmean(seconds) / len(trained), 3),
    }


def split_of(config: dict, plan: Plan) -> dict:
    """A configuration in which all folds are learnt from, and what none has seen is held out."""
    parts = {"train": as_text(plan.scored), "validation": "", "held_out": as_text(plan.untouched)}
    return config | {"data": config["data"] | parts}


def whole(predictor: Predictor, image: torch.Tensor) -> np.ndarray:
    """Class probabilities ``(K, H, W)`` of an image ``(1, C, H, W)``, in the blocks of `src.predict`."""
    height, width = image.shape[-2:]
    windows, read = blocks(height, width, predictor.block_side(height, width)), reader(image)
    found = np.empty((predictor.classes, height, width), np.float32)
    for window in windows:
        place = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))
        found[:, *place] = predictor(read, window)
    return found
