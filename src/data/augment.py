"""The augmentation of the paper (§3.1) as one warp: shift, rotation, mirroring, elastic deformation.

Placing, rotating and deforming a tile is a single map from the pixels of the tile to positions in the image. So each
array is interpolated only once, which blurs the image least, and only the pixels of the tile are computed. `Warp` is an
albumentations transform; the transforms that follow it in a pipeline see only the tile.
"""

from collections.abc import Callable
from functools import cache
from typing import TypedDict

import albumentations as A
import cv2
import numpy as np
from scipy.interpolate import CubicSpline
from typing_extensions import override

# Each worker makes its own tiles, so OpenCV's threads gain nothing; and OpenCV's thread pool, once used, deadlocks in a
# forked worker.
cv2.setNumThreads(1)

GRID = 3  # §3.1: displacement vectors on a coarse 3 by 3 grid
LARGEST_SOURCE = 32766  # cv2.remap addresses its source with signed 16-bit integers
CUBIC_CHANNELS = 4  # cv2.remap takes at most four channels in cubic mode


class Given(TypedDict, total=False):
    """The arguments of an augmentation pipeline: arrays of one image, and optionally the position of the tile.

    Attributes:
        image: ``(H, W)`` or ``(H, W, C)``.
        mask: class of each pixel, ``(H, W)`` or ``(H, W, C)``.
        weight: weight map, ``(H, W)`` or ``(H, W, C)``.
        centre: centre ``(x, y)`` of the tile in the image; None: random.
        context: number of pixels at each border of the tile for which the network has no output.
    """

    image: np.ndarray
    mask: np.ndarray
    weight: np.ndarray
    centre: tuple[float, float] | None
    context: int


class Warp(A.DualTransform):  # type: ignore[misc]  # albumentations is not typed
    """Augmentation that cuts a randomly placed, rotated, mirrored and elastically deformed tile out of an image.

    The centre of the tile is uniformly distributed over the image, unless the call gives a ``centre`` ``(x, y)``.
    Beyond its border, the image is mirrored (figure 2). The targets are ``image`` (bicubic interpolation, clipped to
    [0, 1]), ``mask`` (nearest neighbour) and ``weight`` (linear), each ``(H, W)`` or ``(H, W, C)``. The returned image
    has side ``tile``. If the call gives a ``context``, the returned mask and weight are smaller by that number of
    pixels at each border, for which the network has no output.

    Args:
        tile: side of the tile in pixels.
        rotation: largest angle of rotation in either direction, in degrees; uniform (180 = any orientation).
        mirror: whether half of the tiles are mirrored.
        elastic: standard deviation in pixels of the Gaussian displacements on the 3 by 3 grid.
        scale: largest factor of magnification and of reduction, log-uniform; 1, as in the paper, changes no sizes.
        p: probability that the warp is applied; below 1, some calls return the whole image instead of a tile.

    Raises:
        ValueError: ``scale`` is below 1.
    """

    def __init__(
        self,
        tile: int,
        rotation: float = 180,
        mirror: bool = True,
        elastic: float = 10,
        scale: float = 1.0,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        if scale < 1:
            raise ValueError(f"expected a scale of 1 or more, but got {scale}; nearest valid: 1")
        self.tile, self.rotation, self.mirror, self.elastic, self.scale = tile, rotation, mirror, elastic, scale

    @property
    @override
    def targets(self) -> dict[str, Callable[..., np.ndarray]]:
        return {"image": self.apply, "mask": self.apply_to_mask, "weight": self.apply_to_weight}

    @override
    def get_params_dependent_on_data(self, params: dict[str, object], data: Given) -> dict[str, object]:
        random = self.random_generator
        height, width = data["image"].shape[:2]
        anywhere = random.uniform((0, 0), (width - 1, height - 1))
        centre = data.get("centre")
        angle = np.deg2rad(random.uniform(-self.rotation, self.rotation))
        flip = -1 if self.mirror and random.random() < 0.5 else 1
        displacements = random.normal(scale=self.elastic, size=(2, GRID, GRID)) if self.elastic else None
        factor = np.exp(random.uniform(-1, 1) * np.log(self.scale)) if self.scale > 1 else 1.0
        x, y = coordinates(self.tile, anywhere if centre is None else centre, angle, flip, displacements, factor)
        return {"x": x, "y": y, "context": data.get("context", 0)}

    @override
    def apply(self, img: np.ndarray, x: np.ndarray, y: np.ndarray, **params: object) -> np.ndarray:
        tile: np.ndarray = np.clip(sample(img, x, y, cv2.INTER_CUBIC), 0, 1)
        return tile

    @override
    def apply_to_mask(
        self, mask: np.ndarray, x: np.ndarray, y: np.ndarray, context: int, **params: object
    ) -> np.ndarray:
        return sample(mask, _inner(x, context), _inner(y, context), cv2.INTER_NEAREST)

    def apply_to_weight(
        self, weight: np.ndarray, x: np.ndarray, y: np.ndarray, context: int, **params: object
    ) -> np.ndarray:
        """Return the weight map of the tile, with side ``tile − 2 context``.

        Args:
            weight: the weight map of the image, ``(H, W)`` or ``(H, W, C)``.
            x: horizontal position in the image of each pixel of the tile, ``(tile, tile)``.
            y: vertical position in the image of each pixel of the tile, ``(tile, tile)``.
            context: number of pixels to leave out at each border.
            params: not used; other parameters of albumentations.
        """
        return sample(weight, _inner(x, context), _inner(y, context), cv2.INTER_LINEAR)


def _inner(positions: np.ndarray, context: int) -> np.ndarray:
    return np.ascontiguousarray(positions[context : len(positions) - context, context : len(positions) - context])


def reseed(pipeline: A.Compose, random: np.random.Generator) -> None:
    """Seed a pipeline, and each of its transforms separately, with random numbers from ``random``.

    Without this, albumentations repeats its random numbers in every worker and every epoch, and gives all transforms of
    a pipeline the same seed, so that the same shift would always be combined with the same brightness.
    """
    pipeline.set_random_seed(int(random.integers(2**32)))
    for transform in pipeline.transforms:
        transform.set_random_seed(int(random.integers(2**32)))


def coordinates(
    tile: int,
    centre: tuple[float, float],
    angle: float = 0.0,
    flip: int = 1,
    displacements: np.ndarray | None = None,
    factor: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the position in the image from which each pixel of a tile is taken.

    Args:
        tile: side of the tile in pixels.
        centre: centre ``(x, y)`` of the tile, in pixels of the image.
        angle: rotation in radians.
        flip: −1 exchanges left and right before the rotation; 1 does not.
        displacements: elastic displacements in x and y in pixels, ``(2, 3, 3)``, at the corners, the middles of the
            sides and the centre of the tile, between which cubic splines interpolate; None: no deformation.
        factor: magnification of the image in the tile; below 1, a reduction.

    Returns:
        x and y, each ``(tile, tile)`` float32.
    """
    offset = (np.arange(tile, dtype=np.float32) - np.float32((tile - 1) / 2)) / np.float32(factor)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x = (cosine * flip * offset + np.float32(centre[0]))[None, :] - (sine * offset)[:, None]
    y = (sine * flip * offset + np.float32(centre[1]))[None, :] + (cosine * offset)[:, None]
    if displacements is not None:
        # The spline is linear in its nodes: two thin products replace a resampling. einsum computes them, because BLAS
        # would wake its threads and take ten times as long.
        basis = spline_basis(tile)
        across = np.ascontiguousarray(basis.T)
        nodes_x, nodes_y = displacements.astype(np.float32)
        x += np.einsum("ik,kj->ij", basis @ nodes_x, across)
        y += np.einsum("ik,kj->ij", basis @ nodes_y, across)
    return x, y


@cache
def spline_basis(tile: int) -> np.ndarray:
    """Return the matrix ``(tile, 3)`` float32 of natural cubic spline interpolation between 3 equidistant nodes."""
    nodes = np.arange(GRID)
    spline = CubicSpline(nodes, np.eye(GRID), bc_type="natural")
    return np.asarray(spline(np.linspace(0, GRID - 1, tile)), np.float32)


def sample(source: np.ndarray, x: np.ndarray, y: np.ndarray, interpolation: int) -> np.ndarray:
    """Interpolate an image at the positions ``x``, ``y``; beyond its border, the image is mirrored.

    Args:
        source: ``(H, W)`` or ``(H, W, C)`` of any size and number of channels, uint8, uint16 or float32.
        x: horizontal positions in pixels, ``(h, w)`` float32.
        y: vertical positions in pixels, ``(h, w)`` float32.
        interpolation: an OpenCV flag, such as ``cv2.INTER_LINEAR``.

    Returns:
        ``(h, w)`` or ``(h, w, C)``, with the dtype of ``source``.
    """
    x, y = _mirrored_near(x, source.shape[1]), _mirrored_near(y, source.shape[0])
    if max(source.shape[:2]) > LARGEST_SOURCE:
        source, x, y = _window(source, x, y)
    if source.ndim == 2:
        return cv2.remap(source, x, y, interpolation, borderMode=cv2.BORDER_REFLECT_101)
    groups = np.split(source, range(CUBIC_CHANNELS, source.shape[2], CUBIC_CHANNELS), axis=2)
    warped = [
        cv2.remap(np.ascontiguousarray(group), x, y, interpolation, borderMode=cv2.BORDER_REFLECT_101)
        for group in groups
    ]
    return np.concatenate([group.reshape(*x.shape, -1) for group in warped], axis=2)


def _mirrored_near(positions: np.ndarray, length: int) -> np.ndarray:
    """Fold positions back into the image if some are too far outside for OpenCV, which reflects correctly only once.

    Args:
        positions: positions along one axis, in pixels, of any shape.
        length: size of the image along that axis.
    """
    if -length < positions.min() and positions.max() < min(2 * length - 1, LARGEST_SOURCE):
        return positions
    period = max(1, 2 * (length - 1))
    folded: np.ndarray = np.abs(positions) % period
    mirrored: np.ndarray = np.minimum(folded, period - folded)
    return mirrored.astype(np.float32)


def _window(source: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the part of a very large image that is needed for the positions, and the positions within that part."""
    context = 3  # bicubic interpolation reads at most this many pixels around a position
    left, top = max(0, int(x.min()) - context), max(0, int(y.min()) - context)
    window = source[top : int(y.max()) + context + 1, left : int(x.max()) + context + 1]
    return window, x - np.float32(left), y - np.float32(top)
