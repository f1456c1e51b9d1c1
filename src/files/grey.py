"""Grey values: from which range they are scaled to [0, 1], and how; the same in training and in prediction."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.files.image import Image

PERCENTILES = (0.5, 99.5)  # that become 0 and 1
MOST_GREY_VALUES = 2**25  # of a plane with real numbers, to find its range from

# What stands out. Measured on 492 fluorescence images of the 2018 Data Science Bowl: at most 4.2 % of the pixels of
# nuclei are cut off in any image (all of them before); ISBI-2012, T98G and the phantom keep the range of percentiles.
FAR, FAR_QUARTILE = 3, 4  # so many times farther from the median than the opposite percentile, or than the quartile
FAINT = 0.1  # of the way from the median to the brightest, below which nothing stands out
FEWEST = 4  # blocks of 2×2 pixels that are an object; fewer are dust
WITHIN = 98  # percent of them lie within the range …
HEADROOM = 1.06  # … which reaches this much farther


def normalise(image: np.ndarray, scaling: str) -> np.ndarray:
    """Scale the grey values of an image to [0, 1] and clip them.

    Each image by itself, so that stain and exposure may differ from slice to slice.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any real dtype.
        scaling: one of `files.stored.SCALINGS`.

    Returns:
        float32 of the same shape; zeros for a constant image.
    """
    return scaled(image, *range_of(image, scaling))


def range_of(image: np.ndarray, scaling: str) -> tuple[float, float]:
    """As `grey_range`, of an image ``(H, W)`` or ``(H, W, C)`` in memory."""
    return grey_range(Image(Path("image"), image, "YXC"[: image.ndim], scaling=scaling), 0)


def is_grey(image: np.ndarray) -> bool:
    """Whether all channels of an image ``(H, W, C)`` are the same."""
    return bool((image == image[..., :1]).all())


def one_grey(image: np.ndarray) -> np.ndarray:
    """An image ``(H, W)`` or ``(H, W, C)`` as one grey value a pixel, float32; 0 where it is no number."""
    if image.dtype.kind == "f":
        image = np.nan_to_num(image, posinf=0, neginf=0).clip(-1e9, 1e9)
    return image.astype(np.float32) if image.ndim == 2 else image.mean(axis=2, dtype=np.float32)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """An image ``(H, W)`` or ``(H, W, C)`` with one channel or three, if it is grey; any other as it is."""
    if channels == 1 and image.ndim == 3 and is_grey(image):
        return image[..., 0]
    return np.repeat(image[..., None], 3, axis=2) if channels == 3 and image.ndim == 2 else image


def scaled(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey values from ``low`` to ``high`` as float32 from 0 to 1, clipped; zeros where there is no such range."""
    if low == high:
        return np.zeros(image.shape, np.float32)
    # In the precision of the image, before it is cast: a large offset would else take up all of float32.
    exact = image.astype(np.promote_types(image.dtype, np.float32))
    return np.clip((exact - low) / (high - low), 0, 1).astype(np.float32)


def check_finite(values: np.ndarray, file: Path) -> None:
    """Refuse an image with grey values that are none.

    Raises:
        ValueError: names the file.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"expected finite grey values, but {file} holds NaN or infinity")


def grey_range(image: Image, plane: int, rows: int = 512) -> tuple[float, float]:
    """The grey values of a plane that become 0 and 1, from bands of rows.

    Exact for integers of up to 16 bits; of a plane with more than `MOST_GREY_VALUES` real numbers, of every
    n-th pair of rows.

    Args:
        image: on disk or in memory.
        plane: its number in the stack.
        rows: of a band.

    Raises:
        ValueError: it holds NaN or infinity.
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
    """Grey values in ascending order, each of them once, or with how many there are up to and with each of them."""

    values: np.ndarray
    up_to: np.ndarray | None = None

    @property
    def count(self) -> int:
        return len(self.values) if self.up_to is None else int(self.up_to[-1])

    def at(self, rank: int) -> float:
        """The value of which ``rank`` others are smaller or equal."""
        place = rank if self.up_to is None else np.searchsorted(self.up_to, rank, side="right")
        return float(self.values[int(place)])

    def beyond(self, value: float) -> int:
        """How many values are not larger than ``value``."""
        place = int(np.searchsorted(self.values, value, side="right"))
        return place if self.up_to is None or place == 0 else int(self.up_to[place - 1])

    def percentile(self, percent: float, first: int = 0) -> float:
        """A percentile of the values from rank ``first`` on, interpolated as `numpy.percentile` does."""
        rank = first + (self.count - 1 - first) * (percent / 100)
        low, high = self.at(math.floor(rank)), self.at(math.ceil(rank))
        share = rank % 1
        return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def _reach(blocks: _Values, median: float, quartile: float, opposite: float) -> float:
    """How far the range has to reach to hold the objects of an image that are brighter than its ground.

    The ground is what lies about the median, as far as noise goes on its other side. A single hot pixel is no object.
    For dark objects all values are those of the negative.

    Args:
        blocks: the second largest value of each 2×2 pixels.
        median: of all pixels.
        quartile: the third one of all pixels.
        opposite: the percentile at the other end.

    Returns:
        A grey value; minus infinity if nothing stands out.
    """
    if blocks.count < FEWEST:
        return -math.inf
    brightest = blocks.at(blocks.count - FEWEST)
    noise = max(FAR * (median - opposite), FAR_QUARTILE * (quartile - median))
    first = blocks.beyond(median + max(noise, FAINT * (brightest - median)))
    if blocks.count - first < FEWEST:
        return -math.inf
    return median + HEADROOM * (blocks.percentile(WITHIN, first) - median)


def _second_largest(band: np.ndarray) -> np.ndarray:
    """Of each block of 2×2 pixels of ``(C, rows, W)``, without an odd last row or column."""
    band = band[:, : band.shape[1] // 2 * 2, : band.shape[2] // 2 * 2]
    first, second, third, fourth = (band[:, row::2, column::2] for row in (0, 1) for column in (0, 1))
    larger = np.minimum(np.maximum(first, second), np.maximum(third, fourth))
    return np.maximum(larger, np.maximum(np.minimum(first, second), np.minimum(third, fourth)))


def _counted(bands: Iterator[np.ndarray], dtype: np.dtype) -> tuple[_Values, _Values, _Values]:
    """The pixels of a plane of small integers; the second largest and, of the negative, of each block."""
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
    """The same of a plane of other numbers, of every n-th pair of rows if there are very many."""
    step = -(-image.height * image.width * image.in_channels // MOST_GREY_VALUES)
    found: tuple[list, list, list] = [], [], []
    top = 0
    for band in bands:
        check_finite(band, image.file)
        kept = band[:, np.arange(top, top + band.shape[1]) // 2 % step == 0]
        kept = kept if kept.dtype.kind == "f" else kept.astype(np.float64)  # of which there is a negative
        for values, each in zip(found, (kept, _second_largest(kept), _second_largest(-kept)), strict=True):
            values.append(each.ravel())
        top += band.shape[1]
    return tuple(_Values(np.sort(np.concatenate(values))) for values in found)
