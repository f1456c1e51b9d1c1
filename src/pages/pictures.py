"""Pictures of images with cells, classes or mistakes in colour."""

import io
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
from matplotlib.figure import Figure
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

from src.files.whole import complete_file
from src.metrics.mistakes import CONFUSED, EXTRA, INEXACT, MERGED, MISSED, SPLIT

# Colours that a colour-blind reader can tell apart (Okabe and Ito 2008).
ORANGE, SKY_BLUE, GREEN, YELLOW, BLUE, VERMILION, PURPLE = CLASS_COLOURS = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
)
COLOURS = {SPLIT: ORANGE, MERGED: BLUE, MISSED: PURPLE, EXTRA: GREEN, CONFUSED: ORANGE, INEXACT: YELLOW}  # of mistakes
LARGEST_PANEL = 1024  # pixels of the longer side


def write_comparison(file: Path, image: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> None:
    """Write a PNG with image, truth and prediction side by side; each cell or class has its own colour.

    Args:
        file: path of the PNG.
        image: values in [0, 1], ``(C, H, W)``; the first channel is shown as grey.
        truth: true cells or classes, ``(H, W)`` integers; 0 is background.
        labels: predicted cells or classes, in the same form.
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


def panels(image: np.ndarray | None, truth: np.ndarray, labels: np.ndarray, kinds: np.ndarray) -> dict[str, bytes]:
    """Return the pictures of a scored image for a page, as WebP: ``image``, ``truth``, ``prediction``, ``mistakes``.

    Args:
        image: values in [0, 1], ``(C, H, W)``; None leaves out ``image`` and draws the other pictures on black.
        truth: true cells or classes, ``(H, W)`` integers; 0 is background.
        labels: predicted cells or classes, in the same form.
        kinds: the kind of mistake at each pixel, ``(H, W)``, a key of `metrics.mistakes.KINDS`, or 0.
    """
    truth, labels, kinds = (sampled(each, LARGEST_PANEL) for each in (truth, labels, kinds))
    base = np.zeros((*truth.shape, 3), np.uint8) if image is None else reduced(colours(image), LARGEST_PANEL)
    shown = {} if image is None else {"image": base}
    shown |= {"truth": _tinted(base, truth), "prediction": _tinted(base, labels), "mistakes": _mistakes(base, kinds)}
    return {name: iio.imwrite("<bytes>", picture, extension=".webp", quality=80) for name, picture in shown.items()}


def overlay(image: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draw the outlines of true cells in sky blue, and of predicted cells in orange, on an image.

    Args:
        image: values in [0, 1], ``(C, H, W)``.
        truth: true cells or classes, ``(H, W)`` integers; 0 is background.
        labels: predicted cells or classes, in the same form.

    Returns:
        The picture ``(h, w, 3)`` uint8, reduced to at most `LARGEST_PANEL` pixels on its longer side.
    """
    picture = reduced(colours(image), LARGEST_PANEL).copy()
    for cells, colour in ((truth, SKY_BLUE), (labels, ORANGE)):
        picture[outlines(sampled(cells, LARGEST_PANEL))] = colour
    return picture


def colours(image: np.ndarray) -> np.ndarray:
    """Convert an image ``(C, H, W)`` with values in [0, 1] to a picture ``(H, W, 3)`` uint8.

    Three channels become red, green and blue; otherwise, the first channel is shown in grey.
    """
    shown: np.ndarray = image.transpose(1, 2, 0) if len(image) == 3 else np.repeat(image[0][..., None], 3, axis=2)
    scaled: np.ndarray = np.clip(shown, 0, 1) * 255
    return scaled.astype(np.uint8)


def encoded(figure: Figure) -> bytes:
    """Return a figure as the content of a WebP file."""
    drawing = io.BytesIO()
    figure.savefig(drawing, format="webp", dpi=150)
    return drawing.getvalue()


def outlines(cells: np.ndarray) -> np.ndarray:
    """Return a mask ``(H, W)`` of the inner boundary of each cell or class in a label image ``(H, W)``."""
    inner: np.ndarray = find_boundaries(cells, mode="inner")
    return inner & (cells > 0)


def reduced(picture: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture ``(H, W)`` or ``(H, W, 3)`` by averaging, to at most ``side`` pixels on its longer side."""
    height, width = _fitting(picture.shape, side)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def sampled(labels: np.ndarray, side: int) -> np.ndarray:
    """Shrink a label image ``(H, W)`` to the size that `reduced` gives, without averaging (nearest neighbour)."""
    height, width = _fitting(labels.shape, side)
    rows, columns = np.arange(height) * labels.shape[0] // height, np.arange(width) * labels.shape[1] // width
    return labels[np.ix_(rows, columns)]


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def write_picture(file: Path, picture: np.ndarray) -> None:
    """Write a picture ``(H, W, 3)`` uint8; the file appears only when it is complete."""
    with complete_file(file) as partial:
        iio.imwrite(partial, picture, extension=file.suffix)


def _tinted(base: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return a picture on which each cell or class is outlined and faintly tinted in its own colour."""
    tinted: np.ndarray = (label2rgb(cells, base, alpha=0.12, bg_label=0, kind="overlay", saturation=1) * 255).astype(
        np.uint8
    )
    colours = np.round(label2rgb(cells, bg_label=0) * 255).astype(np.uint8)
    border = find_boundaries(cells, mode="thick") & (cells > 0)
    tinted[border] = colours[border]
    return tinted


def _mistakes(base: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return a pale version of a picture with the mistakes coloured by kind (`COLOURS`)."""
    shown = base // 2 + 64
    for kind, colour in COLOURS.items():
        here = kinds == kind
        shown[here] = (0.6 * base[here] + 0.4 * colour).astype(np.uint8)
        shown[outlines(here)] = colour
    return shown
