"""Images predicted at another pixel size, and what was predicted of them on their own pixels again."""

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

NEARLY = 0.05  # a factor so near to 1 leaves an image as it is
LARGEST = 16  # factor, or its inverse


@dataclass(frozen=True)
class Scale:
    """By how much images are enlarged before they are predicted; they are shrunk where that is less than 1.

    Attributes:
        factor: of all images; None: as their pixel size says.
        training: pixel size of the training images in µm, None if it is not known.
        pixel_size: of all images in µm, whatever their files say; None: as they say.
    """

    factor: float | None = 1.0
    training: float | None = None
    pixel_size: float | None = None

    def sized(self, image: Image) -> Image:
        """The image with the pixel size that was given for all."""
        if self.pixel_size is None:
            return image
        return replace(image, pixel_size=image.pixel_size | dict.fromkeys("YX", self.pixel_size))

    def of(self, image: Image) -> tuple[float, float] | None:
        """The factors of rows and of columns, None if nobody knows the pixel size.

        Raises:
            ValueError: a factor is so far from 1 that nothing would be left, or nothing is there.
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
        """The image as it is predicted; the same if nothing is to change, or nobody knows by how much.

        Raises:
            ValueError: it would become too large, or as of `of`.
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
        return replace(image, array=array, pixel_size=size)  # type: ignore[arg-type]  # it is read as an array is


def scale(asked: str | float, pixel_size: float | None, training: Sequence[Appearance]) -> Scale:
    """The scale that ``rescale`` asks for.

    Args:
        asked: none, auto or a factor.
        pixel_size: of all images in µm; None: as their files say.
        training: what the training images look like.

    Raises:
        ValueError: it is none of these, or nobody knows the pixel size of the training images.
    """
    if pixel_size is not None and not _is_number(pixel_size, 0, math.inf):
        raise ValueError(f"expected pixel_size in µm, but got {pixel_size}; nearest valid: pixel_size=0.5")
    if asked == "none":
        return Scale(pixel_size=pixel_size)
    if asked == "auto":
        sizes = [row["pixel_size"] for row in training if "pixel_size" in row]
        if not sizes:
            raise ValueError(
                "expected a checkpoint that knows the pixel size of its training images, because rescale=auto needs "
                "it, but their files did not say it, or an earlier version has written it; nearest valid: "
                "rescale=FACTOR, 2 of images whose pixels are twice as large"
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
    """What was predicted of a rescaled image, read as if it had been of the image itself.

    It is read as a `Store` is.

    Args:
        predicted: probabilities, between which it interpolates, or labels, of which it takes the nearest.
        image: as it is on disk.
    """

    def __init__(self, predicted: Store | Held, image: Image) -> None:
        self.predicted, self.image, self.classes = predicted, image, predicted.classes
        self.side = block_side(image.height, image.width)
        self.blocks = blocks(image.height, image.width, self.side)
        sizes = (image.height, image.width), (predicted.image.height, predicted.image.width)
        self._sizes = list(zip(*sizes, strict=True))
        self._weights = [weights(other, own, linear) for own, other in self._sizes]

    def read(self, plane: int, window: Window) -> np.ndarray:
        """Read a window of probabilities ``([K,] height, width)``."""
        places = zip(self._weights, window[:2], window[2:], strict=True)
        (rows, top, bottom), (columns, left, right) = (part(each, at, at + extent) for each, at, extent in places)
        values = self.predicted.read(plane, Window(top, left, bottom - top, right - left))
        found = combined(columns, combined(rows, values, values.ndim - 2), values.ndim - 1)
        return np.clip(found, 0, 1, out=found)  # rounding may lead beyond

    def nearest(self, plane: int, window: Window) -> np.ndarray:
        """Read a window of labels ``(height, width)``."""
        rows, columns = (
            (np.arange(at, at + extent) * 2 + 1) * other // (2 * own)
            for (own, other), at, extent in zip(self._sizes, window[:2], window[2:], strict=True)
        )
        top, left = int(rows[0]), int(columns[0])
        seen = self.predicted.read(plane, Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left))
        return seen[rows - top][:, columns - left]
