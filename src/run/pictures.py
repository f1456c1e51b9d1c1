"""Pictures of results for a person to look at."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
from skimage.color import label2rgb


def write_comparison(file: Path, image: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> None:
    """Write a PNG with image, truth and prediction side by side, each cell or class in a colour of its own.

    Args:
        file: where to.
        image: grey values in [0, 1], ``(C, H, W)``; the first channel is shown.
        truth: true cells or classes, ``(H, W)`` integers; 0 is background.
        labels: predicted ones, likewise.
    """
    grey = image[0]
    panels = [
        np.repeat(grey[..., None], 3, axis=2),
        label2rgb(truth, grey, alpha=0.4, bg_label=0),
        label2rgb(labels, grey, alpha=0.4, bg_label=0),
    ]
    gap = np.ones((len(grey), 8, 3))
    picture = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(file, (np.clip(picture, 0, 1) * 255).astype(np.uint8))
