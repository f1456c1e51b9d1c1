"""Components and thinning: drawings, scikit-image, and Vincent and Soille in plain Python."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from skimage.measure import label

from src.instances import components
from src.metrics.rand import v_rand
from src.metrics.thinning import thinned_components

quick = settings(max_examples=100, deadline=None)
shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@st.composite
def masks(draw):
    """A small mask of few or many cells."""
    share, seed = draw(st.floats(0, 1)), draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).random(draw(shapes)) < share


@quick
@given(masks())
def test_components_are_those_of_scikit_image(foreground):
    np.testing.assert_array_equal(components(foreground), label(foreground, connectivity=1))


def test_components_do_not_join_at_corners():
    assert components(np.eye(3, dtype=bool)).max() == 3


def flooded(foreground):
    """Flood pixel by pixel: each one reached takes the only label beside it, or becomes a line."""
    height, width = foreground.shape
    settled = {(y, x): number for (y, x), number in np.ndenumerate(label(foreground, connectivity=1)) if number}

    def beside(y, x):
        around = ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x))
        return [(v, u) for v, u in around if 0 <= v < height and 0 <= u < width]

    shores = [(y, x) for x in range(width) for y in range(height) if any(p in settled for p in beside(y, x))]
    queue = deque(pixel for pixel in shores if pixel not in settled)
    reached = set(queue)
    while queue:
        pixel = queue.popleft()
        labels = {settled.get(neighbour, 0) for neighbour in beside(*pixel)} - {0}
        new = [p for p in beside(*pixel) if p not in settled and p not in reached]
        settled[pixel] = labels.pop() if len(labels) == 1 else 0
        queue.extend(new)
        reached.update(new)
    return np.array([[settled.get((y, x), 1) for x in range(width)] for y in range(height)])


@settings(max_examples=300, deadline=None)
@given(masks())
def test_thinning_floods_as_in_plain_python(foreground):
    np.testing.assert_array_equal(thinned_components(foreground), flooded(foreground))


def touching(segments):
    """Whether two segments touch without a line between them."""
    sides = ((segments[:, :-1], segments[:, 1:]), (segments[:-1], segments[1:]))
    return any(((one != other) & (one > 0) & (other > 0)).any() for one, other in sides)


@quick
@given(masks())
def test_thinning_leaves_lines_between_any_components(foreground):
    assert not touching(thinned_components(foreground))


@quick
@given(masks())
def test_thinning_keeps_components_and_makes_none(foreground):
    segments = thinned_components(foreground)
    assert segments.max() == max(components(foreground).max(), 1)
    np.testing.assert_array_equal(segments[foreground], components(foreground)[foreground])
    assert len(np.unique(label(segments, connectivity=1, background=0))) == len(np.unique(segments))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8])
def test_thinning_leaves_one_line_in_the_middle_of_a_membrane(width, transposed):
    foreground = np.ones((6, 12 + width), bool)
    foreground[:, 6 : 6 + width] = False
    segments = thinned_components(foreground.T.copy() if transposed else foreground)
    segments = segments.T if transposed else segments
    line = np.flatnonzero(segments[0] == 0)
    assert len(line) == 1
    assert abs(line[0] - (6 + (width - 1) / 2)) <= 0.5
    np.testing.assert_array_equal(segments, np.repeat(segments[:1], 6, axis=0))
    assert set(np.unique(segments)) == {0, 1, 2}


def cross(arm):
    """Four cells between membranes that are 2 · arm + 1 wide; through a gap two of them are one."""
    foreground = np.ones((31, 31), bool)
    foreground[15 - arm : 16 + arm] = foreground[:, 15 - arm : 16 + arm] = False
    foreground[20:, 15 - arm : 16 + arm] = True
    return foreground


@pytest.mark.parametrize("arm", [1, 2, 3])
def test_the_width_of_a_membrane_does_not_change_the_score(arm):
    truth = np.ones((31, 31), bool)
    truth[15] = truth[:, 15] = False
    thin, thick = (v_rand(thinned_components(cross(width)), components(truth)) for width in (0, arm))
    assert thin < 0.85
    assert thick == pytest.approx(thin, abs=0.01)


@pytest.mark.parametrize("arm", [0, 1, 2, 3])
def test_thinning_a_second_time_changes_nothing(arm):
    once = thinned_components(cross(arm))
    assert set(np.unique(once)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(thinned_components(once > 0), once)


def test_thinning_leaves_a_line_where_cells_meet_at_corners():
    foreground = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]], bool)
    segments = thinned_components(foreground)
    assert not touching(segments)
    assert segments[0, 0] == segments[1, 1] == 0


def test_of_two_pixels_between_cells_the_second_becomes_the_line():
    np.testing.assert_array_equal(thinned_components(np.array([[1, 0, 0, 1]], bool)), [[1, 1, 0, 2]])
    np.testing.assert_array_equal(thinned_components(np.array([[1], [0], [0], [1]], bool)), [[1], [1], [0], [2]])


def test_thinning_goes_column_by_column():
    # Row by row the pixel in the middle of the first row would be reached before the one left of it.
    foreground = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 1]], bool)
    np.testing.assert_array_equal(thinned_components(foreground), [[2, 0, 1], [2, 0, 1], [2, 0, 1]])


def test_thinning_of_no_cell_and_of_one_cell_is_one_segment_everywhere():
    one = np.zeros((4, 5), bool)
    np.testing.assert_array_equal(thinned_components(one), np.ones((4, 5)))
    one[1, 2] = True
    np.testing.assert_array_equal(thinned_components(one), np.ones((4, 5)))
    np.testing.assert_array_equal(thinned_components(np.ones((4, 5), bool)), np.ones((4, 5)))


def test_thinning_leaves_the_mask_as_it_is():
    foreground = np.eye(5, dtype=bool)
    thinned_components(foreground)
    np.testing.assert_array_equal(foreground, np.eye(5))
