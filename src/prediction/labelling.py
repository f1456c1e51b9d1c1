"""Label images of predictions, in memory or block by block."""

import functools

import numpy as np

from src.instances import cell_probability, classes, components
from src.model.segmenter import Segmenter
from src.prediction.store import Store
from src.tiles.blocks import joined_components
from src.tiles.overlap import Window

AT_ONCE = 2**26  # pixels; a larger plane is labelled block by block


def label(labels: Store, probabilities: Store, module: Segmenter) -> None:
    """Number the cells of each plane, as ``module`` does.

    Components and classes of a plane that is too large for memory are found block by block, with
    the same result; watershed and filled holes need the whole plane.

    Args:
        labels: where to write.
        probabilities: what to read.
        module: the trained network, with its threshold and way of numbering.
    """
    image, function, options = labels.image, module.instances.func, module.instances.keywords
    by_block = function is classes or (function is components and not options.get("fill_holes"))
    for plane in range(image.planes):
        read = functools.partial(_read, probabilities, plane)
        if image.height * image.width <= AT_ONCE or not by_block:
            whole = module.segment(read(Window(0, 0, image.height, image.width)))
            segment = functools.partial(_cut, whole)
        elif function is classes:
            segment = functools.partial(_segmented, module, read)
        else:
            foreground = functools.partial(_foreground, module.threshold, read)
            segment = joined_components(foreground, labels.blocks, options.get("min_size", 0))
        for window in labels.blocks:
            labels.write(plane, window, segment(window))


def _read(probabilities: Store, plane: int, window: Window) -> np.ndarray:
    """Class probabilities ``(K, height, width)``; of two classes the store holds that of class 1."""
    values = probabilities.read(plane, window)
    return values if values.ndim == 3 else np.stack([1 - values, values])


def _cut(whole: np.ndarray, window: Window) -> np.ndarray:
    return whole[window.top : window.top + window.height, window.left : window.left + window.width]


def _segmented(module: Segmenter, read, window: Window) -> np.ndarray:
    return module.segment(read(window))


def _foreground(threshold: float, read, window: Window) -> np.ndarray:
    return cell_probability(read(window)) > threshold
