"""What leaves is opened again in its own runtime and held against `src.predict`."""

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

ALLOWED = 1e-4  # of a probability
LARGEST_SIDE = 1024  # pixels of an image, from its centre


@dataclass(frozen=True)
class Example:
    """An image to compare on.

    Attributes:
        name: that a person knows it by.
        grey: values as in the file, ``(C, H, W)`` float32.
        scaled: from 0 to 1, as the network has learnt from them, or as its fixed range makes them.
        expected: probabilities of `src.predict`, ``(K, H, W)``, of one pass over the scaled image.
    """

    name: str
    grey: np.ndarray
    scaled: np.ndarray
    expected: np.ndarray


def example(leaving: Leaving, image: Image, name: str) -> Example:
    """The centre of an image, predicted as `src.predict` does it in fp32 without averages.

    Raises:
        ValueError: it holds NaN or infinity.
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
    """Largest difference of a probability between what a runtime says, tile by tile, and `src.predict`.

    Args:
        leaving: the network.
        compute: what the runtime says of images ``(N, C, H, W)``, which a fixed range scales, or which are scaled.
        example: the image.
    """
    model = leaving.trained.model
    whole = model.padded or leaving.mirrored  # of what is returned the margin is to be left out
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
