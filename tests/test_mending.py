"""The repaired copy of a folder: its content, its meaning, and what cannot be repaired."""

import functools
import hashlib
import json
import subprocess
import sys

import imagecodecs
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import yaml

from src import mending
from src.data.finding import ERROR
from src.data.folder import read_folder
from src.files.reading import read_json
from tests.conftest import TINY, composed
from tests.data.drawn import KINDS, mask, types
from tests.data.own import change_image, change_labels, draw, folder, write
from tests.findings.broken import BROKEN, by_class, coloured, compress, shrink

SMALL = [argument for argument in TINY if argument.startswith(("data.", "model."))]
FEW = 3


def tree(root):
    """A hash of each file below a folder."""
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in root.rglob("*") if file.is_file()}


@functools.cache
def config():
    """What `src.check` makes of no arguments."""
    return composed("data=folder", "data.root=somewhere", *SMALL)


@pytest.fixture
def mend(tmp_path):
    """Mend a folder, which stays as it is: → (the copy, its list of changes, what is printed of it)."""

    def call(root, *arguments, out=None, chosen=False):
        out, before, given = out or tmp_path / "copy", tree(root), [f"data.root={root}", *arguments]
        data = {**config()["data"], "root": str(root)}
        data["source"] = {**data["source"], "root": str(root), **told(arguments)}
        try:
            mending.mend({**config(), "data": data}, chosen, out, given)
        finally:
            assert tree(root) == before
            assert not list(out.parent.glob(f".{out.name}*"))
        mended = read_json(out / mending.LIST, mending.Mended)
        return out, mended, "\n".join(mending.lines(mended))

    return call


def told(arguments):
    """What arguments of a command tell `read_folder`."""
    pairs = (each.partition("=") for each in arguments)
    return {key.removeprefix("data.source."): yaml.safe_load(value) for key, _, value in pairs if "data.source." in key}


def assert_same(copy, original, one_channel=False):
    """That two stacks are learnt from alike."""
    assert copy.names == original.names and copy.parts == original.parts
    for one, other in zip(copy.images, original.images, strict=True):
        np.testing.assert_array_equal(one, other[..., 0] if one_channel else other)
    for name in ("targets", "instances", "known"):
        for one, other in zip(getattr(copy, name), getattr(original, name), strict=True):
            np.testing.assert_array_equal(one, other, name)


def drawn(root, one, count=FEW, suffix=".png"):
    """A folder of images and labels, ``(labels, image)`` of a number."""
    for number in range(count):
        labels, image = one(number)
        for name, array in ((f"images/a{number}.png", image), (f"labels/a{number}{suffix}", labels)):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write(root / name, array)
    return root


FAST = ("mixed masks", "ilastik", "white membranes", "two cells", "vessels")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in KINDS]
)
def test_a_copy_of_every_kind_of_labels_is_learnt_from_alike(name, mend, tmp_path):
    kind, count, one = KINDS[name]
    root = drawn(tmp_path / "own", one, max(FEW, count))
    out, mended, _ = mend(root)
    assert mended["kind"] == kind
    assert_same(read_folder(out, **told(mended["arguments"])), read_folder(root))


def cells_in_colours(number):
    """Each cell in a colour of its own."""
    labels, image = KINDS["nine cells"][2](number)
    colours = np.random.default_rng(number).permutation(256)[:30].reshape(10, 3).astype(np.uint8)
    colours[0] = 0
    return colours[labels], image


def void(number, value=255):
    labels, image = types(number)
    labels[:9] = value
    return labels, image


def one_file_a_cell(root):
    for number in range(FEW):
        labels, image = KINDS["nine cells"][2](number)
        for place in ("images", "masks"):
            (root / f"id{number}/{place}").mkdir(parents=True)
        write(root / f"id{number}/images/id{number}.png", image)
        for cell in range(1, labels.max() + 1):
            write(root / f"id{number}/masks/{number}{cell:04d}.png", np.uint8(labels == cell) * 255)


def rectangles(root):
    drawn(root, KINDS["nine cells"][2])
    for number in range(FEW):
        (root / f"labels/a{number}.png").unlink()
        shapes = [
            {"label": "cell", "points": [[left, 10 + number], [left + 9, 30]], "shape_type": "rectangle"}
            for left in range(5, 80, 20)
        ]
        size = {"imageHeight": 96, "imageWidth": 96}
        (root / f"labels/a{number}.json").write_text(json.dumps({"shapes": shapes, **size}))


def parts(root):
    """Folders of a split."""
    for part, numbers in {"train": (0, 1, 2), "val": (3,), "test": (4, 5)}.items():
        for number in numbers:
            labels, image = KINDS["nine cells"][2](number)
            for place, array in (("images", image), ("labels", labels)):
                (root / part / place).mkdir(parents=True, exist_ok=True)
                write(root / part / place / f"a{number}.png", array)


def channels(root):
    drawn(root, KINDS["nine cells"][2])
    for number in range(FEW):
        file = root / f"images/a{number}.png"
        image = iio.imread(file)
        file.unlink()
        for channel in (0, 1):
            write(root / f"images/a{number}_000{channel}.png", image // (1 + channel))


def stacks(root, **options):
    """Three stacks of four slices, as one file each."""
    for number in range(3):
        slices = [KINDS["nine cells"][2](4 * number + place) for place in range(4)]
        for name, place in (("labels", 0), ("images", 1)):
            (root / name).mkdir(parents=True, exist_ok=True)
            stack = np.stack([each[place] for each in slices])
            tifffile.imwrite(root / f"{name}/s{number}.tif", stack, photometric="minisblack", **options)


def one_hot(root):
    def planes(number):
        labels, image = types(number)
        return np.stack([labels == value for value in range(3)]).astype(np.uint8), image

    drawn(root, planes, suffix=".tif")


def planes_of_classes(root):
    def planes(number):
        labels, image = types(number)
        return np.stack([labels > 0, labels > 1]).astype(np.uint8) * 255, image

    drawn(root, planes, suffix=".tif")


def films(root):
    """Three films of the Cell Tracking Challenge of a few frames."""
    for number in range(7):
        film, frame = f"0{1 + number // 3}", number % 3
        (root / film).mkdir(parents=True, exist_ok=True)
        (root / f"{film}_GT/SEG").mkdir(parents=True, exist_ok=True)
        image, cells = draw(number)
        write(root / film / f"t{frame:03d}.tif", image)
        write(root / f"{film}_GT/SEG/man_seg{frame:03d}.tif", cells)


def images(change, suffix, **options):
    """A folder of cells whose images have been saved otherwise."""

    def build(root):
        change_image(folder(root, FEW), change, range(FEW), suffix, **options)

    return build


def turned(root):
    """JPEGs with a tag by which viewers turn them; their labels are upright."""
    for number in range(FEW):
        image, cells = draw(number)
        data = imagecodecs.jpeg_encode(np.ascontiguousarray(np.rot90(image)), level=95)
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "labels").mkdir(exist_ok=True)
        tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        (root / f"images/a{number}.jpg").write_bytes(
            data[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2) + tag + data[2:]
        )
        write(root / f"labels/a{number}.tif", cells)


def labels(one, suffix=".png"):
    return lambda root: drawn(root, one, suffix=suffix)


def rgb(image):
    return np.stack([image, image // 2, image], -1)


# What is there, arguments by which it is read, and the kinds of what a copy has otherwise.
OTHERS = {
    "masks turned round": (labels(lambda number: mask(number, 0, 255)), ["data.source.values=[255,0]"], {"values"}),
    "classes in colours": (
        labels(lambda number: (coloured(types(number)[0]), types(number)[1])),
        [],
        {"colour-labels"},
    ),
    "cells in colours": (labels(cells_in_colours), [], {"colour-labels"}),
    "255 where nobody has annotated": (labels(void), ["data.source.ignore_label=255"], set()),
    "9 where nobody has annotated": (labels(lambda n: void(n, 9)), ["data.source.ignore_label=9"], {"values"}),
    "-1 where nobody has annotated": (
        labels(lambda n: (void(n, 9)[0].astype(np.int16) - 10 * (void(n, 9)[0] == 9), void(n)[1]), ".tif"),
        ["data.source.ignore_label=-1"],
        {"values"},
    ),
    "a cell is not annotated": (
        labels(KINDS["nine cells"][2]),
        ["data.source.ignore_label=3", "data.source.kind=instances"],
        set(),
    ),
    "real numbers": (
        labels(lambda n: (KINDS["nine cells"][2](n)[0].astype(np.float32), KINDS["nine cells"][2](n)[1]), ".tif"),
        [],
        {"float-label"},
    ),
    "numbers saved as colours": (
        labels(lambda n: (np.repeat(types(n)[0][..., None], 3, axis=2), types(n)[1])),
        [],
        {"grey-as-colour"},
    ),
    "values in another order": (labels(types), ["data.source.kind=classes", "data.source.values=[2,0,1]"], {"values"}),
    "values with gaps": (labels(lambda n: (types(n)[0] * 100, types(n)[1])), [], set()),
    "planes of which one is on": (one_hot, [], {"one-hot"}),
    "planes of classes": (planes_of_classes, [], {"class-planes"}),
    "a file for each class": (lambda root: by_class(folder(root)), [], {"class-files"}),
    "a file for each cell": (one_file_a_cell, [], {"object-files"}),
    "shapes": (rectangles, [], {"shapes"}),
    "folders of a split": (parts, [], set()),
    "a file for each channel": (channels, [], {"channel-files"}),
    "films": (films, [], set()),
    "stacks": (stacks, [], set()),
    "slices tagged as channels": (
        lambda root: stacks(root, imagej=True, metadata={"axes": "CYX"}),
        ["data.source.axes=ZYX"],
        {"axes"},
    ),
    "images turned by viewers": (turned, [], {"turned", "format"}),
    "0 as white": (images(lambda x: 255 - x, ".tif"), [], set()),
    "bitmaps": (images(lambda x: x, ".bmp"), [], {"format"}),
    "bitmaps in colours": (images(rgb, ".bmp"), [], {"format"}),
    "JPEG": (images(lambda x: x, ".jpg"), [], {"format"}),
    "OME-Zarr": (images(lambda x: x, ".zarr"), [], {"format"}),
    "colours": (images(rgb, ".png"), [], set()),
    "colours and opacity": (
        images(lambda x: np.dstack([rgb(x), np.full_like(x, 255)]), ".png"),
        [],
        {"alpha"},
    ),
    "five channels": (
        images(lambda x: np.stack([x // n for n in range(1, 6)]), ".tif", metadata={"axes": "CYX"}, ome=True),
        [],
        set(),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_copy_is_learnt_from_alike_however_files_were_saved(name, mend, tmp_path):
    build, arguments, codes = OTHERS[name]
    root = tmp_path / "own"
    build(root)
    out, mended, printed = mend(root, *arguments)
    assert {change["code"] for pair in mended["pairs"] for change in pair["changes"]} == codes, printed
    assert_same(read_folder(out, **told(mended["arguments"])), read_folder(root, **told(arguments)))


def test_slices_of_a_film_stay_in_one_group_of_the_split(mend, tmp_path):
    films(tmp_path / "own")
    _, mended, _ = mend(tmp_path / "own")
    assert mended["arguments"][1:] == ["data.train=0,1,2", "data.validation=3,4,5", "data.held_out=6"]


# What reading refuses, and what was drawn.
TWO_VALUES = {"shrunk": (shrink, ".tif"), "compressed": (compress, ".png"), "JPEG": (compress, ".jpg")}


@pytest.mark.parametrize("name", TWO_VALUES)
@pytest.mark.parametrize("numbers", [range(FEW), [1]])
def test_a_smoothed_mask_gets_its_two_values_back(name, numbers, mend, tmp_path):
    change, suffix = TWO_VALUES[name]
    root = folder(tmp_path / "own", FEW)
    change_labels(root, lambda cells: np.uint8(cells > 0) * 255, range(FEW))
    change_labels(root, change, numbers, suffix)
    out, _, printed = mend(root)
    assert f"the nearer of 0 and 255: {len(numbers)} file" in printed and f"0/255 → 0/1: {FEW} files" in printed
    for number, target in enumerate(read_folder(out).targets):
        wrong = target != (draw(number)[1] > 0)
        assert set(np.unique(target)) == {0, 1} and wrong.mean() < (0.02 if number in numbers else 1e-9)


@pytest.mark.parametrize(
    "name",
    [name for name, (_, severity, _, chosen) in BROKEN.items() if severity == ERROR and not chosen],
)
def test_what_is_wrong_is_mended_left_out_or_refused_as_a_whole(name, mend, tmp_path):
    code, _, spoil, _ = BROKEN[name]
    spoil(root := folder(tmp_path / "own"))
    if code in ("smoothed-label", "jpeg-label"):
        _, mended, _ = mend(root)
        assert code in {change["code"] for pair in mended["pairs"] for change in pair["changes"]}
    elif code == "missing-label":
        out, mended, _ = mend(root)
        assert [left["file"] for left in mended["left_out"]] == [str(root / "images/cell_03.png")]
        assert "cell_03" not in read_folder(out).names
    else:
        with pytest.raises(ValueError, match="nothing has been written") as refused:
            mend(root)
        assert f"  {code}" in str(refused.value)
        assert not (tmp_path / "copy").exists()


def test_a_file_in_which_nothing_changes_is_copied_as_it_is(mend, tmp_path):
    root = folder(tmp_path / "own", FEW)
    out, _, printed = mend(root)
    assert "nothing but the layout changed" in printed
    for file in (root / "images").iterdir():
        assert (out / "images" / file.name).read_bytes() == file.read_bytes()


def test_images_without_labels_are_left_out_only_if_the_list_says_so(mend, tmp_path):
    root = folder(tmp_path / "own", FEW + 2)
    for number in (1, 2):
        (root / f"labels/cell_0{number}.tif").unlink()
    _, mended, printed = mend(root)
    files = [str(root / f"images/cell_0{number}.png") for number in (1, 2)]
    assert [left["file"] for left in mended["left_out"]] == files
    assert f"left out, an image without labels: {', '.join(files)}" in printed


def test_only_a_new_or_empty_folder_apart_from_the_original_is_written_to(mend, tmp_path):
    root = folder(tmp_path / "own/cells", FEW)
    (tmp_path / "file").touch()
    for out in (root, root / "copy", tmp_path / "own", tmp_path, tmp_path / "file", root / "../cells"):
        before = tree(tmp_path)
        with pytest.raises(ValueError, match=f"nearest valid: mend={tmp_path / 'own/cells_mended'}"):
            mend(root, out=out)
        assert tree(tmp_path) == before
    (tmp_path / "empty").mkdir()
    out, *_ = mend(root, out=tmp_path / "empty")
    assert (out / "images").is_dir()


def test_what_a_killed_command_has_left_is_removed_by_the_next(mend, tmp_path):
    root = folder(tmp_path / "own", FEW)
    out = str(tmp_path / "copy")
    program = f"from pathlib import Path; from src.files import incomplete; incomplete.beside(Path({out!r})).mkdir()"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert list(tmp_path.glob(".copy.*"))
    mend(root)  # which looks for what is left


def test_labels_of_two_annotators_are_merged_only_on_request(mend, tmp_path):
    root = folder(tmp_path / "own", FEW)
    for number in range(FEW):
        cells = draw(number)[1]
        (root / f"labels/cell_0{number}.tif").unlink()
        for name, drawn_by in (("anna", cells > 0), ("ben", np.roll(cells, 1, axis=1) > 0)):
            write(root / f"labels/cell_0{number}_{name}.png", np.uint8(drawn_by) * 255)
    with pytest.raises(ValueError, match=r"overlapping-files.*data.source.classes=\[anna,ben\] makes"):
        mend(root)
    _, mended, printed = mend(root, "data.source.classes=[ben,anna]")
    assert mended["names"] == ["background", "ben", "anna"]
    assert "classes: 0 background, 1 ben, 2 anna" in printed and "overlapping-files" in printed
