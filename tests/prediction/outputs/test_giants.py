"""What is added up of a cell strip by strip is what scikit-image measures of the whole."""

import numpy as np
import pytest
from skimage.measure import regionprops_table

from src.prediction.outputs import cells as module
from src.prediction.outputs.cells import Giant, groups, strips
from src.prediction.outputs.giants import properties
from src.prediction.outputs.rings import outlines
from src.prediction.outputs.table import SHAPE
from tests.prediction.outputs.drawn import cells_of

NAMES = ("label", "area", "centroid", "bbox", "intensity_mean", *SHAPE)


def sponge(shape=(150, 70), seed=0):
    """A cell with holes that reaches far, at the border of one side, and another one in it."""
    random = np.random.default_rng(seed)
    labels = np.kron(random.random((shape[0] // 3, shape[1] // 3)) < 0.75, np.ones((3, 3), int))
    labels = np.pad(labels, [(0, shape[axis] - labels.shape[axis]) for axis in (0, 1)])
    labels[random.random(shape) < 0.03] = 0
    return np.where(labels, 2, 0).astype(np.int32)


def square(side=60):
    return np.full((side, side), 2, np.int32)


@pytest.mark.parametrize("at_once", [70, 70 * 11, 70 * 50])
@pytest.mark.parametrize("labels", [sponge(), sponge(seed=1).T.copy(), square()], ids=["sponge", "broad", "square"])
def test_what_is_measured_in_strips_is_what_scikit_image_measures(labels, at_once, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    random = np.random.default_rng(0)
    image, sure = random.integers(0, 999, (*labels.shape, 2)), random.random(labels.shape).astype(np.float32)
    cells = cells_of(labels, image, "YXC", confidence=sure)
    (giant,) = groups(cells)
    assert isinstance(giant, Giant) and len(list(strips(giant, cells))) > 1
    top, left, height, width = giant.window
    found, box = properties(giant, cells), np.s_[top : top + height, left : left + width]
    whole = regionprops_table(labels[box], image[box], NAMES)
    assert found.keys() == whole.keys() | {"confidence"}
    for name, values in whole.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-10, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(found["confidence"], sure[labels > 0].mean(), rtol=1e-6)


def test_the_outline_of_a_giant_is_that_of_the_cell(monkeypatch):
    labels = sponge()
    (expected,) = outlines(*(next(groups(cells_of(labels))), cells_of(labels)))
    monkeypatch.setattr(module, "AT_ONCE", 70 * 11)
    cells = cells_of(labels)
    (giant,) = groups(cells)
    ((number, polygons),) = outlines(giant, cells)
    assert number == 2 and len(polygons) == len(expected[1])
    for polygon, other in zip(polygons, expected[1], strict=True):
        assert [ring.tolist() for ring in polygon] == [ring.tolist() for ring in other]
