"""Label images from probabilities: drawings checked by eye, and properties of any image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from src.instances import Auto, Classes, Components, Distance, Membranes, Watershed, numbered, pieces, with_boundary
from src.instances import components as connected


def classes(probabilities, threshold):
    return Classes()(probabilities, threshold)


def components(probabilities, threshold, **options):
    return Components(**options)(probabilities, threshold)


def watershed(probabilities, threshold, *given, **options):
    return Watershed(*given, **options)(probabilities, threshold)


def drawn(text):
    """Each digit as it is, a dot as 0, ``(H, W)``."""
    return np.array([[int(c) for c in row.replace(".", "0")] for row in text.split()])


def two_classes(cell):
    cell = np.asarray(cell, np.float32)
    return np.stack([1 - cell, cell])


def tenths(text):
    """Probabilities of two classes; each digit is the probability of cell in tenths."""
    return two_classes(drawn(text) / 10)


def same_up_to_numbering(a, b):
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def test_components_are_numbered_from_1_on_a_background_of_0():
    labels = components(tenths("99.8 9..8 .... 7777"), 0.5)
    assert labels.tolist() == drawn("11.2 1..2 .... 3333").tolist()


def test_cells_that_touch_at_a_corner_only_are_two():
    assert components(tenths("9. .9"), 0.5).tolist() == drawn("1. .2").tolist()
    assert watershed(tenths("9. .9"), 0.5, marker=0.5).tolist() == drawn("1. .2").tolist()


@pytest.mark.parametrize(("threshold", "expected"), [(0.2, [1, 1, 1]), (0.5, [0, 0, 1]), (0.9, [0, 0, 0])])
def test_cells_are_above_the_threshold_and_not_at_it(threshold, expected):
    probabilities = two_classes([[0.25, 0.5, 0.75]])
    assert classes(probabilities, threshold).tolist() == [expected]
    assert components(probabilities, threshold).tolist() == [expected]
    assert watershed(probabilities, threshold, marker=0.5).tolist() == [expected]


def test_with_three_classes_the_most_probable_is_labelled_at_any_threshold():
    probabilities = np.array([[[0.6, 0.2, 0.1]], [[0.3, 0.5, 0.1]], [[0.1, 0.3, 0.8]]], np.float32)
    for threshold in (0.1, 0.9):
        assert classes(probabilities, threshold).tolist() == [[0, 1, 2]]


def test_with_three_classes_everything_but_the_background_is_cell():
    probabilities = np.array([[[0.4, 0.6, 0.1]], [[0.3, 0.2, 0.1]], [[0.3, 0.2, 0.8]]], np.float32)
    assert components(probabilities, 0.5).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("number", [classes, components, lambda p, t: watershed(p, t, marker=0.5, boundary=None)])
@pytest.mark.parametrize("count", [2, 3])
def test_labels_are_int32(number, count):
    labels = number(np.full((count, 4, 5), 1 / count, np.float32), 0.4)
    assert labels.dtype == np.int32
    assert labels.shape == (4, 5)


def test_cells_below_min_size_become_background_and_the_rest_is_renumbered():
    image = tenths("9.99.999 ........ 9999....")
    assert components(image, 0.5, min_size=1).tolist() == drawn("1.22.333 ........ 4444....").tolist()
    assert components(image, 0.5, min_size=3).tolist() == drawn(".....111 ........ 2222....").tolist()
    assert watershed(image, 0.5, marker=0.5, min_size=3).tolist() == drawn(".....111 ........ 2222....").tolist()
    assert not components(image, 0.5, min_size=9).any()


RING = "99999 9...9 9...9 99999"


def test_a_hole_of_a_cell_is_filled_only_on_request():
    assert components(tenths(RING), 0.5).tolist() == drawn("11111 1...1 1...1 11111").tolist()
    assert components(tenths(RING), 0.5, fill_holes=True).tolist() == np.ones((4, 5)).tolist()
    assert watershed(tenths(RING), 0.5, marker=0.5, fill_holes=True).tolist() == np.ones((4, 5)).tolist()


def test_a_bay_is_no_hole():
    bay = "999 9.. 999"
    assert components(tenths(bay), 0.5, fill_holes=True).tolist() == drawn("111 1.. 111").tolist()


def test_a_filled_hole_counts_towards_the_size():
    assert components(tenths(RING), 0.5, min_size=20, fill_holes=True).all()
    assert not components(tenths(RING), 0.5, min_size=20).any()


def test_background_between_several_cells_is_not_filled():
    corners = components(tenths(".99. 9..9 9..9 .99."), 0.5, fill_holes=True)
    assert corners.tolist() == drawn(".11. 2..3 2..3 .44.").tolist()
    parted = watershed(tenths("99699 99699 99.99 99699 99699"), 0.5, marker=0.5, fill_holes=True)
    assert parted[2, 2] == 0
    assert set(np.unique(parted)) == {0, 1, 2}


def test_a_cell_in_the_hole_of_another_survives():
    labels = components(tenths("99999 9...9 9.9.9 9...9 99999"), 0.5, fill_holes=True)
    assert labels.tolist() == drawn("11111 11111 11211 11111 11111").tolist()


JOINED = """
    .........
    .999.999.
    .9996999.
    .999.999.
    .........
"""


def test_watershed_separates_cells_at_a_weak_bridge_and_components_does_not():
    assert components(tenths(JOINED), 0.5).max() == 1
    labels = watershed(tenths(JOINED), 0.5, marker=0.5)
    assert labels[2, 4] in (1, 2)
    labels[2, 4] = 0
    assert labels.tolist() == drawn("......... .111.222. .111.222. .111.222. .........").tolist()


@pytest.mark.parametrize(("image", "expected"), [("9888869", "11111.2"), ("9688889", "1.22222")])
def test_cells_grow_downhill_and_meet_in_the_valley_wherever_it_is(image, expected):
    labels = watershed(tenths(image), 0.5, marker=0.7)
    labels[tenths(image)[1] == np.float32(0.6)] = 0
    assert labels.tolist() == drawn(expected).tolist()


@pytest.mark.parametrize(("marker", "cells"), [(0, 1), (0.1, 1), (0.3, 2), (0.7, 2), (0.9, 1), (1, 1)])
def test_cells_are_separated_if_the_bridge_is_below_the_marker(marker, cells):
    # At a threshold of 0.5, a marker of 0.3 means 0.65, above the bridge; 0.9 means 0.95, above all cells.
    assert watershed(tenths(JOINED), 0.5, marker=marker).max() == cells


def test_marker_is_a_fraction_of_the_distance_from_the_threshold_to_1():
    bridge = tenths("9997999")
    assert watershed(bridge, 0.5, marker=0.3).max() == 1  # markers are above 0.65
    assert watershed(bridge, 0.6, marker=0.3).max() == 2  # markers are above 0.72


def test_a_component_without_a_marker_stays_one_cell():
    labels = watershed(tenths("9996999 ....... 6676... ....... ..66..6"), 0.5, marker=0.5)
    labels[0, 3] = 0
    assert same_up_to_numbering(labels, drawn("111.222 ....... 3333... ....... ..44..5"))


# Two cells, and the line of pixels where they touch: as probabilities of background, inside and boundary.
TOUCHING = drawn("....... 1112111 1112111 1112111 .......")
INSIDE_AND_BOUNDARY = np.array([0.9, 0.05, 0.05, 0.05, 0.9, 0.1, 0.05, 0.05, 0.85], np.float32).reshape(3, 3)


def test_a_boundary_class_separates_touching_cells_and_belongs_to_them():
    probabilities = INSIDE_AND_BOUNDARY[:, TOUCHING]
    assert components(probabilities, 0.5).max() == 1
    assert watershed(probabilities, 0.5, marker=0.5).max() == 1
    labels = watershed(probabilities, 0.5, marker=0.5, boundary=2)
    assert (labels[1:4, :3] == 1).all()
    assert (labels[1:4, 4:] == 2).all()
    assert np.isin(labels[1:4, 3], (1, 2)).all()
    assert not labels[[0, 4]].any()


def test_cells_meet_where_the_boundary_is_most_probable():
    boundary = drawn("0444480") / 10  # cells are most probable at both ends
    probabilities = np.stack([np.full(boundary.shape, 0.1), 0.9 - boundary, boundary]).astype(np.float32)
    assert watershed(probabilities, 0.5, marker=0.5, boundary=2)[0, [0, 1, 2, 3, 4, 6]].tolist() == [1, 1, 1, 1, 1, 2]


def test_a_boundary_may_be_any_class_but_the_background():
    probabilities = INSIDE_AND_BOUNDARY[[0, 2, 1]][:, TOUCHING]
    assert watershed(probabilities, 0.5, marker=0.5, boundary=1).max() == 2
    assert watershed(probabilities, 0.5, marker=0.5, boundary=2).max() == 1  # markers in the line alone


@pytest.mark.parametrize(("count", "boundary"), [(2, 0), (2, 1), (2, 2), (3, 0), (3, 3), (3, -1)])
def test_an_invalid_boundary_class_is_refused(count, boundary):
    probabilities = np.full((count, 3, 3), 1 / count, np.float32)
    with pytest.raises(ValueError, match=rf"instances.boundary .* from 1 to {count - 1}, but got {boundary};"):
        watershed(probabilities, 0.5, marker=0.5, boundary=boundary)


IMAGES = array_shapes(min_dims=2, max_dims=2, max_side=10)
TENTHS = st.integers(0, 10).map(lambda tenth: np.float32(tenth / 10))


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)), threshold=st.floats(0, 0.99))
def test_components_are_those_of_scipy(mask, threshold):
    labels = components(two_classes(mask), threshold)
    expected, cells = ndimage.label(mask)
    assert same_up_to_numbering(labels, expected)
    assert set(np.unique(labels)) | {0} == set(range(cells + 1))
    assert not labels[~mask].any()


@given(cell=arrays(np.float32, IMAGES, elements=TENTHS), marker=st.sampled_from([0, 0.2, 0.5, 0.8, 1]), data=st.data())
def test_watershed_labels_all_of_the_foreground_and_nothing_else(cell, marker, data):
    threshold = data.draw(st.sampled_from([0.05, 0.35, 0.5, 0.75]))
    boundary = data.draw(st.none() | arrays(np.float32, cell.shape, elements=TENTHS))
    if boundary is None:
        probabilities, foreground = two_classes(cell), cell > threshold
    else:
        probabilities = np.stack([1 - cell, cell * (1 - boundary), cell * boundary])
        foreground = 1 - probabilities[0] > threshold
    labels = watershed(probabilities, threshold, marker, boundary=None if boundary is None else 2)
    assert np.array_equal(labels > 0, foreground)
    assert set(np.unique(labels)) | {0} == set(range(labels.max() + 1))
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1


@given(cell=arrays(np.float32, IMAGES, elements=TENTHS), threshold=st.sampled_from([0.05, 0.35, 0.5, 0.75]))
def test_with_a_marker_of_0_or_1_watershed_gives_components(cell, threshold):
    for marker in (0, 1):
        labels = watershed(two_classes(cell), threshold, marker)
        assert same_up_to_numbering(labels, components(two_classes(cell), threshold))


def test_a_cell_in_the_hole_of_another_fills_its_own_hole():
    drawing = "1111111 1.....1 1.111.1 1.1.1.1 1.111.1 1.....1 1111111".replace("1", "9")
    labels = components(tenths(drawing.replace(".", "0")), 0.5, fill_holes=True)
    assert labels[3, 3] == labels[2, 2] != labels[0, 0] == labels[1, 1]


def test_a_hole_with_a_speck_in_it_is_filled_when_the_speck_is_dropped():
    labels = components(tenths("99999 90009 90909 90009 99999"), 0.5, min_size=5, fill_holes=True)
    assert (labels == 1).all()


@pytest.mark.parametrize("marker", [-0.1, 1.1])
def test_a_marker_outside_0_to_1_is_refused(marker):
    with pytest.raises(ValueError, match=r"instances\.marker"):
        watershed(tenths("99"), 0.5, marker)


def test_the_pixels_of_a_marker_whose_cell_is_too_small_join_the_cell_around_it():
    image = tenths("9967 9979 9967")
    assert watershed(image, 0.5, marker=0.7).tolist() == drawn("1112 1122 1112").tolist()
    assert watershed(image, 0.5, marker=0.7, min_size=5).tolist() == drawn("1111 1111 1111").tolist()


def test_a_cell_of_which_all_markers_are_small_stays():
    assert watershed(tenths("9679"), 0.5, marker=0.7, min_size=4).tolist() == drawn("1111").tolist()
    assert watershed(tenths("9679"), 0.5, marker=0.7, min_size=5).max() == 0


def test_a_mask_is_numbered_by_its_4_connected_components():
    mask = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]])
    pieces = numbered(mask)
    assert (pieces > 0).tolist() == mask.astype(bool).tolist()
    assert len({pieces[0, 0], pieces[1, 2], pieces[2, 0]}) == 3 and pieces[1, 2] == pieces[2, 2]


def test_label_images_keep_their_numbers_even_for_cells_in_two_pieces():
    image = np.array([[7, 0, 7], [0, 2, 0]])
    assert numbered(image).tolist() == image.tolist()


@pytest.mark.parametrize("corners", [False, True])
@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_components_are_numbered_in_reading_order(mask, corners):
    expected = ndimage.label(mask, np.ones((3, 3)) if corners else None)[0]
    found = connected(mask, corners)
    assert found.tolist() == expected.tolist() and found.dtype == np.int32


def test_pieces_of_equal_value_that_touch_are_one():
    assert same_up_to_numbering(pieces(drawn("1122 1.22 3311")), drawn("1122 1.22 3344"))


def test_a_numbering_compares_by_its_parameters():
    assert Watershed(0.5, min_size=3) == Watershed(marker=0.5, min_size=3) != Watershed(0.5)
    assert len({Components(), Components(), Components(5), Classes()}) == 3


# Cells that are narrow where they touch

DUMBBELL = """
    ..999......999..
    .99999....99999.
    9999999999999999
    9999999999999999
    .99999....99999.
    ..999......999..
"""
RIBBON = """
    9999999999999999
    9999999999999999
    9999999999999999
"""


def test_cells_are_separated_at_a_neck():
    labels = Distance(0.5, smoothing=0)(tenths(DUMBBELL), 0.5)
    assert labels.max() == 2
    assert labels[2, :7].tolist() == [1] * 7 and labels[2, 9:].tolist() == [2] * 7


def test_cells_stay_one_where_the_neck_is_hardly_narrower():
    assert Distance(2.0, smoothing=0)(tenths(DUMBBELL), 0.5).max() == 1
    assert Distance(0.5, smoothing=0)(tenths(RIBBON), 0.5).max() == 1


def test_a_line_of_low_probability_separates_cells_only_with_probability_true():
    line = two_classes(np.where(np.arange(16) == 7, 0.55, 0.9) * np.ones((6, 1)))
    assert Distance(0.5, smoothing=0, probability=True)(line, 0.5).max() == 2
    assert Distance(0.5, smoothing=0, probability=False)(line, 0.5).max() == 1


def test_the_distance_is_measured_to_the_boundary_which_belongs_to_cells():
    boundary = np.zeros((7, 15))
    boundary[:, 7] = 0.9
    cell = 0.95 - boundary
    probabilities = np.stack([np.full_like(cell, 0.05), cell, boundary]).astype(np.float32)
    labels = Distance(1.0, smoothing=0, boundary=2)(probabilities, 0.5)
    assert labels.max() == 2 and (labels > 0).all()
    assert Distance(1.0, smoothing=0)(probabilities, 0.5).max() == 1
    with pytest.raises(ValueError, match=r"expected instances\.boundary to be one of several classes from 1 to 1"):
        Distance(1.0, boundary=1)(two_classes(cell), 0.5)


@pytest.mark.parametrize("name", ["depth", "smoothing"])
def test_a_depth_or_smoothing_below_0_is_refused(name):
    with pytest.raises(ValueError, match=rf"expected instances\.{name} of at least 0, but got -1; nearest valid: 0"):
        Distance(**{"depth": 1} | {name: -1})


def test_with_whole_the_boundary_lowers_the_surface_and_does_not_cut_it():
    probabilities = np.zeros((3, 15, 32), np.float32)
    probabilities[1, 2:13, 2:30] = 0.9
    probabilities[1:, 2:13, 15:17] = [[[0.3]], [[0.6]]]  # where two cells might touch
    probabilities[0] = 1 - probabilities[1:].sum(0)
    assert Distance(1.0, 0.0, False, 2)(probabilities, 0.5).max() == 2
    assert Distance(1.0, 0.0, False, 2, whole=True)(probabilities, 0.5).max() == 1, "a rectangle has no neck"
    labels = Distance(1.0, 0.0, True, 2, whole=True)(probabilities, 0.5)
    assert labels.max() == 2 and (labels[2:13, 2:30] > 0).all()


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(0, 1, width=32)))
def test_narrow_cells_are_parts_of_the_foreground_numbered_from_1(cell):
    probabilities = two_classes(cell)
    labels = Distance(0.5, 1.0)(probabilities, 0.5)
    assert ((labels > 0) == (probabilities[1] > 0.5)).all()
    assert set(np.unique(labels)) - {0} == set(range(1, labels.max() + 1))
    for whole in range(1, connected(labels > 0).max() + 1):
        assert (labels[connected(labels > 0) == whole] > 0).all()


# Membranes

MEMBRANE = """
    99919999
    99919999
    99959999
    99919999
"""


def test_segments_grow_until_a_line_is_left_where_the_membrane_is_most_probable():
    wide = np.array([[0.9, 0.9, 0.4, 0.3, 0.1, 0.3, 0.9, 0.9]] * 3)
    assert Membranes(line=1)(two_classes(wide), 0.5).tolist() == [[1, 1, 1, 1, 0, 2, 2, 2]] * 3
    assert Membranes(line=3)(two_classes(wide), 0.5).tolist() == [[1, 1, 1, 0, 0, 0, 2, 2]] * 3
    without = Membranes(line=0)(two_classes(wide), 0.5)
    assert (without > 0).all() and without[0, 3] == 1 and without[0, 5] == 2


def test_a_gap_in_a_membrane_joins_cells():
    assert Membranes()(tenths(MEMBRANE), 0.4).max() == 1
    assert Membranes()(tenths(MEMBRANE), 0.5).max() == 2


def test_what_is_too_small_is_flooded_by_the_cells_around_it():
    speck = np.full((9, 9), 0.9)
    speck[3:6, 3:6] = 0.2
    speck[4, 4] = 0.9
    assert Membranes(min_size=0)(two_classes(speck), 0.5).max() == 2
    assert (Membranes(min_size=2)(two_classes(speck), 0.5) == 1).all()


def test_without_a_large_enough_component_the_label_image_is_empty():
    assert not Membranes(min_size=100)(tenths(MEMBRANE), 0.5).any()


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(0, 1, width=32)))
def test_segments_of_membranes_never_touch(cell):
    labels = Membranes()(two_classes(cell), 0.5)
    for first, second in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        assert not ((first != second) & (first > 0) & (second > 0)).any()
    assert (labels > 0).any() == (two_classes(cell)[1] > 0.5).any()


@pytest.mark.parametrize("name", ["line", "min_size"])
def test_a_line_or_size_below_0_is_refused(name):
    with pytest.raises(ValueError, match=rf"expected instances\.{name} of at least 0, but got -1; nearest valid: 0"):
        Membranes(**{name: -1})


def test_until_a_numbering_is_chosen_auto_uses_the_distance():
    auto = Auto(None, 3, True)
    assert auto.meanwhile == Distance(1.0, 2.0, True, None, 3, True)
    np.testing.assert_array_equal(auto(tenths(DUMBBELL), 0.5), auto.meanwhile(tenths(DUMBBELL), 0.5))
    assert Auto(2, 3, True).meanwhile == Distance(0.5, 1.0, True, 2, 3, True, whole=True)


def test_a_numbering_configured_later_gets_the_boundary_class_of_the_network():
    assert with_boundary(Watershed(0.5), Distance(1.0, boundary=2)) == Watershed(0.5, 2)
    assert with_boundary(Watershed(0.5, 1), Distance(1.0, boundary=2)) == Watershed(0.5, 1)
    for without in (Components(3), Membranes(), Classes()):
        assert with_boundary(without, Distance(1.0, boundary=2)) == without
        assert with_boundary(Watershed(0.5), without) == Watershed(0.5)
