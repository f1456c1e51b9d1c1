"""Scaling of grey values to [0, 1], which is the same in training and in prediction."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.files.image import Image

PERCENTILES = (0.5, 99.5)  # percentiles of the grey values that become 0 and 1
MOST_GREY_VALUES = 2**25  # of a plane with more values, only a sample is used to find its range (see `grey_range`)

# Scaling "objects" widens the range between the percentiles to include bright or dark objects. In 492 fluorescence
# images of the 2018 Data Science Bowl, it clips at most 4.2 % of the pixels of nuclei in any image, whereas the
# percentiles alone clip all of them in some images. It does not change the ranges of ISBI-2012, T98G and the phantom.
# The distance from the median to an object is more than FAR times the distance from the median to the percentile on
# the opposite side, and more than FAR_QUARTILE times the distance from the median to the quartile on the same side.
FAR, FAR_QUARTILE = 3, 4
FAINT = 0.1  # objects are also farther from the median than this fraction of the distance to the brightest block
FEWEST = 4  # smallest number of blocks of 2×2 pixels that count as objects; fewer count as dust
WITHIN = 98  # percentile of the blocks of objects that the range includes
HEADROOM = 1.06  # factor by which the distance from the median to that percentile is extended


def normalise(image: np.ndarray, scaling: str) -> np.ndarray:
    """Scale the grey values of an image to [0, 1] and clip them.

    The range to scale is computed for each image, so that stain and exposure may differ between images.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any real dtype.
        scaling: how to compute the range, one of `files.stored.SCALINGS`.

    Returns:
        A float32 array of the same shape; all zeros for a constant image.
    """
    return scaled(image, *range_of(image, scaling))


def range_of(image: np.ndarray, scaling: str) -> tuple[float, float]:
    """Return the two grey values of an image that are scaled to 0 and 1, as `grey_range` does for an `Image`.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any real dtype.
        scaling: how to compute the range, one of `files.stored.SCALINGS`.
    """
    return grey_range(Image(Path("image"), image, "YXC"[: image.ndim], scaling=scaling), 0)


def is_grey(image: np.ndarray) -> bool:
    """Return whether all channels of an image ``(H, W, C)`` are equal."""
    return bool((image == image[..., :1]).all())


def one_grey(image: np.ndarray) -> np.ndarray:
    """Average the channels of an image ``(H, W)`` or ``(H, W, C)`` and return float32 ``(H, W)``.

    NaN and infinity count as 0.
    """
    if image.dtype.kind == "f":
        image = np.nan_to_num(image, posinf=0, neginf=0).clip(-1e9, 1e9)
    return image.astype(np.float32) if image.ndim == 2 else image.mean(axis=2, dtype=np.float32)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Convert a grey image to one channel ``(H, W)`` or to three equal channels ``(H, W, 3)``, as ``channels`` asks.

    Any other image, such as a colour image, is returned unchanged.

    Args:
        image: ``(H, W)``, or ``(H, W, C)``, which counts as grey if all channels are equal.
        channels: number of channels that the network takes.
    """
    if channels == 1 and image.ndim == 3 and is_grey(image):
        return image[..., 0]
    return np.repeat(image[..., None], 3, axis=2) if channels == 3 and image.ndim == 2 else image


def scaled(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map grey values from [low, high] to [0, 1], clip them, and return them as float32.

    If ``low`` equals ``high``, all returned values are 0.
    """
    if low == high:
        return np.zeros(image.shape, np.float32)
    # Subtract in the precision of the image: float32 would lose small differences on a large offset.
    exact = image.astype(np.promote_types(image.dtype, np.float32))
    return np.clip((exact - low) / (high - low), 0, 1).astype(np.float32)


def check_finite(values: np.ndarray, file: Path) -> None:
    """Refuse grey values that contain NaN or infinity.

    Raises:
        ValueError: the values contain NaN or infinity; the message names ``file``.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"expected finite grey values, but {file} contains NaN or infinity")


def grey_range(image: Image, plane: int, rows: int = 512) -> tuple[float, float]:
    """Return the two grey values of a plane that are scaled to 0 and 1, according to `Image.scaling`.

    The two grey values are exact for integers of up to 16 bits. For other dtypes, a plane with more than
    `MOST_GREY_VALUES` values is sampled: only every n-th pair of rows is used.

    Args:
        image: image on disk or in memory; stores the result in `Image.ranges`.
        plane: index of the plane in the stack.
        rows: number of rows to read at a time.

    Raises:
        ValueError: the plane contains NaN or infinity, or the difference of its values exceeds the range of floats.
    """
    if plane in image.ranges:
        return image.ranges[plane]
    bands = image.bands(plane, rows)
    counted = image.array.dtype.itemsize <= 2 and image.array.dtype.kind in "iub"
    pixels, bright, dark = _counted(bands, image.array.dtype) if counted else _sampled(bands, image)
    low, high = (pixels.percentile(percent) for percent in PERCENTILES)
    if image.scaling == "objects":
        quartiles = [pixels.percentile(percent) for percent in (25, 50, 75)]
        high = max(high, _reach(bright, quartiles[1], quartiles[2], low))
        low = min(low, -_reach(dark, -quartiles[1], -quartiles[0], -pixels.percentile(PERCENTILES[1])))
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float64(high) - np.float64(low)):
            raise ValueError(f"expected grey values of a finite range, but {image.file} has {low:g} to {high:g}")
    image.ranges[plane] = low, high
    return low, high


@dataclass(frozen=True)
class _Values:
    """Sorted grey values of many pixels, as a list of all values or as a cumulative histogram.

    Attributes:
        values: the grey value of every pixel, in ascending order; if ``up_to`` is given, each possible value once.
        up_to: number of pixels with a grey value less than or equal to each of ``values``; None if ``values`` lists
            every pixel.
    """

    values: np.ndarray
    up_to: np.ndarray | None = None

    @property
    def count(self) -> int:
        return len(self.values) if self.up_to is None else int(self.up_to[-1])

    def at(self, rank: int) -> float:
        """Return the grey value at index ``rank`` of the sorted list of all pixels."""
        place = rank if self.up_to is None else np.searchsorted(self.up_to, rank, side="right")
        return float(self.values[int(place)])

    def rank_of(self, value: float) -> int:
        """Return how many pixels have a grey value less than or equal to ``value``."""
        place = int(np.searchsorted(self.values, value, side="right"))
        return place if self.up_to is None or place == 0 else int(self.up_to[place - 1])

    def percentile(self, percent: float, first: int = 0) -> float:
        """Return a percentile of the sorted values from index ``first`` on, interpolated as by `numpy.percentile`."""
        rank = first + (self.count - 1 - first) * (percent / 100)
        low, high = self.at(math.floor(rank)), self.at(math.ceil(rank))
        share = rank % 1
        return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def _reach(blocks: _Values, median: float, quartile: float, opposite: float) -> float:
    """Return the upper end of a grey range that includes the objects brighter than the background of an image.

    The background is assumed to spread as widely above the median as below it. Single hot pixels are not objects.
    For objects darker than the background, pass negated values; the result is then the negated lower end.

    Args:
        blocks: second largest value of each block of 2×2 pixels.
        median: median of all pixels.
        quartile: third quartile of all pixels.
        opposite: grey value at the lower end of the range between `PERCENTILES`.

    Returns:
        A grey value, or minus infinity if there are no bright objects.
    """
    if blocks.count < FEWEST:
        return -math.inf
    brightest = blocks.at(blocks.count - FEWEST)
    noise = max(FAR * (median - opposite), FAR_QUARTILE * (quartile - median))
    first = blocks.rank_of(median + max(noise, FAINT * (brightest - median)))
    if blocks.count - first < FEWEST:
        return -math.inf
    return median + HEADROOM * (blocks.percentile(WITHIN, first) - median)


def _second_largest(band: np.ndarray) -> np.ndarray:
    """Return the second largest value of each block of 2×2 pixels in a band of rows ``(C, rows, W)``.

    An odd last row or column is ignored.
    """
    band = band[:, : band.shape[1] // 2 * 2, : band.shape[2] // 2 * 2]
    first, second, third, fourth = (band[:, row::2, column::2] for row in (0, 1) for column in (0, 1))
    larger = np.minimum(np.maximum(first, second), np.maximum(third, fourth))
    found: np.ndarray = np.maximum(larger, np.maximum(np.minimum(first, second), np.minimum(third, fourth)))
    return found


def _counted(bands: Iterator[np.ndarray], dtype: np.dtype) -> tuple[_Values, _Values, _Values]:
    """Count the grey values of a plane of integers of up to 16 bits.

    Returns:
        The values of all pixels, the second largest value of each block of 2×2 pixels, and the second largest value of
        each block after negation of the plane.
    """
    lowest = 0 if dtype.kind in "ub" else np.iinfo(dtype).min
    counts = np.zeros((3, 2 ** (8 * dtype.itemsize)), np.int64)
    for band in bands:
        exact = band.astype(np.int32) - lowest
        highest = counts.shape[1] - 1
        for place, values in enumerate((exact, _second_largest(exact), _second_largest(highest - exact))):
            counts[place] += np.bincount(values.ravel(), minlength=counts.shape[1])
    values = lowest + np.arange(counts.shape[1])
    up_to = np.cumsum(counts, axis=1)
    return _Values(values, up_to[0]), _Values(values, up_to[1]), _Values(-values[::-1], up_to[2])


def _sampled(bands: Iterator[np.ndarray], image: Image) -> tuple[_Values, _Values, _Values]:
    """Return what `_counted` returns, for a plane of any other dtype.

    Of a large plane, only every n-th pair of rows is used.

    Raises:
        ValueError: the plane contains NaN or infinity.
    """
    step = -(-image.height * image.width * image.in_channels // MOST_GREY_VALUES)
    found: list[list[np.ndarray]] = [[], [], []]
    top = 0
    for band in bands:
        check_finite(band, image.file)
        kept = band[:, np.arange(top, top + band.shape[1]) // 2 % step == 0]
        kept = kept if kept.dtype.kind == "f" else kept.astype(np.float64)  # floats can be negated
        for values, each in zip(found, (kept, _second_largest(kept), _second_largest(-kept)), strict=True):
            values.append(each.ravel())
        top += band.shape[1]
    pixels, bright, dark = (_Values(np.sort(np.concatenate(values))) for values in found)
    return pixels, bright, dark
