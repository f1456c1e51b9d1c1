"""Which labels belong to which image; test_folder has the layouts."""

import shlex
import unicodedata

import numpy as np
import pytest
import tifffile

from src.data.finding import Refused
from src.data.folder import read_folder
from src.data.matching import Wanted, matched
from src.prediction.tiff import write_prediction
from tests.data.own import draw, folder, write
from tests.data.test_patterns import lay
from tests.files.test_tiffs import spread


def test_how_pixels_are_to_be_seen_goes_with_each_pair(tmp_path):
    pairs, _ = matched(folder(tmp_path / "own", 2), Wanted(orientation="stored", axes="ZYX"))
    assert [(pair.orientation, pair.axes) for pair in pairs] == [("stored", "ZYX")] * 2
    with pytest.raises(ValueError, match="expected orientation to be shown or stored, but got upright"):
        matched(tmp_path / "own", Wanted(orientation="upright"))
    with pytest.raises(ValueError, match="expected axes of the letters"):
        matched(tmp_path / "own", Wanted(axes="slices"))


def test_the_parts_of_an_image_in_several_files_need_one_label(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    spread(tmp_path / "images")
    tifffile.imwrite(tmp_path / "labels/a_0.tif", draw(0)[1][:20, :30])
    pairs, findings = matched(tmp_path)
    assert [pair.name for pair in pairs] == ["a_0"]
    assert [(each.code, each.severity) for each in findings] == [("part-of-image", "note")]


def write_all(root, *places):
    for place in places:
        for number in range(3):
            file = root / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, draw(number)[place != places[0]])
    return root


@pytest.mark.parametrize(
    "places",
    [
        ("images/a{}_img.tif", "masks/a{}_mask.tif"),
        ("images/image_{}.tif", "labels/mask_{}.tif"),
        ("images/image{}.tif", "labels/00{}.tif"),
        ("a{}_image.tif", "a{}_mask.tif"),
        ("images/image{}.tif", "labels/image{}_Simple Segmentation.tif"),
    ],
)
def test_a_common_beginning_and_ending_is_none_of_the_name(places, tmp_path):
    pairs, findings = matched(write_all(tmp_path, *places))
    assert [tifffile.imread(pair.labels).tolist() for pair in pairs] == [
        draw(number)[1].tolist() for number in range(3)
    ]
    assert [pair.image for pair in pairs] == sorted(tmp_path.glob(places[0].replace("{}", "*")))[: len(pairs)]
    assert [each.code for each in findings] == ([] if "Simple" in places[1] else ["paired-by-affix"])


def test_two_folders_of_labels_are_named_with_the_key_that_chooses(tmp_path):
    write_all(tmp_path, "images/image{}.tif", "labels/image{}.tif", "masks/image{}.tif")
    (one,) = matched(tmp_path)[1]
    assert (one.code, one.severity) == ("two-label-folders", "error")
    assert one.fix == "data.source.labels=labels or data.source.labels=masks"
    pairs, findings = matched(tmp_path, Wanted(labels="masks"))
    assert {pair.labels.parent.name for pair in pairs} == {"masks"} and findings == []
    with pytest.raises(
        FileNotFoundError,
        match=r"data\.source\.labels to be a folder in .*, but got mask; nearest valid: labels, masks",
    ):
        matched(tmp_path, Wanted(labels="mask"))


def test_an_empty_folder_beside_the_labels_is_none(tmp_path):
    write_all(tmp_path, "images/image{}.tif", "masks/image{}.tif")
    (tmp_path / "labels").mkdir()
    pairs, findings = matched(tmp_path)
    assert {pair.labels.parent.name for pair in pairs} == {"masks"} and findings == []


def test_label_images_in_another_folder_are_said(tmp_path):
    write_all(
        tmp_path,
        "images/image{}_training.tif",
        "mask/image{}_training.tif",
        "1st_manual/image{}_manual1.tif",
        "notes/a{}.tif",
    )
    pairs, (one,) = matched(tmp_path)
    assert (one.code, one.severity, one.fix) == (
        "other-labels",
        "warning",
        "data.source.labels=1st_manual uses those instead",
    )
    pairs, (one,) = matched(tmp_path, Wanted(labels="1st_manual"))
    assert one.code == "paired-by-affix" and {pair.labels.parent.name for pair in pairs} == {"1st_manual"}


def test_of_pascal_voc_the_classes_are_learnt_and_the_objects_offered(tmp_path):
    write_all(tmp_path, "JPEGImages/image{}.tif", "SegmentationClass/image{}.tif", "SegmentationObject/image{}.tif")
    pairs, (one,) = matched(tmp_path)
    assert {pair.labels.parent.name for pair in pairs} == {"SegmentationClass"}
    assert one.fix.startswith("data.source.labels=SegmentationObject data.source.kind=instances")
    pairs, _ = matched(tmp_path, Wanted(labels="SegmentationObject"))
    assert {pair.labels.parent.name for pair in pairs} == {"SegmentationObject"}


@pytest.mark.parametrize("labels", [("a{}_label.tif", "a{}_labels.tif"), ("a{}_mask.tif", "a{}_cp_masks.tif")])
def test_two_label_images_of_one_image_are_named(labels, tmp_path):
    write_all(tmp_path, "a{}.tif", *labels)
    found = matched(tmp_path)[1]
    assert {(each.code, each.severity) for each in found} == {("same-name", "error")}
    keys = found[0].fix.split(" or ")
    assert sorted(keys) == [f"data.source.labels='{each.replace('a{}', '{name}')[:-4]}.*'" for each in sorted(labels)]
    for key in keys:
        pairs, findings = matched(tmp_path, Wanted(labels=key.partition("=")[2].strip("'")))
        assert len(pairs) == 3 and findings == []


def test_an_image_may_be_called_like_labels(tmp_path):
    write_all(tmp_path, "images/a{}_mask.tif", "labels/a{}_mask.tif")
    write_all(tmp_path, "images/a{}.tif", "labels/a{}.tif")
    pairs, findings = matched(tmp_path)
    assert [pair.name for pair in pairs] == [pair.labels.stem for pair in pairs] and len(pairs) == 6 and findings == []


def rearranged(root, *places, count=6):
    """Write drawings to paths of images and of labels; return the drawings by name."""
    drawn = {}
    for number in range(count):
        image, labels = places[number * len(places) // count]
        for place, array in ((image, draw(number)[0]), (labels, draw(number)[1])):
            file = root / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, array)
        drawn[number] = draw(number)
    return drawn


LAYOUTS = {
    "capitals": [("Images/a{}.TIF", "Masks/a{}.TIF")],
    "wrapped": [("archive/data/imgs/a{}.tif", "archive/data/masks/a{}_mask.tif")],
    "images in the root": [("a{}.tif", "masks/a{}.tif")],
    "other names": [("tissue/a{}.tif", "ground_truth/a{}.tif")],
    "nested": [("images/p1/a{}.tif", "labels/p1/a{}.tif"), ("images/p2/a{}.tif", "labels/p2/a{}.tif")],
    "nested, flat labels": [("images/p1/a{}.tif", "labels/a{}.tif"), ("images/p2/a{}.tif", "labels/a{}.tif")],
    "a folder a plate": [("p1/images/a{}.tif", "p1/masks/a{}.tif"), ("p2/images/a{}.tif", "p2/masks/a{}.tif")],
    "a folder an image": [(f"s{number}/image.tif", f"s{number}/mask.tif") for number in range(6)],
    "a folder an image, called so": [
        (f"img_{number}/images/x.tif", f"img_{number}/masks/x.tif") for number in range(6)
    ],
    "a folder an image, two deep": [(f"s{number}/raw/x.tif", f"s{number}/mask/x.tif") for number in range(6)],
    "a folder an image, others called": [(f"{name}/{name}_img.tif", f"{name}/{name}_gt.tif") for name in "cdefgh"],
    "beginnings": [("image_{}.tif", "mask_{}.tif")],
    "suffixes": [("a{}.png", "a{}.tif")],
    "nnU-Net": [("imagesTr/a{}_0000.tif", "labelsTr/a{}.tif")],
    "split": [("train/images/a{}.tif", "train/masks/a{}.tif"), ("val/images/a{}.tif", "val/masks/a{}.tif")],
    "split below": [("images/train/a{}.tif", "labels/train/a{}.tif"), ("images/test/a{}.tif", "labels/test/a{}.tif")],
    "split by prefix": [("train_images/a{}.tif", "train_masks/a{}.tif"), ("test_images/a{}.tif", "test_masks/a{}.tif")],
    "split, flat": [("train/a{}.tif", "train/a{}_mask.tif"), ("valid/a{}.tif", "valid/a{}_mask.tif")],
    "Carvana": [("train/a{}.tif", "train_masks/a{}_mask.tif")],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_each_image_its_own_labels(layout, tmp_path):
    drawn = rearranged(tmp_path, *LAYOUTS[layout])
    stack = read_folder(tmp_path)
    assert len(stack) == len(set(stack.names)) == 6
    for number, (image, labels) in drawn.items():
        np.testing.assert_array_equal(stack.images[number], image)
        np.testing.assert_array_equal(stack.instances[number], labels)


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ("split", ["train"] * 3 + ["validation"] * 3),
        ("split below", ["train"] * 3 + ["held_out"] * 3),
        ("split by prefix", ["train"] * 3 + ["held_out"] * 3),
        ("split, flat", ["train"] * 3 + ["validation"] * 3),
        ("Carvana", [""] * 6),
        ("nnU-Net", [""] * 6),
        ("nested", [""] * 6),
    ],
)
def test_folders_may_say_the_split(layout, parts, tmp_path):
    rearranged(tmp_path, *LAYOUTS[layout])
    assert [pair.part for pair in matched(tmp_path)[0]] == parts == read_folder(tmp_path).parts


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for place in ("p1", "p2"):
        rearranged(tmp_path, (f"images/{place}/a{{}}.tif", f"labels/{place}/a{{}}.tif"), count=2)
    for part in ("train", "val"):
        rearranged(tmp_path / "other", (f"{part}/images/a{{}}.tif", f"{part}/masks/a{{}}.tif"), count=2)
    assert [pair.name for pair in matched(tmp_path)[0]] == ["p1_a0", "p1_a1", "p2_a0", "p2_a1"]
    assert [pair.name for pair in matched(tmp_path / "other")[0]] == [
        *("train_a0", "train_a1", "validation_a0", "validation_a1")
    ]
    assert len({pair.source for pair in matched(tmp_path)[0]}) == 4


def test_a_part_without_labels_is_left_out(tmp_path):
    rearranged(tmp_path, ("train/images/a{}.tif", "train/masks/a{}.tif"))
    lay(tmp_path, "test/images/b{}.tif")
    pairs, findings = matched(tmp_path)
    assert len(pairs) == 6 and {pair.part for pair in pairs} == {"train"}
    assert [(each.code, each.severity) for each in findings] == [("no-labels", "note")]


def test_channels_in_a_file_each_are_one_image(tmp_path):
    lay(tmp_path, "labelsTr/a{}.tif", "imagesTr/a{}_0001.tif")
    lay(tmp_path, "imagesTr/a{}_0000.tif", "labelsTr/a{}.tif")
    stack = read_folder(tmp_path)
    assert stack.names == ["a0", "a1", "a2"]
    for number, image in enumerate(stack.images):
        np.testing.assert_array_equal(image, np.stack(draw(number), axis=-1))


def test_names_are_in_the_order_in_which_people_count(tmp_path):
    lay(tmp_path, "images/{}.tif", "labels/{}.tif", count=12)
    assert [pair.name for pair in matched(tmp_path)[0]] == [str(number) for number in range(12)]
    assert [pair.name for pair in matched(tmp_path, Wanted(order="plain"))[0]] == sorted(map(str, range(12)))
    for name in ("10ab", "9fe0", "1b00"):  # names of one length are not ordered as numbers
        for place, array in zip(("images", "labels"), draw(0), strict=True):
            (tmp_path / "hashed" / place).mkdir(parents=True, exist_ok=True)
            write(tmp_path / f"hashed/{place}/{name}.tif", array)
    assert [pair.name for pair in matched(tmp_path / "hashed")[0]] == ["10ab", "1b00", "9fe0"]
    with pytest.raises(ValueError, match=r"data\.source\.order to be natural or plain, but got random"):
        matched(tmp_path, Wanted(order="random"))


def test_two_spellings_of_a_letter_are_one_name(tmp_path):
    names = {form: unicodedata.normalize(form, "é_{}.tif") for form in ("NFC", "NFD")}
    lay(tmp_path, f"images/{names['NFD']}", f"labels/{names['NFC']}")
    pairs, findings = matched(tmp_path)
    assert len(pairs) == 3 and findings == []


def test_files_that_are_not_read_are_counted(tmp_path):
    lay(tmp_path, "images/a{}.tif", "labels/a{}.tif")
    (tmp_path / "images/a9.vsi").touch()
    (one,) = matched(tmp_path)[1]
    assert (one.code, one.severity) == ("unread-files", "warning") and "1 of .vsi" in one.found
    (tmp_path / "other/images").mkdir(parents=True)
    (tmp_path / "other/images/a.vsi").touch()
    with pytest.raises(FileNotFoundError, match=r"images holds files in formats that are not read: 1 of \.vsi"):
        matched(tmp_path / "other")
    lay(tmp_path / "other", "images/a{}.tif")
    (tmp_path / "other/Annotations").mkdir()
    (tmp_path / "other/Annotations/a0.xml").touch()
    with pytest.raises(FileNotFoundError, match=r"Annotations holds files in formats that are not read: 1 of \.xml"):
        matched(tmp_path / "other")


def test_our_own_prediction_is_no_truth(tmp_path):
    lay(tmp_path, "images/a{}.tif")
    for number in range(3):
        write_prediction(tmp_path / "labels", f"a{number}", np.zeros((2, 96, 96), np.float32), draw(number)[1])
        (tmp_path / f"labels/a{number}_probabilities.tif").unlink()
    with pytest.raises(Refused, match=r"a0_labels\.tif: expected what somebody has drawn, but got a prediction of src"):
        read_folder(tmp_path)


def test_a_name_that_begins_like_another_is_another(tmp_path):
    lay(tmp_path, "imgs/train{}.tif", "masks/train{}_mask.gif", count=12)
    pairs, findings = matched(tmp_path)
    assert [pair.labels.name for pair in pairs] == [f"train{number}_mask.gif" for number in range(12)]
    assert findings == []


QUIRKS = {  # layouts of files that broke other programs
    "dots in names": ("1.3.6.1.{}.high.jpg", "1.3.6.1.{}.high_mask.gif"),
    "folders of notebooks": ("images/a{}.tif", "masks/a{}.tif", "images/.ipynb_checkpoints/a{}-checkpoint.tif"),
    "an empty folder": ("images/a{}.tif", "masks/a{}.tif", "images/empty/.keep"),
    "shadows of macOS": ("images/a{}.tif", "masks/a{}.tif", "images/._a{}.tif", "__MACOSX/images/._a{}.tif"),
    "flows of Cellpose": ("a{}.tif", "a{}_masks.tif", "a{}_flows.tif"),
    "a pickle beside its masks": ("a{}.tif", "a{}_masks.tif", "a{}_seg.npy"),
    "outlines of Cellpose": ("a{}.png", "a{}_cp_masks.png", "a{}_outlines_cp_masks.txt"),
    "a folder a patient": ("p{}/p{}_1.tif", "p{}/p{}_1_mask.tif"),
    "tiles of QuPath": ("a [x={},y=0,w=96,h=96].tif", "a [x={},y=0,w=96,h=96]-labelled.png"),
    "an export with numbers": ("images/61148fa{}-a{}.png", "labels/a{}.png"),
    "capitals": ("images/Cell_{}.TIF", "labels/cell_{}.png"),
    "separators": ("images/cell {}.tif", "labels/cell_{}.tif"),
    "a challenge": ("X2018_Task1-2_Training_Input/X_{}.jpg", "X2018_Task1_Training_GroundTruth/X_{}_segmentation.png"),
    "the stain of one channel": ("images/a{}_w1f{}.tif", "labels/a{}.tif"),
    "superpixels beside images": (
        "X_Training_Data/X_{}.jpg",
        "X_GroundTruth/X_{}_seg.png",
        "X_Training_Data/X_{}_super.tif",
    ),
    "labels one folder further down": ("images/c{}.jpg", "annotations/trimaps/c{}.png", "annotations/xmls/c{}.xml"),
    "a film without folders": ("t{}.tif", "man_seg{}.tif"),
    "images to predict in the same folder": ("train/image/{}.png", "train/label/{}.png", "test/{}.tif"),
    "nested twice": ("data/images/livecell_train_val_images/a{}.tif", "data/masks/livecell_train_val_images/a{}.tif"),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_what_other_programs_broke_on_is_learnt(quirk, tmp_path):
    images, labels, *others = QUIRKS[quirk]
    for number in range(5):
        for place, array in ((images, draw(number)[0]), (labels, (draw(number)[1]).astype(np.uint8))):
            file = tmp_path / place.replace("{}", str(number))
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, array)
        for place in others:
            file = tmp_path / place.replace("{}", str(number))
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, draw(9)[0]) if file.suffix == ".tif" else file.touch()
    pairs, findings = matched(tmp_path)
    assert [pair.image for pair in pairs] == [tmp_path / images.replace("{}", str(number)) for number in range(5)]
    assert not [each for each in findings if each.severity == "error"]
    stack = read_folder(tmp_path)
    for number, labels in enumerate(stack.instances):
        np.testing.assert_array_equal(labels, draw(number)[1])


def test_files_of_objects_may_have_the_name_of_their_class(tmp_path):
    lay(tmp_path, "images/a{}.tif")
    for number in range(3):
        for cell in range(1, 8):
            file = tmp_path / f"masks/a{number}-nucleus-{cell - 1}.png"
            file.parent.mkdir(exist_ok=True)
            write(file, (draw(number)[1] == cell).astype(np.uint8) * 255)
    stack = read_folder(tmp_path)
    for number, labels in enumerate(stack.instances):
        np.testing.assert_array_equal(labels, draw(number)[1])


def test_folders_of_unknown_names_are_offered_as_patterns(tmp_path):
    lay(tmp_path, "dapi/a{}.tif", "drawn by Tom/a{}.tif")
    lay(tmp_path, "gfp/a{}.tif")
    with pytest.raises(FileNotFoundError, match="nearest valid: data") as raised:
        matched(tmp_path)
    for offered in str(raised.value).partition("nearest valid: ")[2].split(" or "):
        keys = dict(each.split("=", 1) for each in shlex.split(offered))
        wanted = Wanted(images=keys["data.source.images"], labels=keys["data.source.labels"])
        pairs, findings = matched(tmp_path, wanted)
        assert len(pairs) == 3 and {pair.labels.parent.name for pair in pairs} == {"drawn by Tom"} and findings == []
