"""The files of a prediction: ``NAME_probabilities.tif`` and ``NAME_labels.tif``."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.files.arrays import write_tiff

OUTPUTS = ("probabilities", "labels")


def prediction_file(directory: Path, name: str, kind: str, ending: str = ".tif") -> Path:
    """Where the prediction of image ``name`` lies; ``kind`` is one of `OUTPUTS`."""
    return directory / f"{name}_{kind}{ending}"


def write_prediction(
    directory: Path, name: str, probabilities: np.ndarray, segment: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Write the probabilities (float32) and the label image (int32) of an image in memory.

    Args:
        directory: where to.
        name: of the image.
        probabilities: of each class, ``(K, H, W)``. Of two classes only that of class 1 is written.
        segment: makes the label image ``(H, W)`` of class probabilities ``(K, H, W)``.

    Returns:
        The label image.
    """
    labels = segment(probabilities)
    shown = probabilities[1] if len(probabilities) == 2 else probabilities
    write_tiff(prediction_file(directory, name, "probabilities"), shown.astype(np.float32))
    write_tiff(prediction_file(directory, name, "labels"), labels)
    return labels
