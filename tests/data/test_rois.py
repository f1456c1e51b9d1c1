"""ROIs of ImageJ, and the pixels that they cover."""

import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiwrite

from src.data.rois import MOST_BYTES, MOST_ENTRIES, covered, is_spline, plane, read_rois
from tests.data.test_outlines import MASKS, loops, picture, whole


def roi(kind: str, points=None, **attributes) -> ImagejRoi:
    """A ROI as ImageJ writes it."""
    made = ImagejRoi() if points is None else ImagejRoi.frompoints(points)
    made.roitype, made.name = ROI_TYPE[kind], ""
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def box(kind: str, left: int, top: int, width: int, height: int, **attributes) -> ImagejRoi:
    """A rectangle or an oval."""
    return roi(kind, left=left, top=top, right=left + width, bottom=top + height, **attributes)


def composite(outlines) -> ImagejRoi:
    """A ROI of several outlines: 0 goes to a point, 1 draws a line to one, 4 closes."""
    path = [
        value for points in outlines for n, point in enumerate(points) for value in (float(n > 0), *map(float, point))
    ]
    starts = np.cumsum([0, *(3 * len(points) for points in outlines)])[1:]
    path = np.insert(np.array(path, np.float32), starts, 4)
    return roi("RECT", shape_roi_size=len(path), multi_coordinates=path)


def read(made: ImagejRoi, tmp_path, size) -> tuple[str, np.ndarray | None]:
    """The kind and the pixels of a ROI that was written to disk and read again."""
    made.tofile(tmp_path / "a.roi")
    (again,) = read_rois(tmp_path / "a.roi")
    kind, patch = covered(again, size)
    return kind, None if patch is None else whole(patch, size)


def test_a_rectangle_covers_exactly_its_width_times_its_height(tmp_path):
    kind, mask = read(box("RECT", 2, 3, 4, 5), tmp_path, (10, 9))
    assert kind == "rectangle" and mask.sum() == 20 and mask[3:8, 2:6].all()


def test_a_rectangle_between_pixels(tmp_path):
    options = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    made = box("RECT", 2, 3, 4, 5, options=options, xd=1.6, yd=3.4, widthd=2.0, heightd=1.0)
    _, mask = read(made, tmp_path, (6, 6))
    np.testing.assert_array_equal(np.argwhere(mask), [(3, 2), (3, 3)])


def test_a_rectangle_with_rounded_corners(tmp_path):
    _, mask = read(box("RECT", 0, 0, 6, 5, rounded_rect_arc_size=4), tmp_path, (5, 7))
    np.testing.assert_array_equal(mask, picture(".####..", "######.", "######.", "######.", ".####.."))


def test_an_oval(tmp_path):
    kind, mask = read(box("OVAL", 1, 2, 4, 4), tmp_path, (7, 7))
    assert kind == "oval" and mask.sum() == 12
    np.testing.assert_array_equal(mask[2:6, 1:5], picture(".##.", "####", "####", ".##."))


def test_an_oval_between_pixels(tmp_path):
    options = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    made = box("OVAL", 0, 0, 1, 1, options=options, xd=1.5, yd=1.5, widthd=2.0, heightd=2.0)
    _, mask = read(made, tmp_path, (5, 5))
    np.testing.assert_array_equal(mask[1:4, 1:4], picture(".#.", "###", ".#."))
    assert mask.sum() == 5


@pytest.mark.parametrize("kind", ["POLYGON", "FREEHAND", "TRACED"])
@pytest.mark.parametrize("number", [int, float])
def test_outlines_of_points(kind, number, tmp_path):
    points = np.array([(1, 1), (5, 1), (5, 2), (3, 2), (3, 4), (1, 4)], number)
    name, mask = read(roi(kind, points), tmp_path, (5, 6))
    assert name == kind.lower()
    np.testing.assert_array_equal(mask, picture("......", ".####.", ".##...", ".##...", "......"))


def test_points_between_pixels_are_read_as_such(tmp_path):
    _, mask = read(roi("FREEHAND", [(0.6, 0.6), (3.4, 0.6), (3.4, 3.6), (0.6, 3.6)]), tmp_path, (5, 5))
    np.testing.assert_array_equal(mask, picture(".....", ".##..", ".##..", ".##..", "....."))


def test_what_hangs_over_the_edge_is_cut_off(tmp_path):
    _, mask = read(roi("POLYGON", [(-3, -2), (2, -2), (2, 2), (-3, 2)]), tmp_path, (5, 5))
    assert mask.sum() == 4 and mask[:2, :2].all()
    _, mask = read(box("RECT", -3, -2, 5, 4), tmp_path, (5, 5))
    assert mask.sum() == 4 and mask[:2, :2].all()


def test_a_composite_with_a_hole(tmp_path):
    outlines = [[(1, 1), (5, 1), (5, 5), (1, 5)], [(2, 2), (4, 2), (4, 4), (2, 4)], [(6, 0), (7, 0), (7, 1), (6, 1)]]
    kind, mask = read(composite(outlines), tmp_path, (6, 8))
    assert kind == "composite" and mask.sum() == 16 - 4 + 1
    expected = picture("......#.", ".####...", ".#..#...", ".#..#...", ".####...", "........")
    np.testing.assert_array_equal(mask, expected)


def test_a_composite_with_curves_is_named(tmp_path):
    path = np.array([0, 1, 1, 2, 3, 3, 5, 1, 4], np.float32)
    made = roi("RECT", shape_roi_size=len(path), multi_coordinates=path)
    assert read(made, tmp_path, (6, 6)) == ("composite with curves", None)


@given(MASKS)
def test_a_mask_is_its_composite(mask):
    outlines = loops(mask)
    if outlines:
        again = ImagejRoi.frombytes(composite(outlines).tobytes())
        np.testing.assert_array_equal(whole(covered(again, mask.shape)[1], mask.shape), mask)


@given(MASKS)
def test_masks_without_holes_are_their_traced_outlines(mask):
    for points in loops(mask):
        again = ImagejRoi.frombytes(roi("TRACED", points.astype(int)).tobytes())
        filled = ImagejRoi.frombytes(composite([points]).tobytes())
        first, second = (whole(covered(each, mask.shape)[1], mask.shape) for each in (again, filled))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ["LINE", "FREELINE", "POLYLINE", "ANGLE", "POINT", "NOROI"])
def test_what_is_no_area_is_named(kind, tmp_path):
    assert read(roi(kind, [(1, 1), (3, 1), (3, 3)]), tmp_path, (6, 6)) == (kind.lower(), None)


def test_text_arrows_and_pictures_are_no_areas(tmp_path):
    assert read(box("RECT", 1, 1, 3, 3, subtype=ROI_SUBTYPE.TEXT, text="a"), tmp_path, (6, 6)) == ("text", None)
    assert read(roi("LINE", subtype=ROI_SUBTYPE.ARROW), tmp_path, (6, 6)) == ("arrow", None)


def test_few_points_are_no_area(tmp_path):
    assert read(roi("POLYGON", [(1, 1), (3, 3)]), tmp_path, (6, 6)) == ("polygon of 2 points", None)
    (tmp_path / "empty.roi").write_bytes(b"Iout".ljust(68, b"\0"))
    assert covered(*read_rois(tmp_path / "empty.roi"), (6, 6)) == ("polygon of 0 points", None)


def test_coordinates_that_are_no_numbers_are_refused(tmp_path):
    for value in (np.nan, np.inf, 1e30):
        made = roi("FREEHAND", [(0.5, 0.5), (3.5, 0.5), (3.5, 3.5)])
        made.subpixel_coordinates[1, 0] = value
        with pytest.raises(ValueError, match="expected coordinates"):
            read(made, tmp_path, (6, 6))
        made = box("OVAL", 0, 0, 1, 1, options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION, widthd=value)
        with pytest.raises(ValueError, match="expected coordinates"):
            read(made, tmp_path, (6, 6))


def test_a_zip_is_read_in_its_order_without_what_is_no_roi(tmp_path):
    roiwrite(tmp_path / "a.zip", [box("RECT", 0, 0, 1, n) for n in (3, 1, 2)], name=["b", "a", "C.ROI"])
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("notes.txt", "of another kind")
        archive.writestr("__MACOSX/._a.roi", "of macOS")
        archive.writestr("folder.roi/", "")
    assert [each.bottom for each in read_rois(tmp_path / "a.zip")] == [3, 1, 2]


def test_an_empty_zip_holds_no_roi(tmp_path):
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    assert read_rois(tmp_path / "a.zip") == []


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("image.tif", "pixels")
    with pytest.raises(ValueError, match=r"expected ROIs, but got a zip of others, such as image\.tif"):
        read_rois(tmp_path / "a.zip")


@pytest.mark.slow
def test_more_entries_than_a_person_draws_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(MOST_ENTRIES + 1):
            archive.writestr(f"{number}.roi", "")
    with pytest.raises(ValueError, match="up to 100,000 ROIs, but got 100,001"):
        read_rois(tmp_path / "a.zip")


def test_entries_that_grow_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", bytes(MOST_BYTES + 1))
    assert (tmp_path / "a.zip").stat().st_size < 10**5
    with pytest.raises(ValueError, match="up to 67,108,864 bytes, but got 67,108,865"):
        read_rois(tmp_path / "a.zip")
    stored = (tmp_path / "a.zip").read_bytes()
    lies = stored.replace(struct.pack("<I", MOST_BYTES + 1), struct.pack("<I", 100))
    (tmp_path / "a.zip").write_bytes(lies)
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        read_rois(tmp_path / "a.zip")


def test_a_zip_that_imagej_does_not_write_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.roi", box("RECT", 0, 0, 1, 1).tobytes())
    with pytest.raises(ValueError, match=r"a\.roi is compressed otherwise"):
        read_rois(tmp_path / "a.zip")


def test_the_slice_that_a_roi_was_drawn_on():
    assert plane(roi("RECT")) == ()
    assert plane(roi("RECT", position=4)) == (4,)
    assert plane(roi("RECT", c_position=2)) == ()
    assert plane(roi("RECT", c_position=2, z_position=3, t_position=1)) == (3, 1)


def test_splines_are_known():
    points = [(0, 0), (3, 0), (3, 3)]
    assert is_spline(roi("POLYGON", points, options=ROI_OPTIONS.SPLINE_FIT))
    assert not is_spline(roi("POLYGON", points))
    assert not is_spline(roi("POLYLINE", points, options=ROI_OPTIONS.SPLINE_FIT))
