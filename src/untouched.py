"""Score the ensemble of the networks of a cross-validation on held-out images that are in no fold."""

import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from src import estimating, training
from src.build import PlainConfig
from src.data.folds import Plan, as_text
from src.data.stack import Stack
from src.instances import Decoder, cell_probability
from src.metrics import reliability
from src.metrics.bootstrap import means
from src.metrics.calibration import LOGITS, Calibration, tally
from src.metrics.evaluator import Evaluator, Metric, Probabilities
from src.model.segmenter import truth
from src.model.trained import Trained, common_average, common_precision
from src.prediction.predictor import Predictor
from src.run.device import inference, middle_channels
from src.tiles.blocks import blocks
from src.tiles.overlap import reader


@torch.inference_mode()
def scored(
    config: PlainConfig,
    stack: Stack,
    plan: Plan,
    trained: Sequence[Trained],
    decoder: Decoder,
    calibration: Calibration,
    metrics: dict[str, Metric],
    estimator: estimating.Estimator | None,
) -> dict[str, Any]:
    """Score and time the ensemble, which averages the probabilities of all networks, and each single network.

    Args:
        config: the configuration of a fold.
        stack: all images.
        plan: the plan of the folds, with the images to score, ``untouched``.
        trained: the networks of the folds.
        decoder: the decoder of the ensemble.
        calibration: the calibration of probabilities.
        metrics: the metrics, by name.
        estimator: the estimator of scores of images without annotation, which is tested here; None if there is none.

    Returns:
        The scores of the ensemble, the mean scores of single networks, and the results of the tests of calibration and
        estimated scores, in the layout of ``ensemble`` in ``scores.json``.
    """
    data = training.make_data(split_of(config, plan))
    data.source = lambda: stack
    data.setup()
    device, dtype = inference("auto", middle_channels(trained[0].model), common_precision(trained))
    each = [Predictor([one.model], device, dtype, common_average(trained), None) for one in trained]
    decoders = [decoder, *(one.decoder for one in trained)]
    evaluators = [Evaluator(metrics, one.threshold) for one in decoders]
    rows: list[dict[str, Any]] = []
    estimates: tuple[list[dict[str, float]], ...] = ([], [])  # for the ensemble, and for each network
    seconds, tallies = list[float](), list[np.ndarray]()
    loader = data.test_dataloader()
    for batch in loader:
        started = time.perf_counter()
        found = [whole(predictor, batch["image"].to(device)) for predictor in each]
        seconds.append(time.perf_counter() - started)
        mean = torch.from_numpy(np.stack(found)).mean(dim=0).numpy()
        target, _, known = truth(batch)
        tallies.append(tally(cell_probability(mean)[known], target[known] > 0))
        scores = [
            evaluator.update(Probabilities(probabilities, one.numbering), *truth(batch))
            for evaluator, one, probabilities in zip(evaluators, decoders, [mean, *found], strict=True)
        ]
        rows.append({"name": batch["name"][0], **scores[0]})
        interval = estimating.mean_of(estimator, trained, calibration, np.stack(found)) if estimator else None
        for place, own in enumerate(scores):
            estimates[min(place, 1)].extend(estimating.beside(interval, own.get(config["monitor"])))
    counts = sum(tallies[1:], start=tallies[0])
    return {
        "scores": evaluators[0].compute(),
        "single": means([{**evaluator.compute()} for evaluator in evaluators[1:]]),
        "per_image": rows,
        "calibration": {
            "before": reliability.scores(expit(LOGITS), counts),
            "after": reliability.scores(calibration.of_cell(expit(LOGITS)), counts),
        },
        "estimates": estimating.held(estimates[0]),
        "single_estimates": estimating.held(estimates[1]),
        "seconds": round(fmean(seconds), 3),
        "single_seconds": round(fmean(seconds) / len(trained), 3),
    }


def split_of(config: PlainConfig, plan: Plan) -> PlainConfig:
    """Return a configuration that trains on the images of all folds and holds out those of ``plan.untouched``."""
    parts = {"train": as_text(plan.scored), "validation": "", "held_out": as_text(plan.untouched)}
    return config | {"data": config["data"] | parts}


def whole(predictor: Predictor, image: torch.Tensor) -> np.ndarray:
    """Predict class probabilities ``(K, H, W)`` of an image ``(1, C, H, W)``, in the same blocks as `src.predict`."""
    height, width = image.shape[-2:]
    windows, read = blocks(height, width, predictor.block_side(height, width)), reader(image)
    found = np.empty((predictor.classes, height, width), np.float32)
    for window in windows:
        place = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))
        found[:, *place] = predictor(read, window)
    return found
