"""Facts of a drawing without fault, and each way in which people's data are wrong."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile

from src.data.annotated import Annotated
from src.data.description import component_boxes
from src.data.finding import ERROR, NOTE, WARNING
from src.data.folder import Meaning, meaning
from src.data.matching import Pair, Wanted
from src.data.targets import Core
from src.findings.facts import Choices, Facts, look
from tests.data.drawn import mask as drawn_mask
from tests.data.drawn import membranes, organs, vessels
from tests.data.own import IMAGES, SIDE, change_image, change_labels, draw, write

LAST = IMAGES - 1  # one of the two that are held out


def choices(**others) -> Choices:
    """Of a network that has not been chosen yet, small enough for small images."""
    auto = {"train": "auto", "validation": "auto", "held_out": "auto"}
    wanted = Wanted(**{key: others.pop(key) for key in ("include", "orientation", "axes", "kind") if key in others})
    usual = {"classes": None, "channels": None, "depth": 2, "padded": False, "groups": auto, "wanted": wanted}
    return Choices(**usual | others)


def meant(drawn, kind="auto", values=None) -> Meaning:
    """What labels mean that were drawn so."""
    return meaning(drawn, [each.labels for each in drawn], kind, values)


def annotated(number: int = 0, **others) -> Annotated:
    """A drawing as if it were on disk."""
    image, labels = draw(number)
    name = f"cell_{number:02d}"
    pair = Pair(name, Path(f"images/{name}.png"), Path(f"labels/{name}.tif"), f"{name}.png")
    return replace(Annotated(name, pair, image, labels), **others)


def facts(number: int = 0, **others) -> Facts:
    """What a drawing holds, but for ``others``."""
    return replace(look(annotated(number)), **others)


def redrawn(number: int, change) -> Facts:
    """What it holds with labels that ``change`` has altered."""
    return look(annotated(number, labels=change(draw(number)[1])))


def described(number: int = 0, **others) -> Facts:
    """What it holds, but for ``others`` of what its labels hold."""
    drawn = facts(number)
    return replace(drawn, labels=replace(drawn.labels, **others))


def shrink(labels):
    """As resizing with interpolation leaves a mask."""
    mask = (labels > 0).astype(np.uint8) * 255
    return cv2.resize(cv2.resize(mask, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA), (SIDE, SIDE))


def sparse(root):
    """Leave one small cell of an image, too small for percentiles."""
    spot = np.zeros((SIDE, SIDE), np.uint16)
    spot[40:46, 50:56] = 1
    texture = np.random.default_rng(0).integers(0, 90, spot.shape)
    change_image(root, lambda x: (10 + spot * (100 + texture) + texture // 40).astype(np.uint8), [3])
    change_labels(root, lambda x: spot, [3])


def white(root):
    """Save an image with 0 as white."""
    (root / "images/cell_03.png").unlink()
    tifffile.imwrite(root / "images/cell_03.tif", 255 - draw(3)[0], photometric="miniswhite")


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
    result[40:90, 5:60] = 7
    return result


def patients(root):
    """Name images by patient and eye."""
    for number in range(IMAGES):
        for file in root.glob(f"*/cell_{number:02d}.*"):
            file.rename(file.with_stem(f"{number // 2:02d}{'LR'[number % 2]}"))


def section(number):
    """Labels and image of one of many sections, in which each cell lies a little beside where it was in the last."""
    random = np.random.default_rng(0)
    steps = random.normal(0, 3, (number + 1, 7, 2)).sum(0)
    centres = np.stack([np.arange(7) // 3 * 32 + 16, np.arange(7) % 3 * 32 + 16], 1) + steps
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for cell, centre in enumerate(centres):
        labels[np.hypot(*(np.mgrid[:SIDE, :SIDE] - centre[:, None, None])) < 9] = cell + 1
    image = cv2.GaussianBlur(20 + 20 * labels.astype(np.float32), (0, 0), 1)
    return labels, np.clip(image + np.random.default_rng(number).normal(0, 5, image.shape), 0, 250).astype(np.uint8)


def stripes(labels):
    """Of each cell the two rows in its middle."""
    result = np.zeros_like(labels)
    for number in np.unique(labels[labels > 0]):
        rows = np.flatnonzero((labels == number).any(axis=1))
        middle = slice(rows[len(rows) // 2] - 1, rows[len(rows) // 2] + 1)
        result[middle] = np.where(labels[middle] == number, number, result[middle])
    return result


def rare(labels):
    result = (labels > 0).astype(np.uint8)
    result[:4, :4] = result[10:13, 10:13] = 2
    return result


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


def each_labels(root, make, suffix=".png"):
    """Write other labels of all images, that ``make`` gives for the number of each."""
    for number in range(IMAGES):
        change_labels(root, lambda _, n=number: make(n), [number], suffix)


def redraw(root, one, suffix=".png"):
    """Replace all images and labels by others, ``(labels, image)`` of a number."""
    for number in range(IMAGES):
        labels, image = one(number)
        change_image(root, lambda _, i=image: i, [number])
        change_labels(root, lambda _, found=labels: found, [number], suffix)


def in_colours(root, labelmap):
    """Save all labels in colours, with a file that names them."""
    change_labels(root, coloured, suffix=".png")
    (root / "labelmap.txt").write_text(labelmap)


def by_class(root):
    """Save a file for each of two classes, which overlap."""
    for number in range(IMAGES):
        labels = draw(number)[1]
        (root / f"labels/cell_{number:02d}.tif").unlink()
        for name, part in (("cell", labels > 0), ("nucleus", np.roll(labels == 2, 4, axis=1))):
            write(root / f"labels/cell_{number:02d}_{name}.png", part.astype(np.uint8) * 255)


def pickle(root):
    (root / "labels/cell_03.tif").unlink()
    np.save(root / "labels/cell_03_seg.npy", draw(3)[1])


def rotate(root):
    """Give each image the labels of the one before it."""
    each_labels(root, lambda number: draw((number - 1) % IMAGES)[1])


def crowded(root):
    """Save more than 255 cells in 8 bits."""
    cells = np.kron(np.arange(324).reshape(18, 18), np.pad(np.ones((4, 4), int), ((0, 1), (0, 1))))
    change_labels(root, lambda _: np.pad(cells, 3).astype(np.uint8), [3])


def smooth(labels):
    """A mask with smooth edges at a few pixels."""
    found = mask(labels)
    edges = np.argwhere((found[1:] == 0) & (found[:-1] == 255))[:4]
    found[edges[:, 0], edges[:, 1]] = 100
    return found


def shapes_with_a_line(root):
    (root / "labels/cell_03.tif").unlink()
    ((left, top, width, height),) = component_boxes(draw(3)[1] == 1)[:, :4].tolist()
    shapes = [
        {"label": "cell", "points": [[left, top], [left + width, top + height]], "shape_type": "rectangle"},
        {"label": "cell", "points": [[2, 2], [60, 60]], "shape_type": "line"},
    ]
    size = {"imageHeight": SIDE, "imageWidth": SIDE}
    (root / "labels/cell_03.json").write_text(json.dumps({"shapes": shapes, **size}))


CAFE = os.fsdecode(b"caf\xe9.png")
ONE = {"numbers": [3]}
# name: (code, severity, what is done to the folder, choices)
BROKEN = {
    "no labels": ("missing-label", ERROR, lambda root: (root / "labels/cell_03.tif").unlink(), {}),
    "no image": ("missing-image", WARNING, lambda root: (root / "images/cell_03.png").unlink(), {}),
    "a name in another encoding": (
        *("name-encoding", ERROR),
        lambda root: [
            next((root / each).glob("cell_03.*")).rename(root / each / CAFE) for each in ("images", "labels")
        ],
        {},
    ),
    "two of a name": ("same-name", ERROR, lambda root: write(root / "images/cell_03.tif", draw(3)[0]), {}),
    "no picture": ("unreadable", ERROR, lambda root: (root / "images/cell_03.png").write_text("cell"), {}),
    "half an image": ("unreadable", ERROR, lambda root: truncate(root / "images/cell_03.png"), {}),
    "half the labels": ("unreadable", ERROR, lambda root: truncate(root / "labels/cell_03.tif"), {}),
    "cropped labels": ("size-mismatch", ERROR, lambda root: change_labels(root, lambda x: x[:90], **ONE), {}),
    "turned labels": (
        "size-mismatch",
        ERROR,
        lambda root: (change_image(root, lambda x: x[:90], **ONE), change_labels(root, lambda x: x[:90].T, **ONE)),
        {},
    ),
    "a stack of labels": (
        "size-mismatch",
        ERROR,
        lambda root: change_labels(root, lambda x: np.stack([x] * 5), **ONE),
        {},
    ),
    "labels as JPEG": ("jpeg-label", ERROR, lambda root: change_labels(root, mask, [3], ".jpg"), {}),
    "real numbers": ("float-label", NOTE, lambda root: change_labels(root, np.float32, **ONE), {}),
    "probabilities": ("float-label", ERROR, lambda root: change_labels(root, lambda x: np.float32(x) / 9, **ONE), {}),
    "colours": ("rgb-label", ERROR, lambda root: change_labels(root, coloured, [3], ".png"), {}),
    "resized mask": ("smoothed-label", ERROR, lambda root: change_labels(root, shrink), {}),
    "mask from a JPEG": ("smoothed-label", ERROR, lambda root: change_labels(root, compress), {}),
    "one resized mask": ("smoothed-label", ERROR, lambda root: change_labels(root, shrink, **ONE), {}),
    "interpolated numbers": (
        "interpolated-label",
        ERROR,
        lambda root: change_labels(root, lambda x: cv2.resize(cv2.resize(x, (48, 48)), (SIDE, SIDE)), **ONE),
        {},
    ),
    "more than 255 cells in 8 bits": ("wrapped-label", ERROR, crowded, {}),
    "few pixels of smooth edges": (
        "smooth-edges",
        NOTE,
        lambda root: (change_labels(root, mask), change_labels(root, smooth, **ONE)),
        {},
    ),
    "a pickle": ("pickled-label", ERROR, pickle, {}),
    "lines among shapes": ("not-drawn", NOTE, shapes_with_a_line, {}),
    "few numbers": ("few-numbers", NOTE, lambda root: redraw(root, organs), {}),
    "vessels": ("thin-pieces", NOTE, lambda root: redraw(root, vessels), {}),
    "white membranes": ("inverted-labels", WARNING, lambda root: redraw(root, lambda n: membranes(n, white=True)), {}),
    "an inverted mask": ("inverted-labels", WARNING, lambda root: redraw(root, lambda n: drawn_mask(n, 0, 255)), {}),
    "masks of 1 and of 255": (
        "mixed-mask",
        NOTE,
        lambda root: redraw(root, lambda n: drawn_mask(n, (1, 255)[n % 2])),
        {},
    ),
    "1 and 2": ("no-zero", NOTE, lambda root: change_labels(root, lambda x: 1 + np.uint8(x > 0)), {}),
    "255 beside classes": (
        "void-label",
        NOTE,
        lambda root: change_labels(root, lambda x: np.where(x == 5, 255, classes(x)).astype(np.uint8)),
        {},
    ),
    "classes in colours": ("colour-labels", NOTE, lambda root: change_labels(root, coloured, suffix=".png"), {}),
    "a colour of no class": (
        "unexpected-value",
        ERROR,
        lambda root: in_colours(root, "background:0,0,0::\ncell:255,0,0::\n"),
        {},
    ),
    "no labelmap": (
        "labelmap",
        ERROR,
        lambda root: in_colours(root, "background:black\n"),
        {},
    ),
    "smoothed colours": (
        "rgb-label",
        ERROR,
        lambda root: change_labels(root, lambda x: cv2.GaussianBlur(coloured(x), (0, 0), 1), [3], ".png"),
        {},
    ),
    "files of classes": ("overlapping-files", NOTE, by_class, {}),
    "labels of others": ("labels-of-another", WARNING, rotate, {}),
    "exchanged": ("label-is-picture", ERROR, swap, {}),
    "negative": ("negative-label", ERROR, lambda root: change_labels(root, lambda x: np.int16(x) - 1, **ONE), {}),
    "another class": (
        "unexpected-value",
        ERROR,
        lambda root: (change_labels(root, classes), change_labels(root, lambda x: x * 4, **ONE)),
        {"kind": "classes", "values": (0, 1, 2)},
    ),
    "classes 0 to 2": ("more-classes", ERROR, lambda root: change_labels(root, classes), {"classes": 2}),
    "fewer classes": ("unused-class", WARNING, lambda root: change_labels(root, classes), {"classes": 4}),
    "numbered cells": ("instances-as-classes", WARNING, lambda root: None, {"kind": "classes"}),
    "classes of cells": (
        "classes-as-instances",
        WARNING,
        lambda root: change_labels(root, classes),
        {"kind": "instances"},
    ),
    "cells as mask": ("instances-as-binary", WARNING, lambda root: None, {"kind": "binary"}),
    "a mask among them": ("one-number-many-cells", WARNING, lambda root: change_labels(root, mask, **ONE), {}),
    "stray pixels": ("cell-in-pieces", NOTE, lambda root: change_labels(root, stray, **ONE), {}),
    "empty": ("empty-label", WARNING, lambda root: change_labels(root, np.zeros_like, **ONE), {}),
    "all empty": ("nothing-annotated", ERROR, lambda root: change_labels(root, np.zeros_like), {}),
    "from 1": ("no-background", WARNING, lambda root: change_labels(root, lambda x: x + 1, **ONE), {"depth": 4}),
    "black": ("constant-image", WARNING, lambda root: change_image(root, np.zeros_like, **ONE), {}),
    "overexposed": (
        "saturated",
        WARNING,
        lambda root: change_image(root, lambda x: np.where(x > 60, 255, x).astype(np.uint8), **ONE),
        {},
    ),
    "NaN": (
        "nan",
        ERROR,
        lambda root: change_image(root, lambda x: np.where(x == x.max(), np.nan, x).astype(np.float32), [3], ".tif"),
        {},
    ),
    "a range beyond all numbers": (
        "nan",
        ERROR,
        lambda root: change_image(root, lambda x: np.where(x > 60, 1e308, -1e308), [3], ".tif"),
        {},
    ),
    "a mask as image": (
        "few-grey-values",
        WARNING,
        lambda root: change_image(root, lambda x: np.uint8(x > 60) * 200, **ONE),
        {},
    ),
    "labels as image": (
        "image-is-its-labels",
        ERROR,
        lambda root: change_image(root, lambda x: draw(3)[1], [3], ".tif"),
        {},
    ),
    "JPEG": ("lossy-image", NOTE, lambda root: change_image(root, lambda x: x, suffix=".jpg"), {}),
    "colour images": (
        "channels",
        ERROR,
        lambda root: change_image(root, lambda x: np.stack([x, x // 2, x], -1)),
        {"channels": 1},
    ),
    "one colour image": (
        "mixed-channels",
        ERROR,
        lambda root: change_image(root, lambda x: np.stack([x, x // 2, x], -1), **ONE),
        {},
    ),
    "grey saved as colours": (
        "grey-as-colour",
        NOTE,
        lambda root: change_image(root, lambda x: np.repeat(x[..., None], 3, axis=2), **ONE),
        {},
    ),
    "lines": (
        "line",
        ERROR,
        lambda root: (change_image(root, lambda x: x[50:51]), change_labels(root, lambda x: x[50:51])),
        {},
    ),
    "white is 0": (
        "white-is-zero",
        NOTE,
        white,
        {},
    ),
    "sparse cells cut off": ("cut-off", WARNING, sparse, {"scaling": "percentiles"}),
    "16 bits among 8": (
        "mixed-dtype",
        NOTE,
        lambda root: change_image(root, lambda x: np.uint16(x) * 9, [3], ".tif"),
        {},
    ),
    "another magnification": ("pixel-size", WARNING, lambda root: magnify(root), {}),
    "moved labels": (
        "shifted-labels",
        WARNING,
        lambda root: change_labels(root, lambda x: np.roll(x, (6, -8), (0, 1)), **ONE),
        {},
    ),
    "all labels moved": (
        *("shifted-labels", WARNING),
        lambda root: change_labels(root, lambda x: np.roll(x, (0, 5), (0, 1))),
        {},
    ),
    "one mask inverted": (
        *("inverted-labels", WARNING),
        lambda root: (change_labels(root, mask), change_labels(root, lambda x: 255 - x, **ONE)),
        {},
    ),
    "twice": ("duplicate", WARNING, lambda root: copy(root, 2, 3), {}),
    "learnt and scored": ("duplicate-across-split", ERROR, lambda root: copy(root, 0, LAST), {}),
    "brightened": ("near-duplicate", WARNING, brighten, {}),
    "neighbours": (
        "neighbouring-slices",
        WARNING,
        one_stack,
        {"groups": {"train": "0-5", "validation": "6", "held_out": "8-9"}},
    ),
    "another microscope held out": ("size-not-learnt", WARNING, lambda root: crop(root, LAST), {}),
    "wide cells": ("large-object", WARNING, lambda root: change_labels(root, large, **ONE), {}),
    "small cells": ("small-object", WARNING, lambda root: None, {"min_size": 300}),
    "thin cells": ("thin-object", WARNING, lambda root: change_labels(root, stripes), {"target": Core()}),
    "a rare class": ("rare-class", NOTE, lambda root: change_labels(root, rare), {"classes": 3}),
    "a class held out": (
        "class-not-learnt",
        WARNING,
        lambda root: (
            change_labels(root, mask),
            change_labels(root, classes, [8, 9]),
            change_labels(root, lambda x: np.uint8(x > 0), range(8)),
        ),
        {"kind": "classes"},
    ),
    "one image": ("split", ERROR, lambda root: [file.unlink() for file in root.glob("*/cell_0[1-9].*")], {}),
    "two eyes of a patient": ("group-across-split", WARNING, patients, {}),
    "serial sections": ("serial-sections", WARNING, lambda root: redraw(root, section, ".tif"), {}),
    "a split of others": (
        "split",
        ERROR,
        lambda root: None,
        {"groups": {"train": "0-9", "validation": "10", "held_out": "11"}},
    ),
    "nothing known": (
        "nothing-known",
        WARNING,
        lambda root: (change_labels(root, np.uint8), change_labels(root, lambda x: np.full_like(x, 255), **ONE)),
        {"ignore_label": 255},
    ),
    "all known": ("no-ignored-pixels", WARNING, lambda root: None, {"ignore_label": 255}),
    "scored as membranes": ("other-metrics", WARNING, lambda root: None, {"metrics": ("v_rand", "v_info")}),
}
