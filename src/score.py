"""Score a prediction against the truth: ``python -m src.score truth=FILE prediction=FILE metrics=isbi``."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import hydra
import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torchmetrics import MetricCollection

from src import build, command
from src.data.stack import read
from src.run.directory import write_json


@hydra.main(config_path=str(build.CONF), config_name="score", version_base="1.3")
@command.one_message
def main(config: DictConfig) -> None:
    truth, prediction = read(config.truth), read(config.prediction)
    target = targets(truth, config.truth)
    probabilities = slices(prediction, target, config.prediction)
    scores = score(build.metrics(config), probabilities, target, Path(config.prediction).stem)
    command.print_scores(scores)
    if config.output:
        write_json(Path(config.output), scores)


def targets(truth: np.ndarray, file: str) -> np.ndarray:
    """Classes of a stack ``(D, H, W)``; of a mask with two values such as 0 and 255 the larger is class 1.

    Raises:
        ValueError: the file holds no integers, or is neither image nor stack.
    """
    if truth.dtype.kind not in "iub":
        raise ValueError(f"expected a truth of integers, but {file} holds {truth.dtype}")
    if truth.ndim not in (2, 3):
        raise ValueError(f"expected a truth (H, W) or (D, H, W), but {file} has shape {truth.shape}")
    stack = truth if truth.ndim == 3 else truth[None]
    values = np.unique(stack)
    return (stack == values[-1]).astype(np.int64) if len(values) == 2 else stack.astype(np.int64)


def slices(prediction: np.ndarray, target: np.ndarray, file: str) -> Iterator[np.ndarray]:
    """Class probabilities ``(K, H, W)`` of each slice, from those of class 1, of each class, or labels.

    Raises:
        ValueError: the shape is not that of the truth, or a probability is none.
    """
    depth, *plane = target.shape
    floating = prediction.dtype.kind == "f"
    if floating and not (np.isfinite(prediction).all() and 0 <= prediction.min() <= prediction.max() <= 1):
        raise ValueError(f"expected probabilities in [0, 1], but {file} holds {prediction.min()} to {prediction.max()}")
    per_slice = prediction.reshape(depth, -1, *plane) if prediction.size % target.size == 0 else prediction[None]
    if prediction.shape[-2:] != tuple(plane) or len(per_slice) != depth or (per_slice.shape[1] > 1 and not floating):
        raise ValueError(f"expected the shape of the truth, {target.shape}, but {file} has shape {prediction.shape}")
    classes = max(int(target.max()), 1) + 1
    for image in per_slice:
        if not floating:
            labels = (image[0] > 0).astype(int) if classes == 2 else image[0].astype(int)
            yield np.eye(max(classes, labels.max() + 1), dtype=np.float32)[labels].transpose(2, 0, 1)
        else:
            yield image if len(image) > 1 else np.concatenate([1 - image, image])


def score(metrics: MetricCollection, probabilities: Iterable[np.ndarray], target: np.ndarray, name: str) -> dict:
    """Scores in the layout of ``scores.json``: of each image and of all together."""
    rows = []
    for index, (image, truth) in enumerate(zip(probabilities, target, strict=True)):
        values = metrics(torch.from_numpy(image)[None], torch.from_numpy(truth)[None])
        label = f"{name}_{index:02d}" if len(target) > 1 else name
        rows.append({"name": label, **_floats(values)})
    return {"scores": _floats(metrics.compute()), "per_image": rows}


def _floats(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


if __name__ == "__main__":
    command.run(main)
