"""How cells are numbered, chosen on ten images: how long it takes, and its watershed against scikit-image's.

``make bench``, or ``python -m tests.benchmarks.choose [repeats]``.
"""

import sys
from functools import partial

import cv2
import numpy as np
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from src.flooding import basins
from src.instances import Auto
from src.metrics.choosing import Contest, Judged
from src.metrics.instance import Instances
from tests.benchmarks.timing import interleaved, report
from tests.benchmarks.weight_map import discs

IMAGES, SIDE = 10, 512
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])


def predicted(cells: np.ndarray, seed: int) -> Judged:
    """What a network might say of cells that nearly touch: smooth, and unsure at their borders."""
    noise = np.random.default_rng(seed).normal(0, 0.2, cells.shape)
    cell = cv2.GaussianBlur((cells > 0) + noise, (0, 0), 2).clip(0, 1).astype(np.float32)
    return Judged(np.stack([1 - cell, cell]), (cells > 0).astype(np.int64), cells, np.ones(cells.shape, bool))


def scikit_image(surface: np.ndarray, mask: np.ndarray, depth: float) -> np.ndarray:
    """The same parts by the functions that one would look for: h-maxima, their components, the watershed of them."""
    heights = np.where(mask, surface, 0)
    raised = reconstruction(heights - depth, heights, footprint=CROSS)
    markers = label(local_maxima(raised, connectivity=1) & mask, connectivity=1)
    return watershed(-heights, markers, mask=mask)


def main(repeats: int = 3) -> None:
    cells = discs(SIDE, 12)
    slices = [predicted(cells, seed) for seed in range(IMAGES)]
    mask = slices[0].probabilities[1] > 0.4
    surface = cv2.GaussianBlur(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), (0, 0), 1)
    jobs = {"ours": partial(basins, surface, mask, 1.0), "scikit-image": partial(scikit_image, surface, mask, 1.0)}
    report(f"basins: {cells.max()} cells on {SIDE}×{SIDE} px", interleaved(jobs, repeats), SIDE**2 / 1e6, "Mpx")
    choose = partial(Contest({"cells": Instances()}, "ap50", 2).choose, slices, Auto(min_size=20, fill_holes=True))
    title = f"choose: {IMAGES} images of {SIDE}×{SIDE} px, {cells.max()} cells each"
    report(title, interleaved({"ours": choose}, repeats), IMAGES, "images")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
