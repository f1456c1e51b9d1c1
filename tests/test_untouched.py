"""The mean of the networks on images that no fold has seen: scores equal those of the files of src.predict."""

import json

import numpy as np
import pytest
import tifffile

from src.data.phantom import phantom
from src.metrics.evaluator import Evaluator, Probabilities
from src.metrics.rand import OfLabels


def test_scores_of_the_mean_equal_those_of_what_predict_writes(folded, run_command, tmp_path):
    directory = folded(tmp_path / "folds")
    said = json.loads((directory / "scores.json").read_text())
    stack = phantom(slices=30, size=64)
    evaluator = Evaluator({"labels": OfLabels()}, threshold=0.5)
    for number in (24, 25):
        tifffile.imwrite(tmp_path / f"slice_{number}.tif", stack.images[number])
        given = [f"checkpoint={directory}", f"input={tmp_path}/slice_{number}.tif", f"output={tmp_path / 'out'}"]
        assert run_command("predict", *given)[0] == 0
        labels = tifffile.imread(tmp_path / f"out/slice_{number}_labels.tif")
        zeros = np.zeros((2, 64, 64), np.float32)
        prediction = Probabilities(zeros, lambda values, threshold, labels=labels: labels)
        evaluator.update(prediction, stack.targets[number], stack.instances[number])
    for name, score in evaluator.compute().items():
        assert said["ensemble"]["scores"][name] == pytest.approx(score, abs=1e-6)
    assert said["ensemble"]["calibration"].keys() == {"before", "after"}
