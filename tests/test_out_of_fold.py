"""Pooled out-of-fold predictions: decoded as the folds decoded them, and scored by networks that have not seen them."""

import json
import re

import numpy as np
import pytest
import tifffile

from src import out_of_fold
from src.instances import Membranes
from src.metrics.rand import OfLabels
from src.run.folds import fold_directories

pytestmark = pytest.mark.slow


def test_the_threshold_of_the_mean_is_the_best_of_all_that_was_out_of_fold(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    points = fold_directories(directory)
    config = out_of_fold.fold_config(points[0])
    stack = out_of_fold.build.make(config["data"], "source")()
    metrics = {"labels": OfLabels()}
    best = {}
    for threshold in np.arange(1, 10) / 10:
        evaluator = out_of_fold.Evaluator(metrics, threshold=float(threshold))
        for number in range(23):
            found = tifffile.imread(directory / "predictions" / f"{stack.names[number]}_probabilities.tif")
            numbered = out_of_fold.Probabilities(np.stack([1 - found, found]), Membranes(line=1, min_size=20))
            evaluator.update(numbered, stack.targets[number], stack.instances[number])
        best[float(threshold)] = evaluator.compute()["v_rand_labels"]
    chosen = json.loads((directory / "ensemble.json").read_text())["threshold"]
    assert best[chosen] == pytest.approx(max(best.values()))


def test_a_fold_whose_prediction_was_lost_is_named(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    lost = next(fold_directories(directory)[1].glob("predictions/*_probabilities.tif"))
    lost.unlink()
    with pytest.raises(ValueError, match=re.escape(f"{lost.name}, but it does not exist")):
        out_of_fold.pool(directory)


def test_a_fold_that_is_not_finished_is_named(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    (fold_directories(directory)[1] / "scores.json").unlink()
    with pytest.raises(ValueError, match=r"expected a finished run, but .*fold-1"):
        out_of_fold.pool(directory)
