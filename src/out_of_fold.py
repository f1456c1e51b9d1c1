"""The folds of a cross-validation, pooled: each image is scored by a network that has not seen it."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tifffile

from src import build, folding, training, untouched
from src.data.folds import Plan
from src.data.stack import Stack
from src.files.incomplete import sweep_beside
from src.files.whole import complete_file, write_json, write_rows
from src.instances import Decoder, cell_probability
from src.metrics import reliability
from src.metrics.bootstrap import intervals, means
from src.metrics.calibration import Calibration, fitted, needed, tally
from src.metrics.choosing import Contest, Judged
from src.metrics.confidence import Cells, by_tenths, cells_of, confidences
from src.metrics.evaluator import Evaluator, Probabilities, Sums
from src.model.layout import part_of
from src.model.trained import Trained
from src.prediction.names import prediction_file
from src.restore import restore
from src.run.choice import MOST_PIXELS
from src.run.directory import checkpoint_file, read_config
from src.run.folds import ENSEMBLE, SHARED, fold_directories, of_folds


@dataclass(frozen=True)
class Image:
    """An image that a fold has scored.

    Attributes:
        number: of the slice.
        name: of it.
        fold: that scored it.
        counts: what `evaluator.Evaluator.counts` gives of it.
        row: its scores.
        tally: of the probabilities of its pixels, as `calibration.tally` counts them.
        cells: that were predicted; None where classes are.
    """

    number: int
    name: str
    fold: int
    counts: Sums
    row: dict[str, float]
    tally: np.ndarray
    cells: Cells | None


def pool(directory: Path) -> dict:
    """Put the predictions of all folds together, score them, and choose how the mean of the networks is decoded.

    It writes ``predictions/``, ``ensemble.json``, ``cells.csv``, ``scores.csv`` and at last ``scores.json``.

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
    images.sort(key=lambda image: image.number)
    copy_predictions(images, points, directory / "predictions")
    decoder = choose(images, points, stack, config, metrics)
    names = [str(file.relative_to(directory).as_posix()) for file in files]
    decoding = {"instances": part_of("instances", decoder.numbering), "threshold": decoder.threshold}
    calibrated = calibration_of(images, len(points))
    fit = Calibration(calibrated["temperature"], calibrated["shift"])
    cells = write_cells(images, len(points), directory / "cells.csv")
    write_json(directory / ENSEMBLE, {"checkpoints": names, **decoding, "calibration": asdict(fit)})
    content = {
        **summed(images, Evaluator(metrics, trained[0].decoder.threshold)),
        "mean_of_folds": means([row["scores"] for row in rows_of_folds]),
        "folds": rows_of_folds,
        **decoding,
        "calibration": calibrated | {"threshold": fit.for_calibrated(decoder).threshold},
        "cells": cells,
        "ensemble": untouched.scored(config, stack, plan, trained, decoder, fit, metrics) if plan.untouched else None,
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
        labels = None if trained.decoder.numbering.of_classes else trained.decoder(image.probabilities)
        cells = None if labels is None else cells_of(labels, cell, image.instances, image.known)
        images.append(Image(number, name, fold, counts, evaluator.of_image(counts), tallied, cells))
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


def copy_predictions(images: Sequence[Image], points: Sequence[Path], folder: Path) -> None:
    """Copy what the folds have predicted for their images into one folder.

    Args:
        images: of all folds.
        points: the run directories of the folds.
        folder: where to.
    """
    endings = (".png", "_probabilities.tif", "_labels.tif")
    names = {image.name: [f"{image.name}{ending}" for ending in endings] for image in images}
    sweep_beside(folder, {name for files in names.values() for name in files})
    for image in images:
        for name in names[image.name]:
            with complete_file(folder / name) as partial:
                shutil.copyfile(points[image.fold] / "predictions" / name, partial)


def choose(images: Sequence[Image], points: Sequence[Path], stack: Stack, config: dict, metrics: dict) -> Decoder:
    """Choose how the mean of the networks is numbered, and at which threshold, by all that they had not seen."""
    pixels = sum(stack.targets[image.number].size for image in images)
    count = min(len(images), max(1, MOST_PIXELS * len(images) // pixels))
    chosen = [images[place] for place in np.linspace(0, len(images) - 1, count).astype(int)]
    slices = [judged(points[image.fold], image.number, stack) for image in chosen]
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


def write_cells(images: Sequence[Image], folds: int, file: Path) -> dict | None:
    """Write how sure one may be of each predicted cell, and sum it up; None where no cells are predicted.

    Args:
        images: of all folds.
        folds: how many there are.
        file: a row a cell.
    """
    if images[0].cells is None:
        return None
    each, fit = confidences([[image.cells for image in images if image.fold == fold] for fold in range(folds)])
    rows = []
    places = [iter(confidence) for confidence in each]  # of the images of a fold, in their order
    for image in images:
        columns = image.cells.numbers, image.cells.pixels, next(places[image.fold]), image.cells.matched
        for number, pixels, confidence, matched in zip(*(column.tolist() for column in columns), strict=True):
            row = {"image": image.name, "fold": image.fold, "cell": number, "pixels": pixels}
            rows.append(row | {"confidence": round(confidence, 4), "matched": int(matched)})
    write_rows(file, rows)
    said, matched = (np.array([row[key] for row in rows]) for key in ("confidence", "matched"))
    return {**asdict(fit), "held": by_tenths(said, matched)}
