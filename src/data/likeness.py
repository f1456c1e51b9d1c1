"""Similarity of images: finds near-duplicates, and series in which neighbouring images are similar."""

import cv2
import numpy as np

THUMBNAIL = 32  # side in pixels
ROUNDING = 1e-5  # relative rounding error of float32 in a thumbnail
UNEVEN = 8  # sigma in thumbnail pixels of the Gaussian that estimates uneven illumination
# Smallest correlation between the thumbnails of near-duplicates if the other images are uncorrelated. The more similar
# the other images are, the closer to 1 it must be. None of 120 000 pairs of real images (DSB 2018) exceeds 0.52.
ALIKE = 0.9
EQUAL = 0.995  # thumbnails with a higher correlation are near-duplicates, however similar the other images are
FEWEST_SECTIONS = 8  # smallest series; among fewer images, neighbours may be similar by chance
FAR = 4  # images this many positions apart, or more, are not neighbours
SAMPLED = 200  # number of images that are compared with all others
NEIGHBOURS = 0.7  # in a series, at least this share of images is most similar to a direct neighbour …
CLOSER = 0.15  # … and the correlation with neighbours exceeds that with most distant images by at least this much


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """Make a thumbnail of an image, normalised so that the dot product of two thumbnails is their correlation.

    Args:
        grey: grey values ``(H, W)``.

    Returns:
        A vector of `THUMBNAIL` ² pixels, corrected for uneven illumination, with mean 0 and norm 1; all zeros for a
        constant image.
    """
    seen = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    small = (seen - cv2.GaussianBlur(seen, (0, 0), UNEVEN)).ravel()
    small = small - small.mean()
    norm = np.linalg.norm(small)
    return small / norm if norm > ROUNDING * np.abs(seen).max() else np.zeros_like(small)


def near_copies(likeness: np.ndarray) -> np.ndarray:
    """Return which of N other images are near-duplicates of a given image, ``(N,)`` bool.

    Args:
        likeness: correlation between the thumbnail of the given image and that of each other image, ``(N,)``.
    """
    copies: np.ndarray = (1 - likeness < (1 - ALIKE) * (1 - max(0, np.median(likeness)))) | (likeness > EQUAL)
    return copies


def in_series(thumbnails: np.ndarray) -> bool:
    """Return whether images form a series, where most are clearly more similar to a direct neighbour than to any other.

    Args:
        thumbnails: thumbnails of the images in order, ``(N, `THUMBNAIL` ²)``. Fewer than `FEWEST_SECTIONS` images are
            never considered a series.
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
