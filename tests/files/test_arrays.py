"""Arrays in memory: content hashes, and values counted strip by strip."""

import numpy as np
import pytest

from src.files import arrays
from src.files.arrays import content_hash, strips_of, value_counts


def test_the_content_hash_sees_values_shape_and_dtype():
    array = np.arange(12, dtype=np.uint8)
    others = [array[::-1], array.reshape(3, 4), array.astype(np.uint16)]
    assert content_hash(array) == content_hash(array.copy())
    assert len({content_hash(array), *map(content_hash, others)}) == 4


@pytest.mark.parametrize("shape", [(7, 5), (1, 5), (7, 1), (9, 4, 3)])
def test_strips_contain_all_rows_in_order(shape, monkeypatch):
    monkeypatch.setattr(arrays, "STRIP", 10)
    image = np.arange(np.prod(shape)).reshape(shape)
    strips = list(strips_of(image))
    assert len(strips) > 1 or image.size <= 10
    assert np.array_equal(np.concatenate(strips), image)


@pytest.mark.parametrize("strip", [1, 7, 10**6])
def test_values_are_counted_as_numpy_counts_them(strip, monkeypatch):
    monkeypatch.setattr(arrays, "STRIP", strip)
    image = np.random.default_rng(0).integers(-3, 4, (11, 6))
    for found, expected in zip(value_counts(image), np.unique(image, return_counts=True), strict=True):
        assert np.array_equal(found, expected)
