"""Estimate the scores of images without annotation from the out-of-fold scores of a cross-validation."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from omegaconf import DictConfig
from scipy.stats import spearmanr

from src.files.reading import damaged, read_json
from src.files.whole import write_json
from src.instances import Decoder, cell_probability
from src.metrics.calibration import Calibration
from src.metrics.conformal import FEWEST, Conformal, Interval, fitted, too_few
from src.metrics.evaluator import base_score
from src.metrics.features import FEATURES, features
from src.metrics.instance import MISTAKES
from src.model.trained import Trained
from src.prediction.estimates import Estimates, check_room
from src.run.estimates import ESTIMATES, EstimatesFile, Seen
from src.saying import say

ALONE, PARTS = 40, 10  # up to ALONE images: each is a part of its own; with more images: PARTS parts


@dataclass(frozen=True)
class Estimator:
    """An estimator of the score of an image from features of its prediction.

    Attributes:
        score: the name of the score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        fitted: the fitted regression, which predicts an interval from features in the order of `FEATURES`.
    """

    score: str
    mode: str
    fitted: Conformal

    def __call__(self, features: dict[str, float]) -> Interval:
        """Estimate the score of an image, with an interval, from its features, see `metrics.features.features`."""
        return self.fitted(np.array([features[name] for name in FEATURES]))


def features_by(probabilities: np.ndarray, decoder: Decoder, calibration: Calibration) -> dict[str, float] | None:
    """Compute the features of a prediction, by name, or return None if the prediction has no foreground.

    Args:
        probabilities: class probabilities of an image, ``(K, H, W)``.
        decoder: makes labels from the probabilities.
        calibration: calibrates the predicted probability of cell.
    """
    labels = decoder(probabilities)
    labels = labels > 0 if decoder.numbering.of_classes else labels
    return features(calibration.of_cell(cell_probability(probabilities)), labels)


def seen(name: str, fold: int, score: float | None, features: dict[str, float] | None) -> list[Seen]:
    """Return the score and the features of an image as one training example of the score estimator, in a list.

    The list is empty if the score or the features are unknown.

    Args:
        name: the name of the image.
        fold: the number of the fold that scored the image.
        score: the score of the image; None or NaN if unknown.
        features: the result of `features_by`, which is None if the prediction has no foreground.
    """
    if score is None or math.isnan(score) or features is None:
        return []
    return [Seen(name=name, fold=fold, score=float(score), features=features)]


def estimator(score: str, mode: str, images: Sequence[Seen]) -> Estimator | None:
    """Fit an estimator of a score, or return None if there are fewer than `FEWEST` images.

    Args:
        score: the name of the score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        images: images with their out-of-fold scores and features.
    """
    if len(images) < FEWEST:
        return None
    features = np.array([[image.features[name] for name in FEATURES] for image in images])
    limits = (0, math.inf if base_score(score) in MISTAKES else 1)
    return Estimator(score, mode, fitted(features, np.array([image.score for image in images]), limits))


def write(directory: Path, score: str, mode: str, images: Sequence[Seen]) -> dict[str, object] | None:
    """Write ``estimates.json``, and estimate the score of each image from other images as a test of the estimates.

    Args:
        directory: the directory of the cross-validation.
        score: the name of the score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        images: images with their out-of-fold scores and features.

    Returns:
        The estimates with the true scores and a summary of their agreement, or None if ``images`` is empty.
    """
    write_json(
        directory / ESTIMATES, {"score": score, "mode": mode, "images": [image.model_dump() for image in images]}
    )
    if not images:
        return None
    rows: list[dict[str, Any]] = []
    places = parts(images)
    for part in sorted(set(places)):
        others = [image for image, place in zip(images, places, strict=True) if place != part]
        own = [image for image, place in zip(images, places, strict=True) if place == part]
        rows += judged(estimator(score, mode, others), own)
    return {"score": score, "images": len(images), "held": held(rows), "rows": rows}


def parts(images: Sequence[Seen]) -> list[int]:
    """Assign images to parts, to test estimates of the scores in each part from the images of all other parts.

    With up to `ALONE` images, each image is a part of its own. Otherwise, each part takes a contiguous stretch of every
    fold, because neighbouring images are alike. So the images of the other parts were scored by the networks of all
    folds, as when the score of a new image is estimated.

    Returns:
        The number of the part of each image.
    """
    if len(images) <= ALONE:
        return list(range(len(images)))
    sizes, ranks = Counter(image.fold for image in images), Counter[int]()
    found = []
    for image in images:
        found.append(ranks[image.fold] * PARTS // sizes[image.fold])
        ranks[image.fold] += 1
    return found


def judged(estimator: Estimator | None, images: Iterable[Seen]) -> list[dict[str, Any]]:
    """Return the estimated and true scores of images, a row for each image; no rows if the estimator is None."""
    if estimator is None:
        return []
    return [{"name": image.name, "true": image.score, **vars(estimator(image.features))} for image in images]


def beside(interval: Interval | None, true: float | None) -> list[dict[str, float]]:
    """Return a list with one row, an estimated and a true score; empty if either is unknown (None or NaN)."""
    if interval is None or true is None or math.isnan(true):
        return []
    return [{"true": float(true), **vars(interval)}]


def held(rows: Sequence[dict[str, Any]]) -> dict[str, float | None] | None:
    """Summarise how well estimated scores agree with true scores.

    Args:
        rows: rows as returned by `judged`.

    Returns:
        The number of images, the number whose interval contains the true score, the median width of the intervals, and
        the rank correlation of estimated and true scores; or None if there are no rows.
    """
    if not rows:
        return None
    true, expected, low, high = (np.array([row[key] for row in rows]) for key in ("true", "expected", "low", "high"))
    differ = np.ptp(true) > 0 and np.ptp(expected) > 0
    return {
        "images": len(rows),
        "covered": int(((low <= true) & (true <= high)).sum()),
        "width": float(np.median(high - low)),
        "rank_correlation": float(spearmanr(true, expected).statistic) if differ else None,
    }


def opened(directory: Path) -> tuple[Estimator | None, str]:
    """Open the estimator of scores that a cross-validation provides.

    Args:
        directory: the directory of the cross-validation.

    Returns:
        The estimator and an empty text; or None and the reason why there is no estimator, which is empty if the
        cross-validation has not written ``estimates.json``.

    Raises:
        ValueError: ``estimates.json`` is damaged.
        OSError: ``estimates.json`` cannot be read.
    """
    file = directory / ESTIMATES
    if not file.exists():
        return None, ""
    content = read_json(file, EstimatesFile)
    images = [Seen.model_validate(image) for image in content["images"]]
    for image in images:
        if set(image.features) != set(FEATURES):
            raise damaged(file, f"expected the features {', '.join(FEATURES)}, but got {', '.join(image.features)}")
    found = estimator(content["score"], content["mode"], images)
    return found, "" if found else too_few(content["score"], len(images))


def asked(config: DictConfig, trained: Sequence[Trained], calibration: Calibration) -> Estimates | None:
    """Prepare the estimation of scores by `src.predict`.

    Args:
        config: the configuration of `src.predict`; scores are estimated only if its checkpoint is the directory of a
            cross-validation.
        trained: the networks of the cross-validation.
        calibration: the calibration of their probabilities.

    Returns:
        An object that estimates and writes scores, or None if no scores are asked for or can be estimated. If the
        estimator of the cross-validation cannot be used, a printed note says why.

    Raises:
        ValueError: ``estimates.json`` of the cross-validation is damaged.
        OSError: ``estimates.json`` cannot be read, or another program's file has the name of the estimated scores.
    """
    if not config.estimate or not isinstance(config.checkpoint, str) or not Path(config.checkpoint).is_dir():
        return None
    found, why = opened(Path(config.checkpoint))
    if found and ("instances" in config or not config.threshold == config.tta == "auto"):
        found, why = (
            None,
            "No score is estimated: the out-of-fold scores are those of the stored threshold, decoder and tta.",
        )
    if why:
        say(f"note: {why}")
    if not found:
        return None
    check_room(Path(config.output), config.overwrite)
    return Estimates(found.score, found.mode, partial(mean_of, found, trained, calibration))


def mean_of(
    found: Estimator, trained: Sequence[Trained], calibration: Calibration, probabilities: np.ndarray
) -> Interval | None:
    """Estimate the score of an ensemble on an image; return None if any of its networks finds no cell.

    The estimate combines those from the prediction of each network, because the estimator was fitted to predictions of
    single networks. The probabilities of the ensemble are less extreme, so that its features would wrongly indicate a
    worse prediction.

    Args:
        found: the estimator.
        trained: the networks.
        calibration: the calibration of their probabilities.
        probabilities: class probabilities of the image by each network, ``(N, K, H, W)``.
    """
    each = [features_by(own, one.decoder, calibration) for own, one in zip(probabilities, trained, strict=True)]
    intervals = [found(own) for own in each if own is not None]
    if len(intervals) < len(each):
        return None
    return of_ensemble(intervals, found.mode)


def of_ensemble(intervals: Sequence[Interval], mode: str) -> Interval:
    """Combine the estimated scores of several networks on an image into an estimate for their ensemble.

    The ensemble is better than its networks are on average, so the better end of its interval is the best end of all
    networks; the expected score and the worse end are means over the networks.

    Args:
        intervals: the estimate for each network.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.

    >>> of_ensemble([Interval(0.8, 0.7, 0.9), Interval(0.6, 0.5, 0.8)], "max")
    Interval(expected=0.7, low=0.6, high=0.9)
    >>> of_ensemble([Interval(5.0, 3.0, 9.0), Interval(7.0, 4.0, 8.0)], "min")
    Interval(expected=6.0, low=3.0, high=8.5)
    """
    expected, low, high = zip(*map(astuple, intervals), strict=True)
    if mode == "min":
        return Interval(fmean(expected), min(low), fmean(high))
    return Interval(fmean(expected), fmean(low), max(high))
