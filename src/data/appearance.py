"""The appearance of an image in a few numbers, and how it differs from that of the training images.

A network sees grey values that are scaled per image (`files.grey`), so brightness and contrast as acquired do not
matter. Inverted or saturated grey values, few grey levels, noise, blur and another sampling do, because scaling cannot
undo them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.files.grey import grey_range, scaled
from src.files.image import Image

Appearance = dict[str, float]  # by the names of `MEASURES`; unknown measures are left out

MOST_ROWS = 1000  # training images whose appearance is stored; of more, every n-th
MOST_PLANES = 4  # planes of a stack that are measured
MOST_PIXELS = 2**17  # of a plane that is measured whole; larger ones are measured in windows …
WINDOW, ACROSS = 64, 6  # … with sides of 64 pixels, six along each axis
FEWEST_PIXELS, FEWEST_ROWS = 2**15, 8  # of a plane that is measured at all; a smaller one may show half a cell
SMOOTHEST, LEAST_NOISE, MOST_LEVELS = 0.01, 0.004, 256  # differences beyond these values are meaningless
LARGEST = 1e9  # value of any measure
OUTERMOST = 0.01  # share of the training images at each end that is ignored


@dataclass(frozen=True)
class Measure:
    """How to compare a measure, and the likely causes of differences.

    Attributes:
        title: in messages.
        margin: tolerance beyond the training images; a ratio if ``ratio``.
        ratio: whether ratios are compared, rather than differences.
        below, above: likely cause of a lower or higher value; empty if it does not matter.
    """

    title: str
    margin: float
    ratio: bool
    below: str
    above: str

    def possible(self, value: float) -> bool:
        """Whether the measure can have a value; those that are compared by ratio are positive."""
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
    """Measure an image: a few planes of a stack, a few windows of a large plane, so that it is quick.

    Returns:
        The median over the planes for each of `MEASURES` except ``diameter``, which needs labels.

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
    """Measure a training image.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        cells: ``(H, W)`` integers, 0 = background.
        scaling: one of `files.stored.SCALINGS`.
        pixel_size: in µm; None if unknown.
    """
    size = {} if pixel_size is None else {"X": pixel_size}
    found = appearance(Image(Path("slice"), image, "YXC"[: image.ndim], size, scaling=scaling))
    return found | of_cells(np.bincount(cells.ravel()))


def of_cells(areas: np.ndarray) -> Appearance:
    """Return the ``diameter`` of cells: the median diameter of discs of equal area; empty if there is no cell.

    Args:
        areas: number of pixels of each label; label 0 is background.

    >>> of_cells(np.array([900, 0, 79, 78, 80]))  # doctest: +ELLIPSIS
    {'diameter': 10.0292...}
    """
    areas = areas[1:][areas[1:] > 0]
    return {"diameter": math.sqrt(4 * float(np.median(areas)) / math.pi)} if len(areas) else {}


@dataclass(frozen=True)
class Usual:
    """The usual range of a measure, from the training images.

    Attributes:
        low, high: range of nearly all training images.
        below, above: limits beyond which an image is unlike them.
    """

    low: float
    high: float
    below: float
    above: float


@dataclass(frozen=True)
class Difference:
    """How an image differs from the training images.

    Attributes:
        name: of `MEASURES`.
        value: of the image.
        usual: range of the training images.
        cause: likely cause.
    """

    name: str
    value: float
    usual: Usual
    cause: str

    def __str__(self) -> str:
        return self.said(shown(self.value))

    def said(self, value: str) -> str:
        """Describe the difference in a sentence, with a formatted value or range of values."""
        usual = shown(self.usual.low, self.usual.high)
        return f"{MEASURES[self.name].title} {value}, training images {usual}: {self.cause}"


def usual(training: Sequence[Appearance]) -> dict[str, Usual]:
    """Compute the usual range of each measure that any training image has.

    The tolerance beyond the range of the training images is the margin of the measure, or their own spread (the median
    absolute deviation, scaled to a standard deviation), if that is larger.
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
    """List how an image differs from the training images; empty if it does not, or its measures are unknown."""
    found = []
    for name, each in of_training.items():
        value = seen.get(name, each.low)
        cause = MEASURES[name].below if value < each.below else MEASURES[name].above if value > each.above else ""
        if cause:
            found.append(Difference(name, value, each, cause))
    if any(each.name == "noise" and each.value > each.usual.above for each in found):
        return [each for each in found if each.name != "sharpness"]  # noise makes it meaningless
    return found


def unlike(seen: Appearance, training: Sequence[Appearance]) -> dict[str, str]:
    """Describe how an image differs from the training images, in a sentence per measure; empty if it does not.

    >>> unlike({"sharpness": 0.12}, [{"sharpness": value} for value in (0.41, 0.5, 0.62)])
    {'sharpness': 'sharpness 0.12, training images 0.41–0.62: perhaps out of focus, or sampled more finely'}
    """
    return {each.name: str(each) for each in differences(seen, usual(training))}


def shown(low: float, high: float | None = None) -> str:
    """Format a value, or a range of values, for messages."""
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
    # Immerkær, Fast noise variance estimation, 1996; with the median, which ignores the edges of cells.
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
    """Mean product of the differences of neighbouring pixels in adjacent rows or columns.

    Unlike the mean squared difference it is not raised by noise, which is independent from row to row.
    """
    across, down = np.diff(grey, axis=-1), np.diff(grey, axis=-2)
    shared = np.mean(across[..., 1:, :] * across[..., :-1, :]) + np.mean(down[..., 1:] * down[..., :-1])
    return float(shared) / 2


def _halved(grey: np.ndarray) -> np.ndarray:
    """The means of 2×2 pixels."""
    even = grey[..., : grey.shape[-2] // 2 * 2, : grey.shape[-1] // 2 * 2]
    rows: np.ndarray = even[..., ::2, :] + even[..., 1::2, :]
    means: np.ndarray = (rows[..., ::2] + rows[..., 1::2]) / 4
    return means


def _windows(image: Image, plane: int) -> np.ndarray:
    """The pixels of a plane that are measured, ``(N, C, h, w)``: all, or a grid of windows."""
    if image.height * image.width <= MOST_PIXELS:
        return image.band(plane, 0, image.height)[None]
    height, width = min(WINDOW, image.height), min(WINDOW, image.width)
    tops = np.unique(np.linspace(0, image.height - height, ACROSS).astype(int)).tolist()
    lefts = np.unique(np.linspace(0, image.width - width, ACROSS).astype(int)).tolist()
    bands = (image.band(plane, top, top + height) for top in tops)
    return np.stack([band[..., left : left + width] for band in bands for left in lefts])
