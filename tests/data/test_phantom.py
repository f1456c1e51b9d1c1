"""Synthetic stacks: separate cells, tissue that continues from slice to slice, images that resemble ISBI-2012."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import label
from skimage.metrics import adapted_rand_error

from src.data.phantom import phantom


@pytest.fixture(scope="module")
def stack():
    return phantom(slices=12, size=192, organelles=True, seed=1)


@pytest.fixture(scope="module")
def tissues():
    return [phantom(slices=2, seed=seed) for seed in range(4)]


def threshold_error(image, instances, blur, level):
    """Rand error of the bright components of an image."""
    return adapted_rand_error(instances, label(gaussian_filter(image.astype(float), blur) > level))[0]


def overlap(instances, step):
    """Share of cell pixels that have the same number ``step`` slices earlier."""
    here, before = instances[step:], instances[:-step]
    return np.mean(here[here > 0] == before[here > 0])


def test_same_arguments_give_same_bytes():
    one, two = phantom(slices=2, size=64, seed=3), phantom(slices=2, size=64, seed=3)
    assert one.names == two.names
    for field in ("images", "targets", "instances"):
        assert getattr(one, field).tobytes() == getattr(two, field).tobytes()


def test_seeds_give_different_tissue():
    one, two = phantom(slices=1, size=64, seed=0), phantom(slices=1, size=64, seed=1)
    assert np.any(one.images != two.images)
    assert np.any(one.targets != two.targets)


def test_shapes_types_and_names():
    stack = phantom(slices=3, size=50)
    assert stack.images.shape == stack.targets.shape == stack.instances.shape == (3, 50, 50)
    assert (stack.images.dtype, stack.targets.dtype, stack.instances.dtype) == (np.uint8, np.uint8, np.int32)
    assert stack.names == ["slice_00", "slice_01", "slice_02"]


@pytest.mark.parametrize("connectivity", [1, 2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_components_are_the_cells(connectivity, seed):
    stack = phantom(slices=3, size=192, seed=seed)
    for targets, instances in zip(stack.targets, stack.instances, strict=True):
        components = label(targets > 0, connectivity=connectivity)
        pairs = np.unique(np.stack([components.ravel(), instances.ravel()]), axis=1)
        # One pair per component and per cell: the two partitions differ in their numbers only.
        assert pairs.shape[1] == len(np.unique(components)) == len(np.unique(instances))


def test_no_tiny_cells(stack):
    for instances in stack.instances:
        assert np.unique(instances, return_counts=True)[1].min() >= 30


def test_cells_continue_from_slice_to_slice(stack):
    assert overlap(stack.instances, 1) > 0.7
    assert overlap(stack.instances, 1) > overlap(stack.instances, 10) + 0.15


def test_slices_move(stack):
    assert overlap(stack.instances, 1) < 0.95


def test_membrane_fraction_is_that_of_isbi(tissues):
    # The labels of ISBI-2012 are 22 % membrane, slices between 20 and 27 %.
    assert 0.17 < np.mean([tissue.targets == 0 for tissue in tissues]) < 0.27


def test_cell_sizes_are_those_of_isbi(tissues):
    # Cells of ISBI-2012 in crops of this size: half are below 540 px, one in four is above 1630, mean 1580.
    areas = [np.unique(cells[cells > 0], return_counts=True)[1] for tissue in tissues for cells in tissue.instances]
    median, large = np.percentile(np.concatenate(areas), [50, 75])
    assert 350 < median < 1000
    assert 1100 < large < 2600


def test_grey_values_are_those_of_isbi(tissues):
    # ISBI-2012: mean 126, standard deviation 44.
    images = np.stack([tissue.images for tissue in tissues])
    assert 110 < images.mean() < 142
    assert 35 < images.std() < 53


def test_cell_count_follows_argument():
    def seen(cells):
        return np.mean([len(np.unique(phantom(slices=1, cells=cells, seed=seed).instances)) - 1 for seed in range(5)])

    assert 8 < seen(10) < 20
    assert 32 < seen(60) < 60


def test_membranes_are_darker_than_cells(stack):
    assert np.mean(stack.images[stack.targets == 1]) - np.mean(stack.images[stack.targets == 0]) > 40


@pytest.mark.parametrize("blur", [0, 1, 2])
def test_no_threshold_solves_it(tissues, blur):
    errors = [
        [threshold_error(tissue.images[0], tissue.instances[0], blur, level) for tissue in tissues]
        for level in range(80, 150, 10)
    ]
    assert np.mean(errors, axis=1).min() > 0.25  # a small U-Net gets below 0.05


def test_organelles_change_targets_only(stack):
    plain = phantom(slices=12, size=192, organelles=False, seed=1)
    assert np.array_equal(plain.images, stack.images)
    assert np.array_equal(plain.instances, stack.instances)
    assert np.array_equal(plain.targets, np.minimum(stack.targets, 1))
    assert set(np.unique(stack.targets)) == {0, 1, 2}
    assert np.all(stack.instances[stack.targets == 2] > 0)


@pytest.mark.parametrize(
    "arguments", [{"slices": 0}, {"slices": -1}, {"size": 31}, {"cells": 0}, {"cells": -5}, {"size": 64, "cells": 9}]
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"expected .*, but got "):
        phantom(**arguments)
