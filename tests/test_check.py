"""The check of one's own data: each way in which people's data are wrong, named before training."""

import json
import os
import shutil

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from src.data.finding import ERROR, NOTE, WARNING
from tests.conftest import TINY
from tests.data.own import IMAGES, SIDE, change_image, change_labels, draw, folder, write

SMALL = [argument for argument in TINY if argument.startswith(("data.", "model."))]
CELLS = ("experiment=cells",)
LAST = IMAGES - 1  # one of the two that are held out


@pytest.fixture
def own(tmp_path):
    return folder(tmp_path / "own")


@pytest.fixture
def check(run_command, tmp_path):
    """Check a folder: → (exit status, findings, output, error)."""

    def call(root, *arguments):
        output = tmp_path / "findings.json"
        given = (f"data.root={root}", f"cache_dir={tmp_path / 'cache'}", f"output={output}", *SMALL, *arguments)
        status, printed, error = run_command("check", *given)
        found = json.loads(output.read_text())["findings"] if output.exists() else []
        return status, found, printed, error

    return call


def shrink(labels):
    """As resizing with interpolation leaves a mask."""
    mask = (labels > 0).astype(np.uint8) * 255
    return cv2.resize(cv2.resize(mask, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA), (SIDE, SIDE))


def compress(labels):
    """As JPEG leaves a mask."""
    return imagecodecs.jpeg_decode(imagecodecs.jpeg_encode((labels > 0).astype(np.uint8) * 255, level=75))


def classes(labels):
    """Each third cell of class 2, the others of class 1."""
    return np.where(labels > 0, 1 + (labels % 3 == 0), 0).astype(np.uint8)


def mask(labels):
    return (labels > 0).astype(np.uint8) * 255


def coloured(labels):
    return np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)[classes(labels)]


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def swap(root):
    (root / "images").rename(root / "other")
    (root / "labels").rename(root / "images")
    (root / "other").rename(root / "labels")


def copy(root, one, other):
    for path in ("images/cell_{:02d}.png", "labels/cell_{:02d}.tif"):
        shutil.copy(root / path.format(one), root / path.format(other))


def brighten(root):
    image, labels = draw(0)
    write(root / f"images/cell_{LAST:02d}.png", np.clip(image * 1.1 + 3, 0, 255).astype(np.uint8))
    write(root / f"labels/cell_{LAST:02d}.tif", labels)


def one_stack(root):
    for name, dtype in (("images", np.uint8), ("labels", np.uint16)):
        shutil.rmtree(root / name)
        (root / name).mkdir()
        planes = np.stack([draw(number)[name == "labels"] for number in range(IMAGES)]).astype(dtype)
        tifffile.imwrite(root / name / "stack.tif", planes, photometric="minisblack")


def large(labels):
    result = labels.copy()
    result[40:44, 5:70] = 7
    return result


def rare(labels):
    result = (labels > 0).astype(np.uint8)
    result[:4, :4] = result[10:13, 10:13] = 2
    return result


CAFE = os.fsdecode(b"caf\xe9.png")
ONE = {"numbers": [3]}
CLASSES = ("experiment=classes", "model.classes=3")
# name: (code, severity, what is done to the folder, further arguments)
BROKEN = {
    "no labels": ("missing-label", ERROR, lambda root: (root / "labels/cell_03.tif").unlink(), ()),
    "no image": ("missing-image", WARNING, lambda root: (root / "images/cell_03.png").unlink(), ()),
    "a name in another encoding": (
        *("name-encoding", ERROR),
        lambda root: [
            next((root / each).glob("cell_03.*")).rename(root / each / CAFE) for each in ("images", "labels")
        ],
        (),
    ),
    "two of a name": ("same-name", ERROR, lambda root: write(root / "images/cell_03.tif", draw(3)[0]), ()),
    "no picture": ("unreadable", ERROR, lambda root: (root / "images/cell_03.png").write_text("cell"), ()),
    "half an image": ("unreadable", ERROR, lambda root: truncate(root / "images/cell_03.png"), ()),
    "half the labels": ("unreadable", ERROR, lambda root: truncate(root / "labels/cell_03.tif"), ()),
    "cropped labels": ("size-mismatch", ERROR, lambda root: change_labels(root, lambda x: x[:90], **ONE), ()),
    "turned labels": (
        "size-mismatch",
        ERROR,
        lambda root: (change_image(root, lambda x: x[:90], **ONE), change_labels(root, lambda x: x[:90].T, **ONE)),
        (),
    ),
    "a stack of labels": (
        "size-mismatch",
        ERROR,
        lambda root: change_labels(root, lambda x: np.stack([x] * 5), **ONE),
        (),
    ),
    "labels as JPEG": ("jpeg-label", ERROR, lambda root: change_labels(root, mask, [3], ".jpg"), ()),
    "real numbers": ("float-label", ERROR, lambda root: change_labels(root, np.float32, **ONE), ()),
    "probabilities": ("float-label", ERROR, lambda root: change_labels(root, lambda x: np.float32(x) / 9, **ONE), ()),
    "colours": ("rgb-label", ERROR, lambda root: change_labels(root, coloured, [3], ".png"), ()),
    "resized mask": ("smoothed-label", ERROR, lambda root: change_labels(root, shrink), ()),
    "mask from a JPEG": ("smoothed-label", ERROR, lambda root: change_labels(root, compress), ()),
    "one resized mask": ("smoothed-label", ERROR, lambda root: change_labels(root, shrink, **ONE), ()),
    "exchanged": ("label-is-picture", ERROR, swap, ()),
    "negative": ("negative-label", ERROR, lambda root: change_labels(root, lambda x: np.int16(x) - 1, **ONE), ()),
    "another class": (
        "unexpected-value",
        ERROR,
        lambda root: (change_labels(root, classes), change_labels(root, lambda x: x * 4, **ONE)),
        ("data.source.kind=classes", "data.source.values=[0,1,2]"),
    ),
    "classes 0 to 2": ("more-classes", ERROR, lambda root: change_labels(root, classes), ("experiment=classes",)),
    "fewer classes": (
        "unused-class",
        WARNING,
        lambda root: change_labels(root, classes),
        ("experiment=classes", "model.classes=4"),
    ),
    "numbered cells": ("instances-as-classes", ERROR, lambda root: None, ("data.source.kind=classes",)),
    "classes of cells": (
        "classes-as-instances",
        ERROR,
        lambda root: change_labels(root, classes),
        ("data.source.kind=instances",),
    ),
    "cells as mask": ("instances-as-binary", WARNING, lambda root: None, ("data.source.kind=binary",)),
    "a mask among them": ("one-number-many-cells", WARNING, lambda root: change_labels(root, mask, **ONE), ()),
    "stray pixels": ("cell-in-pieces", NOTE, lambda root: change_labels(root, stray, **ONE), ()),
    "empty": ("empty-label", WARNING, lambda root: change_labels(root, np.zeros_like, **ONE), ()),
    "all empty": ("nothing-annotated", ERROR, lambda root: change_labels(root, np.zeros_like), ()),
    "from 1": ("no-background", WARNING, lambda root: change_labels(root, lambda x: x + 1, **ONE), ("model.depth=4",)),
    "black": ("constant-image", WARNING, lambda root: change_image(root, np.zeros_like, **ONE), ()),
    "overexposed": (
        "saturated",
        WARNING,
        lambda root: change_image(root, lambda x: np.where(x > 60, 255, x).astype(np.uint8), **ONE),
        (),
    ),
    "NaN": (
        "nan",
        ERROR,
        lambda root: change_image(root, lambda x: np.where(x == x.max(), np.nan, x).astype(np.float32), [3], ".tif"),
        (),
    ),
    "a range beyond all numbers": (
        "nan",
        ERROR,
        lambda root: change_image(root, lambda x: np.where(x > 60, 1e308, -1e308), [3], ".tif"),
        (),
    ),
    "a mask as image": (
        "few-grey-values",
        WARNING,
        lambda root: change_image(root, lambda x: np.uint8(x > 60) * 200, **ONE),
        (),
    ),
    "labels as image": (
        "image-is-its-labels",
        ERROR,
        lambda root: change_image(root, lambda x: draw(3)[1], [3], ".tif"),
        (),
    ),
    "JPEG": ("lossy-image", NOTE, lambda root: change_image(root, lambda x: x, suffix=".jpg"), ()),
    "colour images": (
        "channels",
        ERROR,
        lambda root: change_image(root, lambda x: np.stack([x, x // 2, x], -1)),
        CELLS,
    ),
    "one colour image": (
        "mixed-channels",
        ERROR,
        lambda root: change_image(root, lambda x: np.stack([x, x // 2, x], -1), **ONE),
        (),
    ),
    "16 bits among 8": (
        "mixed-dtype",
        NOTE,
        lambda root: change_image(root, lambda x: np.uint16(x) * 9, [3], ".tif"),
        (),
    ),
    "another magnification": ("pixel-size", WARNING, lambda root: magnify(root), ()),
    "moved labels": (
        "shifted-labels",
        WARNING,
        lambda root: change_labels(root, lambda x: np.roll(x, (6, -8), (0, 1)), **ONE),
        (),
    ),
    "twice": ("duplicate", WARNING, lambda root: copy(root, 2, 3), ()),
    "learnt and scored": ("duplicate-across-split", ERROR, lambda root: copy(root, 0, LAST), ()),
    "brightened": ("near-duplicate", WARNING, brighten, ()),
    "neighbours": (
        "neighbouring-slices",
        WARNING,
        one_stack,
        ("data.train=0-5", "data.validation=6", "data.held_out=8-9"),
    ),
    "another microscope held out": ("size-not-learnt", WARNING, lambda root: crop(root, LAST), ()),
    "long cells": ("large-object", NOTE, lambda root: change_labels(root, large, **ONE), ()),
    "very long cells": ("large-object", WARNING, lambda root: change_labels(root, large, **ONE), ("model.depth=1",)),
    "small cells": ("small-object", WARNING, lambda root: None, (*CELLS, "instances.min_size=300")),
    "a rare class": ("rare-class", NOTE, lambda root: change_labels(root, rare), CLASSES),
    "a class held out": (
        "class-not-learnt",
        WARNING,
        lambda root: (
            change_labels(root, mask),
            change_labels(root, classes, [8, 9]),
            change_labels(root, lambda x: np.uint8(x > 0), range(8)),
        ),
        ("data.source.kind=classes",),
    ),
    "two images": ("split", ERROR, lambda root: [file.unlink() for file in root.glob("*/cell_0[2-9].*")], ()),
    "a split of others": (
        "split",
        ERROR,
        lambda root: None,
        ("data.train=0-9", "data.validation=10", "data.held_out=11"),
    ),
    "nothing known": (
        "nothing-known",
        WARNING,
        lambda root: (change_labels(root, np.uint8), change_labels(root, lambda x: np.full_like(x, 255), **ONE)),
        ("data.source.ignore_label=255",),
    ),
    "all known": ("no-ignored-pixels", WARNING, lambda root: None, ("data.source.ignore_label=255",)),
    "scored as membranes": ("other-metrics", WARNING, lambda root: None, ("experiment=membranes",)),
}


def crop(root, number):
    change_image(root, lambda x: x[:80], [number])
    change_labels(root, lambda x: x[:80], [number])


def stray(labels):
    result = labels.copy()
    result[0, 0] = 1
    return result


def magnify(root):
    for number in range(IMAGES):
        size = 0.5 if number != 3 else 0.25
        options = {"imagej": True, "resolution": (1 / size, 1 / size), "metadata": {"unit": "um"}}
        change_image(root, lambda x: x, [number], ".tif", **options)


def test_data_without_fault_have_no_finding(own, check):
    status, found, printed, error = check(own, *CELLS)
    assert (status, found) == (0, []), error
    assert f"{IMAGES} slices of {SIDE}×{SIDE} px" in printed
    assert "labels: instances; 70 cells" in printed
    assert "train: 7 slices" in printed and "held-out: 2 slices (cell_08, cell_09)" in printed


@pytest.fixture(scope="module")
def results():
    """Of each broken folder that was checked, what the check said."""
    return {}


@pytest.fixture
def checked(own, check, results):
    """Check a broken folder, once: → (its place, exit status, findings, output, error)."""

    def call(name):
        if name not in results:
            _, _, spoil, arguments = BROKEN[name]
            spoil(own)
            results[name] = own, *check(own, *arguments)
        return results[name]

    return call


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named(name, checked):
    code, severity, *_ = BROKEN[name]
    own, status, found, printed, error = checked(name)
    assert "Traceback" not in error
    named = {(one["code"], one["severity"]) for one in found}
    assert (code, severity) in named, found
    assert {each for each in named if each[1] != NOTE} <= {(code, severity)}, found
    assert status == (severity == ERROR), error
    assert f"{severity} {code}" in printed
    for one in found:
        assert one["file"].startswith(str(own)) and one["found"] and one["expected"] and one["fix"]


FILES = {
    name: "cell_03"
    for name, (_, _, _, arguments) in BROKEN.items()
    if name
    in (
        "no labels",
        "no image",
        "two of a name",
        "no picture",
        "half an image",
        "half the labels",
        "cropped labels",
        "labels as JPEG",
        "real numbers",
        "colours",
        "one resized mask",
        "negative",
        "another class",
        "a mask among them",
        "stray pixels",
        "empty",
        "from 1",
        "black",
        "overexposed",
        "NaN",
        "labels as image",
        "one colour image",
        "16 bits among 8",
        "another magnification",
        "moved labels",
        "twice",
        "long cells",
        "nothing known",
    )
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_named(name, checked):
    code, *_ = BROKEN[name]
    _, _, found, *_ = checked(name)
    assert [FILES[name] in one["file"] for one in found if one["code"] == code] == [True]


@pytest.mark.parametrize("name", [name for name, (_, severity, *_) in BROKEN.items() if severity == ERROR])
def test_training_refuses_what_would_be_wrong(name, own, train):
    code, _, spoil, arguments = BROKEN[name]
    spoil(own)
    experiment = arguments if any("experiment" in one for one in arguments) else (*CELLS, *arguments)
    directory, status, _, error = train(f"data.root={own}", *experiment)
    assert status == 1
    assert code in error and "Traceback" not in error
    assert not list(directory.glob("*"))


def test_training_says_that_there_are_warnings_and_goes_on(own, train):
    change_labels(own, np.zeros_like, [3])
    directory, status, _, error = train(f"data.root={own}", *CELLS, "~callbacks.samples")
    assert status == 0, error
    assert "warning: of the data: empty-label; python -m src.check" in error
    assert (directory / "scores.json").exists()


def test_training_looks_once_as_long_as_nothing_changes(own, train, tmp_path):
    slim = (*CELLS, "~callbacks.samples", "~callbacks.overlay")

    def looked():
        return sorted((tmp_path / "cache" / "checks").iterdir())

    train(f"data.root={own}", *slim, directory=tmp_path / "one")
    first = {file: file.stat().st_mtime_ns for file in looked()}
    train(f"data.root={own}", *slim, directory=tmp_path / "two")
    assert {file: file.stat().st_mtime_ns for file in looked()} == first and len(first) == 1
    change_labels(own, lambda labels: labels[::-1], [3])
    train(f"data.root={own}", *slim, directory=tmp_path / "three")
    assert len(looked()) == 2


def test_what_was_kept_and_is_damaged_is_looked_at_again(own, check, tmp_path):
    first = check(own)
    (file,) = (tmp_path / "cache" / "checks").iterdir()
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    again = check(own)
    assert again[:3] == first[:3]
    assert again[3].splitlines()[-1].startswith(f"warning: {file} is no cache that can be used (")
    assert file.read_text() == whole
    assert check(own) == first


def test_what_is_suggested_trains(own, check, train):
    change_image(own, lambda image: np.stack([image, image // 2, image], -1))
    status, _, printed, _ = check(own)
    assert status == 0
    line = printed[printed.index("train: python -m src.train ") :].split()[4:]
    assert {"experiment=cells", "model.in_channels=3"} <= set(line)
    assert train(*line, "~callbacks.samples")[1] == 0


@pytest.mark.parametrize("kind", ["membranes", "classes"])
def test_the_experiment_follows_from_the_kind_of_labels(kind, own, check):
    def membranes(labels):
        edges = cv2.dilate(np.uint8(np.hypot(*np.gradient(labels.astype(float))) > 0), np.ones((2, 2)))
        return np.where(edges, 0, 255).astype(np.uint8)

    change_labels(own, {"membranes": membranes, "classes": classes}[kind])
    status, found, printed, _ = check(own)
    assert (status, found) == (0, [])
    assert f"train: python -m src.train experiment={kind}" in printed
    assert ("model.classes=3" in printed) == (kind == "classes")


def test_chunks_that_are_not_there_are_counted(own, check):
    change_image(own, lambda image: image, suffix=".zarr")
    inside = (own / "images" / "cell_03.zarr").rglob("*")
    next(file for file in inside if file.is_file() and "zarr" not in file.name).unlink()
    status, found, *_ = check(own, *CELLS)
    assert status == 0
    missing = [each["found"] for each in found if each["code"] == "missing-chunks" and each["severity"] == WARNING]
    assert missing == ["1 chunks that are not there and are read as one grey value"]


def test_images_may_be_zarr(own, check):
    change_image(own, lambda image: image, suffix=".zarr")
    assert check(own, *CELLS)[:2] == (0, [])


def test_a_folder_that_is_none_is_one_message(check, tmp_path):
    (tmp_path / "empty").mkdir()
    for root, words in ((tmp_path / "none", "there is none at"), (tmp_path / "empty", "images/ and labels/")):
        status, _, _, error = check(root)
        assert status == 1 and words in error and "Traceback" not in error


@pytest.mark.parametrize("data", ["phantom", "isbi2012"])
def test_known_data_can_be_checked_too(data, run_command, tmp_path):
    arguments = ["data.source.size=64"] if data == "phantom" else ["data.source.verify=false"]
    if data == "isbi2012":
        stack = np.stack([draw(number)[0] for number in range(30)])
        (tmp_path / "isbi2012").mkdir()
        for name, array in (("volume", stack), ("labels", np.uint8(stack > 60) * 255)):
            write(tmp_path / f"isbi2012/train-{name}.tif", array)
    status, printed, error = run_command("check", f"data={data}", f"data_dir={tmp_path}", *arguments)
    assert status == 0, error
    assert "30 slices" in printed


def test_sizes_tell_nothing_where_each_image_has_its_own(check, own):
    for number in range(IMAGES):
        change_image(own, lambda x, n=number: x[: 70 + 2 * n], [number])
        change_labels(own, lambda x, n=number: x[: 70 + 2 * n], [number])
    status, found, _, _ = check(own)
    assert status == 0 and "size-not-learnt" not in {finding["code"] for finding in found}
