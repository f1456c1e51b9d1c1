"""Score a prediction against the truth from files alone."""

import json

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

from src.data.phantom import phantom


@pytest.fixture
def score(run_command, tmp_path):
    """Score arrays through files: → (status, scores.json or None, standard error)."""

    def call(truth: np.ndarray, prediction: np.ndarray, metrics: str = "isbi"):
        files = {}
        for name, array in (("truth", truth), ("prediction", prediction)):
            files[name] = tmp_path / f"{name}.tif"
            tifffile.imwrite(files[name], array, photometric="minisblack")
        output = tmp_path / "scores.json"
        arguments = [f"{name}={file}" for name, file in files.items()]
        status, _, error = run_command("score", *arguments, f"metrics={metrics}", f"output={output}")
        return status, json.loads(output.read_text()) if output.exists() else None, error

    return call


STACK = phantom(slices=2, size=64, organelles=True)
CELLS = (STACK.targets > 0).astype(np.uint8)


@pytest.mark.parametrize("prediction", [CELLS, CELLS * np.uint8(255), CELLS.astype(np.float32), STACK.instances])
def test_the_truth_itself_scores_perfectly_in_any_encoding(prediction, score):
    status, scores, error = score(CELLS * np.uint8(255), prediction)
    assert status == 0, error
    assert scores["scores"] == {"iou": 1.0, "pixel_error": 0.0, "v_rand": 1.0}
    assert [row["name"] for row in scores["per_image"]] == ["prediction_00", "prediction_01"]


def test_classes_are_scored_as_classes(score):
    status, scores, error = score(STACK.targets, STACK.targets.astype(np.int32), "semantic")
    assert status == 0, error
    assert scores["scores"]["iou"] == 1
    swapped = np.choose(STACK.targets, [0, 2, 1]).astype(np.uint8)
    assert score(STACK.targets, swapped, "semantic")[1]["scores"]["iou"] == 0


def test_probabilities_of_each_class_are_read(score):
    probabilities = np.eye(3, dtype=np.float32)[STACK.targets].transpose(0, 3, 1, 2)
    assert score(STACK.targets, probabilities, "semantic")[1]["scores"]["iou"] == 1


def test_a_gap_in_a_membrane_costs_more_v_rand_than_pixel_error(score):
    truth = np.ones((1, 40, 41), np.uint8)
    truth[:, :, 20] = 0
    gap = truth.copy()
    gap[:, 20, 20] = 1
    _, scores, _ = score(truth, gap)
    assert scores["scores"]["pixel_error"] < 0.001
    assert scores["scores"]["v_rand"] == pytest.approx(2 / 3, abs=0.01)  # all pairs joined, half of them rightly


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        (CELLS, CELLS[:, :32], "(2, 64, 64)"),
        (CELLS, CELLS[:1], "(2, 64, 64)"),
        (CELLS.astype(np.float32), CELLS, "integers"),
        (CELLS, CELLS * np.float32(2), "[0, 1]"),
        (CELLS, np.where(CELLS, np.nan, 0).astype(np.float32), "[0, 1]"),
    ],
)
def test_what_cannot_be_compared_is_one_message(truth, prediction, expected, score):
    status, scores, error = score(truth, prediction)
    assert status == 1 and scores is None
    assert expected in error and "Traceback" not in error


def test_png_is_read_too(run_command, tmp_path):
    imwrite(tmp_path / "truth.png", CELLS[0] * np.uint8(255))
    arguments = (f"truth={tmp_path / 'truth.png'}", f"prediction={tmp_path / 'truth.png'}")
    status, printed, error = run_command("score", *arguments)
    assert status == 0, error
    assert "1.0000" in printed
