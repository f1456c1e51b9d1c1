"""Scores of images without truth, estimated by the images that a cross-validation has scored out of fold."""

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

ALONE, PARTS = 40, 10  # images up to which each is estimated by all others, and parts of more


@dataclass(frozen=True)
class Estimator:
    """What estimates the scores of images.

    Attributes:
        score: its name.
        mode: whether ``max`` or ``min`` of it is better.
        fitted: gives an interval by the features of an image, in the order of `FEATURES`.
    """

    score: str
    mode: str
    fitted: Conformal

    def __call__(self, features: dict[str, float]) -> Interval:
        """The interval of an image by its features, as of `metrics.features.features`."""
        return self.fitted(np.array([features[name] for name in FEATURES]))


def features_by(probabilities: np.ndarray, decoder: Decoder, calibration: Calibration) -> dict[str, float] | None:
    """The features of a prediction ``(K, H, W)``; None if it has no foreground."""
    labels = decoder(probabilities)
    labels = labels > 0 if decoder.numbering.of_classes else labels
    return features(calibration.of_cell(cell_probability(probabilities)), labels)


def seen(name: str, fold: int, score: float | None, features: dict[str, float] | None) -> list[Seen]:
    """An image to estimate by; none if it has no score of its own, or no foreground."""
    if score is None or math.isnan(score) or features is None:
        return []
    return [Seen(name=name, fold=fold, score=float(score), features=features)]


def estimator(score: str, mode: str, images: Sequence[Seen]) -> Estimator | None:
    """What estimates a score by images that have it; None if they are too few for an interval.

    Args:
        score: its name.
        mode: whether ``max`` or ``min`` of it is better.
        images: that have been scored out of fold.
    """
    if len(images) < FEWEST:
        return None
    features = np.array([[image.features[name] for name in FEATURES] for image in images])
    limits = (0, math.inf if base_score(score) in MISTAKES else 1)
    return Estimator(score, mode, fitted(features, np.array([image.score for image in images]), limits))


def write(directory: Path, score: str, mode: str, images: Sequence[Seen]) -> dict[str, object] | None:
    """Write ``estimates.json``, and tell how well images are estimated by the others; None if no image has the score.

    Args:
        directory: of the cross-validation.
        score: that is estimated.
        mode: whether ``max`` or ``min`` of it is better.
        images: that have been scored out of fold.
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
    """A number for each image, so that those of one number are estimated by all others.

    Each is one of its own; of many images it is a stretch of each fold, because neighbours are alike. All networks are
    among the others, as they are when a new image is estimated.
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
    """The estimates of images beside their true scores; none if nothing estimates."""
    if estimator is None:
        return []
    return [{"name": image.name, "true": image.score, **vars(estimator(image.features))} for image in images]


def beside(interval: Interval | None, true: float | None) -> list[dict[str, float]]:
    """An estimate beside the true score; none if one of them is not known."""
    if interval is None or true is None or math.isnan(true):
        return []
    return [{"true": float(true), **vars(interval)}]


def held(rows: Sequence[dict[str, Any]]) -> dict[str, float | None] | None:
    """How many intervals hold the true score, how wide they are, and whether better images are expected to be better.

    Args:
        rows: as of `judged`; of none there is nothing to tell.
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
    """What estimates the scores of images that the networks of a cross-validation predict, and why if nothing does.

    Args:
        directory: of the cross-validation.

    Raises:
        ValueError: what it has written is damaged.
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
    """Where `src.predict` notes the estimated scores of images; None where none can be told, and it says why.

    Args:
        config: of `src.predict`; if its checkpoint is the directory of a cross-validation, scores can be estimated.
        trained: the networks of that checkpoint.
        calibration: of their probabilities.

    Raises:
        ValueError: what the cross-validation has written is damaged.
        OSError: it cannot be read, or somebody else's file lies where estimates are written.
    """
    if not config.estimate or not isinstance(config.checkpoint, str) or not Path(config.checkpoint).is_dir():
        return None
    found, why = opened(Path(config.checkpoint))
    if found and ("instances" in config or not config.threshold == config.tta == "auto"):
        found, why = (
            None,
            "No score is estimated: those that are known are of the threshold, numbering and tta of folds.",
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
    """The mean of what is estimated of several networks, each by what it predicts alone; None if one finds no cell.

    What is known was predicted by single networks. Their mean is less sure of itself, so that it would look worse.

    Args:
        found: estimates a score.
        trained: the networks.
        calibration: of their probabilities.
        probabilities: of each ``(N, K, H, W)``.
    """
    each = [features_by(own, one.decoder, calibration) for own, one in zip(probabilities, trained, strict=True)]
    intervals = [found(own) for own in each if own is not None]
    if len(intervals) < len(each):
        return None
    return Interval(*(fmean(ends) for ends in zip(*map(astuple, intervals), strict=True)))
