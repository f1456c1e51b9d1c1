"""All scores of the ISBI-2012 challenge against its official scorer, on its seven cases."""

import numpy as np
import pytest

from src.metrics.evaluator import THRESHOLDS, Evaluator, Probabilities
from src.metrics.pixel import PixelError
from src.metrics.rand import AfterThinning, RandError
from src.metrics.warping import WarpingError, warp
from tests.metrics.official import CASES, official


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_official_scorer(case):
    cell, truth, expected = official(case)
    metrics = {"thinned": AfterThinning(), "rand": RandError(), "pixel": PixelError(), "warping": WarpingError()}
    evaluator = Evaluator(metrics, thresholds=(0.0,) if expected["binary"] else THRESHOLDS)
    for probability, target in zip(cell, truth, strict=True):
        evaluator.update(Probabilities(np.stack([1 - probability, probability]), segment=None), target, target)
    scores = evaluator.compute()
    for name in ("v_rand", "v_info", "rand_error", "pixel_error"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-6), name
    assert scores["warping_error"] * truth.size == pytest.approx(expected["warping_error"] * truth.size, abs=0.01)


@pytest.mark.parametrize("case", CASES)
def test_warping_leaves_as_many_pixels_as_the_official_scorer(case):
    cell, truth, expected = official(case)
    threshold = 0.0 if expected["binary"] else 0.5
    left = sum((warp(t > 0, c, threshold) != (c > threshold)).sum() for c, t in zip(cell, truth, strict=True))
    assert left == pytest.approx(expected["warping_mismatch_at_half"] * truth.size, abs=1e-6)
