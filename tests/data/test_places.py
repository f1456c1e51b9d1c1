"""Folders of images and of labels, found by their names."""

import pytest

from src.data.places import Place, places, read_name, words_of


def lay(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def shown(root):
    """Each place as paths from the root."""
    return [
        (
            place.images.relative_to(root).as_posix(),
            {name: folder.relative_to(root).as_posix() for name, folder in place.masks.items()},
            place.part,
            place.above,
        )
        for place in places(root)
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("imagesTr", ["image", "tr"]),
        ("JPEGImages", ["jpeg", "image"]),
        ("SegmentationClass", ["segmentation", "class"]),
        ("GT", ["gt"]),
        ("ground-truth masks", ["ground", "truth", "mask"]),
        ("image1", ["image1"]),
        ("Bilder_für_1", ["bilder", "f", "ür", "1"]),
    ],
)
def test_a_name_has_words(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize("name", ["images", "Images", "IMAGES", "imgs", "Img", "image", "raw", "JPEGImages", "raw_png"])
def test_folders_of_images_have_many_names(name):
    assert (read_name(name).role, read_name(name).part) == ("images", "")


@pytest.mark.parametrize(
    "name", ["labels", "Masks", "MASK", "label_images", "image-masks", "GT", "groundTruth", "annotations", "Labels_tif"]
)
def test_folders_of_labels_have_many_names(name):
    assert (read_name(name).role, read_name(name).part) == ("labels", "")


@pytest.mark.parametrize(
    ("name", "role", "part"),
    [
        ("train", "", "train"),
        ("Training", "", "train"),
        ("val", "", "validation"),
        ("validation", "", "validation"),
        ("test", "", "held_out"),
        ("stage1_train", "", "train"),
        ("train_images", "images", "train"),
        ("labelsTs", "labels", "held_out"),
        ("test-masks", "labels", "held_out"),
    ],
)
def test_a_folder_may_say_its_part_of_a_split(name, role, part):
    assert (read_name(name).role, read_name(name).part) == (role, part)


@pytest.mark.parametrize("name", ["plate1", "image1", "masks of Tom", "raw_nuclei", "train_val", "1st_manual", "01_GT"])
def test_a_word_of_another_meaning_says_nothing(name):
    assert (read_name(name).role, read_name(name).part) == ("", "")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.tif", "a_mask.tif"], [(".", {}, "", ())]),
        (["images/a.tif", "labels/a.tif"], [("images", {"labels": "labels"}, "", ())]),
        (["Images/a.tif", "Masks/a.tif"], [("Images", {"Masks": "Masks"}, "", ())]),
        (["data/images/a.tif", "data/masks/a.tif"], [("data/images", {"masks": "data/masks"}, "", ("data",))]),
        (["a.tif", "masks/a.tif"], [(".", {"masks": "masks"}, "", ())]),
        (["tissue/a.tif", "masks/a.tif"], [("tissue", {"masks": "masks"}, "", ())]),
        (
            ["train/images/a.tif", "train/masks/a.tif", "val/images/b.tif", "val/masks/b.tif"],
            [
                ("train/images", {"masks": "train/masks"}, "train", ()),
                ("val/images", {"masks": "val/masks"}, "validation", ()),
            ],
        ),
        (
            ["images/train/a.tif", "images/test/b.tif", "labels/train/a.tif", "labels/test/b.tif"],
            [
                ("images/test", {"labels": "labels/test"}, "held_out", ()),
                ("images/train", {"labels": "labels/train"}, "train", ()),
            ],
        ),
        (
            ["train_images/a.tif", "train_masks/a.tif", "test_images/b.tif", "test_masks/b.tif"],
            [
                ("test_images", {"masks": "test_masks"}, "held_out", ()),
                ("train_images", {"masks": "train_masks"}, "train", ()),
            ],
        ),
        (["train/a.tif", "train_masks/a.tif"], [("train", {"masks": "train_masks"}, "", ())]),
        (["train_images/a.tif", "masks/a.tif"], [("train_images", {"masks": "masks"}, "", ())]),
        (["images/a.tif", "train_masks/a.tif"], [("images", {"masks": "train_masks"}, "", ())]),
        (
            ["train/a.tif", "train/a_mask.tif", "val/b.tif", "val/b_mask.tif"],
            [("train", {}, "train", ()), ("val", {}, "validation", ())],
        ),
        (["imagesTr/a_0000.png", "labelsTr/a.png"], [("imagesTr", {"labels": "labelsTr"}, "", ())]),
        (
            ["images/p1/a.tif", "images/p2/a.tif", "labels/p1/a.tif", "labels/p2/a.tif"],
            [("images/p1", {"labels": "labels/p1"}, "", ("p1",)), ("images/p2", {"labels": "labels/p2"}, "", ("p2",))],
        ),
        (
            ["images/p1/a.tif", "images/p2/b.tif", "labels/a.tif", "labels/b.tif"],
            [("images/p1", {"labels": "labels"}, "", ("p1",)), ("images/p2", {"labels": "labels"}, "", ("p2",))],
        ),
        (
            ["p1/images/a.tif", "p1/masks/a.tif", "p2/images/a.tif", "p2/masks/a.tif"],
            [("p1/images", {"masks": "p1/masks"}, "", ("p1",)), ("p2/images", {"masks": "p2/masks"}, "", ("p2",))],
        ),
        (["s1/image.tif", "s1/mask.tif", "s2/image.tif"], [("s1", {}, "", ("s1",)), ("s2", {}, "", ("s2",))]),
        (
            ["train2017/a.jpg", "val2017/b.jpg", "annotations/instances_train2017.json"],
            [
                ("train2017", {"annotations": "annotations"}, "train", ()),
                ("val2017", {"annotations": "annotations"}, "validation", ()),
            ],
        ),
        (["images/a.tif", "images/a_mask.tif"], [("images", {}, "", ())]),
        (["images/raw/a.tif", "images/masks/a.tif"], [("images/raw", {"masks": "images/masks"}, "", ())]),
        (
            ["VOC/JPEGImages/a.jpg", "VOC/SegmentationClass/a.png", "VOC/Annotations/a.xml", "VOC/ImageSets/a.txt"],
            [("VOC/JPEGImages", {"SegmentationClass": "VOC/SegmentationClass"}, "", ("VOC",))],
        ),
        (["images/a.tif", "images/.b/c.tif", "__MACOSX/images/a.tif"], [("images", {}, "", ())]),
        (["01/t000.tif", "01_GT/SEG/man_seg000.tif"], [(".", {}, "", ())]),
        (["notes.txt"], []),
    ],
)
def test_places_of_images_are_found(files, expected, tmp_path):
    assert shown(lay(tmp_path, *files)) == expected


def test_folders_of_other_names_are_kept_for_who_asks(tmp_path):
    lay(tmp_path, "images/a.tif", "masks/a.tif", "1st_manual/a.tif", "notes/a.txt")
    (place,) = places(tmp_path)
    assert place == Place(
        tmp_path / "images", {"masks": tmp_path / "masks"}, {"1st_manual": tmp_path / "1st_manual"}, "", ()
    )


def test_an_image_that_is_a_folder_is_none(tmp_path):
    lay(tmp_path, "a.zarr/labels/cells/0.tif", "a.zarr/images/0.tif")
    assert shown(tmp_path) == [(".", {}, "", ())]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("cell_images", "cell_masks"),
        ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"),
        ("BBBC006_v1_images_z_16", "BBBC006_v1_labels"),
        ("Tissue images", "mask binary"),
    ],
)
def test_words_of_another_meaning_do_not_count_beside_each_other(images, labels, tmp_path):
    lay(tmp_path, f"{images}/a.tif", f"{labels}/a.tif")
    assert [(place.images.name, [*place.masks.values()]) for place in places(tmp_path)] == [
        (images, [tmp_path / labels])
    ]


def test_of_two_folders_of_images_with_other_words_none_is_guessed(tmp_path):
    lay(tmp_path, "cell_images/a.tif", "nucleus_images/a.tif", "cell_masks/a.tif", "nucleus_masks/a.tif")
    assert all(place.masks == {} for place in places(tmp_path))
