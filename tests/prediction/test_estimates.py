"""The file of estimated scores: rows of this command and of earlier ones, and nothing of somebody else's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.files.image import Image
from src.metrics.conformal import Interval
from src.model.unet import UNet
from src.prediction import estimates as module
from src.prediction.estimates import COLUMNS, FILE, Estimates, check_room, read
from src.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    networks = [UNet(base_channels=2, depth=1, padded=True).eval() for _ in range(2)]
    return Predictor(networks, torch.device("cpu"), torch.float32, "none", None, "torch")


def drawn(name, *stack, side=16):
    return Image(Path(f"{name}.tif"), np.zeros((*stack, side, side), np.uint8), "ZYX"[1 - len(stack) :])


def estimates(expected=0.75):
    def estimate(probabilities):
        assert probabilities.shape[:2] == (2, 2)
        return expected and Interval(expected, 0.5, 0.9)

    return Estimates("f1_50", "max", estimate)


def test_rows_are_read_as_they_were_written(predictor, tmp_path):
    found, empty = estimates(), estimates(None)
    found.add(drawn("=name", 3), predictor, "labels 1")
    empty.add(drawn("empty"), predictor, "labels 2")
    found.rows += empty.rows
    rows = found.write(tmp_path, lambda name: None, {})
    check_room(tmp_path, overwrite=False)
    assert read(tmp_path / FILE) == rows and tuple(rows[0]) == COLUMNS
    assert [(row["image"], row["plane"]) for row in rows] == [("=name", 0), ("=name", 1), ("=name", 2), ("empty", 0)]
    assert rows[0] | {"score": "f1_50", "expected": 0.75, "lower": 0.5, "upper": 0.9, "outside": ""} == rows[0]
    assert rows[3]["expected"] is None is rows[3]["lower"]


def test_rows_of_earlier_commands_stay_while_their_labels_do(predictor, tmp_path):
    first, second = estimates(0.7), estimates(0.8)
    for name in ("kept", "gone", "anew"):
        first.add(drawn(name), predictor, f"labels of {name}")
    first.write(tmp_path, lambda name: None, {})
    second.add(drawn("anew"), predictor, "others")
    rows = second.write(tmp_path, {"kept": "labels of kept", "gone": "something else"}.get, {})
    assert [(row["image"], row["expected"]) for row in rows] == [("kept", 0.7), ("anew", 0.8)]


def test_images_that_are_unlike_the_training_images_say_how(predictor, tmp_path):
    found = estimates()
    for name in ("blurred", "usual"):
        found.add(drawn(name), predictor, "labels")
    rows = found.write(tmp_path, lambda name: None, {"blurred": "it may be out of focus"})
    assert [row["outside"] for row in rows] == ["it may be out of focus", ""]
    assert read(tmp_path / FILE) == found.rows


def test_of_an_image_that_is_too_large_for_memory_no_score_is_estimated(predictor, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 16 * 16 - 1)
    found = estimates()
    found.add(drawn("large"), predictor, "labels")
    assert found.rows[0]["expected"] is None


@pytest.mark.parametrize("text", ["image,score\na,1\n", ",".join(COLUMNS) + "\na,x,f1,much,0,1,,m\n", "\0"])
def test_a_file_of_somebody_else_is_not_replaced(text, tmp_path):
    check_room(tmp_path, overwrite=False)
    (tmp_path / FILE).write_text(text)
    check_room(tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match=FILE):
        check_room(tmp_path, overwrite=False)
