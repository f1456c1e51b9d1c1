"""A comparison shows image, truth and prediction side by side."""

import imageio.v3 as iio
import numpy as np

from src.run.pictures import write_comparison


def test_equal_labels_look_equal_and_different_ones_do_not(tmp_path):
    image = np.linspace(0, 1, 400, dtype=np.float32).reshape(1, 20, 20)
    truth = np.ones((20, 20), np.int64)
    truth[:, 10] = 0
    split = np.where(np.arange(20) < 10, 1, 2) * truth
    merged = truth.copy()
    truth = split
    for name, labels in (("split", split), ("merged", merged)):
        write_comparison(tmp_path / f"{name}.png", image, truth, labels)
    shown = {name: iio.imread(tmp_path / f"{name}.png") for name in ("split", "merged")}
    panels = {name: (picture[:, 28:48], picture[:, 56:76]) for name, picture in shown.items()}
    assert shown["split"].shape == (20, 76, 3)
    np.testing.assert_array_equal(*panels["split"])
    assert (panels["merged"][0] != panels["merged"][1]).any()
