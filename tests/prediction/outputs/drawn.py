"""Cells of label images in memory, for the tests of what is made of them."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.files.image import Image
from src.files.legend import NUMBERS
from src.prediction.outputs.cells import Cells

# What is hard in one drawing: cell 1 has a hole that touches the outside and another hole by corners, cell 2 is of two
# pieces that touch by a corner, one of them in a hole of cell 1, cell 3 is one pixel, cell 5 (no 4) lies at the border.
HARD = np.array(
    [
        [1, 1, 1, 1, 1, 0, 0, 3],
        [1, 0, 1, 2, 1, 0, 0, 0],
        [1, 1, 0, 1, 1, 1, 1, 5],
        [1, 1, 1, 1, 0, 1, 0, 5],
        [0, 1, 1, 1, 1, 1, 0, 5],
        [0, 0, 0, 0, 2, 2, 1, 5],
    ],
    np.int32,
)

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 3), fill=st.nothing())
)


def cells_of(labels, image=None, axes="", pixel_size=None, confidence=None, kinds=(), legend=NUMBERS):
    """`Cells` of labels ``([T, Z,] H, W)``, which hold each plane in memory; ``axes`` are those of the image."""
    image = np.zeros(labels.shape, np.uint8) if image is None else image
    confidence = np.ones(labels.shape, np.float32) if confidence is None else confidence
    seen = Image(Path("a.tif"), image, axes or "TZYX"[-labels.ndim :], pixel_size or {})
    planes = labels.reshape(-1, *labels.shape[-2:])
    sure = confidence.reshape(planes.shape)
    return Cells(seen, cut_from(planes), cut_from(sure), kinds, legend)


def cut_from(planes):
    def cut(plane, window):
        top, left, height, width = window
        return planes[plane, top : top + height, left : left + width]

    return cut


def blobs(shape=(80, 90), seed=0):
    """Random cells with holes and of several pieces, some of them long, one of them a pixel; numbers have gaps."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 30, (shape[0] // 4, shape[1] // 6)).repeat(4, axis=0).repeat(6, axis=1)
    labels = np.zeros(shape, np.int32)
    labels[: coarse.shape[0], : coarse.shape[1]] = np.where(coarse > 12, coarse, 0)
    labels[random.random(shape) < 0.1] = 0
    labels[-1, 3] = 40
    return labels
