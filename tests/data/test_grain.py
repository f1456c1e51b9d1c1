"""What was drawn by numbers is told from grey levels, on drawings of many kinds and on all labels at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.ndimage import gaussian_filter

from src.data.grain import GRADED, grain
from src.data.numbers import read_labels
from src.files.arrays import value_counts
from src.instances import components
from tests.data import drawn, own


def is_graded(values: np.ndarray) -> bool:
    return grain(values, *value_counts(values.reshape(-1, values.shape[-1]))) == GRADED


def blobs(count, radius, parted=True, side=128, seed=0):
    """Cells around random points, in the order of the first pixel of each."""
    points = np.random.default_rng(seed).uniform(0, side, (count, 2))
    distances = np.linalg.norm(np.moveaxis(np.indices((side, side)), 0, -1)[..., None, :] - points, axis=-1)
    cells = np.where(distances.min(axis=-1) < radius, distances.argmin(axis=-1) + 1, 0)
    if parted:
        cells[ndimage.grey_erosion(cells, 3) != cells] = 0
    numbers, first = np.unique(cells, return_index=True)
    order = np.zeros(cells.max() + 1, int)
    order[numbers[np.argsort(first)]] = np.arange(len(numbers))
    return np.where(cells > 0, order[cells] + 1, 0)


def tiles(side, last=None):
    """Squares without background, numbered row by row, in 8 bits if they begin again."""
    count = 128 // side
    numbers = np.kron(np.arange(1, count**2 + 1).reshape(count, count), np.ones((side, side), int))
    return numbers if last is None else numbers % last


RANDOM = np.random.default_rng(0)
DRAWN = {
    "sparse": blobs(12, 8),
    "dense": blobs(400, 5),
    "touching": blobs(200, 9, parted=False),
    "more than 255, touching": blobs(700, 4, parted=False, side=160),
    "without background": blobs(400, 999, parted=False),
    "small, without background": blobs(2000, 999, parted=False),
    **{f"tiles of {side}": tiles(side) for side in (2, 3, 4, 8, 16)},
    **{f"tiles of {side} in 8 bits": tiles(side, 256) for side in (2, 4, 6)},
    "spots": components(RANDOM.random((256, 256)) > 0.98),
    "specks": components(RANDOM.random((256, 256)) > 0.85),
    "numbers of tracks": np.concatenate([[0], RANDOM.integers(1, 65535, 999)])[blobs(300, 5)],
    "one large number": np.where(blobs(300, 5) == 17, 65535, blobs(300, 5)),
    "three classes": np.digitize(gaussian_filter(RANDOM.random((128, 128)), 4), [0.49, 0.51]),
    "noisy classes": RANDOM.integers(0, 8, (128, 128)),
    "20 classes": blobs(100, 999, parted=False) % 20,
    "mask": (blobs(12, 8) > 0).astype(int),
    "mask of 255": (blobs(12, 8) > 0) * 255,
    "smooth edges": drawn.smooth_edged(),
    "lines": np.tile(np.arange(1, 129), (128, 1)),
    "blank": np.zeros((64, 64), int),
    "stack": np.stack([blobs(60, 6, seed=seed) for seed in range(4)]),
    "few pixels": np.arange(40).reshape(5, 8),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_what_was_drawn_is_not_graded(name, kind):
    assert not is_graded(DRAWN[name].astype(kind))


def test_no_label_file_at_hand_is_graded():
    root = Path(os.environ.get("DATA_DIR", "data"))
    files = sorted(file for file in root.glob("*/*") if "labels" in file.name)
    files = [each for file in files for each in (sorted(file.iterdir()) if file.is_dir() else [file])]
    if not files:
        pytest.skip(f"needs label files in {root} (set DATA_DIR)")
    assert [file for file in files[::5] if is_graded(read_labels(file).numbers)] == []


CELL, ONE = blobs(12, 9) > 0, blobs(1, 9, side=96) > 0
DISTANCE = ndimage.distance_transform_edt(CELL) - ndimage.distance_transform_edt(~CELL)
PROBABLE = {
    **{f"blurred by {width}": gaussian_filter(CELL.astype(float), width) for width in (0.7, 1, 2, 4, 8, 16)},
    **{f"one, blurred by {width}": gaussian_filter(ONE.astype(float), width) for width in (1, 2, 8)},
    **{f"steep by {slope}": 1 / (1 + np.exp(-slope * DISTANCE)) for slope in (0.2, 0.5, 1, 2)},
    **{
        f"noise of {noise}": gaussian_filter(CELL * 0.8, 1.5) + 0.1 + RANDOM.normal(0, noise, CELL.shape)
        for noise in (0.01, 0.05, 0.2)
    },
    "noise alone": RANDOM.random((96, 96)),
    "stack": np.stack([gaussian_filter(CELL.astype(float), 1.5)] * 3),
}


@pytest.mark.parametrize("name", PROBABLE)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_probabilities_are_graded(name, kind):
    assert is_graded(np.rint(PROBABLE[name].clip(0, 1) * np.iinfo(kind).max).astype(kind))


def test_probabilities_of_8_bits_that_were_made_larger_are_graded():
    small = np.rint(gaussian_filter(CELL * 255.0, 2)).astype(np.uint8)
    assert is_graded(np.kron(small, np.ones((4, 4), np.uint8)))


def test_pictures_are_graded():
    assert is_graded(own.draw(0)[0])
    assert is_graded(gaussian_filter(RANDOM.integers(0, 4096, (128, 128)).astype(np.uint16), 1))
