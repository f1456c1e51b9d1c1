"""The files of a prediction: ``NAME_probabilities.tif`` and ``NAME_labels.tif``."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from src.data.stack import write_tiff

OUTPUTS = ("probabilities", "labels")


def prediction_file(directory: Path, name: str, kind: str) -> Path:
    """Where the prediction of image ``name`` lies; ``kind`` is one of `OUTPUTS`."""
    return directory / f"{name}_{kind}.tif"


def write_prediction(
    directory: Path,
    name: str,
    probabilities: np.ndarray,
    segment: Callable[[np.ndarray], np.ndarray],
    kinds: Sequence[str] = OUTPUTS,
) -> np.ndarray:
    """Write the probabilities (float32) and the label image (int32) of an image or stack.

    Args:
        directory: where to.
        name: of the image.
        probabilities: of each class, ``(K, H, W)`` or ``(D, K, H, W)``. Of two classes only that of
            class 1 is written, with the shape of the image.
        segment: makes the label image ``(H, W)`` of class probabilities ``(K, H, W)``.
        kinds: which of `OUTPUTS` to write.

    Returns:
        The label image, ``(H, W)`` or ``(D, H, W)`` int32.
    """
    stack = probabilities if probabilities.ndim == 4 else probabilities[None]
    labels = np.stack([segment(image) for image in stack])
    if probabilities.ndim == 3:
        labels = labels[0]
    shown = probabilities[..., 1, :, :] if stack.shape[1] == 2 else probabilities
    for kind, array in (("probabilities", shown.astype(np.float32)), ("labels", labels)):
        if kind in kinds:
            write_tiff(prediction_file(directory, name, kind), array)
    return labels
