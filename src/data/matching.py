"""Pairs each image in a folder with its labels, in the folder layouts that people commonly use.

ROOT/images/NAME.tif + ROOT/labels/NAME.tif            words in folder names decide: imgs, masks, imagesTr, GT …
ROOT/NAME.tif + ROOT/NAME_masks.tif                    Cellpose; also NAME.jpg + NAME.png, image_1.tif + mask_1.tif
ROOT/train/… + ROOT/val/… + ROOT/test/…                the split; also images/train/…, train_images/…
ROOT/images/plate1/NAME.tif + ROOT/labels/plate1/…     nested folders; also plate1/images/…
ROOT/NAME/images/NAME.png + ROOT/NAME/masks/*.png      Data Science Bowl 2018, one file per cell
ROOT/imagesTr/NAME_0000.png + ROOT/labelsTr/NAME.png   nnU-Net, one file per channel
ROOT/01/tNNN.tif + ROOT/01_GT/SEG/man_segNNN.tif       Cell Tracking Challenge; frames without labels are left out
ROOT/JPEGImages/NAME.jpg + ROOT/SegmentationClass/NAME.png     Pascal VOC, CVAT

The labels of an image may also be one file per class, NAME_nucleus.png and NAME_cell.png; a folder NAME/ with one file
per cell; an OME-Zarr; or shapes: NAME.json of labelme, one COCO file for all images, NAME_RoiSet.zip of ImageJ.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from src.data.candidates import folder_of_labels
from src.data.finding import ERROR, NOTE, SHOWN_FILES, Finding
from src.data.label_files import channel_files, is_prediction, label_files, of_one_image_each
from src.data.listing import NO_IMAGES, READ, by_stem, unread
from src.data.mixed import Sorted, further_files, sorted_out
from src.data.pairing import likely_patterns, partners
from src.data.patterns import by_pattern, is_pattern
from src.data.places import LABELS, Place, films, folders, places, read_name
from src.data.sources import ONE_FILE, Form, labels_within
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, SHAPE_SUFFIXES, natural, stem
from src.files.stored import SHOWN, Reading

LAYOUTS = "images/ and labels/, or NAME.tif beside NAME_masks.tif, or 01/ and 01_GT/SEG/"
ORDERS = ("natural", "plain")
Matched = tuple[list["Pair"], list[Finding]]


@dataclass(frozen=True)
class Pair:
    """An image and its labels on disk.

    Attributes:
        name: the name of the image in the data set.
        image: the image file.
        labels: the label file, or the folder with one label file per cell.
        source: the file or film that the image belongs to; a split keeps images with the same source together.
        orientation: the argument ``orientation`` of `read_folder`.
        axes: the argument ``axes`` of `read_folder`.
        form: how the labels are stored.
        kind: the argument ``kind`` of `read_folder`, which says what the labels mean.
        channels: the files of all channels, starting with `image`, if each channel is a file; else empty.
        part: train, validation or held_out if the folder names define a split, else empty.
    """

    name: str
    image: Path
    labels: Path
    source: str
    orientation: str = "auto"
    axes: str | None = None
    form: Form = ONE_FILE
    kind: str = "auto"
    channels: tuple[Path, ...] = ()
    part: str = ""


@dataclass(frozen=True)
class Wanted:
    """The choice of files in a folder and of how to read them; each attribute is an argument of `read_folder`."""

    include: str = "*"
    orientation: str = "auto"
    axes: str | None = None
    classes: tuple[str, ...] | None = None
    kind: str = "auto"
    images: str | None = None
    labels: str | None = None
    order: str = "natural"


ALL = Wanted()


def requested_reading(orientation: str, axes: str | None) -> Reading:
    """Return the settings for reading pixels, given the configured orientation (auto means the default) and axes.

    Raises:
        ValueError: the orientation or the axes are invalid.
    """
    return replace(SHOWN, orientation=SHOWN.orientation if orientation == "auto" else orientation, axes=axes)


def matched(root: Path, wanted: Wanted = ALL) -> Matched:
    """Pair each image in a folder with its labels, and report files without a partner and other problems.

    Args:
        root: the folder of the data set.
        wanted: which files to read, and how.

    Returns:
        The pairs in the requested order, and the findings.

    Raises:
        FileNotFoundError: the folder does not exist, has an unknown layout, or holds no pair that is wanted.
        ValueError: the orientation, the order or the axes are invalid.
    """
    requested_reading(wanted.orientation, wanted.axes)
    if wanted.order not in ORDERS:
        raise ValueError(f"expected data.source.order to be natural or plain, but got {wanted.order}")
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder of images and labels, but there is none at {root}")
    if wanted.images or (wanted.labels and is_pattern(wanted.labels)):
        found, findings = _of_patterns(root, wanted)
    else:
        found, findings = _of_places(root, wanted)
    pairs = [
        replace(pair, orientation=wanted.orientation, axes=wanted.axes, kind=wanted.kind)
        for pair in found
        if fnmatchcase(pair.name, wanted.include)
    ]
    counted = wanted.order == "natural" and len({len(pair.name) for pair in pairs}) > 1  # hashes are equally long
    pairs.sort(key=lambda pair: natural(pair.name) if counted else pair.name)
    folders_too = {each.file for each in findings if Path(each.file).is_dir()}
    findings = [
        each for each in findings if each.file in folders_too or fnmatchcase(stem(Path(each.file)), wanted.include)
    ]
    if not pairs and not any(each.severity == ERROR for each in findings):
        raise FileNotFoundError(_nothing(root, wanted.include))
    return pairs, findings


def _nothing(root: Path, include: str) -> str:
    """Return the error message for a folder without pairs; it names unreadable formats or patterns that may fit."""
    there = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
    below = {root: read_name(root.name).role == LABELS}  # whether each folder is, or lies in, a folder of labels
    for _ in range(3):
        below |= {
            each: of or read_name(each.name).role == LABELS for folder, of in below.items() for each in folders(folder)
        }
    other = [unread(each, READ if of else (*READ, *NO_IMAGES)) for each, of in below.items()]
    skipped = [f"; {each.file} holds {each.found}; {each.fix}" for found in other for each in found]
    keys = [] if skipped else [*likely_patterns(root, list(below))][:2]
    near = f"; nearest valid: {' or '.join(keys)}" if keys else ""
    more = "".join(skipped[:SHOWN_FILES])
    return f"expected {LAYOUTS} in {root}, with names that fit {include}, but got {there}{more}{near}"


def _of_patterns(root: Path, wanted: Wanted) -> Matched:
    """Return the pairs in a folder, and findings, where a path pattern selects the images, the labels or both."""
    found = places(root)
    if wanted.images:
        pictured, findings = by_pattern(root, "data.source.images", wanted.images, IMAGE_SUFFIXES)
    else:
        pictured, findings = by_stem(found[0].images if found else root, IMAGE_SUFFIXES)
    if wanted.labels and is_pattern(wanted.labels):
        files, more = by_pattern(root, "data.source.labels", wanted.labels, LABEL_SUFFIXES)
        labelled = {name: (file, ONE_FILE) for name, file in files.items()}
    else:
        folder = root / wanted.labels if wanted.labels and (root / wanted.labels).is_dir() else None
        others: list[Finding] = []
        if folder is None:
            key, others = folder_of_labels(root, found, wanted.labels)
            if key is None:
                expected = f"{LAYOUTS} in {root}, or data.source.labels beside data.source.images"
                raise FileNotFoundError(f"expected {expected}")
            folder = next(place.masks | place.others for place in found)[key]
        labelled, more = label_files(folder, pictured, wanted.classes)
        more += others
    if not wanted.images:  # a file named like a labelled image plus an ending may be the labels of another annotator
        drawn = {file for file, _ in labelled.values()}
        pictured = {
            name: file
            for name, file in pictured.items()
            if file not in drawn and not any(name[:end] in labelled for end in range(1, len(name)))
        }
    named, alone = partners(root, pictured, labelled)
    pairs = [
        Pair(name, image, labels, image.relative_to(root).as_posix(), form=form)
        for name, (image, labels, form) in named.items()
    ]
    return pairs, [*findings, *more, *alone]


def _of_places(root: Path, wanted: Wanted) -> Matched:
    """Return the pairs in a folder, and findings, where folder and file names tell images from labels."""
    found = places(root)
    key, findings = folder_of_labels(root, found, wanted.labels)
    lone = of_one_image_each([(place.images, place.masks.get(key) if key else None, place.above) for place in found])
    pairs: list[tuple[Place, list[Pair]]] = []
    for number, place in enumerate(found):
        if number in lone:
            name, image, labels, form = lone[number]
            pairs.append((place, [Pair(name, image, labels, "", form=form)]))
        else:
            masks = (place.masks | place.others).get(key) if key else None
            some, more = _of_place(root, place, masks, wanted.classes)
            pairs.append((place, some))
            findings += more
    named, twice = _named(root, pairs)
    return named, [*dict.fromkeys(findings), *twice]


def _of_place(root: Path, place: Place, masks: Path | None, classes: Sequence[str] | None) -> Matched:
    """Return the pairs of one folder of images, and findings.

    Args:
        root: the folder of the data set.
        place: the folder of images.
        masks: the folder of labels; None means that the labels lie next to the images or inside OME-Zarr images.
        classes: the argument ``classes`` of `read_folder`.
    """
    folder = place.images
    if masks is None and (recorded := films(folder)):
        return _of_films(folder, recorded), []
    if masks is None and (within := _within(folder)):
        return within, []
    findings = unread(folder) + (unread(masks) if masks else [])
    there = Sorted([*folder.iterdir()], [], []) if masks else sorted_out(sorted(folder.iterdir()))
    pictured, more = by_stem(folder, IMAGE_SUFFIXES, there.images)
    labelled, others = label_files(masks or folder, pictured, classes, there.others)
    if masks is None and not labelled and folder != root:  # labelme and COCO files may lie one folder further up
        shaped, others = label_files(folder.parent, pictured)
        labelled = {name: each for name, each in shaped.items() if each[0].suffix.lower() in SHAPE_SUFFIXES}
    findings = list(dict.fromkeys([*findings, *more, *others]))
    if not labelled and masks is None and not any(each.severity == ERROR for each in findings):
        fix = "nothing, if that is meant"
        return [], [*findings, Finding("no-labels", NOTE, str(folder), "images without labels", "images to learn", fix)]
    if len(pictured) == len(labelled) == 1 and place.above and not masks:  # a folder of its own for each image
        labelled = dict(zip(pictured, labelled.values(), strict=True))
    if channels := channel_files(pictured, labelled):
        pictured = {name: of[0] for name, of in channels.items()}
        channels = {name: of for name, of in channels.items() if len(of) > 1}
    more_files = further_files(pictured, labelled) if masks else set()
    there.others.extend(pictured.pop(name) for name in sorted(more_files))
    if there.others:
        what, fix = f"{len(there.others)} more files of these images, such as {there.others[0].name}", "nothing"
        findings.append(Finding("left-out", NOTE, str(folder), what, "images and labels, which are used", fix))
    named, alone = partners(root, pictured, labelled)
    pairs = [
        Pair(name, image, labels, "", form=form, channels=channels.get(name, ()))
        for name, (image, labels, form) in named.items()
    ]
    return pairs, findings + alone


def _named(root: Path, found: Sequence[tuple[Place, list[Pair]]]) -> Matched:
    """Return the pairs of all places under unique names, and an error finding for each name that is still not unique.

    If file names are not unique, folder names are put in front of them, or replace them if all images have the same
    name. The part of the split is added if names are still not unique.
    """
    names = [pair.name for _, pairs in found for pair in pairs]
    alike = len(set(names)) == 1
    unique = len(set(names)) == len(names)
    named = []
    for place, pairs in found:
        for pair in pairs:
            name, above = pair.name, [each for each in place.above if each != pair.name]
            if not unique:
                name = "_".join(above if alike and above else (*above, pair.name))
            source = pair.source or pair.image.relative_to(root).as_posix()
            named.append(replace(pair, name=name, source=source, part=place.part))
    count = Counter(pair.name for pair in named)
    named = [replace(pair, name=f"{pair.part}_{pair.name}") if count[pair.name] > 1 else pair for pair in named]
    count = Counter(pair.name for pair in named)
    twice = [pair for pair in named if count[pair.name] > 1]
    fix = "give one of the two another name"
    return named, [
        Finding("same-name", ERROR, str(pair.image), f"another image named {pair.name}", "each name once", fix)
        for pair in twice
    ]


def _within(folder: Path) -> list[Pair]:
    """Return the pairs of OME-Zarr images in a folder that contain their own labels, except this program's predictions.

    Raises:
        FileNotFoundError: an OME-Zarr image contains several label images.
    """
    found = {file: labels_within(file) for file in sorted(folder.glob("*.zarr")) if not is_prediction(file)}
    several = [labels for labels in found.values() if len(labels) > 1]
    if several:
        names = ", ".join(file.name for file in several[0])
        raise FileNotFoundError(f"expected one label image in {several[0][0].parent}, but got {names}")
    return [Pair(stem(file), file, labels[0], file.name) for file, labels in found.items() if labels]


def _of_films(root: Path, folders: Sequence[Path]) -> list[Pair]:
    """Return the pairs of all annotated frames of Cell Tracking Challenge films, given their label folders."""
    pairs = []
    for masks in folders:
        film = masks.parent.name.removesuffix("_GT")
        for labels in sorted(masks.glob("man_seg*.tif")):
            number = re.sub("^man_seg_?", "", labels.stem).split("_")[0]
            name = f"{film}_t{number}"
            image = root / film / f"t{number}.tif"
            pairs.append(Pair(name, image, labels, film, form=Form(said="instances")))
    return pairs
