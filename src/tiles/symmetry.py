"""Averages of predictions over rotated and mirrored versions of an image (§4).

A version is read through transformed coordinates, window by window. So only a window of it is in
memory, and its grid of tiles is the same for all windows.
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
        predict: predicts a window of an image.
        read: reads the image.
        window: the window to predict.

    Returns:
        Average prediction ``(N, K, height, width)``.
    """
    total = predict(read, window)
    for step in range(1, ROTATIONS):
        total = total + _predict_rotated(predict, read, window, 2 * np.pi * step / ROTATIONS)
    return total / ROTATIONS


def average_symmetries(predict: Predict, read: Read, window: Window) -> Tensor:
    """Average predictions over the 8 symmetries of the square: 4 rotations by 90°, each also mirrored.

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
    """Predict a version with reversed or swapped axes, and transform the prediction back.

    Position p of a reversed axis is position −1 − p of the image, so that pooling windows coincide.
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
    """Predict a version that is rotated about the first pixel by ``angle`` in radians, and rotate it back."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # (y, x) in image → in version

    def read_version(place: Window) -> Tensor:
        # Cubic interpolation reads two more pixels on each side.
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
    """The smallest window around points ``(..., 2)``, extended by ``spare`` pixels on each side."""
    low = np.floor(points.min(axis=0)).astype(int) - spare
    high = np.ceil(points.max(axis=0)).astype(int) + spare
    return Window(*low.tolist(), *(high - low + 1).tolist())


def _positions(window: Window, turn: np.ndarray) -> list[np.ndarray]:
    """Coordinates y and x, ``(height, width)`` each, of the pixels of a window after ``@ turn``."""
    rows = window.top + np.arange(window.height)[:, None]
    columns = window.left + np.arange(window.width)
    return [rows * along_y + columns * along_x for along_y, along_x in turn.T]


def _interpolated(images: Tensor, window: Window, positions: list[np.ndarray], interpolation: int) -> Tensor:
    """Interpolate images ``(N, C, height, width)`` of a window at positions y and x."""
    y, x = ((place - start).astype(np.float32) for place, start in zip(positions, window[:2], strict=True))
    planes = images.float().cpu().numpy().reshape(-1, window.height, window.width)
    moved = np.stack([cv2.remap(plane, x, y, interpolation) for plane in planes])
    return torch.from_numpy(moved).reshape(*images.shape[:2], *y.shape).to(images.device)
