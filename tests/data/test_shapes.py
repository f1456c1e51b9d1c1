"""Labels that were drawn as shapes in labelme, COCO or ImageJ, read as pixels."""

import json
import os
import zipfile

import numpy as np
import pytest
from pycocotools import mask as coco
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi, roiwrite

from src.data.finding import ERROR, Refused
from src.data.shapes import Shapes, coco_images, is_labelme, names_in, read_shapes

SQUARE = [[1, 1], [5, 1], [5, 5], [1, 5]]  # 16 pixels
LOWER = [[3, 3], [7, 3], [7, 7], [3, 7]]  # 16 pixels, 4 of them in SQUARE
SIZE = (8, 9)


def written(file, content):
    """A JSON file."""
    file.write_text(json.dumps(content))
    return file


def shape(label: str, points, kind: str | None = "polygon", **more) -> dict:
    """A shape of labelme."""
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, **more}


def labelme(tmp_path, *shapes, **more):
    """A file of labelme."""
    content = {"version": "5.0", "shapes": shapes, "imagePath": "a.png", "imageData": None, **more}
    return written(tmp_path / "a.json", content)


def annotation(segmentation, image: int = 1, category: int = 1, **more) -> dict:
    """An annotation of COCO."""
    return {"image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **more}


def instances(tmp_path, *annotations, images=None, categories=((1, "cell"),)):
    """A file of COCO."""
    content = {
        "images": images or [{"id": 1, "file_name": "a.png", "height": 8, "width": 9}],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    return written(tmp_path / "instances.json", content)


def flat(points) -> list[float]:
    """Points as COCO has them."""
    return np.ravel(points).tolist()


def rectangle(left: int, top: int, width: int, height: int, **attributes) -> ImagejRoi:
    """A ROI of ImageJ."""
    made = ImagejRoi(roitype=ROI_TYPE.RECT, left=left, top=top, right=left + width, bottom=top + height)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def read(file, image: str = "a.png", size=SIZE) -> Shapes:
    found = read_shapes(file, image, size)
    for numbers in (found.classes, found.objects):
        assert numbers.shape == size and numbers.dtype == np.int32
    np.testing.assert_array_equal(found.classes > 0, found.objects > 0)
    return found


def refused(file, code: str, image: str = "a.png", size=SIZE):
    """The finding for which a file is refused."""
    with pytest.raises(Refused) as error:
        read_shapes(file, image, size)
    finding = error.value.finding
    assert (finding.code, finding.severity, finding.file) == (code, ERROR, str(file)) and finding.fix
    return finding


def test_shapes_of_labelme_are_classes_and_objects(tmp_path):
    file = labelme(tmp_path, shape("nucleus", SQUARE), shape("cell", [[6, 0], [9, 0], [9, 2], [6, 2]], None))
    found = read(file)
    assert found.names == names_in(file) == ("cell", "nucleus") and found.notes == ()
    assert [np.count_nonzero(found.classes == number) for number in (1, 2)] == [6, 16]
    assert (found.objects[1:5, 1:5] == 1).all() and (found.objects[:2, 6:] == 2).all()


def test_rectangles_and_circles_of_labelme(tmp_path):
    file = labelme(
        tmp_path,
        shape("a", [[6, 7], [2, 3]], "rectangle"),  # from the lower right corner
        shape("b", [[4, 2], [6, 2]], "circle"),
        imageHeight=8,
        imageWidth=9,
    )
    found = read(file)
    assert np.count_nonzero(found.objects == 2) == 12 and np.count_nonzero(found.objects == 1) == 16 - 2
    np.testing.assert_array_equal(found.objects[0], [0, 0, 0, 2, 2, 0, 0, 0, 0])


def test_a_rectangle_of_labelme_may_have_four_corners(tmp_path):
    assert np.count_nonzero(read(labelme(tmp_path, shape("a", SQUARE, "rectangle"))).objects) == 16


def test_later_shapes_lie_over_earlier_ones(tmp_path):
    found = read(labelme(tmp_path, shape("b", SQUARE), shape("a", LOWER)))
    assert found.objects[3, 3] == 2 and found.classes[3, 3] == 1 and found.objects[1, 1] == 1
    (note,) = found.notes
    assert note.code == "overlapping-shapes" and note.taken == "the later one"
    assert note.found == "14.3 % of the annotated pixels lie in several shapes"  # 4 of 28
    found = read(labelme(tmp_path, shape("a", LOWER), shape("b", SQUARE)))
    assert found.objects[3, 3] == 2 and found.classes[3, 3] == 2


def test_shapes_of_one_group_and_label_are_one_object(tmp_path):
    shapes = [shape("a", SQUARE, group_id=0), shape("b", [[6, 0], [8, 0], [8, 1]], group_id=0)]
    found = read(
        labelme(tmp_path, *shapes, shape("a", LOWER, group_id=0), shape("a", [[0, 6], [1, 6], [1, 8], [0, 8]]))
    )
    assert np.count_nonzero(found.objects == 1) == 28 and found.notes == ()
    assert set(np.unique(found.objects)) == {0, 1, 2, 3}


def test_background_clears_what_lies_below_it(tmp_path):
    hole = [[2, 2], [4, 2], [4, 4], [2, 4]]
    found = read(labelme(tmp_path, shape("a", SQUARE), shape("_background_", hole)))
    assert found.names == ("a",) and found.notes == ()
    assert np.count_nonzero(found.objects) == 12 and not found.objects[2:4, 2:4].any()


def test_what_is_to_be_ignored_is_no_class(tmp_path):
    found = read(labelme(tmp_path, shape("a", SQUARE), shape("__ignore__", LOWER)))
    assert found.names == ("a",) and np.count_nonzero(found.classes) == 12
    (note,) = found.notes
    assert (note.code, note.found, note.taken) == ("ignored-shapes", "1 of __ignore__", "background")


def test_what_cannot_be_drawn_is_named(tmp_path):
    lines = [shape("a", [[0, 0], [4, 4]], "line")] * 2
    odd = [shape("b", [[3, 3]], "point"), shape("a", [[0, 0], [1, 1]]), shape("a", [[20, 1], [30, 1], [30, 9]])]
    tiny = shape("a", [[6.6, 6.6], [6.8, 6.6], [6.8, 6.8]])
    found = read(labelme(tmp_path, *lines, *odd, tiny, shape("a", SQUARE)))
    (note,) = found.notes
    assert note.code == "not-drawn" and note.taken == "the areas alone" and "draw them as areas" in note.fix
    left = "2 line, 1 point, 1 polygon of 2 points, 1 polygon outside the image, 1 polygon without a pixel"
    assert note.found == left
    assert found.names == ("a",) and np.count_nonzero(found.objects == 1) == 16


def test_shapes_of_which_none_can_be_drawn_are_refused(tmp_path):
    finding = refused(labelme(tmp_path, *[shape("a", [[0, 0], [4, 4]], "linestrip")] * 2), "not-drawn")
    assert finding.found == "2 linestrip" and finding.expected == "areas, such as polygons"


def test_a_file_without_shapes_is_an_empty_label(tmp_path):
    roiwrite(tmp_path / "a.zip", [])
    for file in (labelme(tmp_path), instances(tmp_path), tmp_path / "a.zip"):
        found = read(file)
        assert not found.objects.any() and found.notes == ()


@pytest.mark.parametrize(("height", "width"), [(9, 8), (8, 10), (None, 10)])
def test_shapes_of_an_image_of_another_size_are_refused(height, width, tmp_path):
    finding = refused(labelme(tmp_path, shape("a", SQUARE), imageHeight=height, imageWidth=width), "size-mismatch")
    assert finding.found == f"shapes drawn on {height or 8}×{width} px"
    assert finding.expected == "shapes drawn on their image, 8×9 px"
    images = [{"id": 1, "file_name": "a.png", "height": height, "width": width}]
    refused(instances(tmp_path, images=images), "size-mismatch")


def test_the_picture_in_a_file_of_labelme_is_not_decoded(tmp_path):
    assert read(labelme(tmp_path, shape("a", SQUARE), imageData="no picture")).objects.any()


def test_polygons_of_coco(tmp_path):
    images = [{"id": 7, "file_name": "train/a.png"}, {"id": 8, "file_name": "train\\b.png", "height": 8, "width": 9}]
    file = instances(
        tmp_path,
        annotation([flat(SQUARE)], 7, 5),
        annotation([flat(LOWER)], 8, 3),
        annotation([flat([[0, 0], [1, 0], [1, 1], [0, 1]]), flat([[8, 7], [9, 7], [9, 8], [8, 8]])], 8, 5),
        images=images,
        categories=[(5, "nucleus"), (3, "cell"), (4, "never")],
    )
    assert coco_images(file) == ["a.png", "b.png"] and names_in(file) == ("cell", "never", "nucleus")
    first, second = read(file), read(file, "b.png")
    assert first.names == second.names == names_in(file)
    assert np.count_nonzero(first.classes == 3) == 16 == np.count_nonzero(first.classes)
    assert np.count_nonzero(second.classes == 1) == 16 and np.count_nonzero(second.classes == 3) == 2
    assert second.objects[0, 0] == second.objects[7, 8] == 2 and second.notes == ()


def test_parts_of_one_annotation_do_not_overlap_each_other(tmp_path):
    found = read(instances(tmp_path, annotation([flat(SQUARE), flat(LOWER)])))
    assert np.count_nonzero(found.objects == 1) == 28 and found.notes == ()


def test_masks_of_coco_in_numbers_and_in_text(tmp_path):
    mask = np.random.default_rng(0).random(SIZE) > 0.5
    text = coco.encode(np.asfortranarray(mask, np.uint8))
    changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0, append=2))
    for counts in (text["counts"].decode(), np.diff([0, *changes]).tolist()):
        file = instances(tmp_path, annotation({"size": list(SIZE), "counts": counts}))
        os.utime(file, ns=(0, len(counts)))
        np.testing.assert_array_equal(read(file).objects, mask)


def test_masks_of_coco_of_another_size_are_refused(tmp_path):
    file = instances(tmp_path, annotation({"size": [9, 8], "counts": [72]}))
    assert refused(file, "size-mismatch").found == "shapes drawn on 9×8 px"
    for counts in ([71], [0, 73], [-1, 73], "8", None, ["72"]):
        file = instances(tmp_path, annotation({"size": list(SIZE), "counts": counts}))
        assert "expected runs of 72 pixels" in refused(file, "unreadable").found
    assert "KeyError 'counts'" in refused(instances(tmp_path, annotation({"size": list(SIZE)})), "unreadable").found


def test_objects_that_are_not_told_apart_are_named(tmp_path):
    file = instances(tmp_path, annotation({"size": list(SIZE), "counts": [0, 10, 62]}, iscrowd=1))
    found = read(file)
    assert np.count_nonzero(found.classes == 1) == 10 == np.count_nonzero(found.objects == 1)
    (note,) = found.notes
    assert note.code == "crowd" and note.found.startswith("1 iscrowd")


def test_annotations_of_coco_that_are_no_areas_are_named(tmp_path):
    keypoints = {"image_id": 1, "category_id": 1, "keypoints": [1, 1, 2], "num_keypoints": 1}
    boxes = [annotation([], bbox=[1, 1, 3, 3]), annotation(None, bbox=[1, 1, 3, 3])]
    sliver = annotation([[1, 1, 2, 2], flat(SQUARE)])
    (note,) = read(instances(tmp_path, keypoints, *boxes, sliver)).notes
    assert note.found == "2 bounding box, 1 keypoints, 1 polygon of 2 points"
    assert refused(instances(tmp_path, *boxes), "not-drawn").found == "2 bounding box"


def test_an_image_that_coco_does_not_annotate_is_refused(tmp_path):
    finding = refused(instances(tmp_path, annotation([flat(SQUARE)])), "missing-label", "other.png")
    assert finding.expected == "one image named other.png"
    images = [{"id": n, "file_name": f"{n}/a.png"} for n in (1, 2)]
    assert refused(instances(tmp_path, images=images), "same-name").found == "2 images of that name"


def test_a_file_of_many_images_is_parsed_once_and_again_when_it_changes(tmp_path):
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(2000)]
    file = instances(tmp_path, *[annotation([flat(SQUARE)], n) for n in range(2000)], images=images)
    modified = file.stat()
    first = read(file, "5.png")
    file.write_text("x" * modified.st_size)
    os.utime(file, ns=(modified.st_atime_ns, modified.st_mtime_ns))
    for number in range(2000):  # of what was parsed, since neither size nor time differ
        np.testing.assert_array_equal(read(file, f"{number}.png").objects, first.objects)
    os.utime(file, ns=(0, 0))
    refused(file, "unreadable", "5.png")


def test_rois_of_imagej(tmp_path):
    roiwrite(tmp_path / "a_RoiSet.zip", [rectangle(2, 3, 4, 5), rectangle(0, 0, 3, 4)], name=["one", "two"])
    found = read(tmp_path / "a_RoiSet.zip")
    assert [np.count_nonzero(found.objects == number) for number in (1, 2)] == [19, 12]
    assert set(np.unique(found.classes)) == {0, 1} and found.names == () == names_in(tmp_path / "a_RoiSet.zip")
    assert [note.code for note in found.notes] == ["overlapping-shapes"]
    rectangle(2, 3, 4, 5).tofile(tmp_path / "a.ROI")
    assert np.count_nonzero(read(tmp_path / "a.ROI").objects) == 20


def test_rois_that_are_no_areas_are_named(tmp_path):
    point = ImagejRoi.frompoints([(1, 1)])
    point.roitype = ROI_TYPE.POINT
    roiwrite(tmp_path / "a.zip", [point, point], name=["a", "b"])
    assert refused(tmp_path / "a.zip", "not-drawn").found == "2 point"
    roiwrite(tmp_path / "a.zip", rectangle(0, 0, 2, 2), name="c")
    assert read(tmp_path / "a.zip").notes[0].found == "2 point"
    rectangle(20, 20, 4, 4).tofile(tmp_path / "outside.roi")
    assert refused(tmp_path / "outside.roi", "not-drawn").found == "1 rectangle outside the image"


def test_rois_of_several_slices_are_refused(tmp_path):
    roiwrite(tmp_path / "a.zip", [rectangle(0, 0, 2, 2, position=n) for n in (3, 0, 3)], name=["a", "b", "c"])
    assert read(tmp_path / "a.zip").objects.max() == 3
    roiwrite(tmp_path / "a.zip", rectangle(0, 0, 2, 2, position=4), name="d")
    assert refused(tmp_path / "a.zip", "several-slices").found == "ROIs of 2 slices"


def test_splines_are_named(tmp_path):
    made = ImagejRoi.frompoints(SQUARE)
    made.options |= ROI_OPTIONS.SPLINE_FIT
    made.tofile(tmp_path / "a.roi")
    (note,) = read(tmp_path / "a.roi").notes
    assert (note.code, note.taken) == ("spline", "straight lines between their points")


BROKEN = {
    "cut.json": b'{"shapes": [{"label": "a", "poi',
    "list.json": b"[1, 2]",
    "other.json": b'{"channel_names": {"0": "a"}, "labels": {"background": 0, "cell": 1}, "numTraining": 5}',
    "text.json": b"\xff\xfe\x00",
    "deep.json": b"[" * 100_000,
    "empty.json": b"",
    "nan.json": b'{"shapes": [{"label": "a", "points": [[NaN, 1], [2, 2], [3, 1]]}]}',
    "shapes.json": b'{"shapes": {"a": 1}}',
    "numbers.json": b'{"shapes": [1, 2]}',
    "images.json": b'{"images": ["a.png"], "annotations": []}',
    "unnamed.json": b'{"images": [{"id": 1}], "annotations": []}',
    "no.zip": b"PK\x03\x04 and no more",
    "no.roi": b"Iout",
    "other.roi": b"no ROI" * 20,
    "empty.zip": b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_files_are_refused_by_name(name, tmp_path):
    file = tmp_path / name
    file.write_bytes(BROKEN[name])
    finding = refused(file, "unreadable")
    assert finding.expected == "shapes of labelme, COCO or ImageJ" and " " in finding.found
    assert coco_images(file) is None and not is_labelme(file) and names_in(file) == ()


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.json").mkdir()
    for name in ("none.json", "none.zip", "folder.json"):
        refused(tmp_path / name, "unreadable")
        assert coco_images(tmp_path / name) is None and not is_labelme(tmp_path / name)


WRONG = {
    "text": {"points": [["1", "2"], ["3", "4"], ["5", "6"]]},
    "huge": {"points": [[1e300, 0], [-1e300, 5], [3, 3]]},
    "more than a float": {"points": [[10**400, 0], [0, 5], [3, 3]]},
    "three": {"points": [[1, 2, 3]] * 4},
    "ragged": {"points": [[1, 2], [3], [4, 5]]},
    "nothing": {"points": None},
    "table": {"points": {"x": 1}},
    "label": {"label": 5},
    "no label": {"label": None},
    "list": {"label": ["a"]},
    "group": {"group_id": [1]},
}


@pytest.mark.parametrize("name", WRONG)
def test_shapes_that_are_none_are_refused(name, tmp_path):
    file = labelme(tmp_path, shape("a", SQUARE), shape("a", SQUARE) | WRONG[name])
    assert is_labelme(file) and names_in(file) == ("a",)
    refused(file, "unreadable")


def test_numbers_that_json_reads_as_infinite_are_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"shapes": [{"label": "a", "points": [[1e999, 1], [2, 2], [3, 1]]}]}')
    assert "expected coordinates" in refused(tmp_path / "a.json", "unreadable").found


@pytest.mark.parametrize(
    "wrong",
    [
        {"segmentation": [flat(SQUARE)[:-1]]},
        {"segmentation": flat(SQUARE)},
        {"segmentation": "abc"},
        {"segmentation": [["1", "2", "3", "4", "5", "6"]]},
        {"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]},
        {"category_id": 9},
        {"category_id": None},
        {"category_id": [1]},
        {"segmentation": {"counts": [72]}},
        {"segmentation": {"size": [8], "counts": [72]}},
    ],
)
def test_annotations_that_are_none_are_refused(wrong, tmp_path):
    file = instances(tmp_path, annotation([flat(SQUARE)]) | wrong)
    assert coco_images(file) == ["a.png"]
    refused(file, "unreadable")


@pytest.mark.parametrize("without", ["image_id", "category_id"])
def test_annotations_without_an_id_are_refused(without, tmp_path):
    each = annotation([flat(SQUARE)])
    del each[without]
    file = instances(tmp_path, each)
    assert coco_images(file) == ["a.png"]
    refused(file, "unreadable")


def test_kinds_of_files_are_told_apart(tmp_path):
    first, second = labelme(tmp_path, shape("a", SQUARE)), instances(tmp_path)
    assert is_labelme(first) and coco_images(first) is None
    assert not is_labelme(second) and coco_images(second) == ["a.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        assert not is_labelme(tmp_path / "a.zip") and coco_images(tmp_path / "a.zip") is None
