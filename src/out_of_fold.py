"""Pool the predictions of a cross-validation, in which each image is predicted by a network not trained on it."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from src import build, estimating, folding, training, untouched
from src.build import PlainConfig
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
from src.metrics.evaluator import Evaluator, Metric, Probabilities, Sums
from src.model.layout import part_of
from src.model.trained import Trained
from src.prediction.names import prediction_file
from src.restore import restore
from src.run.choice import MOST_PIXELS
from src.run.directory import checkpoint_file, read_config
from src.run.estimates import Seen
from src.run.folds import ENSEMBLE, SHARED, fold_directories, of_folds


@dataclass(frozen=True)
class Image:
    """An image that a fold has scored.

    Attributes:
        number: the index of the image in the stack.
        name: the name of the image.
        fold: the number of the fold that scored the image.
        counts: counts of pixels and cells from which scores are computed, from `evaluator.Evaluator.counts`.
        row: the scores of the image, by name.
        tally: a histogram of the predicted probabilities of the pixels, as returned by `calibration.tally`.
        cells: the predicted cells; None if classes are predicted.
    """

    number: int
    name: str
    fold: int
    counts: Sums
    row: dict[str, float | None]
    tally: np.ndarray
    cells: Cells | None


def pool(directory: Path) -> dict[str, Any]:
    """Pool the predictions of all folds, score them, and choose the decoder for the mean of the networks.

    The results are ``predictions/``, ``ensemble.json``, ``cells.csv``, ``estimates.json``, ``scores.csv`` and, written
    last, ``scores.json``.

    Args:
        directory: the directory of the cross-validation, whose folds are finished.

    Returns:
        The content of ``scores.json``.

    Raises:
        ValueError: a fold is unfinished or damaged, or the data have changed.
    """
    points = fold_directories(directory)
    rows_of_folds = of_folds(directory)
    config = fold_config(points[0])
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
    seen = seen_of(images, points, trained, stack, fit, config["monitor"])
    known = estimating.estimator(config["monitor"], config["monitor_mode"], seen)
    content = {
        **summed(images, Evaluator(metrics, trained[0].decoder.threshold)),
        "mean_of_folds": means([row["scores"] for row in rows_of_folds]),
        "folds": rows_of_folds,
        **decoding,
        "calibration": calibrated | {"threshold": fit.for_calibrated(decoder).threshold},
        "cells": cells,
        "estimates": estimating.write(directory, config["monitor"], config["monitor_mode"], seen),
        "ensemble": untouched.scored(config, stack, plan, trained, decoder, fit, metrics, known)
        if plan.untouched
        else None,
        "seconds": sum(row["seconds"] for row in rows_of_folds),
    }
    write_rows(directory / "scores.csv", content["per_image"])
    write_json(directory / "scores.json", content)
    return content


def fold_config(point: Path) -> PlainConfig:
    """Return the configuration in ``point``, the run directory of a fold, with the meaning of labels in that run."""
    return training.with_label_meaning(read_config(point), point, None, None)[0]


def scored(
    fold: int, point: Path, trained: Trained, stack: Stack, plan: Plan, metrics: dict[str, Metric]
) -> list[Image]:
    """Score the held-out images of a fold from its saved probabilities; the scores equal those that the fold computed.

    Args:
        fold: the number of the fold.
        point: the run directory of the fold.
        trained: the network of the fold.
        stack: all images.
        plan: the plan of all folds.
        metrics: the metrics, by name.

    Raises:
        ValueError: a saved prediction is missing.
    """
    evaluator, images = Evaluator(metrics, trained.decoder.threshold), []
    for number in plan.folds[fold]["held_out"]:
        name, image = stack.names[number], read_prediction(point, number, stack)
        probabilities = Probabilities(image.probabilities, trained.decoder.numbering)
        counts = evaluator.counts(probabilities, image.target, image.instances, image.known)
        cell = cell_probability(image.probabilities)
        tallied = tally(cell[image.known], image.target[image.known] > 0)
        labels = None if trained.decoder.numbering.of_classes else trained.decoder(image.probabilities)
        cells = None if labels is None else cells_of(labels, cell, image.instances, image.known)
        row: dict[str, float | None] = {**evaluator.of_image(counts)}
        images.append(Image(number, name, fold, counts, row, tallied, cells))
    return images


def read_prediction(point: Path, number: int, stack: Stack) -> Judged:
    """Read the probabilities of an image that a fold has saved, and return them with the true labels of the image.

    Args:
        point: the run directory of the fold.
        number: the index of the image in the stack.
        stack: all images.

    Raises:
        ValueError: the probabilities are missing.
    """
    file = prediction_file(point / "predictions", stack.names[number], "probabilities")
    if not file.exists():
        raise ValueError(f"expected {file}, but it does not exist; nearest valid: another hydra.run.dir")
    found = tifffile.imread(file)
    found = found if found.ndim == 3 else np.stack([1 - found, found])
    return Judged(found, stack.targets[number], stack.instances[number], stack.known[number])


def copy_predictions(images: Sequence[Image], points: Sequence[Path], folder: Path) -> None:
    """Copy the predictions of all folds into one folder.

    Args:
        images: the scored images of all folds.
        points: the run directories of the folds.
        folder: the destination.
    """
    endings = (".png", "_probabilities.tif", "_labels.tif")
    names = {image.name: [f"{image.name}{ending}" for ending in endings] for image in images}
    sweep_beside(folder, {name for files in names.values() for name in files})
    for image in images:
        for name in names[image.name]:
            with complete_file(folder / name) as partial:
                shutil.copyfile(points[image.fold] / "predictions" / name, partial)


def choose(
    images: Sequence[Image],
    points: Sequence[Path],
    stack: Stack,
    config: PlainConfig,
    metrics: dict[str, Metric],
) -> Decoder:
    """Choose the decoder for the mean of the networks, with its threshold, on out-of-fold predictions.

    Args:
        images: the scored images of all folds; if they are too many, evenly spaced ones are used.
        points: the run directories of the folds.
        stack: all images.
        config: the configuration of a fold.
        metrics: the metrics, by name.
    """
    pixels = sum(stack.targets[image.number].size for image in images)
    count = min(len(images), max(1, MOST_PIXELS * len(images) // pixels))
    some = [images[place] for place in np.linspace(0, len(images) - 1, count).astype(int)]
    slices = [read_prediction(points[image.fold], image.number, stack) for image in some]
    contest = Contest(metrics, config["monitor"], len(slices[0].probabilities))
    return contest.choose(slices, build.make(training.with_target(config), "instances"))[0]


def summed(images: Sequence[Image], evaluator: Evaluator) -> dict[str, object]:
    """Compute the scores of all images together, with confidence intervals; the scores of each image; and their means.

    The scores of all images together are computed from counts of pixels and cells (`Image.counts`) summed over images.
    """
    counts = [image.counts for image in images]
    pooled = evaluator.compute({name: total([each[name] for each in counts]) for name in counts[0]})
    return {
        "scores": pooled,
        "per_image": [{"name": image.name, "fold": image.fold, **image.row} for image in images],
        "mean_of_images": means([image.row for image in images]),
        "intervals": intervals(counts, evaluator.compute),
    }


def total(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the elementwise sum of arrays of the same shape."""
    return sum(arrays[1:], start=arrays[0])


def calibration_of(images: Sequence[Image], folds: int) -> dict[str, Any]:
    """Fit the calibration of probabilities on all images; score each fold with a calibration fitted to the other folds.

    Args:
        images: the scored images of all folds.
        folds: the number of folds.

    Returns:
        The fitted parameters, and scores and reliability diagrams, in the layout of ``scores.json``.
    """
    tallies = [total([image.tally for image in images if image.fold == fold]) for fold in range(folds)]
    free, cross = needed(tallies)
    return {
        "needed": free,
        **asdict(fitted(total(tallies), free)),
        "scores": {name: reliability.scores(*each) for name, each in cross.items()},
        "before": reliability.diagram(*cross["none"]),
        "after": reliability.diagram(*cross[free]),
    }


def seen_of(
    images: Sequence[Image],
    points: Sequence[Path],
    trained: Sequence[Trained],
    stack: Stack,
    fit: Calibration,
    monitor: str,
) -> list[Seen]:
    """Return the features and the score of each out-of-fold prediction, as examples to fit an estimator of scores to.

    Args:
        images: the scored images of all folds.
        points: the run directories of the folds.
        trained: the networks of the folds.
        stack: all images.
        fit: the calibration of probabilities.
        monitor: the name of the score to estimate.
    """
    found = []
    for image in images:
        probabilities = read_prediction(points[image.fold], image.number, stack).probabilities
        features = estimating.features_by(probabilities, trained[image.fold].decoder, fit)
        found += estimating.seen(image.name, image.fold, image.row.get(monitor), features)
    return found


def write_cells(images: Sequence[Image], folds: int, file: Path) -> dict[str, Any] | None:
    """Write the confidence of each predicted cell, and return a summary, or None if classes are predicted.

    Args:
        images: the scored images of all folds.
        folds: the number of folds.
        file: the CSV file to write, with a row for each cell.
    """
    cells = [(image, image.cells) for image in images if image.cells is not None]
    if not cells:
        return None
    each, fit = confidences([[found for image, found in cells if image.fold == fold] for fold in range(folds)])
    rows: list[dict[str, Any]] = []
    places = [iter(confidence) for confidence in each]  # for each fold, the confidences of its images in order
    for image, found in cells:
        columns = found.numbers, found.pixels, next(places[image.fold]), found.matched
        for number, pixels, sure, matched in zip(*(column.tolist() for column in columns), strict=True):
            row = {"image": image.name, "fold": image.fold, "cell": number, "pixels": pixels}
            rows.append(row | {"confidence": round(sure, 4), "matched": int(matched)})
    write_rows(file, rows)
    confidence, matched = (np.array([row[key] for row in rows]) for key in ("confidence", "matched"))
    return {**asdict(fit), "held": by_tenths(confidence, matched)}
