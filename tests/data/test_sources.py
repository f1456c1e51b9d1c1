"""Labels found and read in every form of files."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from roifile import ROI_TYPE, ImagejRoi

from src.data.finding import Refused
from src.data.folder import read_folder
from tests.data.own import draw, write

CELLS = [draw(number) for number in range(4)]


@pytest.fixture
def root(tmp_path):
    """Images without labels."""
    for number, (image, _) in enumerate(CELLS):
        place(tmp_path / f"images/a_{number}.png", image)
    return tmp_path


def place(file, array):
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, array)


def mask(cells):
    return cells.astype(bool).astype(np.uint8) * 255


def test_of_files_of_one_object_each_the_later_one_is_on_top(root):
    for number, (_, labels) in enumerate(CELLS):
        for cell in range(1, 8):
            place(root / f"masks/a_{number}/{cell}.png", mask(labels == cell))
        place(root / f"masks/a_{number}/9.png", mask(labels == 1))
    stack = read_folder(root)
    assert stack.targets.max() == 1
    for (_, labels), found in zip(CELLS, stack.instances, strict=True):
        np.testing.assert_array_equal(found, np.where(labels == 1, 7, np.where(labels > 1, labels - 1, 0)))


def test_the_data_science_bowl_has_a_folder_for_each_image(tmp_path):
    for number, (image, labels) in enumerate(CELLS):
        place(tmp_path / f"id{number}/images/id{number}.png", image)
        for cell in range(1, 8):
            place(tmp_path / f"id{number}/masks/{'f3a9b2c'[cell - 1]}{cell}.png", mask(labels == cell))
    stack = read_folder(tmp_path)
    assert stack.names == ["id0", "id1", "id2", "id3"]
    for (_, labels), found in zip(CELLS, stack.instances, strict=True):
        assert {len(set(found[labels == cell])) for cell in range(8)} == {1} and len(np.unique(found)) == 8


@pytest.mark.parametrize("classes", [None, ["cell", "nucleus"], ["nucleus", "cell"], ["nucleus"]])
def test_of_files_of_one_class_each_the_later_of_the_classes_is_on_top(classes, root):
    for number, (_, labels) in enumerate(CELLS):
        place(root / f"labels/a_{number}_cell.png", mask(labels))
        place(root / f"labels/a_{number}_nucleus.png", mask(labels == 3))
    stack = read_folder(root, classes=classes)
    order = classes or ["cell", "nucleus"]
    assert stack.legend.names == ("background", *order)
    assert stack.legend.values == tuple(range(len(order) + 1))
    for (_, labels), found in zip(CELLS, stack.targets, strict=True):
        expected = np.zeros_like(labels)
        for number, name in enumerate(order, start=1):
            expected[labels == 3 if name == "nucleus" else labels > 0] = number
        np.testing.assert_array_equal(found, expected)


def test_files_of_classes_have_one_size(root):
    for number, (_, labels) in enumerate(CELLS):
        place(root / f"labels/a_{number}_cell.png", mask(labels))
        place(root / f"labels/a_{number}_nucleus.png", mask(labels)[:90])
    with pytest.raises(Refused, match=r"a_0_nucleus\.png: expected \(96, 96\), as in a_0_cell\.png"):
        read_folder(root)


def test_files_of_some_images_only_are_no_classes(root):
    for number, (_, labels) in enumerate(CELLS):
        place(root / f"labels/a_{number}_cell.png", mask(labels))
    place(root / "labels/a_0_nucleus.png", mask(CELLS[0][1]))
    with pytest.raises(Refused, match=r"data\.source\.labels='labels/{name}_cell\.\*'"):
        read_folder(root)


def test_an_ome_zarr_may_hold_the_labels_of_its_image(tmp_path):
    for number, (image, labels) in enumerate(CELLS):
        group = zarr.open_group(tmp_path / f"a_{number}.zarr", mode="w", zarr_format=2)
        axes = [{"name": name, "type": "space"} for name in "yx"]
        described = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
        group.attrs["multiscales"] = described
        group["0"] = image
        within = group.create_group("labels")
        within.attrs["labels"] = ["nuclei"]
        one = within.create_group("nuclei")
        one.attrs["multiscales"] = described
        one["0"] = labels
    stack = read_folder(tmp_path)
    np.testing.assert_array_equal(stack.images, [image for image, _ in CELLS])
    np.testing.assert_array_equal(stack.instances, [labels for _, labels in CELLS])
    zarr.open_group(tmp_path / "a_2.zarr/labels", mode="r+").attrs["labels"] = ["nuclei", "cells"]
    with pytest.raises(FileNotFoundError, match=r"expected one label image in .*, but got nuclei, cells"):
        read_folder(tmp_path)


def boxes(labels):
    """Upper left and lower right corner of each cell, in pixels."""
    for cell in range(1, 8):
        rows, columns = np.nonzero(labels == cell)
        yield int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def framed(labels):
    """The number of the last box that covers a pixel."""
    found = np.zeros(labels.shape, int)
    for number, (left, top, right, bottom) in enumerate(boxes(labels), start=1):
        found[top:bottom, left:right] = number
    return found


def labelme(labels, names=("cell",)):
    shapes = [
        {"label": names[place % len(names)], "points": [[left, top], [right, bottom]], "shape_type": "rectangle"}
        for place, (left, top, right, bottom) in enumerate(boxes(labels))
    ]
    return json.dumps({"shapes": shapes, "imageHeight": 96, "imageWidth": 96})


def coco(names=("cell",)):
    annotations = [
        {
            "id": 10 * number + place,
            "image_id": number,
            "category_id": 5 + place % len(names),
            "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        }
        for number, (_, labels) in enumerate(CELLS)
        for place, (left, top, right, bottom) in enumerate(boxes(labels))
    ]
    images = [{"id": number, "file_name": f"a_{number}.png", "height": 96, "width": 96} for number in range(4)]
    categories = [{"id": 5 + place, "name": name} for place, name in enumerate(names)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def draw_shapes(root, form, names=("cell",)):
    if form == "coco":
        (root / "annotations").mkdir()
        (root / "annotations/all.json").write_text(coco(names))
        return
    for number, (_, labels) in enumerate(CELLS):
        if form == "labelme beside images":
            (root / f"images/a_{number}.png").rename(root / f"a_{number}.png")
            (root / f"a_{number}.json").write_text(labelme(labels, names))
        else:
            (root / "labels").mkdir(exist_ok=True)
            (root / f"labels/a_{number}.json").write_text(labelme(labels, names))
    if form == "labelme beside images":
        (root / "images").rmdir()


FORMS = ["coco", "labelme", "labelme beside images"]


@pytest.mark.parametrize("form", FORMS)
def test_shapes_of_one_class_are_cells(form, root):
    draw_shapes(root, form)
    stack = read_folder(root)
    for (_, labels), found in zip(CELLS, stack.instances, strict=True):
        np.testing.assert_array_equal(found, framed(labels))


@pytest.mark.parametrize("form", FORMS)
def test_shapes_of_several_classes_are_classes_with_names_unless_cells_are_asked_for(form, root):
    draw_shapes(root, form, ("alive", "dead"))
    stack = read_folder(root)
    assert stack.legend.names == ("background", "alive", "dead")
    for (_, labels), found in zip(CELLS, stack.targets, strict=True):
        np.testing.assert_array_equal(found, np.where(framed(labels) > 0, 2 - framed(labels) % 2, 0))
    np.testing.assert_array_equal(read_folder(root, kind="instances").instances[0], framed(CELLS[0][1]))


def test_the_classes_of_labelme_are_those_of_all_files(root):
    (root / "labels").mkdir()
    for number, (_, labels) in enumerate(CELLS):
        (root / f"labels/a_{number}.json").write_text(labelme(labels, [("dead",), ("alive",)][number % 2]))
    stack = read_folder(root)
    assert stack.legend.names == ("background", "alive", "dead")
    assert [np.unique(target).tolist() for target in stack.targets] == [[0, 2], [0, 1], [0, 2], [0, 1]]


def test_rois_of_imagej_are_cells(root):
    (root / "labels").mkdir()
    for number, (_, labels) in enumerate(CELLS):
        for cell, (left, top, right, bottom) in enumerate(boxes(labels), start=1):
            roi = ImagejRoi(roitype=ROI_TYPE.RECT, left=left, top=top, right=right, bottom=bottom, name=f"{cell:03d}")
            roi.tofile(root / f"labels/a_{number}_RoiSet.zip")
    stack = read_folder(root)
    for (_, labels), found in zip(CELLS, stack.instances, strict=True):
        np.testing.assert_array_equal(found, framed(labels))


def test_a_label_image_and_shapes_of_one_name_are_named(root):
    draw_shapes(root, "labelme")
    tifffile.imwrite(root / "labels/a_2.tif", CELLS[2][1])
    with pytest.raises(Refused, match=r"a_2\.tif: expected one file of each name, but got a_2\.json beside it"):
        read_folder(root)


def test_a_file_of_python_objects_is_named_and_never_opened(root):
    (root / "labels").mkdir()
    for number in range(4):
        (root / f"labels/a_{number}_seg.npy").write_bytes(b"no array at all")
    with pytest.raises(Refused, match=r"a_0_seg\.npy: expected masks as TIFF or PNG.*cellpose\.io\.save_masks"):
        read_folder(root)


def test_other_json_files_are_no_labels(root):
    for number, (_, labels) in enumerate(CELLS):
        place(root / f"labels/a_{number}.tif", labels)
    (root / "labels/dataset.json").write_text('{"labels": {"background": 0}}')
    (root / "labels/broken.json").write_text("{")
    assert len(read_folder(root)) == 4


def test_planes_of_classes_that_overlap_are_classes(root):
    for number, (_, labels) in enumerate(CELLS):
        place(root / f"labels/a_{number}.tif", np.stack([mask(labels), mask(labels == 3)]))
    stack = read_folder(root)
    for (_, labels), found in zip(CELLS, stack.targets, strict=True):
        np.testing.assert_array_equal(found, np.where(labels == 3, 2, labels > 0))


def test_a_field_of_view_with_more_samples_than_colours_is_read_plane_by_plane(root):
    for number, (_, labels) in enumerate(CELLS):
        planes = np.stack([labels % 5 == value for value in range(5)], axis=-1).astype(np.uint8)
        file = root / f"labels/a_{number}.tif"
        file.parent.mkdir(exist_ok=True)
        tifffile.imwrite(file, planes, photometric="minisblack", planarconfig="contig", extrasamples=[0] * 4)
    np.testing.assert_array_equal(read_folder(root).targets, [labels % 5 for _, labels in CELLS])


def test_a_mask_may_be_a_picture_of_any_kind(root):
    for number, (_, labels) in enumerate(CELLS):
        (root / "labels").mkdir(exist_ok=True)
        iio.imwrite(root / f"labels/a_{number}.bmp", mask(labels))
    np.testing.assert_array_equal(read_folder(root).targets, [labels > 0 for _, labels in CELLS])


@pytest.mark.parametrize("classes", [None, ["nucleus", "cell"]])
def test_classes_may_have_a_folder_each(classes, root):
    for number, (_, labels) in enumerate(CELLS):
        place(root / f"labels/cell/a_{number}.png", mask(labels))
        place(root / f"labels/nucleus/a_{number}.png", mask(labels == 3))
    stack = read_folder(root, classes=classes)
    assert stack.legend.names == ("background", *(classes or ["cell", "nucleus"]))
    assert [sorted(np.unique(target)) for target in stack.targets] == [[0, 1, 2] if classes is None else [0, 2]] * 4


@pytest.mark.parametrize("where", ["annotations.json", "images/_annotations.coco.json"])
def test_shapes_may_lie_beside_the_folder_of_images_or_in_it(where, root):
    (root / where).write_text(coco())
    np.testing.assert_array_equal(read_folder(root).instances, [framed(labels) for _, labels in CELLS])
