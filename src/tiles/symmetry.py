"""Averages of predictions over rotated and mirrored versions of an image (§4).

A transformed version of the image is read window by window, through transformed coordinates. So only one window of the
version is in memory, and the version's grid of tiles is the same for all windows.
"""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from src.tiles.overlap import Predict, Read, Window

ROTATIONS = 7  # §4


def average_rotations(predict: Predict, read: Read, window: Window) -> Tensor:
    """Average predictions over 7 rotated versions of the image, as the paper does (§4).

    The paper does not state the angles; these are multiples of 360°/7.

    Args:
        predict: predicts a window of an image, given a function that reads the image.
        read: reads any window of the image, mirrored beyond the border.
        window: the window to predict.

    Returns:
        The average prediction, ``(N, K, height, width)``.
    """
    total = predict(read, window)
    for step in range(1, ROTATIONS):
        total = total + _predict_rotated(predict, read, window, 2 * np.pi * step / ROTATIONS)
    return total / ROTATIONS


def average_symmetries(predict: Predict, read: Read, window: Window) -> Tensor:
    """Average predictions over the 8 symmetries of the square: rotations by multiples of 90°, each also mirrored.

    Arguments and result are those of `average_rotations`.
    """
    versions = [_predict_turned(predict, read, window, *version) for version in np.ndindex(2, 2, 2)]
    return torch.stack(versions).mean(dim=0)


AVERAGES: dict[str, Callable[[Predict, Read, Window], Tensor]] = {
    "none": lambda predict, read, window: predict(read, window),
    "rot7": average_rotations,
    "d4": average_symmetries,
}


def _predict_turned(predict: Predict, read: Read, window: Window, flip_y: int, flip_x: int, swap: int) -> Tensor:
    """Predict a version of the image with reversed or swapped axes, and transform the prediction back.

    Position p on a reversed axis is position −1 − p in the image, so that pooling windows coincide.

    Args:
        predict: as in `average_rotations`.
        read: as in `average_rotations`.
        window: the window to predict, in coordinates of the image.
        flip_y: 1 to reverse the y axis, else 0.
        flip_x: 1 to reverse the x axis, else 0.
        swap: 1 to swap the axes, else 0.
    """

    def swapped(place: Window) -> Window:
        return Window(place.left, place.top, place.width, place.height) if swap else place

    def transposed(array: Tensor) -> Tensor:
        return array.transpose(-1, -2) if swap else array

    def moved(place: Window) -> Window:
        top, left, height, width = place
        return Window(-top - height if flip_y else top, -left - width if flip_x else left, height, width)

    def turn(array: Tensor) -> Tensor:
        return array.flip([axis for axis, flip in ((-2, flip_y), (-1, flip_x)) if flip])

    def read_version(place: Window) -> Tensor:
        return transposed(turn(read(moved(swapped(place)))))

    return turn(transposed(predict(read_version, swapped(moved(window)))))


def _predict_rotated(predict: Predict, read: Read, window: Window, angle: float) -> Tensor:
    """Predict a version of the image rotated by ``angle`` radians about its first pixel, and rotate the result back."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # (y, x) in image → in version

    def read_version(place: Window) -> Tensor:
        # Cubic interpolation needs two more pixels on each side.
        source = _bounding(_corners(place) @ turn, spare=2)  # @ turn is the inverse of @ turn.T
        seen = read(source)
        return _interpolated(seen, source, _positions(place, turn), cv2.INTER_CUBIC).clamp(0, 1)

    there = _bounding(_corners(window) @ turn.T, spare=1)
    predicted = predict(read_version, there)
    return _interpolated(predicted, there, _positions(window, turn.T), cv2.INTER_LINEAR)


def _corners(window: Window) -> np.ndarray:
    bottom, right = window.top + window.height - 1, window.left + window.width - 1
    return np.array([(y, x) for y in (window.top, bottom) for x in (window.left, right)], float)


def _bounding(points: np.ndarray, spare: int) -> Window:
    """Return the bounding box of points ``(N, 2)`` (y, x), extended by ``spare`` pixels on each side."""
    low = np.floor(points.min(axis=0)).astype(int) - spare
    high = np.ceil(points.max(axis=0)).astype(int) + spare
    return Window(*low.tolist(), *(high - low + 1).tolist())


def _positions(window: Window, turn: np.ndarray) -> list[np.ndarray]:
    """Return the coordinates (y, x) of a window's pixels times the matrix ``turn``, two arrays ``(height, width)``."""
    rows = window.top + np.arange(window.height)[:, None]
    columns = window.left + np.arange(window.width)
    return [rows * along_y + columns * along_x for along_y, along_x in turn.T]


def _interpolated(images: Tensor, window: Window, positions: list[np.ndarray], interpolation: int) -> Tensor:
    """Interpolate images ``(N, C, height, width)``, which show ``window``, at positions y and x ``(h, w)``.

    Returns:
        A tensor ``(N, C, h, w)``.
    """
    y, x = ((place - start).astype(np.float32) for place, start in zip(positions, window[:2], strict=True))
    planes = images.float().cpu().numpy().reshape(-1, window.height, window.width)
    moved = np.stack([cv2.remap(plane, x, y, interpolation) for plane in planes])
    return torch.from_numpy(moved).reshape(*images.shape[:2], *y.shape).to(images.device)
