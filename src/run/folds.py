"""The directory of a cross-validation: the run directories of its folds, the pooled scores and the report."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from src.files.reading import Layout, Number, read_json, unless_damaged
from src.instances import names_classes
from src.metrics.goodness import worst_first
from src.metrics.mistakes import kinds_of_mistakes
from src.pages.estimates import drawn_estimates
from src.pages.methods import callee
from src.pages.page import render
from src.pages.reliability import drawn_reliability
from src.pages.verdict import next_steps, verdict
from src.run.directory import read_config, scores_of
from src.run.estimates import ESTIMATES, Coverage, Estimated, held_lines
from src.run.layouts import Named, Scores
from src.run.report import PAGE, Reported, panels_of

# Besides a run directory for each fold, the directory of a cross-validation contains:
# predictions/     out-of-fold predictions of all images
# scores.json  scores.csv  report.html
# ensemble.json    the networks, and the decoder for the mean of their probabilities
# cells.csv        the confidence of each predicted cell
# estimates.json   features and scores of all images, from which src.predict estimates the scores of other images
ENSEMBLE = "ensemble.json"
SHARED = (
    "scores.json",
    "scores.csv",
    "cells.csv",
    ENSEMBLE,
    ESTIMATES,
    PAGE,
)  # files that any process that pools the folds may write


class Folded(Layout):
    """The fields of ``config.yaml`` that identify a fold."""

    folds: int | None = None
    fold: int | None = None


class OfFold(Layout):
    """The entry of a fold in ``scores.json`` of a cross-validation."""

    directory: str
    scores: dict[str, Number | None]


class OfMean(Layout):
    """Scores and computing times of the ensemble (the mean of the networks) on held-out images, which are in no fold.

    The fields ``single…`` hold the same for single networks, averaged over the networks, as a comparison.
    """

    scores: dict[str, Number | None]
    single: dict[str, Number | None]
    seconds: Number
    single_seconds: Number
    estimates: Coverage | None = None
    single_estimates: Coverage | None = None


class Fitted(Layout):
    """The parameters of a calibration of probabilities (`metrics.calibration.Calibration`)."""

    temperature: Number = Field(gt=0, le=1000)
    shift: Number = Field(ge=-1000, le=1000)


class Step(Layout):
    """A bin of a reliability diagram: pixel count, mean predicted probability of cell, true fraction of cell pixels."""

    count: int
    predicted: Number
    true: Number


class Calibrated(Fitted):
    """The calibration of pixel probabilities in ``scores.json``, with the reliability before and after it."""

    needed: str
    threshold: Number
    scores: dict[str, dict[str, Number]]
    before: list[Step]
    after: list[Step]


class Sure(Layout):
    """The number of cells with a confidence near ``said``, and the fraction of these cells that match a true cell."""

    said: Number
    cells: int
    matched: Number


class Cells(Fitted):
    """The calibration of the confidence of cells in ``scores.json``, with the reliability of calibrated confidences."""

    held: list[Sure]


class FoldedScores(Scores):
    """The layout of ``scores.json`` of a cross-validation."""

    intervals: dict[str, list[Number | None]]
    mean_of_images: dict[str, Number | None]
    mean_of_folds: dict[str, Number | None]
    folds: list[OfFold] = Field(min_length=1)
    ensemble: OfMean | None
    calibration: Calibrated
    cells: Cells | None
    estimates: Estimated | None = None


class Ensemble(Layout):
    """The layout of ``ensemble.json``: the networks, and the decoder for the mean of their probabilities."""

    checkpoints: list[str] = Field(min_length=1)
    instances: Named
    threshold: Number = Field(ge=0, le=1)
    calibration: Fitted


def fold_directories(directory: Path) -> list[Path]:
    """Return the run directories of all folds in order; an empty list unless each fold is there exactly once.

    Args:
        directory: the directory of the cross-validation; its immediate subfolders are searched.
    """
    found: list[tuple[int, Path]] = []
    count = None
    for file in directory.glob("*/config.yaml"):
        with contextlib.suppress(OSError, ValueError):  # damaged files are reported by the ranking of a sweep
            config = read_config(file.parent, Folded)
            if config.get("fold") is not None:
                count = config["folds"]
                found.append((config["fold"], file.parent))
    found.sort()
    return [point for _, point in found] if [fold for fold, _ in found] == list(range(count or 0)) else []


def folded_scores(directory: Path) -> dict[str, Any] | None:
    """Return the content of ``scores.json`` of a cross-validation, or None if it has to be computed.

    The content has to be computed if the file or ``ensemble.json`` does not exist, if the file is damaged (which is
    reported in a warning), or if the results of a fold have changed since the file was written.
    """
    file = directory / "scores.json"
    if not file.exists():
        return None
    found = unless_damaged(lambda file: read_json(file, FoldedScores), file, None, "the scores are computed again")
    there = found and (directory / ENSEMBLE).exists() and of_folds(directory) == found["folds"]
    return found if there else None


def of_folds(directory: Path) -> list[dict[str, Any]]:
    """Return the entry of each fold for ``scores.json`` of a cross-validation.

    Args:
        directory: the directory of the cross-validation.

    Raises:
        ValueError: a fold is unfinished, or its scores are damaged.
    """
    rows = []
    for point in fold_directories(directory):
        scores = scores_of(point)
        kept = {key: scores[key] for key in ("scores", "threshold", "instances", "steps", "seconds")}
        rows.append({"directory": point.name, "images": len(scores["per_image"]), **kept})
    return rows


def write_folds_page(directory: Path, scores: dict[str, Any], shown: Callable[[float | None], str]) -> Path:
    """Write ``report.html`` of a cross-validation, using only its files, and return the path of the report.

    Args:
        directory: the directory of the cross-validation.
        scores: the content of its ``scores.json``.
        shown: formats a score.

    Raises:
        ValueError: the configuration of its first fold is damaged.
    """
    points = fold_directories(directory)
    config = read_config(points[0], Reported)
    monitor, what = config["monitor"], "images, each scored by a network that had not seen it"
    rows = worst_first(scores["per_image"], monitor, config["monitor_mode"])
    diagrams = {when: scores["calibration"][when] for when in ("before", "after")}
    drawings = [("How far probabilities can be believed", drawn_reliability(diagrams))]
    if rows_estimated := (scores.get("estimates") or {}).get("rows"):
        title = f"Estimated and true {monitor} out of fold, each image by others"
        drawings.append((title, drawn_estimates(rows_estimated, monitor)))
    render(
        directory / PAGE,
        shown,
        title=directory.resolve().name,
        scores=scores["scores"],
        rows=rows,
        monitor=monitor,
        verdict=[
            verdict(scores["scores"], rows, monitor, what, {}, with_interval=False),  # `lines` states it
            *lines(scores, monitor, shown),
        ],
        steps=next_steps(scores["scores"], rows, monitor, config["monitor_mode"]),
        images=((row["name"], panels_of(points[row["fold"]], row["name"])) for row in rows),
        kinds=kinds_of_mistakes(names_classes(callee(config["instances"]))),
        drawings=drawings,
    )
    return directory / PAGE


def lines(scores: dict[str, Any], monitor: str, shown: Callable[[float | None], str]) -> list[str]:
    """Describe the results of a cross-validation in sentences.

    The sentences state the confidence interval of the score, the score of each fold, calibration and confidence, the
    quality of estimated scores, and how the ensemble compares with a single network.

    Args:
        scores: the content of ``scores.json`` of the cross-validation.
        monitor: name of the score to describe.
        shown: formats a score.
    """
    low, high = (shown(end) for end in scores["intervals"].get(monitor, [None, None]))
    each = ", ".join(shown(fold["scores"].get(monitor)) for fold in scores["folds"])
    means = (shown(scores[mean].get(monitor)) for mean in ("mean_of_folds", "mean_of_images"))
    found = [
        f"95 % confidence interval of {monitor} pooled over all images, by bootstrap over images: {low} to {high}.",
        "{} of the folds: {}; their mean {}, that of the images {}.".format(monitor, each, *means),
    ]
    found.append(calibration_sentence(scores["calibration"], shown))
    held = scores["cells"]["held"] if scores["cells"] else []
    if held:
        tenths = [f"of {each['said']:.1f}" for each in held]
        shares = [f"in {100 * each['matched']:.0f} % of {each['cells']}" for each in held]
        others = "".join(f", {tenth} {share}" for tenth, share in zip(tenths[1:], shares[1:], strict=True))
        found.append(f"Cells with a confidence in cells.csv {tenths[0]} matched a true one {shares[0]}{others}.")
    count, mean = len(scores["folds"]), scores["ensemble"]
    found += held_lines(scores.get("estimates"), mean or {}, shown)
    if mean is None:
        return [*found, f"The mean of the {count} networks takes {count} times as long as one of them."]
    together, single = (shown(mean[key].get(monitor)) for key in ("scores", "single"))
    return [
        *found,
        f"On {len(mean['per_image'])} held-out images, which no fold has seen, the mean of the {count} networks has "
        f"{monitor} {together} and takes {mean['seconds']:.2f} s per image; one of them has {single} on average and "
        f"takes {mean['single_seconds']:.2f} s.",
    ]


def calibration_sentence(calibration: dict[str, Any], shown: Callable[[float | None], str]) -> str:
    """Describe in a sentence which calibration the probabilities need, and its effect.

    Args:
        calibration: the entry ``calibration`` of ``scores.json`` of a cross-validation.
        shown: formats a score.
    """
    before, after = (calibration["scores"][name] for name in ("none", calibration["needed"]))
    if calibration["needed"] == "none":
        return f"Probabilities need no calibration: their expected calibration error is {shown(before['ece'])}."
    needed = {"temperature": "a temperature", "shift": "a shift", "both": "a temperature and a shift"}
    return (
        f"Probabilities need {needed[calibration['needed']]} (temperature {calibration['temperature']:.2f}, shift "
        f"{calibration['shift']:+.2f}): the expected calibration error falls from {shown(before['ece'])} to "
        f"{shown(after['ece'])}, each fold measured with the fit of the others. Labels stay the same: pixels with a "
        f"calibrated probability above {calibration['threshold']:.2f} are cell."
    )
