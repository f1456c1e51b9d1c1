"""Rescaling of images to the training pixel size, and of their predictions back to the size of the input."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from src.data.appearance import Appearance
from src.files import limits
from src.files.image import Image
from src.files.resampled import Resampled, combined, linear, part, weights
from src.prediction.store import Held, Store
from src.tiles.blocks import block_side, blocks
from src.tiles.overlap import Window

NEARLY = 0.05  # an image is not rescaled if its factors have absolute logarithms below this
LARGEST = 16  # largest zoom factor; the smallest is its inverse


@dataclass(frozen=True)
class Scale:
    """The rule for the zoom factor by which images are rescaled before prediction; a factor below 1 shrinks them.

    Attributes:
        factor: zoom factor for all images; None computes the factor of each image from its pixel size.
        training: pixel size of the training images in µm; None if unknown.
        pixel_size: pixel size in µm that replaces the pixel size in the files of all images; None replaces nothing.
    """

    factor: float | None = 1.0
    training: float | None = None
    pixel_size: float | None = None

    def sized(self, image: Image) -> Image:
        """Return the image with `pixel_size` as its pixel size in Y and X; unchanged if `pixel_size` is None."""
        if self.pixel_size is None:
            return image
        return replace(image, pixel_size=image.pixel_size | dict.fromkeys("YX", self.pixel_size))

    def of(self, image: Image) -> tuple[float, float] | None:
        """Return the zoom factors (vertical, horizontal) of an image, or None if a pixel size they need is unknown.

        Raises:
            ValueError: a factor is outside the range from 1/`LARGEST` to `LARGEST`.
        """
        found = (self.factor, self.factor) if self.factor is not None else self._by_size(image.pixel_size)
        if found and not all(_is_number(factor, 0.999 / LARGEST, 1.001 * LARGEST) for factor in found):
            got = f"{found[0]:.3g} of {image.file}"
            raise ValueError(
                f"expected to rescale by a factor from 1/{LARGEST} to {LARGEST}, but got {got}; "
                f"nearest valid: pixel_size=… if its file is wrong, or rescale=none"
            )
        return found

    def _by_size(self, size: dict[str, float]) -> tuple[float, float] | None:
        y, x = size.get("Y", size.get("X")), size.get("X", size.get("Y"))
        if y is None or x is None or self.training is None:
            return None
        factors = y / self.training, x / self.training
        return (1.0, 1.0) if all(abs(math.log(factor)) < NEARLY for factor in factors) else factors

    def __call__(self, image: Image) -> Image:
        """Return the rescaled image, or the same object if the factor is 1 or unknown.

        Raises:
            ValueError: the rescaled image would be too large, or a factor is outside the valid range.
        """
        rows, columns = self.of(image) or (1.0, 1.0)
        height, width = max(1, round(image.height * rows)), max(1, round(image.width * columns))
        if (height, width) == (image.height, image.width):
            return image
        try:
            limits.check_size((height, width), image.planes)
        except ValueError as error:
            raise ValueError(f"expected to rescale {image.file}, but {error}") from error
        size = image.pixel_size | {
            axis: image.pixel_size[axis] * stored / wanted
            for axis, stored, wanted in (("Y", image.height, height), ("X", image.width, width))
            if axis in image.pixel_size
        }
        array = Resampled(image.array, image.axes, height, width)
        return replace(image, array=array, pixel_size=size)  # type: ignore[arg-type]  # has the interface that `Image` reads


def scale(asked: str | float, pixel_size: float | None, training: Sequence[Appearance]) -> Scale:
    """Return the `Scale` that the options ``rescale`` and ``pixel_size`` describe.

    Args:
        asked: the option ``rescale``: ``none``, ``auto`` (to the median training pixel size) or a factor.
        pixel_size: the option ``pixel_size``, for all images, in µm; None uses the pixel sizes in their files.
        training: appearance of each training image, with its pixel size where that is known.

    Raises:
        ValueError: an option is not valid, or ``rescale`` is ``auto`` and no training image has a pixel size.
    """
    if pixel_size is not None and not _is_number(pixel_size, 0, math.inf):
        raise ValueError(f"expected pixel_size in µm, but got {pixel_size}; nearest valid: pixel_size=0.5")
    if asked == "none":
        return Scale(pixel_size=pixel_size)
    if asked == "auto":
        sizes = [row["pixel_size"] for row in training if "pixel_size" in row]
        if not sizes:
            raise ValueError(
                "expected a checkpoint with the pixel size of its training images for rescale=auto, but got none, "
                "because their files have none or an earlier version wrote it; nearest valid: rescale=FACTOR, "
                "such as 2 for images whose pixels are twice as large"
            )
        return Scale(None, median(sizes), pixel_size)
    if not _is_number(asked, 0.999 / LARGEST, 1.001 * LARGEST):
        raise ValueError(
            f"expected rescale to be none, auto or a factor from 1/{LARGEST} to {LARGEST}, but got {asked}; "
            f"nearest valid: auto"
        )
    return Scale(float(asked), pixel_size=pixel_size)


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low < value < high


class Returned:
    """The prediction of a rescaled image, resampled to the size of the original image when it is read.

    It is read like a `Store`.

    Args:
        predicted: probabilities or labels of the rescaled image.
        image: the original image.
    """

    def __init__(self, predicted: Store | Held, image: Image) -> None:
        self.predicted, self.image, self.classes = predicted, image, predicted.classes
        self.side = block_side(image.height, image.width)
        self.blocks = blocks(image.height, image.width, self.side)
        sizes = (image.height, image.width), (predicted.image.height, predicted.image.width)
        self._sizes = list(zip(*sizes, strict=True))
        self._weights = [weights(other, own, linear) for own, other in self._sizes]

    def read(self, plane: int, window: Window) -> np.ndarray:
        """Return a window of probabilities ``([K,] height, width)`` by linear interpolation."""
        places = zip(self._weights, window[:2], window[2:], strict=True)
        (rows, top, bottom), (columns, left, right) = (part(each, at, at + extent) for each, at, extent in places)
        values = self.predicted.read(plane, Window(top, left, bottom - top, right - left))
        found = combined(columns, combined(rows, values, values.ndim - 2), values.ndim - 1)
        return np.clip(found, 0, 1, out=found)  # interpolation has rounding errors

    def nearest(self, plane: int, window: Window) -> np.ndarray:
        """Return a window of labels ``(height, width)`` by nearest-neighbour interpolation."""
        rows, columns = (
            (np.arange(at, at + extent) * 2 + 1) * other // (2 * own)
            for (own, other), at, extent in zip(self._sizes, window[:2], window[2:], strict=True)
        )
        top, left = int(rows[0]), int(columns[0])
        seen = self.predicted.read(plane, Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left))
        return seen[rows - top][:, columns - left]
