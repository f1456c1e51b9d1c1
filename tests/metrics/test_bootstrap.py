"""Confidence intervals of scores: that of a mean is the analytical one and has the stated coverage."""

import math

import numpy as np
import pytest

from src.metrics.bootstrap import intervals, means, of_mean
from src.metrics.evaluator import Evaluator, Labels
from src.metrics.instance import Instances
from tests.data.own import draw


def counted(values):
    return [{"total": np.array([value]), "images": np.ones(1, np.int64)} for value in values]


def mean(sums):
    return {"mean": float(sums["total"][0] / sums["images"][0]), "images": int(sums["images"][0])}


def test_the_interval_of_a_pooled_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(5, 2, 100)
    found = intervals(counted(values), mean)
    error = 1.96 * values.std() / 10
    assert found["mean"] == pytest.approx([values.mean() - error, values.mean() + error], abs=0.1)
    assert found["images"] == [100, 100]


def test_the_interval_has_about_the_stated_coverage():
    random = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        low, high = intervals(counted(random.normal(0, 1, 30)), mean)["mean"]
        held += low <= 0 <= high
    assert 51 <= held <= 60


def test_the_same_images_give_the_same_interval_and_equal_ones_none():
    values = [0.1, 0.4, 0.5, 0.9]
    assert intervals(counted(values), mean) == intervals(counted(values), mean)
    assert intervals(counted([0.5] * 4), mean)["mean"] == [0.5, 0.5]


def test_intervals_are_of_scores_pooled_over_images():
    evaluator = Evaluator({"instances": Instances()}, threshold=0.5)
    counts = []
    for number in range(5):
        cells = draw(number)[1].astype(np.int32)
        found = np.where(cells <= number, cells, 0)
        counts.append(evaluator.counts(Labels(found), np.uint8(cells > 0), cells))
    pooled = evaluator.compute({name: sum(each[name] for each in counts) for name in counts[0]})
    found = intervals(counts, evaluator.compute)
    assert found.keys() == pooled.keys()
    low, high = found["f1_50"]
    assert low < pooled["f1_50"] < high


def test_means_leave_out_none_and_nan():
    rows = [{"a": 1.0, "b": None}, {"a": 2.0, "b": 5.0, "c": math.nan}]
    assert means(rows) == {"a": 1.5, "b": 5.0, "c": None}


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
