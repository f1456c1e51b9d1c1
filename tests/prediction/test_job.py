"""What one image becomes: the names that its results go by, and what is refused before anything is computed."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pandas
import pytest
import tifffile
import torch

from src.data.comparison import match
from src.files.image import Image, open_image, read_image
from src.files.legend import NUMBERS, Legend
from src.files.names import OUTPUTS
from src.instances import Classes, Components, Decoder, Watershed, components
from src.model.unet import UNet
from src.prediction import job, labelling
from src.prediction.job import Wishes, begin, finish, recipes, suffix
from src.prediction.names import prediction_file
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
PLAIN = Wishes(Path(), ("labels",))


def predict_image(image, predictor, decoder, wishes):
    begun = begin(image, predictor, decoder, wishes)
    if isinstance(begun, str):
        return begun
    fill(begun.probabilities, predictor, wishes.shard, wishes.shards)
    return finish(begun)


def test_what_depends_on_numbering_are_the_labels_alone(image, predictor):
    first = recipes(image, DECODER, predictor, NUMBERS, torch.float32, PLAIN)
    for other in (Decoder(Components(5), 0.6), Decoder(Components(6), 0.5), Decoder(Watershed(0.5), 0.5)):
        changed = recipes(image, other, predictor, NUMBERS, torch.float32, PLAIN)
        assert changed["probabilities"] == first["probabilities"] and changed["labels"] != first["labels"]
    assert recipes(image, Decoder(Components(min_size=5), 0.5), predictor, NUMBERS, torch.float32, PLAIN) == first
    fewer = dataclasses.replace(image, channels=(0,))
    assert recipes(fewer, DECODER, predictor, NUMBERS, torch.float32, PLAIN)["probabilities"] != first["probabilities"]


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


@pytest.mark.parametrize(("name", "chosen", "expected"), [("a.tif", "auto", ".tif"), ("a.zarr", "auto", ".zarr")])
def test_a_result_has_the_ending_of_its_image_or_the_chosen_one(name, chosen, expected):
    image = Image(Path(name), np.zeros((8, 9), np.uint8), "YX")
    assert suffix(image, chosen) == expected
    assert suffix(image, "tif") == ".tif" and suffix(image, "zarr") == ".zarr"


@pytest.mark.parametrize("write", [(kind,) for kind in OUTPUTS] + [("probabilities", "labels"), OUTPUTS])
def test_what_is_asked_for_is_written_and_nothing_else(write, image, predictor, tmp_path):
    said = predict_image(image, predictor, DECODER, Wishes(tmp_path / "out", write))
    names = sorted(prediction_file(tmp_path, "a", kind).name for kind in write)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == names
    assert all(str(tmp_path / "out" / name) in said for name in names)
    assert "predicted already" in predict_image(image, predictor, DECODER, Wishes(tmp_path / "out", write))


def count(labels):
    return sum(len(np.unique(plane[plane > 0])) for plane in labels)


@pytest.mark.parametrize("ending", ["tif", "zarr"])
@pytest.mark.parametrize("shape", [(40, 50), (300, 310), (3, 40, 50)], ids=["held", "stored", "stack"])
def test_each_result_has_the_cells_of_the_label_image(shape, ending, predictor, tmp_path):
    write(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 255, shape, np.uint8))
    predict_image(open_image(tmp_path / "a.tif"), predictor, DECODER, Wishes(tmp_path, OUTPUTS, ending))
    labels, _ = read_image(tmp_path / f"a_labels.{ending}")
    rows = pandas.read_csv(tmp_path / "a_table.csv")
    assert len(rows) == count(labels.reshape(-1, *shape[-2:])) > 3
    probabilities, _ = read_image(tmp_path / f"a_probabilities.{ending}")
    for row in rows.itertuples():
        own = np.atleast_3d(labels.T).T[getattr(row, "slice", 0)] == row.label
        assert row.area == np.count_nonzero(own)
        sure = np.atleast_3d(probabilities.T).T[getattr(row, "slice", 0)][own]
        assert row.confidence == pytest.approx(sure.mean(), rel=1e-5)
    assert not list(tmp_path.glob(".*")), "nothing is left of what only results were made of"


@pytest.mark.parametrize("ending", ["tif", "zarr"])
@pytest.mark.parametrize("kinds", [OUTPUTS, OUTPUTS[1:], ("probabilities", "overlay"), ("rois",)], ids="-".join)
def test_of_all_results_of_an_image_one_is_scored(kinds, ending, image, predictor, tmp_path):
    predict_image(image, predictor, DECODER, Wishes(tmp_path / "predicted", kinds, ending))
    (tmp_path / "truth").mkdir()
    write(tmp_path / "truth" / "a.tif", np.ones((40, 50), np.uint8))
    preferred = "labels" if "labels" in kinds else kinds[0]
    ((_, found),), alone = match(tmp_path / "truth", tmp_path / "predicted", "_labels")
    assert found.file.is_relative_to(prediction_file(tmp_path / "predicted", "a", preferred, f".{ending}"))
    assert found.name == "a" and alone == []


@pytest.mark.parametrize("at_once", [labelling.AT_ONCE, 0], ids=["in memory", "block by block"])
def test_pieces_of_classes_are_measured_with_their_names(at_once, image, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", at_once)
    torch.manual_seed(1)
    three = Predictor([UNet(classes=3, base_channels=2, depth=2)], torch.device("cpu"), torch.float32, "none", None)
    legend = Legend((0, 7, 300), ("ground", "cell", "nucleus"))
    begun = begin(image, three, Decoder(Classes(), 0.5), Wishes(tmp_path, OUTPUTS), legend)
    fill(begun.probabilities, three, 0, 1)
    finish(begun)
    labels, rows = read_image(tmp_path / "a_labels.tif")[0], pandas.read_csv(tmp_path / "a_table.csv")
    for value, name in ((7, "cell"), (300, "nucleus")):
        own = rows[rows["class"] == name]
        assert len(own) == components(labels == value).max() and own.area.sum() == np.count_nonzero(labels == value)
        sure = read_image(tmp_path / "a_probabilities.tif")[0][legend.values.index(value)][labels == value]
        assert (own.confidence * own.area).sum() == pytest.approx(sure.sum(), rel=1e-4)
    assert set(rows["class"]) <= {"cell", "nucleus"} and len(rows) > 1
    assert not list(tmp_path.glob(".*"))


def test_a_result_of_something_else_is_not_replaced_and_one_of_the_same_is_not_made_again(image, predictor, tmp_path):
    wishes = Wishes(tmp_path / "out", OUTPUTS)
    predict_image(image, predictor, DECODER, wishes)
    before = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert "predicted already" in begin(image, predictor, DECODER, wishes)
    for kind in set(OUTPUTS) - {"probabilities"}:
        with pytest.raises(
            FileExistsError, match=f"expected no earlier result, but got .*{prediction_file(Path(), 'a', kind)}"
        ):
            begin(image, predictor, Decoder(Components(5), 0.6), dataclasses.replace(wishes, write=(kind,)))
    assert before == {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    replaced = dataclasses.replace(wishes, overwrite=True)
    assert "→" in predict_image(image, predictor, Decoder(Components(5), 0.6), replaced)


def test_all_channels_are_measured_and_some_are_seen(predictor, tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (3, 40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="minisblack", metadata={"axes": "CYX"})
    wishes = Wishes(tmp_path, ("labels", "table"), channels=(1,))
    predict_image(open_image(tmp_path / "a.tif"), predictor, DECODER, wishes)
    labels, rows = read_image(tmp_path / "a_labels.tif")[0], pandas.read_csv(tmp_path / "a_table.csv")
    for row in rows.itertuples():
        means = [colours[channel][labels == row.label].mean() for channel in range(3)]
        assert [row.intensity_mean_0, row.intensity_mean_1, row.intensity_mean_2] == pytest.approx(means)


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
