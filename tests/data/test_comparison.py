"""Truth and prediction from disk: files of one name, arrays of any encoding, and what their values look like."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from imageio.v3 import imwrite
from PIL import Image
from scipy import ndimage
from scipy.ndimage import gaussian_filter

from src.data.comparison import comparisons, look, match
from src.data.finding import Refused
from src.values import meanings, scales_of
from tests.data import drawn, own

MASK = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)  # neither square nor symmetric
LABELS = np.array([[0, 1, 2], [7, 0, 2]])
INTEGERS = (np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64)


def folder(path, *names):
    path.mkdir()
    for name in names:
        (path / name).touch()
    return path


def files_of(pairs):
    return [(truth.file, prediction.file) for truth, prediction in pairs]


def compared(truth, prediction, of_classes=False, ignore=None, preferred="_labels"):
    """What is compared of two files or folders."""
    pairs, _ = match(truth, prediction, preferred)
    facts = [look(pair, of_classes, ignore) for pair in pairs]
    scales = scales_of([predicted for _, predicted in facts])
    labels = [predicted for _, predicted in facts if predicted.dtype not in scales]
    meant = meanings([true for true, _ in facts], labels, of_classes)
    return [image for pair in pairs for image in comparisons(pair, meant, scales, of_classes, ignore)]


@pytest.fixture
def compare(tmp_path):
    """What is compared when two arrays are on disk: → list of `Comparison`."""

    def call(truth, prediction, names=("truth.tif", "prediction.tif")):
        files = [tmp_path / name for name in names]
        for file, array in zip(files, (truth, prediction), strict=True):
            if file.suffix == ".png":
                imwrite(file, array)
            else:
                tifffile.imwrite(file, array, photometric="minisblack")
        return compared(*files)

    return call


def test_two_files_are_a_pair_whatever_their_names(tmp_path):
    files = folder(tmp_path / "in", "a.tif", "b.png")
    truth, prediction = files / "a.tif", files / "b.png"
    pairs, alone = match(truth, prediction, "_labels")
    assert files_of(pairs) == [(truth, prediction)] and alone == []


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none at .*b\.png"):
        match(folder(tmp_path / "in", "a.tif") / "a.tif", tmp_path / "b.png", "_labels")


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [((15, 4, 6), (30, 4, 6)), ((5, 4, 6), (2, 5, 4, 6)), ((4, 6), (2, 3, 4, 6))],
)
def test_a_stack_of_another_depth_is_not_taken_for_classes(truth, prediction, compare):
    with pytest.raises(ValueError, match=r"expected the shape of the truth"):
        compare(np.zeros(truth, np.uint8), np.zeros(prediction, np.float32))


def test_files_of_one_name_are_paired_without_their_endings(tmp_path):
    truth = folder(tmp_path / "truth", "c.TIF", "a.tif", "b_labels.png", ".a.tif.12", "notes.txt")
    prediction = folder(tmp_path / "prediction", "b.tiff", "c_labels.tif", "a_probabilities.tif", ".b.tif", "a.json")
    pairs, alone = match(truth, prediction, "_labels")
    assert [(true.name, predicted.name) for true, predicted in files_of(pairs)] == [
        ("a.tif", "a_probabilities.tif"),
        ("b_labels.png", "b.tiff"),
        ("c.TIF", "c_labels.tif"),
    ]
    assert alone == []


@pytest.mark.parametrize(
    ("names", "preferred", "taken"),
    [
        (("a.png", "a.tif", "a_labels.tif", "a_probabilities.tif"), "_labels", "a_labels.tif"),
        (("a.png", "a.tif", "a_labels.tif", "a_probabilities.tif"), "_probabilities", "a_probabilities.tif"),
        (("a_labels.png", "a_probabilities.tif"), "_labels", "a_labels.png"),
        (("a.png", "a_labels.tif"), "_probabilities", "a_labels.tif"),
        (("a.png", "a_probabilities.tif"), "_labels", "a_probabilities.tif"),
        (("a.png", "a.tif"), "_labels", "a.tif"),
        (("a.tif", "a_labels.png"), "_probabilities", "a_labels.png"),
    ],
)
def test_of_several_forms_of_a_prediction_the_preferred_one_is_taken_and_a_picture_last(
    names, preferred, taken, tmp_path
):
    pairs, alone = match(folder(tmp_path / "truth", "a.tif"), folder(tmp_path / "prediction", *names), preferred)
    assert [predicted.name for _, predicted in files_of(pairs)] == [taken]
    assert alone == []


def test_files_without_a_partner_are_listed(tmp_path):
    truth = folder(tmp_path / "truth", "b.tif", "c.tif", "a.tif", "f.tif", "g.tif", "h.tif")
    prediction = folder(tmp_path / "prediction", "e.tif", "c.tif", "d_labels.tif")
    pairs, alone = match(truth, prediction, "_labels")
    assert files_of(pairs) == [(truth / "c.tif", prediction / "c.tif")]
    assert alone == [
        *(truth / f"{name}.tif" for name in "abfgh"),
        *(prediction / name for name in ("d_labels.tif", "e.tif")),
    ]


def test_folders_without_a_common_name_are_refused(tmp_path):
    truth, prediction = folder(tmp_path / "truth", "a.tif"), folder(tmp_path / "prediction", "b.tif", "a.json")
    with pytest.raises(FileNotFoundError, match=f"same names in {truth} and {prediction}, but got none"):
        match(truth, prediction, "_labels")


def test_a_file_against_a_folder_is_refused(tmp_path):
    images = folder(tmp_path / "images", "a.tif")
    for truth, prediction in ((images, images / "a.tif"), (images / "a.tif", images)):
        with pytest.raises(FileNotFoundError, match=f"two files or two folders, but got {truth} and {prediction}"):
            match(truth, prediction, "_labels")


@pytest.mark.parametrize(
    ("truth", "prediction", "guilty", "expected"),
    [
        (MASK * np.float32(0.3), MASK, "truth", "not all of them whole"),
        (MASK, MASK * np.float32(np.nan), "prediction", "NaN"),
        (MASK, MASK * np.float32(1.5), "prediction", "0.0 to 1.5; nearest valid: divide them by 1.5"),
        (MASK, MASK - np.float32(0.5), "prediction", "-0.5 to 0.5"),
        (LABELS, LABELS.T, "prediction", r"\(3, 2\)"),
        (LABELS, LABELS[:, :2], "prediction", r"\(2, 2\)"),
        (MASK, MASK.T / np.float32(2), "prediction", r"\(3, 2\)"),
        (LABELS[None].repeat(3, 0), LABELS[None].repeat(2, 0), "prediction", r"\(2, 2, 3\)"),
        (LABELS, LABELS[None].repeat(2, 0), "prediction", r"\(2, 2, 3\)"),
        (np.stack([LABELS[None].repeat(2, 0)] * 2), MASK, "truth", r"\(2, 2, 2, 3\)"),
        (-LABELS, LABELS, "truth", "negative labels, the lowest -7; nearest valid: 0, or ignore_label=-7"),
        (LABELS, -LABELS, "prediction", "negative labels, the lowest -7; nearest valid: 0$"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_name_of_its_file(
    truth, prediction, guilty, expected, compare, tmp_path
):
    with pytest.raises(ValueError, match=expected) as raised:
        compare(truth, prediction)
    assert str(tmp_path / f"{guilty}.tif") in str(raised.value)


@pytest.mark.parametrize("form", ["RGB", "RGBA", "palette"])
def test_numbers_that_were_saved_as_a_picture_are_read_as_numbers(form, compare, tmp_path):
    picture = Image.fromarray(MASK).convert("P") if form == "palette" else Image.fromarray(MASK).convert(form)
    if form == "palette":
        picture.putpalette([0, 0, 0, 200, 30, 90])
    compare(MASK, MASK)
    for name in ("truth", "prediction"):
        picture.save(tmp_path / f"{name}.png")
    (image,) = compared(tmp_path / "truth.png", tmp_path / "prediction.png")
    assert image.truth.tolist() == image.prediction.tolist() == MASK.tolist()


@pytest.mark.parametrize("kind", INTEGERS)
def test_labels_of_any_integer_type_keep_their_numbers(kind, compare):
    (image,) = compare(LABELS.astype(kind), LABELS.astype(kind))
    assert image.truth.tolist() == image.prediction.tolist() == LABELS.tolist()
    assert not image.is_probable


@pytest.mark.parametrize(
    "mask", [MASK.astype(bool), MASK, MASK * np.uint8(255), MASK * np.uint16(65535), MASK * np.uint32(2**32 - 1)]
)
def test_a_mask_of_any_integer_type_becomes_0_and_1(mask, compare):
    (image,) = compare(mask, mask)
    assert image.truth.tolist() == image.prediction.tolist() == MASK.tolist()


def test_a_png_is_read_too(compare):
    (image,) = compare(MASK * np.uint8(255), MASK * np.uint8(255), ("truth.png", "prediction.png"))
    assert image.truth.tolist() == image.prediction.tolist() == MASK.tolist()


def test_an_image_of_only_the_largest_value_is_all_cell(compare):
    (image,) = compare(np.full((4, 5), 255, np.uint8), np.full((4, 5), 65535, np.uint16))
    assert (image.truth == 1).all()
    assert (image.prediction == 1).all()


@pytest.mark.parametrize("values", [(0, 2), (0, 1, 255), (0, 127, 254)])
def test_what_is_no_mask_keeps_its_numbers(values, compare):
    labels = np.resize(np.array(values, np.uint8), (3, 4))
    (image,) = compare(labels, labels)
    assert image.truth.tolist() == image.prediction.tolist() == labels.tolist()


def test_a_mask_with_an_empty_slice_is_a_mask_in_every_slice(compare):
    stack = np.stack([MASK * 0, MASK * 255])
    assert [image.truth.max() for image in compare(stack, stack)] == [0, 1]


def test_slices_are_named_after_the_prediction(compare):
    stack = LABELS[None].repeat(2, 0)
    assert [image.name for image in compare(stack, stack, ("t.tif", "p_labels.tif"))] == ["p_00", "p_01"]
    assert [image.name for image in compare(stack[:1], LABELS, ("t.tif", "p_probabilities.tif"))] == ["p"]


LAYERS = np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 16  # of two slices; exact in any float type
BOTH = np.stack([1 - LAYERS, LAYERS], axis=1)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (LAYERS[0], BOTH[:1]),
        (LAYERS[:1], BOTH[:1]),
        (BOTH[0], BOTH[:1]),
        (LAYERS, BOTH),
        (LAYERS.astype(np.float64), BOTH),
        (LAYERS.astype(np.float16), BOTH),
        (BOTH, BOTH),
        (np.concatenate([BOTH, BOTH], axis=1)[0], np.concatenate([BOTH, BOTH], axis=1)[:1]),
        (np.concatenate([BOTH, BOTH], axis=1), np.concatenate([BOTH, BOTH], axis=1)),
    ],
    ids=["HW", "1HW", "KHW", "DHW", "float64", "float16", "DKHW", "4HW", "D4HW"],
)
def test_probabilities_are_read_in_each_layout(prediction, expected, compare):
    truth = np.zeros((2, 2, 3), np.uint8) if len(expected) == 2 else np.zeros((2, 3), np.uint8)
    found = compare(truth, prediction)
    assert len(found) == len(expected)
    for image, probabilities in zip(found, expected, strict=True):
        assert image.is_probable
        assert image.prediction.dtype == np.float32
        np.testing.assert_array_equal(image.prediction, probabilities)


@pytest.mark.parametrize(
    ("truth", "taken"),
    [
        (
            "a_masks.tif b_mask.png c_cp_masks.tif d.ome.tif e_seg.TIF",
            "a_masks.tif b_mask.png c_cp_masks.tif d.ome.tif e_seg.TIF",
        ),
        ("a.tif a_masks.tif b.tif b_masks.tif c.tif", "a_masks.tif b_masks.tif"),  # c is an image without labels
        ("a.jpg a.png b.jpg b.png", "a.png b.png"),
        ("a.tif a_seg.npy a_masks.png b.tif b_seg.npy", "a_masks.png b_seg.npy"),
        ("a.tif a_masks.tif c_masks.tif b.tif", "a_masks.tif b.tif c_masks.tif"),  # b may be labels
    ],
)
def test_labels_are_found_whatever_tool_named_them_and_images_are_not_taken_for_them(truth, taken, tmp_path):
    prediction = folder(tmp_path / "prediction", *(f"{name}.tif" for name in "abcde"))
    pairs, _ = match(folder(tmp_path / "truth", *truth.split()), prediction, "_labels")
    assert [true.name for true, _ in files_of(pairs)] == taken.split()


def test_of_a_truth_labels_of_other_tools_come_before_our_own_predictions(tmp_path):
    both = folder(tmp_path / "both", "a.tif", "a_masks.tif", "a_labels.tif", "a_probabilities.tif")
    (pair,), alone = match(both, both, "_labels")
    assert [side.file.name for side in pair] == ["a_masks.tif", "a_labels.tif"] and alone == []


CELLS = own.draw(0)[1]


def with_shapes(root, masks):
    """Polygons of labelme around cells."""
    outlines = [ndimage.find_objects(masks)[number - 1] for number in range(1, masks.max() + 1)]
    boxes = np.zeros_like(masks)
    shapes = []
    for number, (rows, columns) in enumerate(outlines, start=1):
        boxes[rows, columns] = number
        points = [[columns.start, rows.start], [columns.stop, rows.stop]]
        shapes.append({"label": "cell", "shape_type": "rectangle", "points": points})
    content = {"shapes": shapes, "imageHeight": masks.shape[0], "imageWidth": masks.shape[1]}
    root.mkdir(exist_ok=True)
    (root / "a.json").write_text(json.dumps(content))
    return boxes


def prediction_of(tmp_path, labels):
    (tmp_path / "prediction").mkdir()
    own.write(tmp_path / "prediction" / "a_labels.tif", labels)
    return tmp_path / "prediction"


def same(image, labels):
    """Whether the true cells of what is compared are those of a label image, whatever their numbers."""
    together = np.unique(np.stack([image.truth, labels]).reshape(2, -1), axis=1).shape[1]
    return together == len(np.unique(image.truth)) == len(np.unique(labels)) and (image.truth[labels == 0] == 0).all()


def test_shapes_are_drawn_in_the_size_of_the_other_side(tmp_path):
    labels = with_shapes(tmp_path / "truth", CELLS)
    prediction = prediction_of(tmp_path, labels)
    (image,) = compared(tmp_path / "truth", prediction)
    assert same(image, labels) and image.name == "a"
    (image,) = compared(tmp_path / "truth" / "a.json", prediction / "a_labels.tif")
    assert same(image, labels)
    (image,) = compared(prediction, tmp_path / "truth")  # the other way round
    assert same(image, labels) and (image.prediction > 0).sum() == (labels > 0).sum()
    (image,) = compared(tmp_path / "truth", prediction, of_classes=True)
    assert (image.truth == (labels > 0)).all()


def test_shapes_on_both_sides_have_no_size(tmp_path):
    with_shapes(tmp_path / "truth", CELLS)
    with pytest.raises(ValueError, match=r"beside the shapes in .*a\.json, but got shapes, which have no size"):
        compared(tmp_path / "truth", tmp_path / "truth")


def test_a_coco_file_is_of_all_images_of_a_folder(tmp_path):
    images = [{"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "b.png"}, {"id": 3, "file_name": "c.png"}]
    square = [4, 4, 20, 4, 20, 20, 4, 20]
    annotations = [{"id": n, "image_id": n, "category_id": 1, "segmentation": [square]} for n in (1, 2)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "all.json").write_text(json.dumps(content))
    labels = np.zeros((96, 96), np.uint8)
    labels[4:20, 4:20] = 1
    prediction = prediction_of(tmp_path, labels)
    own.write(prediction / "b.png", labels)
    for truth in (tmp_path / "truth", tmp_path / "truth" / "all.json"):
        pairs, alone = match(truth, prediction, "_labels")
        assert len(pairs) == 2 and alone == []
        assert [same(image, labels) for image in compared(truth, prediction)] == [True, True]


def test_files_of_an_object_or_a_class_each_are_put_together(tmp_path):
    prediction = prediction_of(tmp_path, CELLS)
    objects, classes = tmp_path / "objects", tmp_path / "classes"
    (objects / "a").mkdir(parents=True)
    classes.mkdir()
    for number in range(1, CELLS.max() + 1):
        own.write(objects / "a" / f"{number}.png", ((number == CELLS) * 255).astype(np.uint8))
    own.write(classes / "a_round.png", ((CELLS > 3) * 255).astype(np.uint8))
    own.write(classes / "a_flat.png", (((CELLS > 0) & (CELLS < 4)) * 255).astype(np.uint8))
    assert [same(image, CELLS) for image in compared(objects, prediction)] == [True]
    (image,) = compared(objects, prediction, of_classes=True)
    assert (image.truth == (CELLS > 0)).all()  # objects of one class
    assert [same(image, CELLS) for image in compared(classes, prediction)] == [True]
    (image,) = compared(classes, prediction, of_classes=True)
    assert (image.truth == np.where(CELLS > 3, 2, CELLS > 0)).all()


@pytest.mark.parametrize("layout", ["images and labels", "one folder each", "film", "zarr"])
def test_the_truth_may_be_a_data_set(layout, tmp_path):
    root, name = tmp_path / "root", "a"
    image, labels = own.draw(0)
    if layout == "images and labels":
        files = root / "images/a.png", root / "labels/a.tif"
    elif layout == "one folder each":
        files = root / "a/images/a.png", root / "a/masks/1.png"
        labels = (labels == 1) * np.uint8(255)
    elif layout == "film":
        files, name = (root / "01/t000.tif", root / "01_GT/SEG/man_seg000.tif"), "01_t000"
    else:
        files = root / "a.zarr" / "0", root / "a.zarr" / "labels" / "cells" / "0"
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    if layout == "zarr":
        for file, array in zip(files, (image, labels), strict=True):
            multiscales = [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]
            group = zarr.open_group(file.parent, mode="a", zarr_format=2, attributes={"multiscales": multiscales})
            group.create_array("0", data=array)
        zarr.open_group(root / "a.zarr" / "labels", mode="a", zarr_format=2, attributes={"labels": ["cells"]})
    else:
        for file, array in zip(files, (image, labels), strict=True):
            own.write(file, array)
    (tmp_path / "prediction").mkdir()
    own.write(tmp_path / "prediction" / f"{name}_labels.tif", labels)
    (found,) = compared(root, tmp_path / "prediction")
    assert same(found, labels) and found.name == name


def test_a_zarr_is_a_file(tmp_path):
    for name in ("truth", "prediction"):
        zarr.save_array(tmp_path / f"{name}.zarr", CELLS)
    (image,) = compared(tmp_path / "truth.zarr", tmp_path / "prediction.zarr")
    assert image.truth.tolist() == image.prediction.tolist() == CELLS.tolist()


def test_a_data_set_whose_files_cannot_be_told_apart_is_refused(tmp_path):
    own.folder(tmp_path / "root", 2)
    own.write(tmp_path / "root/labels/cell_00.png", CELLS.astype(np.uint8))
    prediction = folder(tmp_path / "prediction", "cell_00.tif", "cell_01.tif")
    with pytest.raises(Refused, match="one file of each name"):
        match(tmp_path / "root", prediction, "_labels")


def test_minus_one_is_background_unless_nobody_has_annotated_there(compare, tmp_path):
    signed = np.where(CELLS > 0, CELLS.astype(np.int16), -1)
    (image,) = compare(signed, signed)
    assert image.truth.tolist() == image.prediction.tolist() == CELLS.tolist() and image.known is None
    (image,) = compared(tmp_path / "truth.tif", tmp_path / "prediction.tif", ignore=-1)
    assert (image.known == (CELLS > 0)).all() and image.truth.tolist() == CELLS.tolist()


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX"])
def test_channels_of_probabilities_are_classes_wherever_they_stand(axes, tmp_path):
    each = np.random.default_rng(0).random((2, 2, 6, 7)).astype(np.float32)  # slices, classes
    order = ["ZCYX".index(axis) for axis in axes]
    tifffile.imwrite(tmp_path / "a.ome.tif", each.transpose(order), metadata={"axes": axes}, photometric="minisblack")
    own.write(tmp_path / "truth.tif", np.zeros((2, 6, 7), np.uint8))
    found = compared(tmp_path / "truth.tif", tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(np.stack([image.prediction for image in found]), each)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_probabilities_in_whole_numbers_are_divided_in_all_files_of_their_type(kind, tmp_path, capsys):
    white = np.iinfo(kind).max
    cell = gaussian_filter((CELLS > 0).astype(float), 1.5)
    maps = {"a": cell, "b": np.zeros_like(cell), "c": (cell > 0.5).astype(float)}  # a blank one, a steep one
    for name in ("truth", "prediction"):
        (tmp_path / name).mkdir()
    for name, each in maps.items():
        own.write(tmp_path / "truth" / f"{name}.tif", CELLS)
        own.write(tmp_path / "prediction" / f"{name}.tif", np.rint(each * white).astype(kind))
    for image, each in zip(compared(tmp_path / "truth", tmp_path / "prediction"), maps.values(), strict=True):
        assert image.is_probable
        np.testing.assert_allclose(image.prediction, np.stack([1 - each, each]), atol=0.51 / white)
    note = f"note: {tmp_path / 'prediction' / 'a.tif'}: probabilities from 0 to {white}, divided by {white} (3 files)\n"
    assert capsys.readouterr().out == note


def test_probabilities_of_several_classes_in_whole_numbers(compare):
    cell = gaussian_filter((CELLS > 0).astype(float), 1.5)
    each = np.stack([1 - cell, cell * 0.7, cell * 0.3])
    (image,) = compare(CELLS, np.rint(each * 255).astype(np.uint8))
    np.testing.assert_allclose(image.prediction, each, atol=0.01)


@pytest.mark.parametrize("truth", ["probabilities", "picture", "smooth edges"])
def test_a_truth_that_is_a_picture_is_refused(truth, compare, tmp_path):
    image, cells = own.draw(1)
    values = {
        "probabilities": np.rint(gaussian_filter((cells > 0).astype(float), 1.5) * 255).astype(np.uint8),
        "picture": image,
        "smooth edges": drawn.smooth_edged(),
    }[truth]
    with pytest.raises(
        ValueError, match=r"expected labels in the truth, but .*truth\.tif holds .*nearest valid: labels > "
    ):
        compare(values, np.zeros(values.shape, np.uint8))


@pytest.mark.parametrize("form", ["numbers", "colours", "classes", "objects"])
def test_the_data_sets_of_two_people_are_compared(form, tmp_path):
    for person in ("one", "other"):
        for number in range(3):
            labels, image = drawn.types(number) if form in ("colours", "classes") else drawn.cells(number)
            parts = {"": labels}
            if form == "colours":
                parts = {"": np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)[labels]}
            elif form != "numbers":
                parts = {
                    ("_cell", "_nucleus", *"abcdefg")[value - 1]: (labels == value) * np.uint8(255)
                    for value in range(1, labels.max() + 1)
                }
            place = f"labels/a{number}/{{}}.png" if form == "objects" else f"labels/a{number}{{}}.png"
            for name, array in [
                (f"images/a{number}.png", image),
                *((place.format(end), part) for end, part in parts.items()),
            ]:
                (tmp_path / person / name).parent.mkdir(parents=True, exist_ok=True)
                imwrite(tmp_path / person / name, array)
    of_classes = form in ("colours", "classes")
    for truth in (tmp_path / "one", tmp_path / "one/labels"):
        pairs, alone = match(truth, tmp_path / "other", "_labels")
        assert len(pairs) == 3 and alone == []
        for number, image in enumerate(compared(truth, tmp_path / "other", of_classes)):
            assert image.name == f"a{number}" and image.truth.max() == (2 if of_classes else 9)
            np.testing.assert_array_equal(image.truth, image.prediction)


def test_an_image_may_be_called_as_folders_of_data_sets_are(tmp_path):
    labels = own.draw(0)[1]
    for file in (tmp_path / "truth/gt.tif", *(tmp_path / f"prediction/gt/{cell}.png" for cell in range(1, 8))):
        file.parent.mkdir(parents=True, exist_ok=True)
        own.write(file, labels if file.stem == "gt" else (labels == int(file.stem)) * np.uint8(255))
    (found,) = compared(tmp_path / "truth", tmp_path / "prediction")
    assert found.name == "gt" and same(found, labels)
