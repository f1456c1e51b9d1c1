"""Images resampled to another pixel grid; each window is resampled when it is read.

A resampled pixel depends only on its position and on the stored pixels around it, so a window equals the same part of
the whole resampled image. The outer edges of the image keep their positions.
"""

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
import zarr
from scipy.sparse import csr_array

Kernel = Callable[[np.ndarray], np.ndarray]
Place = int | slice


def cubic(distance: np.ndarray) -> np.ndarray:
    """Return the interpolation weight of stored pixels at distances ≥ 0, in pixels, from a resampled pixel.

    This cubic kernel (Keys 1981) is used for images, because it keeps them sharp.
    """
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    found: np.ndarray = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return found


def linear(distance: np.ndarray) -> np.ndarray:
    """Return the interpolation weight of stored pixels at distances ≥ 0, in pixels, from a resampled pixel.

    This linear kernel is used for probabilities, which remain non-negative and still sum to 1 over the classes.
    """
    found: np.ndarray = np.maximum(0, 1 - distance)
    return found


REACH: dict[Kernel, int] = {cubic: 2, linear: 1}  # distance in pixels beyond which a weight is 0


def weights(length: int, wanted: int, kernel: Kernel) -> csr_array:
    """Compute the matrix ``(wanted, length)`` that resamples an axis from ``length`` to ``wanted`` pixels.

    Entry (i, j) is the weight of stored pixel j in resampled pixel i. When an image is shrunk, the kernel is widened in
    proportion to prevent aliasing.

    >>> weights(4, 2, linear).toarray()
    array([[0.42857143, 0.42857143, 0.14285714, 0.        ],
           [0.        , 0.14285714, 0.42857143, 0.42857143]])
    """
    size = length / wanted
    width = max(size, 1.0)
    centres = (np.arange(wanted) + 0.5) * size - 0.5
    reach = REACH[kernel] * width
    first = np.ceil(centres - reach).astype(np.int64)
    places = first[:, None] + np.arange(int(2 * reach) + 1)
    found = kernel(np.abs(places - centres[:, None]) / width)
    found[(places < 0) | (places >= length)] = 0
    found /= found.sum(axis=1, keepdims=True)
    row, column = np.nonzero(found)
    return csr_array((found[row, column], (row, places[row, column])), shape=(wanted, length))


def part(matrix: csr_array, first: int, last: int) -> tuple[csr_array, int, int]:
    """Select the part of a matrix of weights that computes resampled pixels ``first`` to ``last`` (excluded).

    Returns:
        The part of the matrix, and the start and end (excluded) of the stored pixels that it uses.
    """
    rows = matrix[first:last]
    start, end = int(rows.indices.min()), int(rows.indices.max()) + 1
    return rows[:, start:end], start, end


def combined(matrix: csr_array, values: np.ndarray, axis: int) -> np.ndarray:
    """Resample an array along one axis by multiplication with a matrix from `weights`."""
    moved = np.moveaxis(values, axis, 0)
    found = matrix.astype(values.dtype) @ np.ascontiguousarray(moved).reshape(len(moved), -1)
    return np.moveaxis(found.reshape(-1, *moved.shape[1:]), 0, axis)


class Resampled:
    """An array resampled to another height and width; a part of the array is read and resampled when it is indexed.

    Resampled values have the dtype of the stored array.

    Args:
        array: stored pixel values of the image.
        axes: one letter for each axis of ``array``.
        height, width: size of the resampled image in pixels.
    """

    def __init__(self, array: np.ndarray | zarr.Array[Any], axes: str, height: int, width: int) -> None:
        self.array, self.rows, self.columns = array, axes.index("Y"), axes.index("X")
        sizes = {self.rows: height, self.columns: width}
        self.shape = tuple(sizes.get(axis, length) for axis, length in enumerate(array.shape))
        self.dtype: np.dtype = array.dtype
        self.ndim = len(self.shape)
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        self._of_rows = weights(array.shape[self.rows], height, cubic)
        self._of_columns = weights(array.shape[self.columns], width, cubic)

    def __getitem__(self, where: EllipsisType | tuple[Place, ...]) -> np.ndarray:
        places: list[Place] = [slice(None)] * self.ndim if isinstance(where, EllipsisType) else list(where)
        of = [self._part(self._of_rows, places[self.rows]), self._part(self._of_columns, places[self.columns])]
        for axis, (_, first, last) in zip((self.rows, self.columns), of, strict=True):
            places[axis] = slice(first, last)
        stored = np.asarray(self.array[tuple(places)])
        # float32 is exact for integers of up to 16 bits. A constant float32 image stays constant only in float64.
        small = self.dtype.kind in "iub" and self.dtype.itemsize <= np.dtype(np.int16).itemsize
        values = stored.astype(np.float32 if small else np.float64)
        for axis, (matrix, _, _) in zip((self.rows, self.columns), of, strict=True):
            values = combined(matrix, values, sum(isinstance(place, slice) for place in places[:axis]))
        return _as(values, self.dtype)

    @staticmethod
    def _part(matrix: csr_array, place: Place) -> tuple[csr_array, int, int]:
        if not isinstance(place, slice):
            raise IndexError(f"expected a slice of rows and of columns, but got {place}")
        first, last, step = place.indices(matrix.shape[0])
        if step != 1:
            raise IndexError(f"expected rows and columns side by side, but got each of {step}")
        return part(matrix, first, last)


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert floats to a dtype; integers and booleans are rounded and clipped to the range of the dtype."""
    if dtype.kind == "f":
        return values.astype(dtype)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    found: np.ndarray = np.clip(np.rint(values), low, high).astype(dtype)
    return found
