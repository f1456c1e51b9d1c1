"""Calibrated probabilities are written, and labels do not change by a pixel."""

import dataclasses

import numpy as np
import pytest
import tifffile
import torch
import zarr

from src.files.image import open_image
from src.instances import Classes, Components, Decoder, Distance, Watershed
from src.metrics.calibration import Calibration
from src.model.unet import UNet
from src.prediction.job import Wishes, begin, finish
from src.prediction.predictor import Predictor, fill

BOTH = ("probabilities", "labels")
CALIBRATION = Calibration(1.6, 0.4)


def in_zarr(path):
    """The values of a prediction, or those of its labels."""
    group = zarr.open(path)
    return np.asarray(group["labels/cells/0" if "labels" in group else "0"])


def predicted(folder, size, numbering, calibration, classes=2, **others):
    """Predict noise, and read what was written: → probabilities, labels, what else lies there."""
    file = folder.parent / "a.tif"
    tifffile.imwrite(file, np.random.default_rng(0).integers(0, 255, size, np.uint8), photometric="minisblack")
    torch.manual_seed(0)
    network = UNet(base_channels=2, depth=2, classes=classes).eval()
    predictor = Predictor([network], torch.device("cpu"), torch.float32, "none", None, "torch")
    wishes = Wishes(folder, BOTH, calibration=calibration, **others)
    begun = begin(open_image(file), predictor, Decoder(numbering, 0.5), wishes)
    fill(begun.probabilities, predictor, 0, 1)
    finish(begun)
    read = tifffile.imread if begun.finals["labels"].suffix == ".tif" else in_zarr
    assert sorted(each.name for each in folder.iterdir()) == sorted(begun.finals[kind].name for kind in BOTH)
    assert "is predicted already" in begin(open_image(file), predictor, Decoder(numbering, 0.5), wishes)
    return [read(begun.finals[kind]) for kind in BOTH]


@pytest.mark.parametrize("size", [(40, 50), (300, 310), (2, 60, 70)], ids=["held", "stored", "stack"])
@pytest.mark.parametrize("form", ["tif", "zarr"])
@pytest.mark.parametrize(
    "numbering", [Components(5), Watershed(0.3), Distance(0.5)], ids=lambda each: type(each).__name__
)
def test_labels_do_not_change_by_a_pixel(size, form, numbering, tmp_path):
    raw, labels = predicted(tmp_path / "raw", size, numbering, Calibration(), format=form)
    found, after = predicted(tmp_path / "out", size, numbering, CALIBRATION, format=form)
    assert np.array_equal(labels, after) and labels.any()
    assert found.dtype == np.float32 and np.array_equal(found, CALIBRATION.of_cell(raw)) and not np.allclose(found, raw)


def test_of_several_classes_all_maps_are_calibrated_together(tmp_path):
    raw, labels = predicted(tmp_path / "raw", (40, 50), Classes(), Calibration(), classes=3)
    found, after = predicted(tmp_path / "out", (40, 50), Classes(), CALIBRATION, classes=3)
    assert np.array_equal(labels, after)
    assert np.array_equal(found, CALIBRATION(raw)) and np.allclose(found.sum(0), 1, atol=1e-6)


def test_a_result_of_another_calibration_is_not_taken_for_this_one(tmp_path):
    predicted(tmp_path / "out", (40, 50), Components(), CALIBRATION)
    with pytest.raises(FileExistsError, match="expected no earlier result"):
        predicted(tmp_path / "out", (40, 50), Components(), dataclasses.replace(CALIBRATION, shift=0.5))
