"""A trained network with everything that predictions need, without the state that only training needs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from src.data.appearance import Appearance
from src.files.legend import NUMBERS, Legend
from src.files.stored import EARLIER, Reading
from src.instances import Decoder, Numbering
from src.metrics.evaluator import CHOSEN_FROM, best_threshold
from src.model.unet import UNet
from src.tiles.overlap import Read, Window, overlap_tile
from src.tiles.symmetry import AVERAGES

if TYPE_CHECKING:
    from src.model.engine import Engine

Network = TypeVar("Network", bound=nn.Module)

# The precisions that a checkpoint may name, in Lightning's spelling.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "32", "64")
# Convolutions by oneDNN and cuDNN are fastest in channels-last format. On Apple's GPU the backward pass of batch
# normalisation fails in that format (pytorch#188371).
MEMORY_FORMAT = torch.contiguous_format if torch.backends.mps.is_available() else torch.channels_last


@dataclass(frozen=True)
class Trained:
    """The contents of a checkpoint that predictions need.

    Attributes:
        model: the network, in evaluation mode.
        decoder: computes label images from class probabilities, at the threshold chosen on the validation images.
        validation_scores: the scores of these weights on the validation images.
        reading: how pixels are read from files; the same as in training.
        legend: the meaning of the classes.
        tta: the test-time augmentation with which the network was scored, a key of `tiles.symmetry.AVERAGES`.
        precision: the precision in which the network was scored, in Lightning's spelling; None if an earlier version of
            the program wrote the checkpoint.
        step: the training step after which the weights were saved; 0 if unknown.
        choices: the candidate decoders; each with its scores on the validation images at the thresholds in
            `evaluator.CHOSEN_FROM`, negated if lower scores are better.
        appearance: measures of the appearance of the training images; empty if an earlier version of the program wrote
            the checkpoint.
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
    """Return how pixels are read from files, which must be the same for all of several networks.

    Raises:
        ValueError: the networks differ in how pixels were read, or in their classes.
    """
    legends = {each.legend for each in trained}
    if len(legends) > 1:
        raise ValueError(f"expected networks trained on the same classes, but got {sorted(map(str, legends))}")
    readings = {each.reading for each in trained}
    if len(readings) > 1:
        raise ValueError(
            f"expected networks trained on pixels that were read alike, but got {sorted(map(str, readings))}"
        )
    return trained[0].reading


def common_average(trained: Sequence[Trained]) -> str:
    """Return the test-time augmentation with which several networks were scored, which must be the same for all.

    Raises:
        ValueError: the networks were scored with different test-time augmentations.
    """
    found = sorted({each.tta for each in trained})
    if len(found) > 1:
        raise ValueError(
            f"expected networks scored with one tta, but got {', '.join(found)}; nearest valid: tta={found[-1]}"
        )
    return found[0]


def common_precision(trained: Sequence[Trained]) -> str | None:
    """Return the precision in which several networks were scored, or None if precisions differ or are unknown."""
    found = {each.precision for each in trained}
    return found.pop() if len(found) == 1 else None


def common_decoder(trained: Sequence[Trained]) -> Decoder:
    """Choose a decoder for the mean of the probabilities of several networks.

    Among the candidate decoders that all networks have in common, this is the one whose validation score, averaged over
    the networks, is best. If the networks have no candidate in common, as with earlier versions, it is the decoder of
    the first network, at the mean of the thresholds of all networks.
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


def stored_scores(checkpoint: dict[str, Any]) -> dict[str, float]:
    """Return the validation scores stored in the content of a checkpoint, with NaN in place of None."""
    stored = checkpoint.get("validation_scores", {})
    return {name: math.nan if score is None else score for name, score in stored.items()}


def in_memory_format(network: Network) -> Network:
    """Convert the weights of a network to `MEMORY_FORMAT` in place, and return the network."""
    return network.to(memory_format=MEMORY_FORMAT)  # type: ignore[call-overload, no-any-return]  # lacks that keyword


def logits(model: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Compute the logits ``(N, K, h, w)`` of tiles, whose grey values are first scaled from [0, 1] to [-1, 1].

    Args:
        model: the network, or an `engine.Engine` for it.
        image: the tiles ``(N, C, H, W)``, with grey values in [0, 1].
    """
    # Networks of rectified units learn faster from inputs that are centred on 0.
    return model((2 * image - 1).contiguous(memory_format=MEMORY_FORMAT))


def predict_window(
    model: "UNet | Engine", read: Read, window: Window, tta: str = "none", tile: int | None = None
) -> Tensor:
    """Predict the class probabilities ``(N, K, height, width)`` of a window of an image.

    Args:
        model: the network, or an `engine.Engine` for it.
        read: reads a window of the image, with grey values in [0, 1].
        window: the window to predict.
        tta: the test-time augmentation (§4), a key of `tiles.symmetry.AVERAGES`.
        tile: side of the network's input in pixels; None leaves the choice to `tiles.overlap`.
    """

    def predict(read: Read, window: Window) -> Tensor:
        return overlap_tile(lambda tiles: _probabilities(model, tiles), read, window, model.depth, model.padded, tile)

    return AVERAGES[tta](predict, read, window)


def _probabilities(model: Callable[[Tensor], Tensor], tiles: Tensor) -> Tensor:
    found = logits(model, tiles)
    return found.to(torch.promote_types(found.dtype, torch.float32)).softmax(dim=1)
