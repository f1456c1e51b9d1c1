"""The augmentation of the paper (§3.1) as one warp: shift, rotation, mirroring, elastic deformation.

Choosing a tile, moving it and bending it are one map from the pixels of the tile to positions in
the slice, and one interpolation per array: the image is blurred once, and only the tile is computed.
As an albumentations transform it composes with every other, which only sees the tile.
"""

from functools import cache

import albumentations as A
import cv2
import numpy as np
from scipy.interpolate import CubicSpline

# A tile belongs to one worker, so threads gain nothing; and OpenCV's pool of threads, once used,
# blocks for ever in a forked worker.
cv2.setNumThreads(1)

GRID = 3  # §3.1: displacement vectors on a coarse 3 by 3 grid
LARGEST_SOURCE = 32766  # cv2.remap addresses its source with signed 16-bit integers
CUBIC_CHANNELS = 4  # and takes at most four channels in cubic mode


class Warp(A.DualTransform):
    """Cut a randomly placed, rotated, mirrored and elastically deformed tile out of a slice.

    Its centre is uniform over the slice unless a ``centre`` ``(x, y)`` is given beside the arrays;
    what lies beyond the border is mirrored (figure 2). The
    targets are ``image`` (bicubic, clipped to [0, 1]), ``mask`` (nearest) and ``weight`` (linear),
    each ``(H, W)`` or ``(H, W, C)``. The image comes back with side ``tile``; mask and weight without
    the ``context`` that may be given beside them: pixels at each border for which the network says
    nothing, and for which none are computed.

    Args:
        tile: side of the result in pixels.
        rotation: largest rotation either way in degrees, uniform (180 = any direction).
        mirror: whether half of the tiles are mirrored.
        elastic: standard deviation in pixels of the Gaussian displacements on the 3 by 3 grid.
        scale: largest factor by which what is seen is enlarged or made smaller, uniform in its logarithm; 1, as in
            the paper, leaves it.
        p: probability to be applied; anything below 1 would return whole slices among tiles.
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
    def targets(self):
        return {"image": self.apply, "mask": self.apply_to_mask, "weight": self.apply_to_weight}

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        random = self.random_generator
        height, width = data["image"].shape[:2]
        anywhere = random.uniform((0, 0), (width - 1, height - 1))
        centre = anywhere if data.get("centre") is None else data["centre"]
        angle = np.deg2rad(random.uniform(-self.rotation, self.rotation))
        flip = -1 if self.mirror and random.random() < 0.5 else 1
        displacements = random.normal(scale=self.elastic, size=(2, GRID, GRID)) if self.elastic else None
        factor = np.exp(random.uniform(-1, 1) * np.log(self.scale)) if self.scale > 1 else 1.0
        x, y = coordinates(self.tile, centre, angle, flip, displacements, factor)
        return {"x": x, "y": y, "context": data.get("context", 0)}

    def apply(self, img: np.ndarray, x: np.ndarray, y: np.ndarray, **params) -> np.ndarray:
        return np.clip(sample(img, x, y, cv2.INTER_CUBIC), 0, 1)

    def apply_to_mask(self, mask: np.ndarray, x: np.ndarray, y: np.ndarray, context: int, **params) -> np.ndarray:
        return sample(mask, _inner(x, context), _inner(y, context), cv2.INTER_NEAREST)

    def apply_to_weight(self, weight: np.ndarray, x: np.ndarray, y: np.ndarray, context: int, **params) -> np.ndarray:
        return sample(weight, _inner(x, context), _inner(y, context), cv2.INTER_LINEAR)


def _inner(positions: np.ndarray, context: int) -> np.ndarray:
    return np.ascontiguousarray(positions[context : len(positions) - context, context : len(positions) - context])


def reseed(pipeline: A.Compose, random: np.random.Generator) -> None:
    """Make the next call of a pipeline depend on ``random`` alone.

    Albumentations repeats its draws in every worker and every epoch, and gives all transforms of a
    pipeline the same seed, so that a large shift would always come with the same brightness.
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
    """Where in the slice each pixel of a tile comes from.

    Args:
        tile: side of the tile in pixels.
        centre: ``(x, y)`` in the slice of the tile's centre.
        angle: rotation in radians.
        flip: −1 mirrors left and right before the rotation.
        displacements: elastic displacements in pixels, ``(2, 3, 3)`` for x and y, at the corners,
            the middles of the sides and the centre of the tile; cubic splines run between them.
        factor: by which the tile shows the slice enlarged; below 1 smaller.

    Returns:
        x and y, each ``(tile, tile)`` float32.
    """
    offset = (np.arange(tile, dtype=np.float32) - np.float32((tile - 1) / 2)) / np.float32(factor)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x = (cosine * flip * offset + np.float32(centre[0]))[None, :] - (sine * offset)[:, None]
    y = (sine * flip * offset + np.float32(centre[1]))[None, :] + (cosine * offset)[:, None]
    if displacements is not None:
        # The spline is linear in its nodes: two thin products instead of a resampling. By einsum, because
        # BLAS wakes its threads for them and takes ten times as long.
        basis = spline_basis(tile)
        for positions, nodes in zip((x, y), displacements.astype(np.float32), strict=True):
            positions += np.einsum("ik,kj->ij", basis @ nodes, np.ascontiguousarray(basis.T))
    return x, y


@cache
def spline_basis(tile: int) -> np.ndarray:
    """Natural cubic splines through unit vectors at 3 equidistant nodes, ``(tile, 3)`` float32."""
    nodes = np.arange(GRID)
    spline = CubicSpline(nodes, np.eye(GRID), bc_type="natural")
    return spline(np.linspace(0, GRID - 1, tile)).astype(np.float32)


def sample(source: np.ndarray, x: np.ndarray, y: np.ndarray, interpolation: int) -> np.ndarray:
    """Values of ``source`` at positions ``x``, ``y``, mirrored beyond its border.

    Args:
        source: ``(H, W)`` or ``(H, W, C)`` of any size and number of channels, uint8, uint16 or float32.
        x, y: ``(h, w)`` float32, in pixels.
        interpolation: an OpenCV flag.

    Returns:
        ``(h, w)`` or ``(h, w, C)``, the dtype of ``source``.
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
    """Positions folded into the source where they lie further away than OpenCV mirrors rightly (once)."""
    if -length < positions.min() and positions.max() < min(2 * length - 1, LARGEST_SOURCE):
        return positions
    period = max(1, 2 * (length - 1))
    folded = np.abs(positions) % period
    return np.minimum(folded, period - folded).astype(np.float32)


def _window(source: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The part of a very large source that the positions touch, and the positions in it."""
    context = 3  # pixels that bicubic interpolation may read around a position
    left, top = max(0, int(x.min()) - context), max(0, int(y.min()) - context)
    window = source[top : int(y.max()) + context + 1, left : int(x.max()) + context + 1]
    return window, x - np.float32(left), y - np.float32(top)
