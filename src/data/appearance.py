"""Measure the appearance of an image as a few numbers, and compare them with those of the training images.

A network sees grey values that are scaled per image (`files.grey`), so brightness and contrast as acquired do not
matter. Inverted or saturated grey values, few grey levels, noise, blur and a different pixel size do matter, because
scaling cannot undo them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.files.grey import grey_range, scaled
from src.files.image import Image

Appearance = dict[str, float]  # values of the measures in `MEASURES`, by name; unknown measures are left out

MOST_ROWS = 1000  # largest number of training images whose appearance is stored; of more images, every n-th
MOST_PLANES = 4  # largest number of planes of a stack that are measured
MOST_PIXELS = 2**17  # planes with at most this number of pixels are measured whole
WINDOW, ACROSS = 64, 6  # larger planes are measured in 6 × 6 windows of 64 × 64 pixels
FEWEST_PIXELS, FEWEST_ROWS = 2**15, 8  # least area and side of a plane that is measured; less may show half a cell
SMOOTHEST, LEAST_NOISE, MOST_LEVELS = 0.01, 0.004, 256  # measures are limited to these values: beyond is meaningless
LARGEST = 1e9  # upper limit of the value of any measure
OUTERMOST = 0.01  # share of the training images at each end of the distribution that is ignored


@dataclass(frozen=True)
class Measure:
    """One measure of appearance, with the tolerance and the likely causes of deviations from the training images.

    Attributes:
        title: name of the measure in messages.
        margin: tolerated deviation from the range of the training images; a factor if ``ratio``, else a difference.
        ratio: whether values are compared by their ratio instead of their difference.
        below, above: likely cause of a lower or higher value; empty if such a value does not matter.
    """

    title: str
    margin: float
    ratio: bool
    below: str
    above: str

    def possible(self, value: float) -> bool:
        """Return whether a value of the measure is possible; measures that are compared by ratio are positive."""
        return abs(value) < LARGEST and (value > 0 or not self.ratio)


INVERTED = "perhaps inverted, or another kind of image"
MEASURES = {
    "levels": Measure("grey levels", 2, True, "perhaps exported with too little contrast, or with fewer bits", ""),
    "saturated": Measure("share of saturated pixels", 0.02, False, "", "perhaps overexposed"),
    "median": Measure("median of the scaled grey values", 0.1, False, INVERTED, INVERTED),
    "skewness": Measure("skewness of the grey values", 0.5, False, INVERTED, INVERTED),
    "noise": Measure("noise", 1.5, True, "perhaps smoothed", "perhaps underexposed"),
    "sharpness": Measure(
        "sharpness",
        1.4,
        True,
        "perhaps out of focus, or sampled more finely",
        "perhaps sharpened, or sampled more coarsely",
    ),
    "pixel_size": Measure("pixel size in µm", 1.15, True, *["rescale=auto predicts at the training pixel size"] * 2),
    "diameter": Measure("diameter of the cells in px", 1.5, True, *["perhaps of another magnification"] * 2),
}


def appearance(image: Image) -> Appearance:
    """Measure the appearance of an image quickly, from a few planes of a stack and a few windows of a large plane.

    Returns:
        The median over the planes of each measure in `MEASURES` except ``diameter``, which needs labels.

    Raises:
        ValueError: the image contains NaN or infinity, or cannot be decoded.
    """
    planes = np.unique(np.linspace(0, image.planes - 1, min(MOST_PLANES, image.planes)).astype(int))
    rows = [_of_plane(image, plane) for plane in planes.tolist()]
    found = {
        name: float(np.median([row[name] for row in rows if name in row]))
        for name in MEASURES
        if any(name in row for row in rows)
    }
    sizes = [image.pixel_size[axis] for axis in "XY" if axis in image.pixel_size]
    return found | ({"pixel_size": float(sizes[0])} if sizes else {})


def of_slice(image: np.ndarray, cells: np.ndarray, scaling: str, pixel_size: float | None = None) -> Appearance:
    """Measure the appearance of a training image, including the diameter of its cells.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        cells: ``(H, W)`` integers, 0 = background.
        scaling: how grey values are scaled to [0, 1], one of `files.stored.SCALINGS`.
        pixel_size: pixel size in µm; None if unknown.
    """
    size = {} if pixel_size is None else {"X": pixel_size}
    found = appearance(Image(Path("slice"), image, "YXC"[: image.ndim], size, scaling=scaling))
    return found | of_cells(np.bincount(cells.ravel()))


def of_cells(areas: np.ndarray) -> Appearance:
    """Return as ``diameter`` the median equivalent diameter of cells (of discs of equal area); empty without cells.

    Args:
        areas: number of pixels of each label, ``(labels,)``; label 0 is background.

    >>> of_cells(np.array([900, 0, 79, 78, 80]))  # doctest: +ELLIPSIS
    {'diameter': 10.0292...}
    """
    areas = areas[1:][areas[1:] > 0]
    return {"diameter": math.sqrt(4 * float(np.median(areas)) / math.pi)} if len(areas) else {}


@dataclass(frozen=True)
class Usual:
    """The range of a measure in the training images, and the limits beyond which an image differs from them.

    Attributes:
        low, high: range of nearly all training images.
        below, above: limits beyond which an image differs from the training images.
    """

    low: float
    high: float
    below: float
    above: float


@dataclass(frozen=True)
class Difference:
    """One measure in which an image differs from the training images.

    Attributes:
        name: name of the measure in `MEASURES`.
        value: value of the measure in the image.
        usual: range of the measure in the training images.
        cause: likely cause of the difference.
    """

    name: str
    value: float
    usual: Usual
    cause: str

    def __str__(self) -> str:
        return self.said(shown(self.value))

    def said(self, value: str) -> str:
        """Describe the difference in a sentence.

        Args:
            value: the value of the image, or the range of values of several images, as text.
        """
        usual = shown(self.usual.low, self.usual.high)
        return f"{MEASURES[self.name].title} {value}, training images {usual}: {self.cause}"


def usual(training: Sequence[Appearance]) -> dict[str, Usual]:
    """Compute the usual range of each measure that is known for any training image.

    The tolerance beyond the range of the training images is the margin of the measure, or the spread of the training
    images (the median absolute deviation, scaled to a standard deviation), whichever is larger.
    """
    found = {}
    for name, measure in MEASURES.items():
        known = [row[name] for row in training if name in row]
        if not known:
            continue
        low, high = np.quantile(known, (OUTERMOST, 1 - OUTERMOST)).tolist()
        values = np.log(known) if measure.ratio else np.asarray(known)
        spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
        margin = max(spread, math.log(measure.margin) if measure.ratio else measure.margin)
        factor = math.exp(margin)
        limits = (low / factor, high * factor) if measure.ratio else (low - margin, high + margin)
        found[name] = Usual(low, high, *limits)
    return found


def differences(seen: Appearance, of_training: Mapping[str, Usual]) -> list[Difference]:
    """List the measures in which an image differs from the training images; measures that are unknown do not differ.

    Args:
        seen: the measures of the image.
        of_training: the usual range of each measure in the training images.
    """
    found = []
    for name, each in of_training.items():
        value = seen.get(name, each.low)
        cause = MEASURES[name].below if value < each.below else MEASURES[name].above if value > each.above else ""
        if cause:
            found.append(Difference(name, value, each, cause))
    if any(each.name == "noise" and each.value > each.usual.above for each in found):
        return [each for each in found if each.name != "sharpness"]  # meaningless in a noisy image
    return found


def unlike(seen: Appearance, training: Sequence[Appearance]) -> dict[str, str]:
    """Describe how an image differs from the training images, in one sentence for each measure that differs.

    Args:
        seen: the measures of the image.
        training: the measures of each training image.

    >>> unlike({"sharpness": 0.12}, [{"sharpness": value} for value in (0.41, 0.5, 0.62)])
    {'sharpness': 'sharpness 0.12, training images 0.41–0.62: perhaps out of focus, or sampled more finely'}
    """
    return {each.name: str(each) for each in differences(seen, usual(training))}


def shown(low: float, high: float | None = None) -> str:
    """Format a value, or a range of values such as ``0.41–0.62``, for messages."""
    values = (low,) if high in (None, low) else (low, high)
    return "–".join(f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}" for value in values)


def _of_plane(image: Image, plane: int) -> Appearance:
    if image.height * image.width < FEWEST_PIXELS or min(image.height, image.width) < FEWEST_ROWS:
        return {}
    stored = _windows(image, plane)
    low, high = grey_range(image, plane)
    sample = stored[..., ::2, ::2]  # enough for medians
    found = {"levels": float(min(MOST_LEVELS, len(np.unique(sample[(sample >= low) & (sample <= high)]))))}
    if low == high:
        return found
    grey = scaled(stored, low, high)
    apart = (grey - grey.mean()).ravel()
    # Immerkær, Fast noise variance estimation, 1996; but with the median, which ignores the edges of cells.
    curved = np.diff(np.diff(grey, 2, axis=-1), 2, axis=-2)[..., ::2, ::2] / 6
    found |= {
        "median": float(np.median(grey[..., ::2, ::2])),
        "skewness": float(np.cbrt(np.dot(apart * apart, apart) / apart.size) / max(float(grey.std()), 1e-6)),
        "noise": max(LEAST_NOISE, float(np.median(np.abs(curved))) / 0.6745),
    }
    if stored.dtype.kind in "iu":
        found["saturated"] = float((stored == stored.max()).mean())
    finest, next_to_it = _contrast(grey), _contrast(_halved(grey))
    if next_to_it > 0:
        found["sharpness"] = max(SMOOTHEST, 2 * math.sqrt(max(finest, 0.0) / next_to_it) - 1)
    return found


def _contrast(grey: np.ndarray) -> float:
    """Return the mean squared difference of neighbouring pixels, without the contribution of noise.

    Each difference is multiplied by the difference next to it in the adjacent row or column instead of by itself: noise
    is independent between rows and columns, so its products average to 0.

    Args:
        grey: ``(…, H, W)``.
    """
    across, down = np.diff(grey, axis=-1), np.diff(grey, axis=-2)
    shared = np.mean(across[..., 1:, :] * across[..., :-1, :]) + np.mean(down[..., 1:] * down[..., :-1])
    return float(shared) / 2


def _halved(grey: np.ndarray) -> np.ndarray:
    """Reduce images ``(…, H, W)`` to half their size, averaging blocks of 2×2 pixels."""
    even = grey[..., : grey.shape[-2] // 2 * 2, : grey.shape[-1] // 2 * 2]
    rows: np.ndarray = even[..., ::2, :] + even[..., 1::2, :]
    means: np.ndarray = (rows[..., ::2] + rows[..., 1::2]) / 4
    return means


def _windows(image: Image, plane: int) -> np.ndarray:
    """Return the pixels of a plane that are measured, ``(N, C, h, w)``: the whole plane, or a grid of N windows."""
    if image.height * image.width <= MOST_PIXELS:
        return image.band(plane, 0, image.height)[None]
    height, width = min(WINDOW, image.height), min(WINDOW, image.width)
    tops = np.unique(np.linspace(0, image.height - height, ACROSS).astype(int)).tolist()
    lefts = np.unique(np.linspace(0, image.width - width, ACROSS).astype(int)).tolist()
    bands = (image.band(plane, top, top + height) for top in tops)
    return np.stack([band[..., left : left + width] for band in bands for left in lefts])
