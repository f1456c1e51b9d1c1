"""Predict from a checkpoint: names, shapes and values of what is written; what is refused."""

import numpy as np
import pytest
import tifffile
import torch
from imageio.v3 import imwrite

from src import build
from src.data.phantom import phantom
from src.data.stack import normalise


@pytest.fixture
def checkpoint(train):
    directory, status, _, error = train("data.source.size=64")
    assert status == 0, error
    return directory / "checkpoints" / "best.ckpt"


@pytest.fixture
def images():
    return phantom(slices=2, size=70).images


def test_an_image_becomes_probabilities_and_labels_of_its_size(checkpoint, images, run_command, tmp_path):
    imwrite(tmp_path / "cell.png", images[0])
    status, printed, error = run_command(
        "predict", f"checkpoint={checkpoint}", f"input={tmp_path / 'cell.png'}", f"output={tmp_path / 'out'}"
    )
    assert status == 0, error
    probabilities = tifffile.imread(tmp_path / "out" / "cell_probabilities.tif")
    labels = tifffile.imread(tmp_path / "out" / "cell_labels.tif")
    assert probabilities.shape == labels.shape == (70, 70)
    assert probabilities.dtype == np.float32 and labels.dtype == np.int32
    threshold = build.restore(checkpoint).threshold
    np.testing.assert_array_equal(labels > 0, probabilities > threshold)
    assert "cell_labels.tif" in printed


def test_a_stack_stays_a_stack_and_equals_its_slices(checkpoint, images, run_command, tmp_path):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "stack.tif", images, photometric="minisblack")
    imwrite(tmp_path / "in" / "first.png", images[0])
    status, _, error = run_command(
        "predict", f"checkpoint={checkpoint}", f"input={tmp_path / 'in'}", f"output={tmp_path}", "precision=32"
    )
    assert status == 0, error
    stack = tifffile.imread(tmp_path / "stack_probabilities.tif")
    assert stack.shape == (2, 70, 70)
    np.testing.assert_array_equal(stack[0], tifffile.imread(tmp_path / "first_probabilities.tif"))
    module = build.restore(checkpoint)
    with torch.inference_mode():
        expected = module.probabilities(torch.from_numpy(normalise(images[1]))[None, None])[0, 1]
    np.testing.assert_allclose(stack[1], expected, atol=1e-5)


@pytest.mark.parametrize("option", ["tile=64", "tta=d4", "tta=rot7", "precision=bf16"])
def test_each_way_of_predicting_agrees_roughly_with_the_plain_one(option, checkpoint, images, run_command, tmp_path):
    imwrite(tmp_path / "cell.png", images[0])
    results = []
    for name, options in (("plain", []), ("other", [option])):
        arguments = [f"checkpoint={checkpoint}", f"input={tmp_path / 'cell.png'}", f"output={tmp_path / name}"]
        status, _, error = run_command("predict", *arguments, "write=[probabilities]", *options)
        assert status == 0, error
        assert not (tmp_path / name / "cell_labels.tif").exists()
        results.append(tifffile.imread(tmp_path / name / "cell_probabilities.tif"))
    assert np.abs(results[0] - results[1]).mean() < 0.05


def test_threshold_and_instances_can_be_chosen_anew(checkpoint, images, run_command, tmp_path):
    imwrite(tmp_path / "cell.png", images[0])

    def predict(name, *options):
        arguments = [f"checkpoint={checkpoint}", f"input={tmp_path / 'cell.png'}", f"output={tmp_path / name}"]
        status, _, error = run_command("predict", *arguments, *options)
        assert status == 0, error
        return (tifffile.imread(tmp_path / name / f"cell_{kind}.tif") for kind in ("probabilities", "labels"))

    probabilities, _ = predict("plain")
    median = float(np.median(probabilities))
    _, labels = predict("median", f"threshold={median}")
    np.testing.assert_array_equal(labels > 0, probabilities > median)
    _, large = predict("large", f"threshold={median}", "instances=watershed", "instances.min_size=100")
    assert np.bincount(labels.ravel())[1:].min() < 100 <= np.bincount(large.ravel())[1:].min()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tile": "61"}, ["61", "nearest valid: 60 and 64"]),
        ({"tile": "big"}, ["big", "auto"]),
        ({"tta": "rot8"}, ["rot8", "rot7"]),
        ({"threshold": "2"}, ["threshold", "from 0 to 1"]),
        ({"precision": "8"}, ["precision", "bf16"]),
        ({"write": "[pictures]"}, ["pictures", "probabilities"]),
        ({"input": "none.tif"}, ["none.tif"]),
        ({"checkpoint": "none.ckpt"}, ["none.ckpt"]),
    ],
)
def test_a_mistake_is_one_message(changes, expected, checkpoint, images, run_command, tmp_path):
    imwrite(tmp_path / "cell.png", images[0])
    arguments = {"checkpoint": checkpoint, "input": tmp_path / "cell.png", "output": tmp_path} | changes
    status, _, error = run_command("predict", *(f"{key}={value}" for key, value in arguments.items()))
    assert status == 1
    assert all(word in error for word in expected) and "Traceback" not in error, error


def test_a_result_is_not_overwritten_unless_asked(checkpoint, images, run_command, tmp_path):
    imwrite(tmp_path / "cell.png", images[0])
    arguments = [f"checkpoint={checkpoint}", f"input={tmp_path / 'cell.png'}", f"output={tmp_path}"]
    assert run_command("predict", *arguments)[0] == 0
    status, _, error = run_command("predict", *arguments)
    assert status == 1 and "overwrite=true" in error
    assert run_command("predict", *arguments, "overwrite=true")[0] == 0


def test_an_image_with_too_many_channels_is_refused(checkpoint, run_command, tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((2, 70, 70, 3), np.uint8), photometric="rgb")
    status, _, error = run_command(
        "predict", f"checkpoint={checkpoint}", f"input={tmp_path / 'rgb.tif'}", f"output={tmp_path}"
    )
    assert status == 1 and "(2, 70, 70, 3)" in error and "(H, W)" in error


def test_paths_may_hold_anything(checkpoint, images, run_command, tmp_path):
    folder = tmp_path / "현미경 (a=1), b"
    folder.mkdir()
    imwrite(folder / "세포 1.png", images[0])
    status, _, error = run_command(
        "predict", f"checkpoint={checkpoint}", f"input={folder / '세포 1.png'}", f"output={folder}"
    )
    assert status == 0, error
    assert (folder / "세포 1_labels.tif").exists()
