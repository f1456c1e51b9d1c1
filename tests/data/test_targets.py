"""Targets learnt from cells: drawings to check by eye, a brute-force reference, and properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from src.data.labels import to_learn
from src.data.stack import Stack, everywhere
from src.data.targets import PAPER, Border, Core, learnt, with_ridge, without_inside
from src.data.weight_map import separate_touching
from src.instances import components


def touching_stack():
    """Two slices, each with two cells of class 1 that touch, and a third cell of class 2 apart."""
    instances = np.zeros((2, 8, 12), np.int32)
    instances[:, 1:7, 1:4], instances[:, 1:7, 4:7], instances[:, 1:7, 9:11] = 1, 2, 3
    targets = np.array([0, 1, 1, 2], np.uint8)[instances]
    return Stack(instances.astype(np.uint8), targets, instances, everywhere(targets), ["a", "b"])


@pytest.mark.parametrize("width", [0, 1, 2])
def test_ridge_is_background_in_instances_and_targets(width):
    before = touching_stack()
    after = with_ridge(before, width)
    expected = np.stack([separate_touching(cells, width) for cells in before.instances])
    np.testing.assert_array_equal(after.instances, expected)
    np.testing.assert_array_equal(after.targets, np.array([0, 1, 1, 2], np.uint8)[expected])
    assert (after.targets[:, 3, 1:7] == 0).sum() == 2 * width
    assert after.targets.dtype == np.uint8
    np.testing.assert_array_equal(before.targets, touching_stack().targets)


def test_ridge_keeps_classes_where_there_is_no_instance():
    stack = touching_stack()
    stack.targets[:, 0, 0] = 2  # a class without cells, such as an organelle
    assert (with_ridge(stack, 2).targets[:, 0, 0] == 2).all()


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.uint8, (9, 11), elements=st.integers(0, 3)))
def test_classes_are_learnt_as_they_were_drawn(drawn):
    target, cells, _ = to_learn(drawn, "classes")
    stack = Stack(drawn[None], target[None], cells[None], everywhere(target[None]), ["a"])
    np.testing.assert_array_equal(with_ridge(stack, 2).targets[0], drawn)


def drawn(text):
    """A drawing, one line per row: digits are numbers of cells, anything else is background."""
    rows = [line.strip() for line in text.strip().splitlines()]
    return np.array([[int(letter) if letter.isdigit() else 0 for letter in row] for row in rows], np.int32)


def shown(cells, target, boundary=7, known=None):
    """The classes that a target makes of numbered cells."""
    known = np.ones(cells.shape, bool) if known is None else known
    classes = (cells > 0)[None].astype(np.uint8)
    stack = Stack(cells[None].astype(np.uint8), classes, cells[None], known[None], ["a"])
    found = learnt(stack, target, boundary, ridge=2)
    np.testing.assert_array_equal(found.instances[0], cells)
    np.testing.assert_array_equal(found.targets[0] == 0, cells == 0)
    return found.targets[0]


TOUCHING = drawn("""
    .............
    .11111122222.
    .11111122222.
    .11111122222.
    .11111122222.
    .11111122222.
    .............
""")


def test_a_border_is_equally_wide_around_and_between_cells():
    expected = drawn("""
        .............
        .77777777777.
        .71111771117.
        .71111771117.
        .71111771117.
        .77777777777.
        .............
    """)
    np.testing.assert_array_equal(shown(TOUCHING, Border(1)), expected)


def test_a_core_is_what_a_share_of_the_half_width_leaves():
    cells = np.zeros((40, 80), np.int32)
    cells[2:9, 2:9], cells[5:36, 20:51] = 1, 2  # half-widths of 4 and 16 pixels
    inside = shown(cells, Core(0.5)) == 1
    assert (inside[:, :12].sum(), inside[:, 12:].sum()) == (3 * 3, 15 * 15)
    assert inside[5, 5] and inside[20, 35]


def test_what_touches_the_edge_of_image_or_annotation_has_no_boundary_there():
    cells = np.ones((9, 9), np.int32)
    assert (shown(cells, Core(0.5)) == 1).all() and (shown(cells, Border(2)) == 1).all()
    cells, known = np.zeros((9, 20), np.int32), np.ones((9, 20), bool)
    cells[:, :10], known[:, 10:] = 1, False  # where the cell ends is unknown
    assert (shown(cells, Core(0.5), known=known)[:, :10] == 1).all()


def test_a_cell_with_a_waist_has_one_core():
    cells = np.zeros((30, 60), np.int32)
    rows, columns = np.mgrid[:30, :60]
    cells[(np.hypot(rows - 15, columns - 15) < 12) | (np.hypot(rows - 15, columns - 43) < 10)] = 1
    cells[13:18, 15:43] = 1
    eroded = ndimage.distance_transform_edt(cells) > 6
    assert components(eroded).max() == 2
    np.testing.assert_array_equal(shown(cells, Core(0.5)) == 1, components(eroded) == 1)


def test_cells_without_an_inside_are_named():
    cells = np.zeros((20, 40), np.int32)
    cells[2:4, 2:30], cells[8:18, 5:15], cells[7:10, 20:30] = 3, 5, 9  # 2, 10 and 3 pixels wide
    known = np.ones(cells.shape, bool)
    assert without_inside(cells, known, Core(0.5)) == [3]
    assert without_inside(cells, known, Border(2)) == [3, 9]
    assert without_inside(np.zeros((5, 5), np.int32), np.ones((5, 5), bool), Core()) == []


@pytest.mark.parametrize(
    ("target", "nearest"), [(lambda: Border(0.5), "1"), (lambda: Core(0), "0.5"), (lambda: Core(1), "0.5")]
)
def test_what_would_leave_no_boundary_or_no_inside_is_refused(target, nearest):
    with pytest.raises(ValueError, match=f"expected target.* nearest valid: {nearest}"):
        target()


def test_the_papers_target_is_the_ridge_alone():
    stack = touching_stack()
    for width in (0, 1, 2):
        found, expected = learnt(stack, PAPER, 2, width), with_ridge(stack, width)
        np.testing.assert_array_equal(found.targets, expected.targets)
        np.testing.assert_array_equal(found.instances, expected.instances)


def test_what_is_inside_keeps_its_class():
    small = touching_stack()
    targets, instances = (np.kron(each, np.ones((3, 3), each.dtype)) for each in (small.targets, small.instances))
    stack = Stack(targets, targets, instances, everywhere(targets), small.names)
    found = learnt(stack, Border(2), boundary=3, ridge=2)
    for number in (1, 2):
        kept = found.targets == number
        assert kept.any() and (targets[kept] == number).all()
    np.testing.assert_array_equal(found.targets == 0, targets == 0)


blobs = arrays.arrays(np.int32, (14, 17), elements=st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(blobs, arrays.arrays(bool, (14, 17)), st.sampled_from([Border(1), Border(2.5), Core(0.3), Core(0.7)]))
def test_against_a_distance_to_every_other_pixel(cells, unknown, target):
    cells = np.kron(cells, np.ones((3, 3), np.int32))
    known = ~np.kron(unknown & (np.arange(17) < 2), np.ones((3, 3), bool))
    cells = np.where(known, cells, 0)
    expected = np.zeros(cells.shape, bool)
    for number in np.unique(cells[cells > 0]):
        cell = cells == number
        others = np.argwhere(~cell & known)
        pixels = np.argwhere(cell)
        distance = np.full(len(pixels), 99.0)
        if len(others):
            distance = np.sqrt(((pixels[:, None] - others[None]) ** 2).sum(-1).min(1))
        keep = distance > (target.width if isinstance(target, Border) else max(1, target.rim * distance.max()))
        mask = np.zeros(cells.shape, bool)
        mask[tuple(pixels[keep].T)] = True
        if isinstance(target, Core) and mask.any():
            pieces = ndimage.label(mask)[0]
            mask = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
        expected |= mask
    np.testing.assert_array_equal(target.inside(cells, known), expected)


@settings(max_examples=40, deadline=None)
@given(blobs, st.sampled_from([Border(1), Core(0.5)]))
def test_insides_never_touch_and_do_not_depend_on_numbers_or_orientation(cells, target):
    cells = np.kron(cells, np.ones((4, 4), np.int32))
    known = np.ones(cells.shape, bool)
    inside = np.where(target.inside(cells, known), cells, 0)
    for axis in (0, 1):
        one, other = inside.take(range(1, inside.shape[axis]), axis), inside.take(range(inside.shape[axis] - 1), axis)
        assert not ((one != other) & (one > 0) & (other > 0)).any()
    if isinstance(target, Border):
        turned = target.inside(np.ascontiguousarray(np.rot90(cells)), known.T)
        np.testing.assert_array_equal(np.rot90(inside > 0), turned)
    renumbered = np.array([0, 9, 4, 7], np.int32)[cells]
    np.testing.assert_array_equal(target.inside(renumbered, known), inside > 0)


def test_the_stack_that_is_scored_stays_as_it_was():
    stack = touching_stack()
    before = replace(stack, targets=stack.targets.copy(), instances=stack.instances.copy())
    learnt(stack, Core(), boundary=3, ridge=2)
    np.testing.assert_array_equal(stack.targets, before.targets)
    np.testing.assert_array_equal(stack.instances, before.instances)
