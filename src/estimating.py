"""Estimated scores of images without annotation, from the out-of-fold scores of a cross-validation."""

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
from src.run.estimates import ESTIMATES, Seen
from src.run.estimates import Estimates as Written
from src.saying import say

ALONE, PARTS = 40, 10  # up to so many images: leave-one-out; above: so many parts


@dataclass(frozen=True)
class Estimator:
    """Estimates the score of an image from features of its prediction.

    Attributes:
        score: name of the score.
        mode: ``max`` or ``min``, whichever is better.
        fitted: predicts an interval from features in the order of `FEATURES`.
    """

    score: str
    mode: str
    fitted: Conformal

    def __call__(self, features: dict[str, float]) -> Interval:
        """Estimate the interval of an image from its features, see `metrics.features.features`."""
        return self.fitted(np.array([features[name] for name in FEATURES]))


def features_by(probabilities: np.ndarray, decoder: Decoder, calibration: Calibration) -> dict[str, float] | None:
    """Compute the features of a prediction ``(K, H, W)``; None without foreground."""
    labels = decoder(probabilities)
    labels = labels > 0 if decoder.numbering.of_classes else labels
    return features(calibration.of_cell(cell_probability(probabilities)), labels)


def seen(name: str, fold: int, score: float | None, features: dict[str, float] | None) -> list[Seen]:
    """Return the image as one to estimate from; empty without a score of its own or without foreground."""
    if score is None or math.isnan(score) or features is None:
        return []
    return [Seen(name=name, fold=fold, score=float(score), features=features)]


def estimator(score: str, mode: str, images: Sequence[Seen]) -> Estimator | None:
    """Fit an estimator of a score; None with too few images for an interval.

    Args:
        score: name of the score.
        mode: ``max`` or ``min``, whichever is better.
        images: images scored out of fold.
    """
    if len(images) < FEWEST:
        return None
    features = np.array([[image.features[name] for name in FEATURES] for image in images])
    limits = (0, math.inf if base_score(score) in MISTAKES else 1)
    return Estimator(score, mode, fitted(features, np.array([image.score for image in images]), limits))


def write(directory: Path, score: str, mode: str, images: Sequence[Seen]) -> dict[str, object] | None:
    """Write ``estimates.json``; → the estimates of each image from the others, None if no image has the score.

    Args:
        directory: of the cross-validation.
        score: name of the score.
        mode: ``max`` or ``min``, whichever is better.
        images: images scored out of fold.
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
    """Assign each image to a part; each part is estimated from all others.

    With few images, each is a part. Otherwise a part takes a contiguous stretch of each fold, because neighbours are
    alike. The remaining images come from all networks, as they do for a new image.
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
    """Return the estimates of images with their true scores; empty without an estimator."""
    if estimator is None:
        return []
    return [{"name": image.name, "true": image.score, **vars(estimator(image.features))} for image in images]


def beside(interval: Interval | None, true: float | None) -> list[dict[str, float]]:
    """Return an estimate with the true score; empty if either is unknown."""
    if interval is None or true is None or math.isnan(true):
        return []
    return [{"true": float(true), **vars(interval)}]


def held(rows: Sequence[dict[str, Any]]) -> dict[str, float | None] | None:
    """Compute coverage, median width, and the rank correlation of estimated and true score.

    Args:
        rows: of `judged`; None is returned without any.
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
    """Open the estimator of a cross-validation; without one, return the reason.

    Args:
        directory: of the cross-validation.

    Raises:
        ValueError: its file is damaged.
        OSError: it cannot be read.
    """
    file = directory / ESTIMATES
    if not file.exists():
        return None, ""
    content = read_json(file, Written)
    images = [Seen.model_validate(image) for image in content["images"]]
    for image in images:
        if set(image.features) != set(FEATURES):
            raise damaged(file, f"expected the features {', '.join(FEATURES)}, but got {', '.join(image.features)}")
    found = estimator(content["score"], content["mode"], images)
    return found, "" if found else too_few(content["score"], len(images))


def asked(config: DictConfig, trained: Sequence[Trained], calibration: Calibration) -> Estimates | None:
    """Prepare the estimates of `src.predict`; None if no score can be estimated, with a note that says why.

    Args:
        config: of `src.predict`; only the directory of a cross-validation as checkpoint has an estimator.
        trained: the networks of that checkpoint.
        calibration: of their probabilities.

    Raises:
        ValueError: the file of the cross-validation is damaged.
        OSError: it cannot be read, or a file that is not ours has the name of the estimates.
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
    """Estimate the score of an ensemble from the prediction of each network; None if one of them finds no cell.

    The out-of-fold features come from single networks. The ensemble's probabilities are less extreme, so its features
    would wrongly indicate a worse prediction.

    Args:
        found: the estimator.
        trained: the networks.
        calibration: of their probabilities.
        probabilities: of each network ``(N, K, H, W)``.
    """
    each = [features_by(own, one.decoder, calibration) for own, one in zip(probabilities, trained, strict=True)]
    intervals = [found(own) for own in each if own is not None]
    if len(intervals) < len(each):
        return None
    return of_ensemble(intervals, found.mode)


def of_ensemble(intervals: Sequence[Interval], mode: str) -> Interval:
    """Combine the intervals of several networks.

    The mean of the networks is better than the networks are on average, so the better end of its interval is the best
    of theirs; the expected score and the worse end are means.

    >>> of_ensemble([Interval(0.8, 0.7, 0.9), Interval(0.6, 0.5, 0.8)], "max")
    Interval(expected=0.7, low=0.6, high=0.9)
    >>> of_ensemble([Interval(5.0, 3.0, 9.0), Interval(7.0, 4.0, 8.0)], "min")
    Interval(expected=6.0, low=3.0, high=8.5)
    """
    expected, low, high = zip(*map(astuple, intervals), strict=True)
    if mode == "min":
        return Interval(fmean(expected), min(low), fmean(high))
    return Interval(fmean(expected), fmean(low), max(high))
