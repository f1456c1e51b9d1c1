import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from src.tiles.instances import label_image


def two_classes(foreground):
    foreground = np.asarray(foreground, np.float32)
    return np.stack([1 - foreground, foreground])


def same_up_to_numbering(a, b):
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def test_cells_are_numbered_from_1_on_a_background_of_0():
    labels = label_image(
        two_classes([[0.9, 0.9, 0.1, 0.8], [0.9, 0.1, 0.1, 0.8], [0.1, 0.1, 0.1, 0.1], [0.7, 0.7, 0.7, 0.7]]), 0.5
    )
    assert labels.tolist() == [[1, 1, 0, 2], [1, 0, 0, 2], [0, 0, 0, 0], [3, 3, 3, 3]]


def test_cells_that_touch_at_a_corner_only_are_two():
    assert label_image(two_classes([[1, 0], [0, 1]]), 0.5).tolist() == [[1, 0], [0, 2]]


def test_the_threshold_decides_what_a_cell_is():
    probabilities = two_classes([[0.25, 0.5, 0.75]])
    assert label_image(probabilities, 0.2).tolist() == [[1, 1, 1]]
    assert label_image(probabilities, 0.5).tolist() == [[0, 0, 1]]  # above it, not at it
    assert label_image(probabilities, 0.9).tolist() == [[0, 0, 0]]


def test_of_three_classes_the_most_probable_is_named():
    probabilities = np.array([[[0.6, 0.2, 0.1]], [[0.3, 0.5, 0.1]], [[0.1, 0.3, 0.8]]], np.float32)
    assert label_image(probabilities, 0.9).tolist() == [[0, 1, 2]]


def test_labels_are_int32():
    for classes in (2, 3):
        labels = label_image(np.full((classes, 4, 5), 1 / classes, np.float32), 0.4)
        assert labels.dtype == np.int32
        assert labels.shape == (4, 5)


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)), threshold=st.floats(0, 0.99))
def test_cells_are_those_of_scipy(mask, threshold):
    labels = label_image(two_classes(mask), threshold)
    expected, cells = ndimage.label(mask)
    assert same_up_to_numbering(labels, expected)
    assert set(np.unique(labels)) | {0} == set(range(cells + 1))
    assert not labels[~mask].any()
