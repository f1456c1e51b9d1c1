"""A picture shows each cell in a colour where it is, and is reduced if it is large."""

import imageio.v3 as iio
import numpy as np
import pytest

from src.files.legend import Legend
from src.pages.pictures import CLASS_COLOURS
from src.prediction.outputs import cells as module
from src.prediction.outputs import overlay
from tests.prediction.outputs.drawn import cells_of


def squares(side=60):
    labels = np.zeros((side, side), np.int32)
    labels[5:25, 5:25], labels[5:25, 25:45], labels[40:41, 40:41] = 1, 2, 3
    return labels


def test_cells_have_a_colour_their_outlines_the_full_one_and_the_rest_is_grey(tmp_path):
    image = np.linspace(0, 65535, 3600).reshape(60, 60).astype(np.uint16)
    overlay.write(tmp_path / "a_overlay.png", cells_of(squares(), image), "src.predict overlay 0")
    shown = iio.imread(tmp_path / "a_overlay.png")
    assert shown.shape == (60, 60, 3) and shown.dtype == np.uint8
    assert (np.ptp(shown[squares() == 0].astype(int), axis=-1) == 0).all()
    assert shown[0, 0, 0] < shown[30, 30, 0] < shown[59, 59, 0]
    for number, place in ((1, (5, 5)), (2, (5, 30)), (3, (40, 40))):
        assert shown[place].tolist() == CLASS_COLOURS[number - 1].tolist()
    assert len({tuple(shown[place]) for place in ((15, 15), (15, 35), (30, 30))}) == 3
    assert overlay.made_from(tmp_path / "a_overlay.png") == "src.predict overlay 0"


@pytest.mark.parametrize("at_once", [2**23, 61 * 8], ids=["at once", "in bands"])
def test_a_large_image_is_reduced_and_cells_stay_where_they_are(at_once, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    monkeypatch.setattr(overlay, "LARGEST", 21)
    labels = np.pad(squares(), ((0, 1), (0, 1)))
    shown = overlay.drawn(cells_of(labels, np.full(labels.shape, 7, np.uint8)), 0)
    assert shown.shape == (21, 21, 3)
    coloured = np.ptp(shown.astype(int), axis=-1) > 0
    np.testing.assert_array_equal(coloured[:20, :20], labels[1:60:3, 1:60:3] > 0)


def test_a_line_is_a_picture_too(monkeypatch):
    monkeypatch.setattr(overlay, "LARGEST", 10)
    assert overlay.drawn(cells_of(np.ones((1, 95), np.int32)), 0).shape == (1, 10, 3)


def test_classes_have_the_colours_of_the_annotation_and_colour_images_theirs():
    legend = Legend((), ("ground", "cell", "nucleus"), ((0, 0, 0), (255, 0, 0), (0, 0, 255)))
    image = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    cells = cells_of(squares(), image, "YXC", kinds=(np.array([0, 2, 1, 2]),), legend=legend)
    shown = overlay.drawn(cells, 0)
    assert [shown[place].tolist() for place in ((5, 5), (5, 30), (40, 40))] == [[0, 0, 255], [255, 0, 0], [0, 0, 255]]
    assert np.abs(shown[50:].astype(int) - image[50:]).max() < 10


def test_of_a_stack_the_middle_plane_is_shown(tmp_path):
    labels = np.stack([np.zeros((60, 60), np.int32), squares(), np.zeros((60, 60), np.int32)])
    overlay.write(tmp_path / "a.png", cells_of(labels), "src.predict overlay 0")
    assert np.ptp(iio.imread(tmp_path / "a.png"), axis=-1).any()
