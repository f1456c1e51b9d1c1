"""Cells come once and whole, however the plane is parted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.files.legend import Legend
from src.prediction.outputs import cells as module
from src.prediction.outputs.cells import Giant, Group, groups, strips
from src.tiles.overlap import Window
from tests.prediction.outputs.drawn import blobs, cells_of, masks


def parts(group, cells):
    """The windows of a group and the numbers in them, each pixel once."""
    if isinstance(group, Group):
        return [(group.window, group.labels)]
    return [
        (Window(window.top + again, window.left, window.height - again, window.width), mask[again:] * group.number)
        for window, again, mask in strips(group, cells)
    ]


@settings(deadline=None)
@given(masks, st.integers(1, 200))
def test_each_cell_comes_once_and_whole(labels, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", at_once)
        found, seen = np.zeros_like(labels), []
        cells = cells_of(labels)
        for group in groups(cells):
            for (top, left, height, width), own in parts(group, cells):
                part = found[top : top + height, left : left + width]
                assert not part[own > 0].any()
                part[own > 0] = own[own > 0]
            seen += [group.number] if isinstance(group, Giant) else np.unique(group.labels[group.labels > 0]).tolist()
    np.testing.assert_array_equal(found, labels)
    assert sorted(seen) == np.unique(labels[labels > 0]).tolist()


def test_no_more_than_a_band_and_its_cells_are_read(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 90 * 10)
    labels = np.zeros((80, 90), np.int32)
    labels[8:13, 2:5], labels[5:70, 50], labels[30:33, 80:90], labels[15:75, 10:26] = 1, 2, 3, 4
    *found, giant = groups(cells_of(labels))
    found = [(*group.window, *np.unique(group.labels[group.labels > 0])) for group in found]
    assert found == [(0, 0, 13, 90, 1), (30, 0, 3, 90, 3), (5, 50, 65, 1, 2)]
    assert giant == Giant(0, (15, 10, 60, 16), 4)


def test_planes_are_told_apart():
    labels = np.stack([blobs(seed=0), np.zeros((80, 90), np.int32), blobs(seed=1)])
    cells = cells_of(labels)
    assert [group.plane for group in groups(cells)] == [0, 2]
    assert [cells.place(plane) for plane in range(3)] == [{"Z": 0}, {"Z": 1}, {"Z": 2}]
    assert cells_of(labels[0]).place(0) == {}


def test_a_cell_has_the_name_of_its_class():
    named = Legend(names=("ground", "vessel", ""))
    cells = cells_of(np.ones((2, 2), np.int32), kinds=(np.array([0, 1, 2]),), legend=named)
    assert [cells.kind(0, number) for number in (1, 2)] == ["vessel", "class 2"]
    assert cells_of(np.ones((2, 2), np.int32)).kind(0, 1) == ""
