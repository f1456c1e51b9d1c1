"""The networks of a cross-validation, opened together with the decoder of their mean."""

import json

import numpy as np
import pytest
import tifffile

from src.data.phantom import phantom
from src.ensemble import opened
from src.instances import Membranes
from src.metrics.calibration import Calibration
from src.run.folds import fold_directories

pytestmark = pytest.mark.slow


def test_a_cross_validation_is_its_networks_and_one_decoder(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    written = json.loads((directory / "ensemble.json").read_text())
    trained, decoder, calibration = opened([str(directory)])
    assert len(trained) == 2 and vars(calibration) == written["calibration"]
    assert decoder.threshold == written["threshold"] and isinstance(decoder.numbering, Membranes)


def test_several_files_are_decoded_in_the_way_that_is_best_for_all(folded, tmp_path):
    files = [str(each / "checkpoints" / "best.ckpt") for each in fold_directories(folded(tmp_path / "folds"))]
    trained, decoder, _ = opened(files)
    assert len(trained) == 2 and isinstance(decoder.numbering, Membranes)
    assert opened(files[:1])[1] == trained[0].decoder


def test_predict_averages_the_networks_and_takes_their_decoder(folded, run_command, tmp_path):
    directory = folded(tmp_path / "folds")
    tifffile.imwrite(tmp_path / "image.tif", phantom(slices=30, size=64).images[24])
    of_each = []
    for number, checkpoint in enumerate(
        [directory, *(each / "checkpoints/best.ckpt" for each in fold_directories(directory))]
    ):
        output = tmp_path / f"out_{number}"
        given = [f"checkpoint={checkpoint}", f"input={tmp_path / 'image.tif'}", f"output={output}", "precision=32"]
        status, _, error = run_command("predict", *given)
        assert status == 0, error
        of_each.append(tifffile.imread(output / "image_probabilities.tif"))
    _, decoder, calibration = opened([str(directory)])
    mean = (of_each[1] + of_each[2]) / 2
    assert calibration != Calibration() and np.abs(of_each[0] - calibration(mean)).max() < 1e-6
    labels = tifffile.imread(tmp_path / "out_0" / "image_labels.tif")
    assert np.array_equal(labels, decoder(np.stack([1 - mean, mean])))


def test_a_requested_threshold_applies_to_the_probabilities_as_written(folded, run_command, tmp_path):
    directory = folded(tmp_path / "folds")
    tifffile.imwrite(tmp_path / "image.tif", phantom(slices=30, size=64).images[24])
    given = [f"checkpoint={directory}", f"input={tmp_path / 'image.tif'}", f"output={tmp_path / 'out'}"]
    status, _, error = run_command("predict", *given, "threshold=0.9", "instances=components")
    assert status == 0, error
    seen = tifffile.imread(tmp_path / "out/image_probabilities.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "out/image_labels.tif") > 0, seen > 0.9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoints": ["../other.ckpt"]}, "expected checkpoints in"),
        ({"checkpoints": []}, "checkpoints"),
        ({"threshold": 2}, "threshold"),
        ({"calibration": {"temperature": 0, "shift": 0}}, "temperature"),
        ({"calibration": {"shift": 0}}, "temperature"),
        ({"instances": {"name": "os.system"}}, "it would call os.system"),
        ({"instances": {"name": "membranes", "line": "rm -rf"}}, "line"),
    ],
)
def test_a_file_with_other_content_is_refused(changes, message, folded, tmp_path):
    directory = folded(tmp_path / "folds")
    file = directory / "ensemble.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        opened([str(directory)])


def test_a_directory_of_something_else_is_refused_with_what_is_near(finished_run, tmp_path):
    run = finished_run(tmp_path / "run")
    with pytest.raises(ValueError, match=r"nearest valid: .*best\.ckpt"):
        opened([str(run)])
    with pytest.raises(ValueError, match="nearest valid: the same directory, when"):
        opened([str(tmp_path)])
