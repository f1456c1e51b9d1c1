"""An exported network, computed by its own runtime, compared with `src.predict`."""

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

ALLOWED = 1e-4  # largest difference of a probability
LARGEST_SIDE = 1024  # pixels of the central part of an image that is compared


@dataclass(frozen=True)
class Example:
    """An image with the probabilities to compare with.

    Attributes:
        name: for messages.
        grey: values as in the file, ``(C, H, W)`` float32.
        scaled: values from 0 to 1, scaled as in training or by the fixed range of the export, ``(C, H, W)``.
        expected: probabilities by `src.predict` in one pass over ``scaled``, ``(K, H, W)``.
    """

    name: str
    grey: np.ndarray
    scaled: np.ndarray
    expected: np.ndarray


def example(leaving: Leaving, image: Image, name: str) -> Example:
    """Predict the centre of an image as `src.predict` does in fp32 without averages.

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
    """Return the largest difference of a probability between a runtime, tile by tile, and `src.predict`.

    Args:
        leaving: the exported network.
        compute: returns the runtime's probabilities of images ``(N, C, H, W)``: grey values as in the file if the
            export has a fixed range, else scaled ones.
        example: the image to compare on.
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
