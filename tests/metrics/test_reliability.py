"""Reliability scores: computed by hand, and by torchmetrics."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torchmetrics.functional.classification import binary_calibration_error

from src.metrics.calibration import LOGITS, tally
from src.metrics.reliability import STEPS, diagram, scores


def test_the_steps_of_a_diagram_by_hand():
    probability = np.array([0.02, 0.04, 0.5, 1.0])
    counts = np.array([[3, 1, 2, 0], [0, 0, 2, 5]])
    assert diagram(probability, counts) == [
        {"count": 4, "predicted": pytest.approx(0.025), "true": 0.0},
        {"count": 4, "predicted": 0.5, "true": 0.5},
        {"count": 5, "predicted": 1.0, "true": 1.0},
    ]
    found = scores(probability, counts)
    assert found["ece"] == pytest.approx(4 * 0.025 / 13)
    assert found["brier"] == pytest.approx((3 * 0.02**2 + 0.04**2 + 4 * 0.25) / 13)
    assert found["log_loss"] == pytest.approx(-(3 * np.log(0.98) + np.log(0.96) + 4 * np.log(0.5)) / 13)


def test_scores_agree_with_torchmetrics_and_with_pixels_one_by_one():
    random = np.random.default_rng(0)
    probability = random.beta(2, 3, 50_000)
    true = random.random(50_000) < probability**2
    found = scores(expit(LOGITS), tally(probability, true))
    expected = binary_calibration_error(torch.from_numpy(probability), torch.from_numpy(true).int(), n_bins=STEPS)
    assert found["ece"] == pytest.approx(expected.item(), abs=1e-3)
    assert found["brier"] == pytest.approx(np.mean((probability - true) ** 2), abs=1e-4)
