"""The weight map of eq. 2: ours against one distance transform a cell over the whole image.

``make bench``, or ``python -m tests.benchmarks.weight_map [repeats]``. The first table is a large image, with its
memory.
"""

import resource
import sys
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from src.data.weight_map import border_weight
from tests.benchmarks.timing import interleaved, report


def discs(side: int, across: int) -> np.ndarray:
    """``across``² cells on a square of ``side`` pixels, with narrow gaps of 1 to 5 pixels."""
    pitch = side // across
    cells = np.zeros((side, side), np.int32)
    random = np.random.default_rng(0)
    for number in range(across**2):
        row, column = divmod(number, across)
        centre = (int((column + 0.5) * pitch), int((row + 0.5) * pitch))
        cv2.circle(cells, centre, pitch // 2 - int(random.integers(1, 3)), number + 1, thickness=-1)
    return cells


def opencv(outside: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def one_by_one(cells: np.ndarray, distance: Callable, w0: float = 10, sigma: float = 5) -> np.ndarray:
    """Eq. 2 as it is written: a distance transform over the whole image for each cell."""
    each = [distance(cells != number) for number in range(1, cells.max() + 1)]
    nearest, second = np.partition(each, 1, axis=0)[:2]
    return np.where(cells == 0, w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2)), 0)


def main(repeats: int = 3) -> None:
    cells = discs(4096, 141)  # 19 881 of them; first, so that the peak of memory is its own
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = interleaved({"ours: in boxes": partial(border_weight, cells)}, repeats)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    report(f"weight_map_large: {cells.max()} cells on 4096×4096 px", seconds, int(cells.max()), "cells")
    print(f"peak of memory beyond that of the image: {growth:.2f} GiB")

    cells = discs(512, 17)  # 289 of them
    difference = np.abs(border_weight(cells) - one_by_one(cells, opencv)).max()
    print(f"{cells.max()} cells on 512×512 px: largest difference of a weight {difference:.1e}")
    jobs = {
        "ours: in boxes": partial(border_weight, cells),
        "one transform a cell, SciPy's (as public code does)": partial(one_by_one, cells, distance_transform_edt),
        "one transform a cell, OpenCV's": partial(one_by_one, cells, opencv),
    }
    report("weight_map: 289 cells on 512×512 px", interleaved(jobs, repeats), int(cells.max()), "cells")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
