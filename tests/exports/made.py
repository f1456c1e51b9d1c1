"""Small networks with random weights, to be exported."""

from pathlib import Path

import numpy as np

from src.exports.compared import Example, example
from src.exports.described import Leaving
from src.files.image import Image
from src.files.legend import NUMBERS, Legend
from src.instances import Components, Decoder, Numbering
from src.model.trained import Trained
from tests.model.test_engine import a_network

APPEARANCE = ({"sharpness": 0.5, "pixel_size": 0.65}, {"sharpness": 0.25})
FIXED = (40.0, 200.0)  # of grey values that are drawn from 0 to 255, so that some are cut off


def a_leaving(
    grey_range: tuple[float, float] | None = None,
    numbering: Numbering = Components(min_size=3),  # noqa: B008 – a value
    legend: Legend = NUMBERS,
    tta: str = "none",
    mirrored: bool = False,
    **options: object,
) -> Leaving:
    """A network with the ``options`` of `UNet`, whose batch normalisation shifts and scales."""
    trained = Trained(a_network(**options), Decoder(numbering, 0.4), legend=legend, tta=tta, appearance=APPEARANCE)
    return Leaving(trained, grey_range, None, mirrored)


def an_image(channels: int = 1, height: int = 90, width: int = 75) -> Image:
    """One of noise, which tells each pixel from its neighbours."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return Image(Path("noise.tif"), noise, "YXC")


def an_example(leaving: Leaving, **size: int) -> Example:
    """The same, with what `src.predict` says of it."""
    return example(leaving, an_image(leaving.trained.model.in_channels, **size), "noise")
