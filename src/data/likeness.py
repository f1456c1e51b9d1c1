"""How alike images are: near copies of each other, or neighbours of one series."""

import cv2
import numpy as np

THUMBNAIL = 32  # pixels of a side
ROUNDING = 1e-5  # of float32, in a vector of so many pixels
UNEVEN = 8  # pixels of it over which light may be uneven
# Correlation of thumbnails from which images count as nearly the same, where all others are not alike at all; the more
# alike these are, the closer to 1. Of 120 000 pairs of real images (DSB 2018) none has more than 0.52.
ALIKE = 0.9
EQUAL = 0.995  # from which they do, however alike others are
FEWEST_SECTIONS = 8  # images from which likeness of neighbours is told from chance
FAR = 4  # images apart, from which they are no neighbours
SAMPLED = 200  # images that are compared with all others
NEIGHBOURS = 0.7  # share of images of which a neighbour is the nearest one, from which they are serial sections …
CLOSER = 0.15  # … and by how much it is more like them (correlation) than most others are


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """Make a small picture of an image, of which the scalar product with another one is their likeness, up to 1.

    Args:
        grey: values ``(H, W)``.

    Returns:
        `THUMBNAIL` pixels a side, as a vector, without uneven light, mean 0 and norm 1; zeros of a constant image.
    """
    seen = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    small = (seen - cv2.GaussianBlur(seen, (0, 0), UNEVEN)).ravel()
    small = small - small.mean()
    norm = np.linalg.norm(small)
    return small / norm if norm > ROUNDING * np.abs(seen).max() else np.zeros_like(small)


def near_copies(likeness: np.ndarray) -> np.ndarray:
    """Tell which of several images are nearly the same as one image, as booleans.

    Args:
        likeness: of each of them with that image.
    """
    return (1 - likeness < (1 - ALIKE) * (1 - max(0, np.median(likeness)))) | (likeness > EQUAL)


def in_series(thumbnails: np.ndarray) -> bool:
    """Tell whether most images are likest to one of their neighbours, and clearly more so than to others.

    Args:
        thumbnails: of the images in their order, ``(N, `THUMBNAIL` ²)``; of fewer than `FEWEST_SECTIONS` nobody can
            tell.
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
