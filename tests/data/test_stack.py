"""Annotated images in memory: chosen by number, and refused if their parts differ in size."""

from dataclasses import replace

import numpy as np
import pytest

from src.data.stack import Stack, everywhere


def stack(slices=4):
    numbers = np.arange(slices)[:, None, None]
    images = np.zeros((slices, 5, 6), np.uint8) + numbers.astype(np.uint8)
    targets = images * 2
    return Stack(
        images, targets, images.astype(np.int32) * 3, everywhere(targets), [f"slice {i}" for i in range(slices)]
    )


def test_take_gives_the_slices_in_the_order_asked_for():
    taken = stack().take([3, 1])
    assert len(taken) == 2
    assert taken.names == ["slice 3", "slice 1"]
    assert taken.images[:, 0, 0].tolist() == [3, 1]
    assert taken.targets[:, 0, 0].tolist() == [6, 2]
    assert taken.instances[:, 0, 0].tolist() == [9, 3]
    assert taken.pixel_sizes is None
    sizes = [0.1, 0.2, None, 0.4, *[None] * (len(stack()) - 4)]
    assert replace(stack(), pixel_sizes=sizes).take([3, 2, 1]).pixel_sizes == [0.4, None, 0.2]


def test_take_of_nothing_is_a_stack_of_no_slices():
    taken = stack().take([])
    assert len(taken) == 0
    assert taken.images.shape == (0, 5, 6)


@pytest.mark.parametrize("part", ["images", "targets", "instances", "names"])
def test_a_stack_whose_parts_differ_in_size_is_refused(part):
    parts = vars(stack()) | {part: getattr(stack(3), part)}
    with pytest.raises(ValueError, match=r"expected images, targets, instances and names of equal size, but got"):
        Stack(**parts)


def test_a_stack_may_have_channels():
    parts = vars(stack()) | {"images": np.zeros((4, 5, 6, 3), np.uint8)}
    assert len(Stack(**parts)) == 4
