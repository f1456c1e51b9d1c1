"""Micrographs of scored images are found by name and shown below the cells."""

import base64
import io
import re

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from src.micrographs import Micrographs

RAMP = np.tile(np.arange(0, 200, 5, np.uint16) * 100, (30, 1))  # 30 rows of 40 columns, dark to bright


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    tifffile.imwrite(images / "a b.tif", RAMP, photometric="minisblack")
    iio.imwrite(images / "colour.png", np.stack([(RAMP // 100).astype(np.uint8)] * 3, axis=2))
    tifffile.imwrite(images / "stack.tif", np.stack([RAMP, RAMP[:, ::-1]]), photometric="minisblack")
    return images


def test_images_and_slices_of_stacks_are_found_by_name(folder):
    found = Micrographs(str(folder))
    image = found("a b", (30, 40))
    assert image.shape == (1, 30, 40) and image[0, 0, 0] == 0 and image[0, 0, -1] == 1
    assert found("colour", (30, 40)).shape == (3, 30, 40)
    assert (np.diff(found("stack_00", (30, 40))[0], axis=1) >= 0).all()
    assert (np.diff(found("stack_01", (30, 40))[0], axis=1) <= 0).all()
    assert found("missing", (30, 40)) is None and Micrographs(None)("a b", (30, 40)) is None


def test_one_file_is_the_image_of_whatever_name(folder):
    assert Micrographs(str(folder / "a b.tif"))("truth", (30, 40)).shape == (1, 30, 40)
    found = Micrographs(str(folder / "stack.tif"))
    assert (np.diff(found("truth_01", (30, 40))[0], axis=1) <= 0).all()


def test_another_size_is_refused(folder):
    with pytest.raises(ValueError, match=r"expected 8×8 px as the labels of a b, but .*a b.tif has 30×40 px"):
        Micrographs(str(folder))("a b", (8, 8))


def test_the_page_of_scores_shows_the_micrograph_below_the_cells(folder, tmp_path, run_command):
    for side in ("truths", "predictions"):
        (tmp_path / side).mkdir()
        labels = np.zeros((30, 40), np.int32)
        labels[5:15, 5:15] = 1
        tifffile.imwrite(tmp_path / side / "a b.tif", labels)
    given = [f"{tmp_path / 'truths'}", f"{tmp_path / 'predictions'}", "metrics=instances"]
    status, _, error = run_command("score", *given, f"images={folder}", f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    page = (tmp_path / "scores.html").read_text()
    (content,) = re.findall(r'"image": "data:image/webp;base64,([^"]+)"', page)
    picture = iio.imread(io.BytesIO(base64.b64decode(content)))
    assert picture.shape == (30, 40, 3) and picture[:, :4].mean() < 40 < 215 < picture[:, -4:].mean()
    status, _, error = run_command("score", *given, f"images={folder}")
    assert status == 1 and "nearest valid: output=scores.json" in error
