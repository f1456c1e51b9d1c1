"""Pictures of results for a person to look at."""

from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

from src.data.stack import complete_file
from src.metrics.instance import EXTRA, MERGED, MISSED, SPLIT, mistake_map

# Colours that a colour-blind reader can tell apart (Okabe and Ito 2008).
COLOURS = {SPLIT: (230, 159, 0), MERGED: (0, 114, 178), MISSED: (204, 121, 167), EXTRA: (0, 158, 115)}
PANELS = ("image", "truth", "prediction", "mistakes")
LARGEST_PANEL = 1024  # pixels of its longer side


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


def panel_file(directory: Path, name: str, panel: str) -> Path:
    """Where a picture of a held-out slice lies in a run directory; ``panel`` is one of `PANELS`."""
    return directory / "pictures" / f"{name}_{panel}.webp"


def write_panels(directory: Path, name: str, image: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> None:
    """Write pictures of a slice for its report: the image, the true cells, the predicted ones, and where they differ.

    Args:
        directory: the run directory.
        name: of the slice.
        image: grey values in [0, 1], ``(C, H, W)``; three channels are shown as red, green and blue, else the first.
        truth: true cells or classes, ``(H, W)`` integers; 0 is background.
        labels: predicted ones, likewise.
    """
    colours = image.transpose(1, 2, 0) if len(image) == 3 else np.repeat(image[0][..., None], 3, axis=2)
    base = (np.clip(colours, 0, 1) * 255).astype(np.uint8)
    pictures = (base, _outlined(base, truth), _outlined(base, labels), _mistakes(base, truth, labels))
    for panel, picture in zip(PANELS, pictures, strict=True):
        scale = min(1.0, LARGEST_PANEL / max(picture.shape[:2]))
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with complete_file(panel_file(directory, name, panel)) as partial:
            iio.imwrite(partial, picture, extension=".webp", quality=85)


def _outlined(base: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """An image with each cell or class tinted in a colour of its own, and its outline drawn."""
    tinted = (label2rgb(cells, base, alpha=0.35, bg_label=0, kind="overlay", saturation=1) * 255).astype(np.uint8)
    tinted[find_boundaries(cells, mode="inner") & (cells > 0)] = 255
    return tinted


def _mistakes(base: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """An image in which only cells that were split, merged, missed or extra have a colour."""
    where = mistake_map(labels, truth)
    shown = base // 2 + 64
    for kind, colour in COLOURS.items():
        shown[where == kind] = (0.4 * base[where == kind] + 0.6 * np.array(colour)).astype(np.uint8)
        shown[find_boundaries(where == kind, mode="inner")] = colour
    return shown
