"""Averages over rotated and mirrored versions of an image (§4)."""

from collections.abc import Callable

import cv2
import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]  # (C, H, W) → (K, H, W)
ROTATIONS = 7  # §4


def average_rotations(predict: Predict, image: np.ndarray) -> np.ndarray:
    """The paper's average over 7 rotated versions of the image (§4).

    The paper does not name the angles; these are multiples of 360°/7. Corners that a rotation
    uncovers are filled by mirroring.

    Args:
        predict: from an image ``(C, H, W)`` to class probabilities ``(K, H, W)``.
        image: ``(C, H, W)`` float32.

    Returns:
        ``(K, H, W)`` float32.
    """
    versions = [predict(image)]
    for step in range(1, ROTATIONS):
        rotation = _rotation(image.shape[1:], 360 * step / ROTATIONS)
        side = int(np.ceil(np.hypot(*image.shape[1:])))
        rotated = [
            cv2.warpAffine(channel, rotation, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
            for channel in image
        ]
        versions.append(_rotate_back(predict(np.clip(rotated, 0, 1)), rotation, image.shape[1:]))
    return np.mean(versions, axis=0)


def average_symmetries(predict: Predict, image: np.ndarray) -> np.ndarray:
    """The average over the 8 symmetries of the square: 4 quarter turns, each also mirrored.

    Arguments and result as of `average_rotations`.
    """
    versions = []
    for turns in range(4):
        for mirror in (False, True):
            moved = np.rot90(image, turns, axes=(1, 2))
            moved = moved[..., ::-1] if mirror else moved
            predicted = predict(np.ascontiguousarray(moved))
            predicted = predicted[..., ::-1] if mirror else predicted
            versions.append(np.rot90(predicted, -turns, axes=(1, 2)))
    return np.mean(versions, axis=0)


AVERAGES = {
    "none": lambda predict, image: predict(image),
    "rot7": average_rotations,
    "d4": average_symmetries,
}


def _rotation(shape: tuple[int, int], degrees: float) -> np.ndarray:
    """The affine map that turns an image about its centre into the middle of a square that holds all of it."""
    side = int(np.ceil(np.hypot(*shape)))
    centre = ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    rotation = cv2.getRotationMatrix2D(centre, degrees, 1)
    rotation[:, 2] += (side - 1) / 2 - np.array(centre)
    return rotation


def _rotate_back(probabilities: np.ndarray, rotation: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(channel, rotation, shape[::-1], flags=flags) for channel in probabilities])
