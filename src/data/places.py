"""Finds the folders that hold images and the folders that hold their labels by the words in folder names."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, REFUSED_SUFFIXES, SHAPE_SUFFIXES, natural

IMAGE_WORDS = {"image", "img", "raw", "input", "frame", "picture", "photo", "original", "micrograph"}
LABEL_WORDS = {"label", "lbl", "mask", "annotation", "gt", "groundtruth", "ground", "truth", "seg", "segmentation"}
LABEL_WORDS |= {"target", "roi", "manual", "labelled", "labeled"}
PARTS = {  # words in folder names that name a part of the split
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "ts", "heldout"), "held_out"),
}
# Words that say nothing about role or split: file formats, and kinds of labels (as in SegmentationClass).
OTHER_WORDS = {"jpeg", "jpg", "png", "tif", "tiff", "bmp", "data", "dataset", "class", "object", "binary", "stage1"}
WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|[^\W\d_]+|\d+")  # one word of a name, also in camel case
IMAGES, LABELS = "images", "labels"
USUAL = ("images", "imgs", "image", "img", "jpegimages")  # names of image folders, in order of preference
DEEPEST = 4  # largest number of folders with other names between the root and the images
OBJECTS = "SegmentationObject"  # in Pascal VOC: one colour per object; lies next to SegmentationClass
NO_FOLDERS = ("__MACOSX",)
LABEL_FILES = (*LABEL_SUFFIXES, *SHAPE_SUFFIXES, *REFUSED_SUFFIXES)


@dataclass(frozen=True)
class Place:
    """A folder of images, with the folders that may hold their labels.

    Attributes:
        images: the folder of images.
        masks: folders with a word for labels in their names, by the name that selects them in data.source.labels; empty
            if there is no such folder.
        others: further folders next to ``images`` that may hold labels but whose names do not say so.
        part: train, validation or held_out if a folder name says so, else empty.
        above: names of the parent folders of ``images``, except those that mean images, labels or a part of the split.
    """

    images: Path
    masks: dict[str, Path] = field(default_factory=dict)
    others: dict[str, Path] = field(default_factory=dict)
    part: str = ""
    above: tuple[str, ...] = ()


class FolderName(NamedTuple):
    """The meaning of a folder name: the role (images or labels) and the part of the split, each empty if not stated."""

    role: str = ""
    part: str = ""


NO_MEANING = FolderName()


def words_of(name: str) -> list[str]:
    """Split a name into words in lower case, without plural s and without a year at the end.

    >>> words_of("imagesTr"), words_of("JPEGImages"), words_of("train_masks")
    (['image', 'tr'], ['jpeg', 'image'], ['train', 'mask'])
    """
    words = [re.sub(r"(?<=[a-z])(19|20)\d\d$", "", word.lower()) for word in WORD.findall(name)]  # train2017, of COCO
    return [word if word in PARTS or word.endswith("ss") else word.removesuffix("s") for word in words]


def read_name(name: str) -> FolderName:
    """Return the meaning of a folder name, or `NO_MEANING` if one of its words is unknown.

    >>> read_name("train_masks"), read_name("plate1")
    (FolderName(role='labels', part='train'), FolderName(role='', part=''))
    """
    words = words_of(name)
    roles = [LABELS if word in LABEL_WORDS else IMAGES for word in words if word in LABEL_WORDS | IMAGE_WORDS]
    parts = [PARTS[word] for word in words if word in PARTS]
    if any(word not in LABEL_WORDS | IMAGE_WORDS | OTHER_WORDS | PARTS.keys() for word in words) or len(parts) > 1:
        return NO_MEANING
    return FolderName(LABELS if LABELS in roles else roles[0] if roles else "", parts[0] if parts else "")


def read_names(names: Sequence[str]) -> dict[str, FolderName]:
    """Return the meanings of the names of folders that lie side by side.

    Unknown words are ignored where this makes the folders of images and labels unambiguous, as in cell_images and
    cell_masks. A single folder next to a folder of labels is taken for the folder of images.
    """
    strictly = {name: read_name(name) for name in names}
    if {IMAGES, LABELS} <= {meant.role for meant in strictly.values()}:
        return strictly
    known = LABEL_WORDS | IMAGE_WORDS | PARTS.keys()
    loosely = {
        name: meant if meant.role else read_name(" ".join(word for word in words_of(name) if word in known))
        for name, meant in strictly.items()
    }
    drawn, unknown = ([name for name, meant in loosely.items() if meant.role == role] for role in (LABELS, ""))
    if len(drawn) == len(unknown) == 1 == len(names) - 1:
        return loosely | {unknown[0]: FolderName(IMAGES, loosely[drawn[0]].part)}
    parts = {part for _, part in loosely.values()}
    for part in parts if any(meant.role == LABELS for meant in loosely.values()) else ():
        of = {role: [name for name, meant in loosely.items() if meant == (role, part)] for role in (IMAGES, LABELS, "")}
        if of[LABELS] and not of[IMAGES] and len(of[""]) == 1 and strictly[of[""][0]] == NO_MEANING:
            loosely[of[""][0]] = FolderName(IMAGES, part)
        elif len(of[IMAGES]) > 1:
            return strictly
    return loosely if {IMAGES, LABELS} <= {meant.role for meant in loosely.values()} else strictly


def places(root: Path) -> list[Place]:
    """Find all folders of images inside a folder, each with the folders that may hold its labels.

    If all folders of images belong to one part, as with nnU-Net's imagesTr alone, they do not define a split and have
    no part.
    """
    found = list(_survey(root, "", ()))
    if len({place.part for place in found}) == 1:
        found = [replace(place, part="") for place in found]
    above = zip(*(place.above for place in found), strict=False) if len(found) > 1 else ()
    common = len(list(takewhile(lambda names: len(set(names)) == 1, above)))
    return [replace(place, above=place.above[common:]) for place in found]


def folders(folder: Path) -> list[Path]:
    """Return the direct subfolders of a folder in natural order, except hidden folders and OME-Zarr images."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    names = [name for name in names if not name.lower().endswith(".zarr") and name not in NO_FOLDERS]
    return [folder / name for name in sorted(names, key=natural)]


def holds(folder: Path, suffixes: tuple[str, ...], deep: int = 0) -> bool:
    """Return whether a file with one of the suffixes lies in a folder, or in a subfolder up to ``deep`` levels down."""
    with os.scandir(folder) as entries:
        if any(entry.name.lower().endswith(suffixes) and not entry.name.startswith(".") for entry in entries):
            return True
    return deep > 0 and any(holds(each, suffixes, deep - 1) for each in folders(folder))


def films(folder: Path) -> list[Path]:
    """Return the label folders of Cell Tracking Challenge films in a folder, such as ``01_GT/SEG``."""
    return sorted(path for path in folder.glob("[0-9][0-9]_GT/SEG") if path.is_dir())


def _survey(folder: Path, part: str, above: tuple[str, ...]) -> Iterator[Place]:
    """Yield the places in a folder, including subfolders.

    Args:
        folder: the folder.
        part: the part of the split to which the folder belongs, or empty.
        above: names of the folders between the root and this folder, as in `Place.above`.
    """
    names = [each.name for each in folders(folder)]
    if not any(read_name(name).role == IMAGES for name in names) and films(folder):
        yield Place(folder, part=part, above=above)
        return
    within = {folder / name: meant for name, meant in read_names(names).items()}
    found = list(_named_places(folder, within, part, above))
    yield from found
    used = {place.images for place in found} | {each for each, meant in within.items() if meant.role}
    parts = [each for each, meant in within.items() if meant.part and not meant.role and each not in used]
    for each in parts:
        yield from _survey(each, within[each].part, above)
    if found or any(holds(each, IMAGE_SUFFIXES, 2) for each in parts):
        return
    if holds(folder, IMAGE_SUFFIXES):
        yield Place(folder, part=part, above=above)
    elif len(above) < DEEPEST and not any(meant.role for meant in within.values()):
        for each in within:
            yield from _survey(each, part, (*above, each.name))


def _named_places(folder: Path, within: dict[Path, FolderName], part: str, above: tuple[str, ...]) -> Iterator[Place]:
    """Yield the places in a folder whose image or label folders can be told by name.

    Args:
        folder: the folder.
        within: the subfolders with the meanings of their names.
        part: the part of the split to which the folder belongs, or empty.
        above: as in `Place.above`.
    """
    others = {each.name: each for each, of in within.items() if of == NO_MEANING and holds(each, LABEL_FILES)}
    for own in dict.fromkeys(each.part for each in within.values() if each.role):
        named = [each for each, of in within.items() if of == FolderName(IMAGES, own)]
        pictures = [each for each in named if holds(each, IMAGE_SUFFIXES, 4)]
        drawn = [each for each, of in within.items() if of == FolderName(LABELS, own)]
        if pictures and not drawn and len({of.part for of in within.values() if of.role == IMAGES}) == 1:
            drawn = [each for each, of in within.items() if of.role == LABELS]  # such as masks next to train_images
        masks = {_without_part(each.name): _deepest(each) for each in drawn if holds(each, LABEL_FILES, 2)}
        if {"SegmentationClass", OBJECTS} <= masks.keys():
            others[OBJECTS] = masks.pop(OBJECTS)
        bare = [each for each, of in within.items() if of.part and not of.role and holds(each, IMAGE_SUFFIXES)]
        if pictures:
            yield from _spread(min(pictures, key=_usual), masks, others, own or part, above)
        elif masks and own:
            for each in (each for each in bare if within[each].part == own):
                yield Place(each, masks, others, own, above)
        elif masks and holds(folder, IMAGE_SUFFIXES):
            yield Place(folder, masks, others, part, above)
        elif masks and bare:  # as in COCO: one folder holds the labels of all parts
            yield from (Place(each, masks, others, within[each].part, above) for each in bare)
        elif masks and len(pictured := [each for each in others.values() if holds(each, IMAGE_SUFFIXES)]) == 1:
            yield Place(pictured[0], masks, {}, part, above)


def _deepest(folder: Path) -> Path:
    """Return the folder that holds the label files: the given one, or its only subfolder with label files."""
    inner = [] if holds(folder, LABEL_FILES) else [each for each in folders(folder) if holds(each, LABEL_FILES)]
    return inner[0] if len(inner) == 1 else folder


def _usual(folder: Path) -> int:
    """Return the rank of a folder's name in `USUAL`, as a sort key."""
    name = folder.name.lower()
    return USUAL.index(name) if name in USUAL else len(USUAL)


def _without_part(name: str) -> str:
    """Remove the part of the split from the name of a folder of labels: masks for train_masks."""
    if not read_name(name).part:
        return name
    kept = [word for word in WORD.findall(name) if word.lower() not in PARTS]
    return "_".join(kept) or name


def _spread(
    pictures: Path, masks: dict[str, Path], others: dict[str, Path], part: str, above: tuple[str, ...]
) -> Iterator[Place]:
    """Yield the place of a folder of images, or one place for each of its subfolders if only these hold images.

    A subfolder is matched with the subfolder of the same name in each folder of labels, if there is one.
    """
    inner = folders(pictures)
    if not masks and any(read_name(each.name).role == LABELS for each in inner):
        yield from _survey(pictures, part, above)
        return
    if holds(pictures, IMAGE_SUFFIXES) or not inner:
        yield Place(pictures, masks, others, part, above)
        return
    for each in inner:
        meant = read_name(each.name)
        same = {name: mask / each.name if (mask / each.name).is_dir() else mask for name, mask in masks.items()}
        names = above if meant.part and not meant.role else (*above, each.name)
        if len(names) <= DEEPEST:
            yield from _spread(each, same, others, meant.part or part, names)
