"""The weight map of the loss (§3, eq. 2): class balance, and extra weight in the gaps between cells.

    w(x) = w_c(x) + w0 · exp(−(d1(x) + d2(x))² / (2σ²))

d1 and d2 are the distances from pixel x to the nearest and to the second-nearest cell.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from src.data.stack import Slices, everywhere, stacked
from src.files.arrays import content_hash
from src.files.kept import kept


@dataclass(frozen=True)
class WeightMap:
    """The weight map of eq. 2 with its parameters, which the configuration sets.

    Attributes:
        w0: factor of the border term, its largest value (10 in the paper; 50 in the authors' plug-in).
        sigma: σ in pixels, the reach of the border term (5 in the paper; 6 in the plug-in).
        balance: how far w_c balances the classes, from 0 or False (not at all) to 1 or True (fully, as in the paper).

    Raises:
        ValueError: a parameter is out of range.
    """

    w0: float = 10.0
    sigma: float = 5.0
    balance: float | bool = True

    def __post_init__(self) -> None:
        if self.w0 < 0 or self.sigma <= 0:
            raise ValueError(f"expected weight_map.w0 ≥ 0 and weight_map.sigma > 0, but got {self.w0} and {self.sigma}")
        if not 0 <= self.balance <= 1:
            near = min(max(self.balance, 0), 1)
            raise ValueError(f"expected weight_map.balance from 0 to 1, but got {self.balance}; nearest valid: {near}")

    def __call__(
        self,
        targets: Slices,
        instances: Slices,
        classes: int,
        known: Slices | None = None,
        boundary: int | None = None,
    ) -> Slices:
        """Compute w(x) for each image; unannotated pixels have weight 0.

        Args:
            targets: class of each pixel, each ``(H, W)``; w_c follows from the class frequencies over all images.
            instances: cell number at each pixel, each ``(H, W)``; 0 is background.
            classes: number of classes K.
            known: whether each pixel is annotated, each ``(H, W)`` bool; None means that all pixels are.
            boundary: number of the class for the boundary of cells, whose pixels also get the border term; None if the
                target has no such class.

        Returns:
            One map ``(H, W)`` float32 per image.
        """
        known = everywhere(targets) if known is None else known
        w_c = class_weights(targets, classes, known, float(self.balance))
        return stacked(
            [
                np.where(
                    where, w_c[target] + border_weight(cells, self.w0, self.sigma, target == boundary), np.float32(0)
                )
                for target, cells, where in zip(targets, instances, known, strict=True)
            ]
        )

    def cached(
        self,
        targets: Slices,
        instances: Slices,
        classes: int,
        folder: Path,
        known: Slices | None = None,
        boundary: int | None = None,
    ) -> Slices:
        """Return the weight maps of `__call__`, cached in ``folder`` under a hash of all inputs."""
        known = everywhere(targets) if known is None else known
        named = (self, classes) if boundary is None else (self, classes, boundary)
        choices = hashlib.sha256(repr(named).encode()).hexdigest()
        file = Path(folder) / f"{content_hash(*targets, *instances, *known)[:32]}-{choices[:8]}.npz"
        return kept(
            file,
            lambda file: read_maps(file, [target.shape for target in targets]),
            lambda: self(targets, instances, classes, known, boundary),
            write_maps,
        )


def write_maps(file: Path, maps: Slices) -> None:
    """Write weight maps, each ``(H, W)`` float32, to an NPZ file."""
    with file.open("wb") as stream:
        np.savez(stream, *maps)


def read_maps(file: Path, shapes: list[tuple[int, ...]]) -> Slices:
    """Read weight maps from a file that `write_maps` has written.

    Args:
        file: the NPZ file.
        shapes: the expected shape ``(H, W)`` of each map.

    Raises:
        ValueError: the file does not contain finite float32 maps of these shapes.
    """
    size = sum(4 * math.prod(shape) for shape in shapes)
    if not size <= file.stat().st_size <= size + 1000 * (len(shapes) + 1):
        raise ValueError(f"expected {size} bytes of weights, but got {file.stat().st_size}")
    with file.open("rb") as stream:
        if stream.read(4) != b"PK\3\4":  # not a zip; NumPy would take any other file for a pickle
            raise ValueError("it is not an archive of arrays")
    with file.open("rb") as stream, np.load(stream) as archive:
        maps = [archive[name] for name in archive.files]
    found = [(each.shape, each.dtype) for each in maps]
    if found != [(shape, np.float32) for shape in shapes] or not all(np.isfinite(each).all() for each in maps):
        raise ValueError(f"expected finite weights of {len(shapes)} images, but got other arrays")
    return stacked(maps)


def class_weights(targets: Slices, classes: int, known: Slices | None = None, balance: float = 1.0) -> np.ndarray:
    """Compute w_c: class frequency to the power −``balance``, scaled to a mean of 1 over all annotated pixels.

    With ``balance`` 1, all classes have the same total weight.

    Args:
        targets: class of each pixel, each ``(H, W)``.
        classes: number of classes K.
        known: whether each pixel is annotated, each ``(H, W)`` bool; None means that all pixels are.
        balance: from 0 (equal weights) to 1.

    Returns:
        The weight of each class, ``(K,)`` float32; 1 for a class that does not occur.
    """
    annotated = targets if known is None else [target[where] for target, where in zip(targets, known, strict=True)]
    counts = np.sum([np.bincount(pixels.ravel(), minlength=classes) for pixels in annotated], axis=0)
    frequency = counts / max(1, counts.sum())
    present = frequency > 0
    total = np.sum(frequency[present] ** (1 - balance))
    weights: np.ndarray = np.divide(1, frequency**balance * total, out=np.ones(classes), where=present)
    return weights.astype(np.float32)


def border_weight(
    instances: np.ndarray, w0: float = 10.0, sigma: float = 5.0, boundary: np.ndarray | bool = False
) -> np.ndarray:
    """Compute the border term of eq. 2, which makes the network learn the narrow gaps between cells.

    The term is 0 except on background pixels and (not in the paper) on the boundary of cells if that is a separate
    class, so that cells need no gap between them. Beyond d1 + d2 = 6σ the term is below 1e-6 w0. So the distances to a
    cell are computed only in its bounding box, extended by 6σ: a hundred times faster than one distance transform per
    cell over the whole image.

    Args:
        instances: cell number at each pixel, ``(H, W)``; 0 is background.
        w0: as in `WeightMap`.
        sigma: as in `WeightMap`.
        boundary: whether each pixel is of the boundary class, ``(H, W)`` bool; False if there is no such class.

    Returns:
        The border term, ``(H, W)`` float32.
    """
    reach = int(np.ceil(6 * sigma))
    first = np.full(instances.shape, np.inf, np.float32)
    second = first.copy()
    for number, box in enumerate(ndimage.find_objects(instances), start=1):
        if box is None:
            continue
        window = tuple(slice(max(0, axis.start - reach), axis.stop + reach) for axis in box)
        distance = exact_distance(instances[window] != number)
        nearest, next_nearest = first[window], second[window]
        np.minimum(next_nearest, np.maximum(nearest, distance), out=next_nearest)
        np.minimum(nearest, distance, out=nearest)
    # In float64, because the last bit of NumPy's float32 exponential depends on the memory alignment of the array.
    both = (first + second).astype(np.float64)
    return np.where((instances == 0) | boundary, w0 * np.exp(-(both**2) / (2 * sigma**2)), 0).astype(np.float32)


def exact_distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance from each mask pixel to the nearest pixel outside the mask, ``(H, W)`` float32."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squared distances are whole numbers; the last bit of OpenCV's distances depends on memory alignment.
    return np.sqrt(np.rint(distance.astype(np.float64) ** 2)).astype(np.float32)


def separate_touching(instances: np.ndarray, width: int = 2) -> np.ndarray:
    """Separate touching cells by a ridge of background, so that eq. 2 finds a gap between them (§3).

    Args:
        instances: cell number at each pixel, ``(H, W)``; 0 is background.
        width: width of the ridge. 2 removes a pixel from both cells, 1 from one of them; 0 draws no ridge.

    Returns:
        A copy of ``instances`` in which the pixels of the ridge are 0.
    """
    if width == 0:
        return instances.copy()
    side = 1 + width  # a 2×2 window looks to one side only, a 3×3 window to both
    highest = ndimage.maximum_filter(instances, size=side)
    lowest = ndimage.minimum_filter(np.where(instances == 0, np.iinfo(instances.dtype).max, instances), size=side)
    touching = (instances > 0) & (highest != lowest)
    return np.where(touching, 0, instances)
