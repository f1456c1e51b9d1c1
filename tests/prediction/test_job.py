"""What one image becomes: the names that its results go by, and what is refused before anything is computed."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from src.files.image import Image, open_image
from src.files.legend import NUMBERS
from src.instances import Components, Decoder, Watershed
from src.model.unet import UNet
from src.prediction import job
from src.prediction.job import Wishes, begin, finish, recipes, suffix, with_channels
from src.prediction.predictor import Predictor, fill
from tests.data.own import write


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    return Predictor([UNet(base_channels=2, depth=2)], torch.device("cpu"), torch.float32, "none", None)


@pytest.fixture
def image(tmp_path):
    write(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8))
    return open_image(tmp_path / "a.tif")


DECODER = Decoder(Components(5), 0.5)


def predict_image(image, predictor, decoder, wishes):
    begun = begin(image, predictor, decoder, wishes)
    if isinstance(begun, str):
        return begun
    fill(begun.probabilities, predictor, wishes.shard, wishes.shards)
    return finish(begun)


def test_what_depends_on_numbering_are_the_labels_alone(image, predictor):
    first = recipes(image, DECODER, predictor, NUMBERS, torch.float32)
    for other in (Decoder(Components(5), 0.6), Decoder(Components(6), 0.5), Decoder(Watershed(0.5), 0.5)):
        changed = recipes(image, other, predictor, NUMBERS, torch.float32)
        assert changed["probabilities"] == first["probabilities"] and changed["labels"] != first["labels"]
    assert recipes(image, Decoder(Components(min_size=5), 0.5), predictor, NUMBERS, torch.float32) == first
    fewer = dataclasses.replace(image, channels=(0,))
    assert recipes(fewer, DECODER, predictor, NUMBERS, torch.float32)["probabilities"] != first["probabilities"]


@pytest.mark.parametrize("begun", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(40, 50), (300, 310)], ids=["held", "stored"])
def test_a_prediction_goes_on_in_the_number_format_in_which_it_was_begun(begun, size, tmp_path, monkeypatch):
    write(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 255, size, np.uint8))
    image, cpu, both = open_image(tmp_path / "a.tif"), torch.device("cpu"), (torch.float32, torch.bfloat16)
    torch.manual_seed(0)
    network = UNet(base_channels=2, depth=2)
    wishes = Wishes(tmp_path, ("probabilities", "labels"))
    predict_image(image, Predictor([network], cpu, begun, "none", None), DECODER, wishes)
    (tmp_path / "a_labels.tif").unlink()
    other = Predictor([network], cpu, both[begun is torch.float32], "none", None)
    with pytest.raises(FileExistsError, match="expected no earlier result"):
        predict_image(image, other, DECODER, wishes)
    elsewhere = dataclasses.replace(wishes, formats=both)
    assert "→" in predict_image(image, other, DECODER, elsewhere), "the other machine would choose another one"
    assert other.dtype is begun
    assert "is predicted already" in predict_image(image, other, DECODER, elsewhere)


def test_channels_are_chosen_or_refused():
    image = Image(Path("a.tif"), np.zeros((3, 8, 9), np.uint8), "CYX")
    assert with_channels(image, (2, 0), 2).channels == (2, 0)
    with pytest.raises(ValueError, match=r"expected 2 channels, but got 3 .*channels=\[0,1\] chooses"):
        with_channels(image, None, 2)
    with pytest.raises(ValueError, match=r"channels from 0 to 2, but got \[3\]"):
        with_channels(image, (3,), 1)


@pytest.mark.parametrize(("name", "chosen", "expected"), [("a.tif", "auto", ".tif"), ("a.zarr", "auto", ".zarr")])
def test_a_result_has_the_ending_of_its_image_or_the_chosen_one(name, chosen, expected):
    image = Image(Path(name), np.zeros((8, 9), np.uint8), "YX")
    assert suffix(image, chosen) == expected
    assert suffix(image, "tif") == ".tif" and suffix(image, "zarr") == ".zarr"


@pytest.mark.parametrize("write", [("probabilities",), ("labels",), ("probabilities", "labels")])
def test_what_is_asked_for_is_written_and_nothing_else(write, image, predictor, tmp_path):
    said = predict_image(image, predictor, DECODER, Wishes(tmp_path / "out", write))
    names = sorted(f"a_{kind}.tif" for kind in write)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == names
    assert all(str(tmp_path / "out" / name) in said for name in names)
    assert "predicted already" in predict_image(image, predictor, DECODER, Wishes(tmp_path / "out", write))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux")
@pytest.mark.parametrize(("most", "times"), [(2**28, 1.15), (0, 2.2)], ids=["in memory", "larger"])
@pytest.mark.parametrize("options", [{"tile": (256, 256)}, {"rowsperstrip": 64}], ids=["tiles", "strips"])
def test_an_image_is_read_once_or_if_it_is_larger_than_memory_twice(
    options, most, times, predictor, tmp_path, monkeypatch
):
    monkeypatch.setattr(job, "IN_MEMORY", most)
    noise = np.random.default_rng(0).integers(0, 2**16, (1500, 1000), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", noise, compression="zlib", photometric="minisblack", **options)
    for folder in ("warm", "out"):
        before = bytes_read()
        with contextlib.closing(open_image(tmp_path / "a.tif")) as image:
            predict_image(image, predictor, DECODER, Wishes(tmp_path / folder, ("probabilities", "labels")))
    read = (bytes_read() - before) / (tmp_path / "a.tif").stat().st_size
    assert times - 1.15 < read <= times


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])
