"""How alike images are: whether they are near copies, or neighbours in a series."""

import cv2
import numpy as np

THUMBNAIL = 32  # side in pixels
ROUNDING = 1e-5  # rounding error of float32 in a thumbnail
UNEVEN = 8  # pixels of a thumbnail over which illumination may vary
# Least correlation of the thumbnails of near copies if the other images are not alike at all; the more alike the
# others are, the closer to 1 it must be. None of 120 000 pairs of real images (DSB 2018) exceeds 0.52.
ALIKE = 0.9
EQUAL = 0.995  # least correlation of near copies, however alike the other images are
FEWEST_SECTIONS = 8  # images; with fewer, likeness of neighbours may be chance
FAR = 4  # images that are so far apart are not neighbours
SAMPLED = 200  # images that are compared with all others
NEIGHBOURS = 0.7  # least share of images in a series that are most like one of their neighbours …
CLOSER = 0.15  # … and by how much the correlation with it exceeds that with most others


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """Make a thumbnail of an image; the scalar product of two thumbnails is the likeness of their images, up to 1.

    Args:
        grey: grey values ``(H, W)``.

    Returns:
        A vector of `THUMBNAIL` ² pixels without uneven illumination, with mean 0 and norm 1; zeros for a constant
        image.
    """
    seen = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    small = (seen - cv2.GaussianBlur(seen, (0, 0), UNEVEN)).ravel()
    small = small - small.mean()
    norm = np.linalg.norm(small)
    return small / norm if norm > ROUNDING * np.abs(seen).max() else np.zeros_like(small)


def near_copies(likeness: np.ndarray) -> np.ndarray:
    """Which images are near copies of one image, as booleans.

    Args:
        likeness: the likeness of each of them to that image.
    """
    copies: np.ndarray = (1 - likeness < (1 - ALIKE) * (1 - max(0, np.median(likeness)))) | (likeness > EQUAL)
    return copies


def in_series(thumbnails: np.ndarray) -> bool:
    """Whether most images are more like one of their neighbours than like any other image, and clearly so.

    Args:
        thumbnails: thumbnails of the images in their order, ``(N, `THUMBNAIL` ²)``; fewer than `FEWEST_SECTIONS` are
            never taken for a series.
    """
    if len(thumbnails) < FEWEST_SECTIONS:
        return False
    near = np.einsum("ij,ij->i", thumbnails[1:], thumbnails[:-1])
    sampled = np.unique(np.linspace(0, len(thumbnails) - 1, min(SAMPLED, len(thumbnails))).round().astype(int))
    likeness = thumbnails[sampled] @ thumbnails.T
    apart = np.abs(sampled[:, None] - np.arange(len(thumbnails)))
    likeness[apart == 0] = -1
    beside = np.mean(apart[np.arange(len(sampled)), likeness.argmax(1)] == 1)
    return bool(beside >= NEIGHBOURS and np.median(near) - np.quantile(likeness[apart >= FAR], 0.9) >= CLOSER)
