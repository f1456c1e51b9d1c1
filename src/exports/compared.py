"""Comparison of an exported network, computed by its own runtime, with `src.predict`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from src.exports.described import Leaving
from src.files.grey import check_finite, grey_range, scaled
from src.files.image import Image
from src.prediction.predictor import Predictor
from src.tiles.geometry import covering_side
from src.tiles.overlap import Window, overlap_tile, reader

ALLOWED = 1e-4  # largest accepted difference in probability
LARGEST_SIDE = 1024  # pixels; of a larger image, only the centre is compared


@dataclass(frozen=True)
class Example:
    """An image with the class probabilities that `src.predict` computes, to compare an exported network with.

    Attributes:
        name: name of the image in messages.
        grey: grey values as in the file, ``(C, H, W)`` float32.
        scaled: grey values scaled to [0, 1] as in training, or by the fixed grey range of the export, ``(C, H, W)``.
        expected: class probabilities ``(K, H, W)`` that `src.predict` computes from ``scaled`` in one pass.
    """

    name: str
    grey: np.ndarray
    scaled: np.ndarray
    expected: np.ndarray


def example(leaving: Leaving, image: Image, name: str) -> Example:
    """Predict the centre of an image as `src.predict` does in fp32 without test-time augmentation.

    Args:
        leaving: the exported network.
        image: the image; its sides are reduced to multiples of 2^depth and at most `LARGEST_SIDE` pixels.
        name: name of the image in messages.

    Raises:
        ValueError: the image holds NaN or infinity.
    """
    grid = 2**leaving.trained.model.depth
    height, width = (min(side, LARGEST_SIDE) // grid * grid or side for side in (image.height, image.width))
    top, left = (image.height - height) // 2, (image.width - width) // 2
    band = image.band(0, top, top + height)[..., left : left + width]
    check_finite(band, image.file)
    low, high = leaving.grey_range or grey_range(image, 0)
    seen = scaled(band, low, high)
    predict = Predictor([leaving.trained.model], torch.device("cpu"), torch.float32, "none", None, "torch")
    expected = predict(reader(torch.from_numpy(seen)[None]), Window(0, 0, height, width))
    return Example(name, np.ascontiguousarray(band, np.float32), seen, expected)


def difference(leaving: Leaving, compute: Callable[[np.ndarray], np.ndarray], example: Example) -> float:
    """Return the largest difference in probability between `src.predict` and a runtime that predicts in tiles.

    Args:
        leaving: the exported network.
        compute: the runtime: returns the class probabilities of images ``(N, C, H, W)``, whose values are those in the
            file if the export has a fixed grey range, and scaled to [0, 1] otherwise.
        example: the image to compare on, with the probabilities of `src.predict`.
    """
    model = leaving.trained.model
    whole = model.padded or leaving.mirrored  # the output has the size of the input, margin included
    image = torch.from_numpy(example.grey if leaving.grey_range else example.scaled)[None]
    window = Window(0, 0, *image.shape[-2:])
    kept = -(-max(window.height, window.width) // 2)
    tile = covering_side(kept, model.depth, whole, kept)
    found = overlap_tile(
        lambda tiles: torch.from_numpy(compute(np.ascontiguousarray(tiles.numpy()))),
        reader(image),
        window,
        model.depth,
        whole,
        tile,
    )
    return float(np.abs(found[0].numpy() - example.expected).max())
