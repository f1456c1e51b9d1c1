"""The weight map: eq. 2 compared with its formula, class balance, ridges between touching cells, the cache."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import distance_transform_edt
from skimage.measure import label

from src.data.weight_map import WeightMap, border_weight, class_weights, separate_touching

# OpenCV measures distances in float32. At w0 = 10 and σ ≥ 1 an error of 1e-5 px changes the weight by less than 1e-4.
TOLERANCE = 1e-4

quick = settings(max_examples=40, deadline=None)
drawings = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=12), elements=st.integers(0, 5))


def equation_2(instances, w0, sigma):
    """The border term as the paper writes it: one distance transform per cell, over the whole image."""
    cells = np.unique(instances[instances > 0])
    if len(cells) < 2:
        return np.zeros(instances.shape)
    distances = np.array([distance_transform_edt(instances != cell) for cell in cells], np.float32)
    d1, d2 = np.partition(distances, 1, axis=0)[:2].astype(float)
    return np.where(instances == 0, w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)), 0)


def rectangles(seed, size, count):
    """Cells whose numbers have gaps; some are hidden under others."""
    rng = np.random.default_rng(seed)
    instances = np.zeros((size, size), np.int32)
    for number in rng.choice(50, count, replace=False) + 1:
        y, x = rng.integers(0, size, 2)
        height, width = rng.integers(1, size // 4, 2)
        instances[y : y + height, x : x + width] = number
    return instances


@quick
@given(drawings, st.floats(1, 6))
def test_border_weight_is_equation_2_on_any_drawing(instances, sigma):
    np.testing.assert_allclose(border_weight(instances, 10, sigma), equation_2(instances, 10, sigma), atol=TOLERANCE)


# With σ = 1 the boxes of 6σ around the cells end well inside the image; with 6 they cover it.
@pytest.mark.parametrize(("w0", "sigma"), [(10, 1), (10, 2), (10, 5), (50, 6)])
def test_border_weight_is_equation_2_where_boxes_end_inside_the_slice(w0, sigma):
    for seed in range(3):
        instances = rectangles(seed, size=90, count=9)
        expected = equation_2(instances, w0, sigma)
        assert expected.max() > 0.1 * w0
        np.testing.assert_allclose(border_weight(instances, w0, sigma), expected, atol=TOLERANCE * w0 / 10)


def test_border_weight_is_equation_2_on_real_labels():
    file = Path(os.environ.get("DATA_DIR", "data")) / "isbi2012" / "train-labels.tif"
    if not file.is_file():
        pytest.skip(f"needs {file} (set DATA_DIR)")
    for labels in tifffile.imread(file, key=[0, 15]):
        instances = label(labels > 0, connectivity=1).astype(np.int32)
        np.testing.assert_allclose(border_weight(instances), equation_2(instances, 10, 5), atol=TOLERANCE)


def test_border_weight_of_a_gap_is_what_the_paper_says():
    row = np.array([[1, 1, 0, 0, 0, 2, 2]], np.int32)  # d1 + d2 = 4 on all three pixels of the gap
    weight = 10 * np.exp(-16 / 50)
    np.testing.assert_allclose(border_weight(row), [[0, 0, weight, weight, weight, 0, 0]], rtol=1e-5)


@quick
@given(drawings)
def test_border_weight_is_zero_on_cells(instances):
    assert not border_weight(instances)[instances > 0].any()


@pytest.mark.parametrize("cells", [0, 1])
def test_fewer_than_two_cells_have_no_border(cells):
    instances = np.zeros((9, 9), np.int32)
    instances[2:5, 2:5] = cells
    assert not border_weight(instances).any()


@quick
@given(arrays(np.uint8, (2, 5, 6), elements=st.integers(0, 3)))
def test_class_weights_average_1_over_pixels_and_give_classes_equal_shares(targets):
    weights = class_weights(targets, classes=5)
    assert weights[targets].mean() == pytest.approx(1, abs=1e-5)
    shares = [weights[c] * np.mean(targets == c) for c in np.unique(targets)]
    np.testing.assert_allclose(shares, 1 / len(shares), rtol=1e-5)


def test_class_weights_by_hand():
    targets = np.array([[0, 0, 0, 1]])
    np.testing.assert_allclose(class_weights(targets, classes=3), [4 / 6, 2, 1], rtol=1e-6)


def test_balance_goes_from_none_to_full():
    targets = np.array([[0] * 9 + [1]])
    np.testing.assert_array_equal(class_weights(targets, 2, balance=0), [1, 1])
    full, half = (class_weights(targets, 2, balance=balance) for balance in (1, 0.5))
    np.testing.assert_allclose(full, [10 / 18, 5], rtol=1e-6)
    np.testing.assert_allclose(half[1] / half[0], 3, rtol=1e-6)  # the root of 9
    np.testing.assert_allclose(half[targets].mean(), 1, rtol=1e-6)
    for number, flag in ((0, False), (1, True)):
        np.testing.assert_array_equal(
            *(WeightMap(balance=each)(targets[None], targets[None], 2) for each in (number, flag))
        )


def test_the_border_force_counts_on_a_class_of_boundaries_too():
    cells = squares()
    rim = (cells > 0) & ~np.pad(np.ones((4, 2), bool), ((2, 2), (2, 11)))
    targets = np.where(rim, 2, cells > 0).astype(np.uint8)
    weight = WeightMap(balance=0)(targets[None], cells[None], 3, boundary=2)[0]
    expected = 10 * np.exp(
        -(1.0**2) / 50
    )  # a pixel of the rim of the first cell is in it, and 1 px from the second one
    np.testing.assert_allclose(weight[3, 4], 1 + expected, rtol=1e-6)
    np.testing.assert_array_equal(weight[2:6, 2:4], 1)
    outside = WeightMap(balance=0)(targets[None], cells[None], 3)[0]
    np.testing.assert_array_equal(weight[cells == 0], outside[cells == 0])
    np.testing.assert_array_equal(outside[cells > 0], 1)


def test_weight_map_is_class_weight_plus_border_weight():
    instances = np.stack([rectangles(seed, size=30, count=4) for seed in (0, 1)])
    targets = (instances > 0).astype(np.uint8)
    borders = np.stack([equation_2(cells, 10, 5) for cells in instances])
    balance = class_weights(targets, 2)[targets]
    result = WeightMap()(targets, instances, 2)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, balance + borders, atol=TOLERANCE)
    np.testing.assert_allclose(WeightMap(balance=False)(targets, instances, 2), 1 + borders, atol=TOLERANCE)


@pytest.mark.parametrize(("balance", "near"), [(-0.5, 0), (1.5, 1)])
def test_a_balance_out_of_range_is_refused(balance, near):
    with pytest.raises(ValueError, match=f"balance from 0 to 1, but got {balance}; nearest valid: {near}"):
        WeightMap(balance=balance)


@pytest.mark.parametrize("wrong", [{"sigma": 0}, {"sigma": -1}, {"w0": -1}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected weight_map.w0 ≥ 0 and weight_map.sigma > 0, but got"):
        WeightMap(**wrong)


def squares():
    """Two squares side by side that touch, and a third one pixel away from the second."""
    instances = np.zeros((8, 15), np.int32)
    instances[1:7, 1:5] = 1
    instances[1:7, 5:9] = 2
    instances[1:7, 10:14] = 3
    return instances


def gap(line, first, second):
    """Background pixels between two cells on a line across both."""
    return np.flatnonzero(line == second)[0] - np.flatnonzero(line == first)[-1] - 1


@pytest.mark.parametrize("width", [0, 1, 2])
def test_ridge_is_exactly_as_wide_as_asked(width):
    across, down = separate_touching(squares(), width), separate_touching(squares().T.copy(), width)
    assert [gap(across[y], 1, 2) for y in range(1, 7)] == [width] * 6
    assert [gap(down[:, x], 1, 2) for x in range(1, 7)] == [width] * 6


@pytest.mark.parametrize("width", [1, 2])
def test_ridge_leaves_cells_alone_that_do_not_touch(width):
    before, after = squares(), separate_touching(squares(), width)
    np.testing.assert_array_equal(after[:, 9:], before[:, 9:])
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    before[before == 2] = 0
    np.testing.assert_array_equal(separate_touching(before, width), before)


@pytest.mark.parametrize("width", [0, 1, 2])
def test_ridge_is_drawn_in_a_copy(width):
    instances = squares()
    result = separate_touching(instances, width)
    np.testing.assert_array_equal(instances, squares())
    assert not np.shares_memory(result, instances)
    assert result.dtype == instances.dtype


def touches_another(instances):
    """Pixels of cells with a pixel of another cell among their eight neighbours."""
    padded = np.pad(instances, 1)
    result = np.zeros(instances.shape, bool)
    for (y, x), cell in np.ndenumerate(instances):
        around = padded[y : y + 3, x : x + 3]
        result[y, x] = cell > 0 and ((around > 0) & (around != cell)).any()
    return result


@quick
@given(drawings)
def test_ridge_takes_only_pixels_that_touch_and_separates_what_is_left(instances):
    touching = touches_another(instances)
    np.testing.assert_array_equal(separate_touching(instances, 2), np.where(touching, 0, instances))
    thin = separate_touching(instances, 1)
    np.testing.assert_array_equal(thin[~touching], instances[~touching])
    assert set(np.unique(thin[touching])) <= {0, *np.unique(instances[touching])}
    for near, far in ((thin[:, :-1], thin[:, 1:]), (thin[:-1], thin[1:])):
        assert not ((near != far) & (near > 0) & (far > 0)).any()


@pytest.fixture
def cells():
    instances = squares()[None]
    return (instances > 0).astype(np.uint8), instances


def test_cache_returns_the_same_map_and_writes_one_file(cells, tmp_path):
    folder = tmp_path / "new" / "cache"
    for _ in range(2):
        np.testing.assert_array_equal(WeightMap().cached(*cells, 2, folder), WeightMap()(*cells, 2))
        assert [file.suffix for file in folder.iterdir()] == [".npz"]


def test_cache_is_read_and_not_computed_again(cells, tmp_path):
    first = WeightMap().cached(*cells, 2, tmp_path)
    (file,) = tmp_path.iterdir()
    np.savez(file, *(first + 1))
    np.testing.assert_array_equal(WeightMap().cached(*cells, 2, tmp_path), first + 1)


def test_cache_keeps_whatever_differs_apart(cells, tmp_path):
    targets, instances = cells
    requests = [
        (WeightMap(), targets, instances, 2),
        (WeightMap(w0=50), targets, instances, 2),
        (WeightMap(sigma=6), targets, instances, 2),
        (WeightMap(balance=False), targets, instances, 2),
        (WeightMap(balance=0.5), targets, instances, 2),
        (WeightMap(), targets, instances, 3),
        (WeightMap(), 1 - targets, instances, 2),
        (WeightMap(), targets, np.where(instances == 3, 2, instances), 2),
        (WeightMap(), targets.reshape(1, 15, 8), instances.reshape(1, 15, 8), 2),  # the same bytes
    ]
    for number, (weight_map, *arguments) in enumerate(requests, start=1):
        result = weight_map.cached(*arguments, tmp_path)
        np.testing.assert_array_equal(result, weight_map(*arguments))
        assert len(list(tmp_path.iterdir())) == number
    with_boundary = WeightMap().cached(targets, instances, 3, tmp_path, boundary=2)
    np.testing.assert_array_equal(with_boundary, WeightMap()(targets, instances, 3, boundary=2))
    assert len(list(tmp_path.iterdir())) == number + 1


def test_cache_keeps_nothing_of_a_write_that_failed(cells, tmp_path, monkeypatch):
    def full_disk(stream, *arrays):
        stream.write(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full_disk)
        WeightMap().cached(*cells, 2, tmp_path)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(WeightMap().cached(*cells, 2, tmp_path), WeightMap()(*cells, 2))
