"""The directory of a cross-validation: the run directory of each fold, their pooled scores and the report."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from src.files.reading import Layout, Number, read_json, unless_damaged
from src.instances import names_classes
from src.metrics.goodness import worst_first
from src.metrics.mistakes import kinds_of_mistakes
from src.pages.methods import callee
from src.pages.page import render
from src.pages.reliability import drawn_reliability
from src.pages.verdict import next_steps, verdict
from src.run.directory import read_config, scores_of
from src.run.layouts import Named, Scores
from src.run.report import PAGE, Reported, panels_of

# Besides the run directories, a cross-validation holds:
# predictions/     out-of-fold predictions of all images
# scores.json  scores.csv  report.html
# ensemble.json    the networks and the decoder of the mean of their probabilities
# cells.csv        the confidence of each predicted cell
ENSEMBLE = "ensemble.json"
SHARED = ("scores.json", "scores.csv", "cells.csv", ENSEMBLE, PAGE)  # files that any process that pools may write


class Folded(Layout):
    """The fields of ``config.yaml`` that identify a fold."""

    folds: int | None = None
    fold: int | None = None


class OfFold(Layout):
    """A fold in ``scores.json`` of a cross-validation."""

    directory: str
    scores: dict[str, Number | None]


class OfMean(Layout):
    """The scores of the mean of the networks on held-out images, which no fold has seen."""

    scores: dict[str, Number | None]
    single: dict[str, Number | None]
    seconds: Number
    single_seconds: Number


class Fitted(Layout):
    """The parameters of a calibration."""

    temperature: Number = Field(gt=0, le=1000)
    shift: Number = Field(ge=-1000, le=1000)


class Step(Layout):
    """A bin of a reliability diagram."""

    count: int
    predicted: Number
    true: Number


class Calibrated(Fitted):
    """The calibration of the probabilities in ``scores.json`` of a cross-validation."""

    needed: str
    threshold: Number
    scores: dict[str, dict[str, Number]]
    before: list[Step]
    after: list[Step]


class Sure(Layout):
    """The cells with a confidence near ``said``, and the share of them that match a true cell."""

    said: Number
    cells: int
    matched: Number


class Cells(Fitted):
    """The calibration of the confidence of cells in ``scores.json`` of a cross-validation."""

    held: list[Sure]


class FoldedScores(Scores):
    """``scores.json`` of a cross-validation."""

    intervals: dict[str, list[Number | None]]
    mean_of_images: dict[str, Number | None]
    mean_of_folds: dict[str, Number | None]
    folds: list[OfFold] = Field(min_length=1)
    ensemble: OfMean | None
    calibration: Calibrated
    cells: Cells | None


class Ensemble(Layout):
    """``ensemble.json``: the networks, and the decoder of the mean of their probabilities."""

    checkpoints: list[str] = Field(min_length=1)
    instances: Named
    threshold: Number = Field(ge=0, le=1)
    calibration: Fitted


def fold_directories(directory: Path) -> list[Path]:
    """The run directories of the folds in order; none if the directory does not hold each fold exactly once."""
    found: list[tuple[int, Path]] = []
    count = None
    for file in directory.glob("*/config.yaml"):
        with contextlib.suppress(OSError, ValueError):  # the ranking of a sweep names damaged files
            config = read_config(file.parent, Folded)
            if config.get("fold") is not None:
                count = config["folds"]
                found.append((config["fold"], file.parent))
    found.sort()
    return [point for _, point in found] if [fold for fold, _ in found] == list(range(count or 0)) else []


def folded_scores(directory: Path) -> dict[str, Any] | None:
    """The content of ``scores.json`` of a cross-validation; None if there is none, or if a fold has changed since.

    A warning names a damaged file, which is computed again.
    """
    file = directory / "scores.json"
    if not file.exists():
        return None
    found = unless_damaged(lambda file: read_json(file, FoldedScores), file, None, "the scores are computed again")
    there = found and (directory / ENSEMBLE).exists() and of_folds(directory) == found["folds"]
    return found if there else None


def of_folds(directory: Path) -> list[dict[str, Any]]:
    """The entries of the folds in ``scores.json`` of a cross-validation.

    Raises:
        ValueError: a fold is not finished, or is damaged.
    """
    rows = []
    for point in fold_directories(directory):
        scores = scores_of(point)
        kept = {key: scores[key] for key in ("scores", "threshold", "instances", "steps", "seconds")}
        rows.append({"directory": point.name, "images": len(scores["per_image"]), **kept})
    return rows


def write_folds_page(directory: Path, scores: dict[str, Any], shown: Callable[[float | None], str]) -> Path:
    """Write ``report.html`` of a cross-validation from its files alone; → the file.

    Args:
        directory: the directory of the cross-validation.
        scores: the content of its ``scores.json``.
        shown: formats a score.

    Raises:
        ValueError: the configuration of its first fold is damaged.
    """
    points = fold_directories(directory)
    config = read_config(points[0], Reported)
    monitor = config["monitor"]
    rows = worst_first(scores["per_image"], monitor, config["monitor_mode"])
    diagrams = {when: scores["calibration"][when] for when in ("before", "after")}
    what = "images, each scored by a network that had not seen it"
    render(
        directory / PAGE,
        shown,
        title=directory.resolve().name,
        scores=scores["scores"],
        rows=rows,
        monitor=monitor,
        verdict=[
            verdict(scores["scores"], rows, monitor, what, {}, with_interval=False),  # `lines` has it
            *lines(scores, monitor, shown),
        ],
        steps=next_steps(scores["scores"], rows, monitor, config["monitor_mode"]),
        images=((row["name"], panels_of(points[row["fold"]], row["name"])) for row in rows),
        kinds=kinds_of_mistakes(names_classes(callee(config["instances"]))),
        drawings=[("How far probabilities can be believed", drawn_reliability(diagrams))],
    )
    return directory / PAGE


def lines(scores: dict[str, Any], monitor: str, shown: Callable[[float | None], str]) -> list[str]:
    """Sentences on a cross-validation: the interval of the score, the folds, calibration, and the mean of the networks.

    Args:
        scores: the content of its ``scores.json``.
        monitor: the score to describe.
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
    """A sentence on the calibration that the probabilities need, and on its effect.

    Args:
        calibration: the entry of ``scores.json`` of a cross-validation.
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
