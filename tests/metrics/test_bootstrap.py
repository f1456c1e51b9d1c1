"""How sure a mean is: the interval of drawings with replacement."""

import numpy as np
import pytest

from src.metrics.bootstrap import of_mean


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    low, high = of_mean(values.tolist())
    width = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - width, abs=0.1 * width)
    assert high == pytest.approx(values.mean() + width, abs=0.1 * width)


def test_the_interval_is_the_same_each_time_and_lies_within_the_values():
    assert of_mean([0.2, 0.9, 0.5]) == of_mean([0.2, 0.9, 0.5])
    low, high = of_mean([0.2, 0.9, 0.5])
    assert 0.2 <= low < high <= 0.9
    assert of_mean([0.5]) == (0.5, 0.5)
