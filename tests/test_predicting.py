"""Small images are predicted together with the same result as alone; a failed image does not stop the others."""

import numpy as np
import pytest
import tifffile
import torch

from src import predicting
from src.command import Failures
from src.files.image import open_image
from src.files.legend import NUMBERS
from src.files.stored import SHOWN
from src.instances import Components, Decoder
from src.model.unet import UNet
from src.predicting import computed_pixels, predict_all
from src.prediction.job import Wishes, begin
from src.prediction.predictor import Predictor
from src.prediction.store import MOMENT
from tests.data.own import write

CPU = torch.device("cpu")
SIZES = {"a": (40, 50), "b": (20, 20), "c": (40, 50), "d": (300, 310), "e": (40, 50), "f": (20, 20), "g": (50, 40)}
KINDS = ("probabilities", "labels")


@pytest.fixture
def files(tmp_path):
    """Images of a few sizes, one of which is too large to be predicted together with others."""
    assert np.prod(SIZES["d"]) > MOMENT
    random = np.random.default_rng(0)
    for name, size in SIZES.items():
        write(tmp_path / f"{name}.tif", random.integers(0, 255, size, np.uint8))
    return [tmp_path / f"{name}.tif" for name in SIZES]


def a_predictor(classes=2, tta="none", dtype=torch.float32, tile=None) -> Predictor:
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        networks.append(UNet(base_channels=4, depth=2, classes=classes, norm="batch").eval())
    return Predictor(networks, CPU, dtype, tta, tile)


def predict(files, output, predictor=None, debug=True, **wishes) -> tuple[dict[str, np.ndarray], Failures]:
    """What is written of all files, and what has failed."""
    failures = Failures(len(files), debug)
    asked = Wishes(output, KINDS, **wishes)
    predict_all([[file] for file in files], SHOWN, predictor or a_predictor(), DECODER, asked, NUMBERS, failures)
    return {file.name: tifffile.imread(file) for file in sorted(output.glob("*.tif"))}, failures


DECODER = Decoder(Components(), 0.5)


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """How many images were predicted at once, each time."""
    together, counts = Predictor.together, []

    def noting(predictor, reads, window):
        counts.append(len(reads))
        return together(predictor, reads, window)

    monkeypatch.setattr(Predictor, "together", noting)
    return counts


@pytest.mark.parametrize("options", [{}, {"classes": 3}, {"tta": "d4"}, {"tta": "rot7"}, {"tile": 60}], ids=str)
def test_what_is_predicted_together_is_what_each_is_alone(options, files, counted, tmp_path):
    found, _ = predict(files, tmp_path / "out", a_predictor(**options))
    assert sorted(found) == sorted(f"{name}_{kind}.tif" for name in SIZES for kind in KINDS)
    assert {1, 2, 3} <= set(counted), "those of one size, and the large one in blocks"
    for file in files:
        alone, _ = predict([file], tmp_path / file.stem, a_predictor(**options))
        for name, expected in alone.items():
            if name.endswith("_labels.tif"):
                np.testing.assert_array_equal(found[name], expected)
            else:
                assert found[name].shape[-2:] == SIZES[file.stem]
                np.testing.assert_allclose(found[name], expected, rtol=0, atol=2e-6)


def test_no_more_tiles_are_held_than_are_asked_for(files, counted, tmp_path, monkeypatch):
    small = [files[number] for number in (0, 2, 4)]
    first = begin(open_image(small[0]), a_predictor(), DECODER, Wishes(tmp_path / "out", KINDS))
    assert computed_pixels(first, a_predictor()) == 92**2, "50 px and 40 of context, up to a side that fits"
    monkeypatch.setattr(predicting, "AT_ONCE", 92**2)
    predict(small, tmp_path / "out")
    assert counted == [2, 1]


def test_an_image_that_holds_no_numbers_is_named_and_the_others_are_predicted(files, counted, tmp_path):
    grey = np.full((40, 50), np.nan, np.float32)
    tifffile.imwrite(tmp_path / "aa.tif", grey)
    found, failures = predict([files[0], tmp_path / "aa.tif", files[2]], tmp_path / "out", debug=False)
    assert sorted(found) == sorted(f"{name}_{kind}.tif" for name in "ac" for kind in KINDS)
    (message,) = failures.messages
    assert "aa.tif" in message and counted == [2]


def test_what_fails_together_is_tried_alone(files, tmp_path, monkeypatch):
    together = Predictor.together

    def failing(predictor, reads, window):
        if len(reads) > 1:
            raise RuntimeError("too many at once")
        return together(predictor, reads, window)

    monkeypatch.setattr(Predictor, "together", failing)
    found, failures = predict(files, tmp_path / "out", debug=False)
    assert len(found) == 2 * len(files) and failures.messages == []


def test_what_is_predicted_already_is_not_predicted_again(files, counted, tmp_path, capsys):
    predict(files[:2], tmp_path / "out")
    counted.clear()
    capsys.readouterr()
    found, _ = predict(files, tmp_path / "out")
    assert capsys.readouterr().out.count("is predicted already") == 2
    assert len(found) == 2 * len(files) and sum(counted) == len(files) - 2


def test_each_continues_in_its_own_number_format(files, tmp_path):
    small = [files[number] for number in (0, 2, 4)]
    both = (torch.float32, torch.bfloat16)
    predict(small[1:2], tmp_path / "out", a_predictor(dtype=torch.bfloat16))
    (tmp_path / "out" / "c_labels.tif").unlink()
    exact, _ = predict(small, tmp_path / "exact")
    half, _ = predict(small, tmp_path / "half", a_predictor(dtype=torch.bfloat16))
    found, _ = predict(small, tmp_path / "out", a_predictor(), formats=both)
    for name, expected in (("a", exact), ("c", half), ("e", half)):  # what follows is as what was found there
        np.testing.assert_array_equal(found[f"{name}_probabilities.tif"], expected[f"{name}_probabilities.tif"])
