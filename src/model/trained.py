"""A trained network with what belongs to its predictions, and nothing of its training."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from src.data.appearance import Appearance
from src.files.legend import NUMBERS, Legend
from src.files.stored import EARLIER, Reading
from src.instances import Decoder, Numbering
from src.metrics.evaluator import CHOSEN_FROM, best_threshold
from src.model.unet import UNet
from src.tiles.overlap import Read, Window, overlap_tile
from src.tiles.symmetry import AVERAGES

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "32", "64")  # of Lightning
# oneDNN and cuDNN convolve fastest with channels innermost. On Apple's GPU the backward pass of batch normalisation
# fails with it (pytorch#188371).
MEMORY_FORMAT = torch.contiguous_format if torch.backends.mps.is_available() else torch.channels_last


@dataclass(frozen=True)
class Trained:
    """What a checkpoint is to a prediction.

    Attributes:
        model: the network, in evaluation mode.
        decoder: numbers the cells, at the threshold that was chosen on the validation slices.
        validation_scores: those of these weights.
        reading: how the pixels of files are seen, as in training.
        legend: of the classes.
        tta: the average over versions of an image by which it was scored, a key of `tiles.symmetry.AVERAGES`.
        precision: in which it was scored, as Lightning names it; None of one of an earlier version.
        step: of training, after which it was kept; 0 if that is not known.
        choices: ways of numbering, each with its score on the validation slices over `evaluator.CHOSEN_FROM`.
        appearance: what its training images look like; empty of one of an earlier version.
    """

    model: UNet
    decoder: Decoder
    validation_scores: dict[str, float] = field(default_factory=dict)
    reading: Reading = EARLIER
    legend: Legend = NUMBERS
    tta: str = "none"
    precision: str | None = None
    step: int = 0
    choices: tuple[tuple[Numbering, tuple[float, ...]], ...] = ()
    appearance: tuple[Appearance, ...] = ()


def common_reading(trained: Sequence[Trained]) -> Reading:
    """How the pixels of files are seen by all of several networks.

    Raises:
        ValueError: they were trained on different pixels, or classes.
    """
    legends = {each.legend for each in trained}
    if len(legends) > 1:
        raise ValueError(f"expected networks trained on the same classes, but got {sorted(map(str, legends))}")
    readings = {each.reading for each in trained}
    if len(readings) > 1:
        raise ValueError(
            f"expected networks trained on pixels that were seen alike, but got {sorted(map(str, readings))}"
        )
    return trained[0].reading


def common_average(trained: Sequence[Trained]) -> str:
    """The average over versions of an image by which all of several networks were scored.

    Raises:
        ValueError: they were scored by different ones.
    """
    found = sorted({each.tta for each in trained})
    if len(found) > 1:
        raise ValueError(
            f"expected networks scored with one tta, but got {', '.join(found)}; nearest valid: tta={found[-1]}"
        )
    return found[0]


def common_precision(trained: Sequence[Trained]) -> str | None:
    """The precision in which all of several networks were scored; None if they differ, or one does not say."""
    found = {each.precision for each in trained}
    return found.pop() if len(found) == 1 else None


def common_decoder(trained: Sequence[Trained]) -> Decoder:
    """What numbers the cells of the mean of several networks: what is best in the mean of their validation scores.

    Where they have none in common, as those of earlier versions, it is the first one's at their mean threshold.
    """
    first = trained[0].decoder
    tables = [dict(each.choices) for each in trained]
    common = [way for way in tables[0] if all(way in table for table in tables)]
    if len(trained) == 1 or not common:
        return Decoder(first.numbering, fmean(each.decoder.threshold for each in trained))
    means = {
        way: dict(zip(CHOSEN_FROM, np.mean([table[way] for table in tables], axis=0), strict=True)) for way in common
    }
    best = max(common, key=lambda way: max(means[way].values()))
    return Decoder(best, best_threshold(means[best], "max"))


def stored_scores(checkpoint: dict) -> dict[str, float]:
    """The validation scores of a checkpoint, which holds None for nan."""
    stored = checkpoint.get("validation_scores", {})
    return {name: math.nan if score is None else score for name, score in stored.items()}


def logits(model: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Logits ``(N, K, h, w)`` of a tile ``(N, C, H, W)`` with values in [0, 1]; of a network, or an `engine.Engine`."""
    # Rectified units learn faster from values centred on 0.
    return model((2 * image - 1).contiguous(memory_format=MEMORY_FORMAT))


def predict_window(model: UNet, read: Read, window: Window, tta: str = "none", tile: int | None = None) -> Tensor:
    """Class probabilities ``(N, K, height, width)`` of a window of an image.

    Args:
        model: the network, or an `engine.Engine` of it.
        read: reads the image, values in [0, 1].
        window: what to predict.
        tta: the average over versions of the image (§4), a key of `tiles.symmetry.AVERAGES`.
        tile: side of the network's input in pixels; None chooses.
    """

    def predict(read: Read, window: Window) -> Tensor:
        return overlap_tile(lambda tiles: _probabilities(model, tiles), read, window, model.depth, model.padded, tile)

    return AVERAGES[tta](predict, read, window)


def _probabilities(model: UNet, tiles: Tensor) -> Tensor:
    found = logits(model, tiles)
    return found.to(torch.promote_types(found.dtype, torch.float32)).softmax(dim=1)
