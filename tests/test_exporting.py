"""The image that an export is compared on; its files appear together and correct, or not at all."""

import os
import shutil

import numpy as np
import pytest
import tifffile
import yaml

from src import exporting, training
from src.exporting import exported, fixed_range, prepared, remarks, target
from src.exports import as_onnx, as_torch
from src.exports.described import Leaving
from src.exports.rdf import Named
from src.files.grey import grey_range
from src.model import archive
from src.restore import restore
from tests.conftest import composed
from tests.exports.made import FIXED, a_leaving, an_example, an_image

NAMED = Named("some network")


def test_a_folder_gets_a_model_and_a_file_its_name(tmp_path):
    assert target(tmp_path / "cells.onnx", "onnx", False) == tmp_path / "cells.onnx"
    assert target(tmp_path / "cells.v2", "onnx", False) == tmp_path / "cells.v2" / "model.onnx"
    assert target(tmp_path, "torchscript", False) == tmp_path / "model.pt"
    with pytest.raises(ValueError, match=r"nearest valid: .*cells\.onnx"):
        target(tmp_path / "cells.pt", "onnx", False)
    (tmp_path / "odd.pt").mkdir()
    assert target(tmp_path / "odd.pt", "onnx", False) == tmp_path / "odd.pt" / "model.onnx"


@pytest.mark.parametrize("there", ["model.onnx", "model.yaml", "model.safetensors"])
def test_nothing_is_overwritten_unless_asked_for(there, tmp_path):
    (tmp_path / there).touch()
    with pytest.raises(FileExistsError, match=f"{there}; overwrite=true"):
        target(tmp_path, "onnx", False)
    assert target(tmp_path, "onnx", True) == tmp_path / "model.onnx"


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_all_files_of_an_export_say_the_same(format, tmp_path):
    leaving, file = a_leaving(), tmp_path / "new" / f"cells{exporting.ENDINGS[format]}"
    lines = list(exported(leaving, an_example(leaving), format, file, NAMED))
    assert sorted(os.listdir(tmp_path)) == ["new"]
    endings = (exporting.ENDINGS[format], ".py", ".safetensors", ".yaml")
    assert sorted(os.listdir(tmp_path / "new")) == sorted(f"cells{ending}" for ending in endings)
    for line, name in zip(lines, (file.name, "cells.safetensors"), strict=True):
        assert line.startswith(f"{file.with_name(name)}: largest difference from src.predict ") and "e-0" in line
        assert "(noise, 88×72 px, tile by tile by " in line
    assert yaml.safe_load((tmp_path / "new" / "cells.yaml").read_text()) == leaving.description()


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torchscript"])
@pytest.mark.parametrize(
    "choices",
    [
        ("target=classes", "instances=components"),
        ("target=border", "instances=watershed"),
        ("target=core", "instances=watershed"),
        ("model.classes=4", "instances=classes", "metrics=semantic", "monitor=iou", "model.in_channels=3"),
        ("model.padded=true", "model.norm=batch_after", "instances=distance"),
    ],
    ids=" ".join,
)
def test_a_network_of_each_target_leaves(choices, format, tmp_path):
    module = training.make_segmenter(composed("model.base_channels=2", "model.depth=2", *choices))
    content = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict(), "threshold": 0.4}
    archive.write(tmp_path / "some.ckpt", content)
    trained = restore(tmp_path / "some.ckpt")
    leaving, file = Leaving(trained), tmp_path / "out" / f"some{exporting.ENDINGS[format]}"
    lines = list(exported(leaving, an_example(leaving), format, file, NAMED))
    assert len(lines) == 2
    if format == "onnx":
        back = restore(file)
        assert back.decoder == trained.decoder


def test_what_differs_leaves_nothing(tmp_path, monkeypatch):
    leaving, wrong = a_leaving(), a_leaving(norm="none")
    (tmp_path / "cells.yaml").write_text("of an earlier export")
    monkeypatch.setattr(as_onnx, "onnx_model", lambda _, made=as_onnx.onnx_model: made(wrong))
    with pytest.raises(
        ValueError, match=r"expected cells\.onnx to differ from src\.predict by at most 0\.0001, but got"
    ):
        list(exported(leaving, an_example(leaving), "onnx", tmp_path / "cells.onnx", NAMED))
    assert os.listdir(tmp_path) == ["cells.yaml"]
    assert (tmp_path / "cells.yaml").read_text() == "of an earlier export"
    with pytest.raises(ValueError, match="to differ"):
        list(exported(leaving, an_example(leaving), "onnx", tmp_path / "new" / "cells.onnx", NAMED))
    assert os.listdir(tmp_path) == ["cells.yaml"]


def test_weights_that_differ_leave_nothing_either(tmp_path, monkeypatch):
    leaving, wrong = a_leaving(), a_leaving(norm="none")
    monkeypatch.setattr(as_torch, "save_weights", lambda _, file, save=as_torch.save_weights: save(wrong, file))
    with pytest.raises(ValueError, match=r"expected cells\.safetensors to differ"):
        list(exported(leaving, an_example(leaving), "onnx", tmp_path / "cells.onnx", NAMED))
    assert os.listdir(tmp_path) == []


def test_a_fixed_range_is_the_median_of_where_ranges_begin_and_end():
    assert fixed_range([(10.0, 90.0), (0.0, 250.0), (20.0, 100.0)]) == (10.0, 100.0)
    with pytest.raises(ValueError, match="expected images with contrast"):
        fixed_range([(7.0, 7.0)])


@pytest.mark.parametrize(
    ("format", "grey_range", "said"),
    [
        ("onnx", None, "from 0 to 1; its reader must scale each image: the 0.5th"),
        ("bioimageio", None, "readers scale each image so that the 0.5th"),
        ("bioimageio", FIXED, "40 becomes 0 and 200 becomes 1 in every image"),
    ],
)
def test_differences_of_other_readers_are_noted(format, grey_range, said):
    leaving = a_leaving(grey_range=grey_range, tta="d4")
    grey, *of_packages, average = remarks(leaving, an_example(leaving), format, NAMED)
    assert said in grey and "tta=d4" in average
    expected = ["within 24 px of the border", "license=CC-BY-4.0"] * (format == "bioimageio")
    assert len(of_packages) == len(expected)
    assert all(words in each for words, each in zip(expected, of_packages, strict=True))
    named = Named("some network", ("Ada Lovelace",), "MIT")
    without = remarks(a_leaving(grey_range=grey_range), an_example(leaving), format, named)
    assert list(without) == [grey, *of_packages[:1]]


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("trained") / "run")


def test_without_images_a_slice_that_was_learnt_from_is_taken(run):
    checkpoint = run / "checkpoints" / "best.ckpt"
    leaving, example = prepared(checkpoint, restore(checkpoint), images=None, fixed=True)
    assert example.name == "slice_00"
    assert 0 < leaving.grey_range[0] < leaving.grey_range[1] < 255


def test_a_checkpoint_on_its_own_is_held_against_a_synthetic_micrograph(run, tmp_path):
    checkpoint = tmp_path / "alone" / "somewhere" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    trained = restore(checkpoint)
    leaving, example = prepared(checkpoint, trained, images=None, fixed=False)
    assert example.name == "a synthetic micrograph" and leaving.grey_range is None
    with pytest.raises(ValueError, match="nearest valid: images=DIR"):
        prepared(checkpoint, trained, images=None, fixed=True)


@pytest.mark.parametrize(
    "change",
    [
        {"_target_": "tests.test_exporting.called"},
        {"cells": {"_target_": "tests.test_exporting.called"}},
        {"cells": [{"_target_": "tests.test_exporting.called"}]},
        {"cells": [[{"_target_": "tests.test_exporting.called"}]]},
        {"cells": "${oc.env:HOME}"},
        {"slices": 3},  # fewer than its split names
    ],
)
def test_a_foreign_configuration_calls_only_readers(change, run, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    checkpoint = tmp_path / "checkpoints" / "best.ckpt"
    checkpoint.write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["source"]["_target_"] == "src.data.phantom.phantom"
    config["data"]["source"] |= change
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    found = prepared(checkpoint, restore(checkpoint), images=None, fixed=False)[1]
    assert found.name == "a synthetic micrograph" and not CALLED


CALLED = []


def called(*arguments, **options):
    CALLED.append((arguments, options))


def test_images_of_a_folder_that_has_gone_are_not_looked_for(reported_run, tmp_path):
    shutil.copytree(reported_run, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    config = (tmp_path / "run" / "config.yaml").read_text()
    trained = restore(checkpoint)
    assert prepared(checkpoint, trained, images=None, fixed=True)[1].name != "a synthetic micrograph"
    (tmp_path / "run" / "config.yaml").write_text(config.replace(str(reported_run.parent), "/gone"))
    assert prepared(checkpoint, trained, images=None, fixed=False)[1].name == "a synthetic micrograph"


@pytest.mark.parametrize("channels", [1, 3])
def test_images_that_the_user_names_are_used(channels, tmp_path):
    trained, image = a_leaving(in_channels=channels).trained, an_image(channels).array
    for number, factor in enumerate((1, 2, 3)):
        how = {"resolution": (1e4 / 0.5, 1e4 / 0.5), "resolutionunit": "CENTIMETER"}
        grey = image.astype(np.uint16) * factor
        colours = {"photometric": "rgb"} if channels == 3 else {"photometric": "minisblack"}
        tifffile.imwrite(tmp_path / f"cell_{number}.tif", grey.squeeze(), **how, **colours)
    leaving, example = prepared(tmp_path / "any.ckpt", trained, images=str(tmp_path), fixed=True)
    assert example.name == "cell_0.tif" and leaving.pixel_size == pytest.approx({"Y": 0.5, "X": 0.5})
    assert leaving.grey_range == tuple(2 * each for each in grey_range(an_image(channels), 0))


def test_images_that_do_not_fit_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "cell.tif", an_image(3).array, photometric="rgb")
    with pytest.raises(ValueError, match=r"expected 1 channel, but got 3 in .*cell\.tif"):
        prepared(tmp_path / "any.ckpt", a_leaving().trained, images=str(tmp_path), fixed=False)
