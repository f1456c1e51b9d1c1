"""Features of drawings, counted by eye."""

import math

import numpy as np
import pytest

from src.metrics.features import FEATURES, features


def drawing():
    """Two cells of 4 and 8 pixels in 4×8 with probabilities 0.9 and 0.6; 0.1 elsewhere."""
    labels = np.zeros((4, 8), int)
    labels[1:3, 1:3], labels[:, 5:7] = 4, 7
    return np.where(labels == 4, 0.9, np.where(labels == 7, 0.6, 0.1)), labels


def entropy(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_features_of_a_drawing():
    found = features(*drawing())
    assert tuple(found) == FEATURES
    inside, all_of_it = 4 * 0.9 + 8 * 0.6, 4 * 0.9 + 8 * 0.6 + 20 * 0.1
    assert found["dice"] == pytest.approx(2 * inside / (12 + all_of_it))
    assert found["confidence"] == pytest.approx(0.75) and found["spread"] == pytest.approx(0.15)
    assert found["foreground"] == pytest.approx(12 / 32) and found["area"] == pytest.approx(math.log(6))
    total = 4 * entropy(0.9) + 8 * entropy(0.6) + 20 * entropy(0.1)
    assert found["entropy"] == pytest.approx(total / 12)
    # Pixels whose right or lower neighbour is another: above and left of the first cell 4, its last column and row 3;
    # left of the second cell 4, its last column 4.
    edge = 4 * entropy(0.1) + 3 * entropy(0.9) + 4 * entropy(0.1) + 4 * entropy(0.6)
    assert found["contours"] == pytest.approx(edge / 15)


def test_sure_probabilities_are_expected_to_be_right():
    labels = drawing()[1]
    found = features((labels > 0).astype(np.float32), labels)
    assert found["dice"] == pytest.approx(1) and found["confidence"] == 1 and found["entropy"] == pytest.approx(0)


def test_an_image_without_cells_has_none():
    assert features(np.full((4, 4), 0.2), np.zeros((4, 4), int)) is None
