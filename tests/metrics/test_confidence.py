"""Confidence of single cells: a drawing counted by eye, and calibrated confidences."""

import numpy as np
import pytest

from src.metrics.confidence import Cells, by_tenths, cells_of, confidences


def test_cells_of_a_drawing():
    truth, labels = np.zeros((6, 12), int), np.zeros((6, 12), int)
    truth[1:5, 1:5], truth[1:5, 7:11] = 1, 2
    labels[1:5, 1:4], labels[0:2, 6:12], labels[5, 0] = 3, 7, 9  # 12 of 16 pixels; a strip; a speck
    probability = np.where(labels == 3, 0.9, np.where(labels == 7, 0.6, 0.2))
    known = np.ones((6, 12), bool)
    found = cells_of(labels, probability, truth, known)
    assert found.numbers.tolist() == [3, 7, 9] and found.pixels.tolist() == [12, 12, 1]
    assert found.inside == pytest.approx([0.9, 0.6, 0.2]) and found.matched.tolist() == [True, False, False]
    known[5] = False
    assert cells_of(labels, probability, truth, known).numbers.tolist() == [3, 7]
    assert not len(cells_of(labels * 0, probability, truth, known).numbers)


def test_cells_match_as_often_as_others_of_their_confidence():
    random = np.random.default_rng(0)

    def image(count):
        inside = random.uniform(0.5, 1, count)
        return Cells(np.arange(count), np.ones(count), inside, random.random(count) < (inside - 0.5) * 2)

    folds = [[image(400), image(0), image(300)] for _ in range(3)]
    each, fit = confidences(folds)
    assert [[len(cells) for cells in images] for images in each] == [[400, 0, 300]] * 3
    said = np.concatenate([cells for images in each for cells in images])
    matched = np.concatenate([cells.matched for images in folds for cells in images])
    for row in by_tenths(said, matched):
        assert abs(row["said"] - row["matched"]) < 0.12
    assert sum(row["cells"] for row in by_tenths(said, matched)) == 2100
    assert fit.of_cell(np.array([0.75]))[0] == pytest.approx(0.5, abs=0.1)
