"""Label images of predictions, in memory or block by block."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from src.files.legend import NUMBERS, Legend, in_values
from src.instances import Classes, Components, Decoder, cell_probability
from src.prediction.store import Held, Store, drop, unfinished
from src.prediction.tiff import write_tiff
from src.tiles.blocks import joined_components
from src.tiles.overlap import Window

AT_ONCE = 2**26  # pixels; a larger plane is labelled block by block


def write_labels(
    final: Path, probabilities: Store | Held, decoder: Decoder, made_from: str, legend: Legend = NUMBERS
) -> None:
    """Write the label image of a prediction.

    Args:
        final: the file or folder.
        probabilities: what to read.
        decoder: makes labels of probabilities.
        made_from: names what the labels depend on.
        legend: of classes, by whose values they are written.
    """
    legend = legend if decoder.numbering.of_classes else NUMBERS
    image = probabilities.image
    if final.suffix == ".tif" and image.height * image.width <= AT_ONCE:
        whole = Window(0, 0, image.height, image.width)
        planes = (
            in_values(decoder(_read(probabilities, plane, whole)), legend.values) for plane in range(image.planes)
        )
        shape = (*image.stack_shape, image.height, image.width)
        write_tiff(final, planes, shape, "int32", f"{image.stack_axes}YX", image.pixel_size, made_from, legend=legend)
        drop(unfinished(final))  # of a plane that was not to be labelled at once
        return
    labels = Store(final, image, 1, "int32", probabilities.side, made_from, legend)
    label(labels, probabilities, decoder)
    labels.finish()


def label(labels: Store, probabilities: Store, decoder: Decoder) -> None:
    """Fill a store with the labels of each plane.

    Components and classes of a plane that is too large for memory are found block by block, with
    the same result; watershed and filled holes need the whole plane.

    Args:
        labels: where to write.
        probabilities: what to read.
        decoder: makes labels of probabilities.
    """
    image = labels.image
    for plane in range(image.planes):
        read = partial(_read, probabilities, plane)
        segment = _whole(read, image.height, image.width, decoder)
        if image.height * image.width > AT_ONCE:
            match decoder.numbering:
                case Classes():
                    segment = partial(_segmented, decoder, read)
                case Components(fill_holes=False, min_size=min_size):
                    segment = joined_components(partial(_foreground, decoder.threshold, read), labels.blocks, min_size)
        for window in labels.blocks:
            labels.write(plane, window, in_values(segment(window), labels.legend.values))


def _read(probabilities: Store | Held, plane: int, window: Window) -> np.ndarray:
    """Class probabilities ``(K, height, width)``; of two classes the store holds that of class 1."""
    values = probabilities.read(plane, window)
    return values if values.ndim == 3 else np.stack([1 - values, values])


def _whole(read: Callable, height: int, width: int, decoder: Decoder) -> Callable[[Window], np.ndarray]:
    """Labels of a plane that is decoded at once, when its first window is asked for."""
    labels: list[np.ndarray] = []

    def cut(window: Window) -> np.ndarray:
        if not labels:
            labels.append(decoder(read(Window(0, 0, height, width))))
        return labels[0][window.top : window.top + window.height, window.left : window.left + window.width]

    return cut


def _segmented(decoder: Decoder, read: Callable, window: Window) -> np.ndarray:
    return decoder(read(window))


def _foreground(threshold: float, read: Callable, window: Window) -> np.ndarray:
    return cell_probability(read(window)) > threshold
