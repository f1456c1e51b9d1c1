"""The pixels that outlines, rounded rectangles and run-length masks cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from pycocotools import mask as coco
from skimage.draw import polygon2mask

from src.data.outlines import corners, decoded, filled, outline, rounded

MASKS = st_numpy.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def whole(patch, size) -> np.ndarray:
    """The mask of the whole image that a patch belongs to."""
    image = np.zeros(size, bool)
    window, mask = patch
    image[window] = mask
    return image


def picture(*rows: str) -> np.ndarray:
    """A mask, drawn by hand."""
    return np.array([[each == "#" for each in row] for row in rows])


def loops(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of a mask along the edges of its pixels."""
    padded, edges = np.pad(mask, 1), {}
    for y, x in np.argwhere(mask).tolist():
        for (down, right), start, end in (
            ((-1, 0), (x, y), (x + 1, y)),
            ((0, 1), (x + 1, y), (x + 1, y + 1)),
            ((1, 0), (x + 1, y + 1), (x, y + 1)),
            ((0, -1), (x, y + 1), (x, y)),
        ):
            if not padded[y + 1 + down, x + 1 + right]:
                edges.setdefault(start, []).append(end)
    found = []
    while edges:
        points = [next(iter(edges))]
        while points[-1] in edges:
            ends = edges[points[-1]]
            following = ends.pop()
            if not ends:
                del edges[points[-1]]
            points.append(following)
        found.append(np.array(points[:-1], float))
    return found


def test_a_rectangle_covers_its_pixels_and_no_other():
    covered = whole(filled([corners((2, 3), (6, 8))], (10, 9)), (10, 9))
    expected = np.zeros((10, 9), bool)
    expected[3:8, 2:6] = True
    np.testing.assert_array_equal(covered, expected)


def test_a_pixel_belongs_to_an_outline_if_its_centre_does():
    covered = [filled([corners((0, 0), (right, 1))], (1, 3))[1].sum() for right in (0.4, 0.6, 1.4, 1.6, 2.4, 2.6, 9)]
    assert covered == [0, 1, 1, 2, 2, 3, 3]


def test_a_triangle_is_drawn_row_by_row():
    expected = picture("......", "..##..", ".####.", "######")
    np.testing.assert_array_equal(whole(filled([outline([0, 4, 3, 0.2, 6, 4])], (4, 6)), (4, 6)), expected)


def test_an_outline_within_another_is_a_hole():
    outlines = [corners((0, 0), (5, 5)), corners((1, 1), (4, 4)), corners((2, 2), (3, 3))]
    expected = picture("#####", "#...#", "#.#.#", "#...#", "#####")
    np.testing.assert_array_equal(whole(filled(outlines, (5, 5)), (5, 5)), expected)


def test_what_crosses_itself_is_empty_where_it_winds_twice():
    both = outline([(0, 0), (2, 0), (2, 2), (0, 2), (0, 0), (1, 1), (3, 1), (3, 3), (1, 3), (1, 1)])
    np.testing.assert_array_equal(whole(filled([both], (3, 3)), (3, 3)), picture("##.", "#.#", ".##"))


@pytest.mark.parametrize(
    ("box", "count"),
    [
        (((-5, -5), (2, 3)), 6),
        (((8, 8), (99, 99)), 4),
        (((-(2**24), -(2**24)), (2**24, 2**24)), 100),
        (((10, 0), (20, 10)), 0),
        (((-9, -9), (0, 0)), 0),
        (((3, 3), (3, 3)), 0),
    ],
)
def test_what_lies_outside_the_image_is_cut_off(box, count):
    assert whole(filled([corners(*np.array(box, float))], (10, 10)), (10, 10)).sum() == count


def test_what_lies_left_of_an_image_does_not_shift_its_rows():
    slanted = outline([-8, 0, 4, 0, 8, 4, -8, 4])
    np.testing.assert_array_equal(
        whole(filled([slanted], (4, 9)), (4, 9)),
        picture("#####....", "######...", "#######..", "########."),
    )


@given(MASKS)
def test_a_mask_is_its_outlines(mask):
    outlines = loops(mask)
    covered = whole(filled(outlines, mask.shape), mask.shape) if outlines else np.zeros_like(mask)
    np.testing.assert_array_equal(covered, mask)


@given(st.integers(0, 40), st.integers(0, 40))
def test_outlines_that_share_edges_share_no_pixel(x, y):
    """A square of 10 pixels around any point, cut into four triangles."""
    square, total = [(0, 0), (10, 0), (10, 10), (0, 10)], np.zeros((10, 10), int)
    for first, second in zip(square, [*square[1:], square[0]], strict=True):
        total += whole(filled([outline([first, second, (x / 4, y / 4)])], total.shape), total.shape)
    np.testing.assert_array_equal(total, 1)


def test_outlines_cover_what_scikit_image_finds_within_them():
    generator = np.random.default_rng(0)
    for points in (generator.uniform(-10, 60, (number % 9 + 3, 2)) for number in range(200)):
        expected = polygon2mask((40, 50), points[:, ::-1] - 0.5)
        np.testing.assert_array_equal(whole(filled([points], (40, 50)), (40, 50)), expected)


@given(MASKS)
def test_along_the_edges_of_pixels_outlines_cover_what_coco_says(mask):
    for points in loops(mask):
        covered = whole(filled([points], mask.shape), mask.shape)
        (expected,) = coco.frPyObjects([[*points.ravel().tolist(), *points[0].tolist()]], *mask.shape)
        assert coco.encode(np.asfortranarray(covered, np.uint8))["counts"] == expected["counts"]


def test_an_outline_of_thousands_of_points_has_its_area():
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radii = 900 * (1 + 0.1 * np.sin(50 * angles))
    points = 1000 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    covered = filled([points], (2000, 2000))[1].sum()
    assert covered == pytest.approx(np.pi * 900**2 * 1.005, rel=1e-4)


def test_more_edges_than_any_image_has_are_refused_before_they_are_followed():
    zigzag = np.array([(0, 0), (0, 10_000)] * 1000, float)
    with pytest.raises(ValueError, match=r"crosses 20,000,000 rows"):
        filled([zigzag], (10_000, 1))


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [[1, 2], [3]],
        [[1, 2, 3], [4, 5, 6]],
        ["1", "2"],
        [[0, 0], [1, float("nan")], [2, 2]],
        [0, 0, float("inf"), 1],
        [0, 0, -1e300, 1],
        [0, 10**400, 1, 1],
        [0, 2**24 + 1],
        [None, None],
        "text",
        5,
        {},
    ],
)
def test_what_are_no_coordinates_is_refused(values):
    with pytest.raises(ValueError):
        outline(values)


def test_pairs_and_numbers_side_by_side_are_the_same_points():
    np.testing.assert_array_equal(outline([1, 2, 3.5, 4]), outline([[1, 2], [3.5, 4]]))
    assert outline([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("side", "rows"),
    [
        (2, ["##", "##"]),
        (3, ["###", "###", "###"]),
        (4, [".##.", "####", "####", ".##."]),
        (5, [".###.", "#####", "#####", "#####", ".###."]),
    ],
)
def test_ovals_of_few_pixels(side, rows):
    sides = np.array([side, side], float)
    covered = whole(rounded(np.zeros(2), sides, sides / 2, (side, side)), (side, side))
    np.testing.assert_array_equal(covered, picture(*rows))


def test_an_oval_covers_the_centres_within_the_ellipse():
    covered = whole(rounded(np.array([-3.0, 2]), np.array([9.0, 20]), np.array([6.0, 9]), (18, 30)), (18, 30))
    y, x = np.mgrid[:18, :30] + 0.5
    np.testing.assert_array_equal(covered, ((x - 3) / 6) ** 2 + ((y - 11) / 9) ** 2 <= 1)


def test_rounded_corners_are_cut_off():
    covered = whole(rounded(np.zeros(2), np.array([6.0, 5]), np.array([2.0, 2]), (5, 7)), (5, 7))
    expected = picture(".####..", "######.", "######.", "######.", ".####..")
    np.testing.assert_array_equal(covered, expected)


def test_an_oval_without_a_side_covers_nothing():
    assert not rounded(np.array([2.0, 2]), np.array([2.0, 2]), np.zeros(2), (5, 5))[1].any()


@given(MASKS)
def test_masks_in_runs_are_read(mask):
    changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0, append=2))
    lengths = np.diff([0, *changes]).tolist()
    text = coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    np.testing.assert_array_equal(whole(decoded(lengths, mask.shape), mask.shape), mask)
    np.testing.assert_array_equal(whole(decoded(text, mask.shape), mask.shape), mask)


def test_long_runs_in_text_are_read():
    mask = np.zeros((700, 900), bool)
    mask[:, 300:], mask[5, 5:7] = True, True
    text = coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    np.testing.assert_array_equal(whole(decoded(text, mask.shape), mask.shape), mask)


@pytest.mark.parametrize(
    "runs",
    [
        [8, 7],
        [8, 9],
        [],
        [17, -1],
        [2**63 - 1, 2**63 - 1, 18],
        [8.0, 8.0],
        ["8", "8"],
        [[8, 8]],
        [True] * 16,
        None,
        "",
        "0",
        "88ü",
        "8P",
        "88 ",
        "P" * 100_000,
        "o" * 100_000 + "0",
        "8" * 100_000,
    ],
)
def test_runs_of_other_pixels_are_refused(runs):
    with pytest.raises(ValueError, match="expected runs"):
        decoded(runs, (4, 4))
