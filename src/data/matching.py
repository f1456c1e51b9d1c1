"""Which labels belong to which image, in the layouts of folders that people have.

ROOT/images/NAME.tif + ROOT/labels/NAME.tif            folders are told by their words: imgs, masks, imagesTr, GT …
ROOT/NAME.tif + ROOT/NAME_masks.tif                    Cellpose; also NAME.jpg + NAME.png, image_1.tif + mask_1.tif
ROOT/train/… + ROOT/val/… + ROOT/test/…                the split; also images/train/…, train_images/…
ROOT/images/plate1/NAME.tif + ROOT/labels/plate1/…     folders in folders; also plate1/images/…
ROOT/NAME/images/NAME.png + ROOT/NAME/masks/*.png      Data Science Bowl 2018, one file a cell
ROOT/imagesTr/NAME_0000.png + ROOT/labelsTr/NAME.png   nnU-Net, one file a channel
ROOT/01/tNNN.tif + ROOT/01_GT/SEG/man_segNNN.tif       Cell Tracking Challenge; frames without labels are left out
ROOT/JPEGImages/NAME.jpg + ROOT/SegmentationClass/NAME.png     Pascal VOC, CVAT

Labels of an image may also be files of one class each, NAME_nucleus.png and NAME_cell.png; a folder NAME/ of files of
one object each; an OME-Zarr; or shapes: NAME.json of labelme, a COCO file for all images, NAME_RoiSet.zip of ImageJ.
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
from src.data.places import LABELS, Place, films, folders, places, told
from src.data.sources import ONE_FILE, Form, labels_within
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, SHAPE_SUFFIXES, natural, stem
from src.files.stored import SHOWN, Reading

LAYOUTS = "images/ and labels/, or NAME.tif beside NAME_masks.tif, or 01/ and 01_GT/SEG/"
ORDERS = ("natural", "plain")
Found = tuple[list["Pair"], list[Finding]]


@dataclass(frozen=True)
class Pair:
    """An image and its labels on disk.

    Attributes:
        name: of both.
        image: the file of the image.
        labels: the file of the labels, or the folder of files of one object each.
        source: the file or the film that all its slices are of; a split does not part them.
        orientation: as `read_folder` takes it.
        axes: as `read_folder` takes it.
        form: how its labels lie on disk.
        kind: of labels, as it was asked for.
        channels: the files of one channel each that the image consists of, `image` the first; empty if it is one file.
        part: train, validation or held_out, where the folders say so.
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
    """What of a folder is to be read, and how; all of it as `read_folder` takes it."""

    include: str = "*"
    orientation: str = "auto"
    axes: str | None = None
    classes: tuple[str, ...] | None = None
    kind: str = "auto"
    images: str | None = None
    labels: str | None = None
    order: str = "natural"


ALL = Wanted()


def asked(orientation: str, axes: str | None) -> Reading:
    """How pixels are to be seen, as far as that has been asked for.

    Raises:
        ValueError: there is no such orientation, or no such axes.
    """
    return replace(SHOWN, orientation=SHOWN.orientation if orientation == "auto" else orientation, axes=axes)


def matched(root: Path, wanted: Wanted = ALL) -> Found:
    """Each image of a folder with its labels, by name, and what has no partner.

    Args:
        root: the folder.
        wanted: what of it.

    Raises:
        FileNotFoundError: there is no such folder, it has another layout, or nothing in it fits.
        ValueError: there is no such orientation, order or axes.
    """
    asked(wanted.orientation, wanted.axes)
    if wanted.order not in ORDERS:
        raise ValueError(f"expected data.source.order to be natural or plain, but got {wanted.order}")
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder of images and labels, but there is none at {root}")
    if wanted.images or (wanted.labels and is_pattern(wanted.labels)):
        found, findings = _of_patterns(root, wanted)
    else:
        found, findings = _of_places(root, wanted)
    how = {"orientation": wanted.orientation, "axes": wanted.axes, "kind": wanted.kind}
    pairs = [replace(pair, **how) for pair in found if fnmatchcase(pair.name, wanted.include)]
    counted = wanted.order == "natural" and len({len(pair.name) for pair in pairs}) > 1  # unlike hashes
    pairs.sort(key=lambda pair: natural(pair.name) if counted else pair.name)
    folders_too = {each.file for each in findings if Path(each.file).is_dir()}
    findings = [
        each for each in findings if each.file in folders_too or fnmatchcase(stem(Path(each.file)), wanted.include)
    ]
    if not pairs and not any(each.severity == ERROR for each in findings):
        raise FileNotFoundError(_nothing(root, wanted.include))
    return pairs, findings


def _nothing(root: Path, include: str) -> str:
    """That no pair is in a folder, patterns that may tell some, and files of it that are of no kind that is read."""
    there = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
    below = {root: told(root.name).role == LABELS}  # whether it is in a folder of labels
    for _ in range(3):
        below |= {
            each: of or told(each.name).role == LABELS for folder, of in below.items() for each in folders(folder)
        }
    other = [unread(each, READ if of else (*READ, *NO_IMAGES)) for each, of in below.items()]
    said = [f"; {each.file} holds {each.found}; {each.fix}" for found in other for each in found]
    keys = [] if said else [*likely_patterns(root, list(below))][:2]
    near = f"; nearest valid: {' or '.join(keys)}" if keys else ""
    more = "".join(said[:SHOWN_FILES])
    return f"expected {LAYOUTS} in {root}, with names that fit {include}, but got {there}{more}{near}"


def _of_patterns(root: Path, wanted: Wanted) -> Found:
    """Images and labels where at least one of them is told by a pattern of paths."""
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
        key, others = (None, []) if folder else folder_of_labels(root, found, wanted.labels)
        folder = folder or (key and next(place.masks | place.others for place in found)[key])
        if folder is None:
            raise FileNotFoundError(f"expected {LAYOUTS} in {root}, or data.source.labels beside data.source.images")
        labelled, more = label_files(folder, pictured, wanted.classes)
        more += others
    if not wanted.images:  # what lies beside an image and begins like it is labels too, of somebody else
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


def _of_places(root: Path, wanted: Wanted) -> Found:
    """Images and labels where folders and names tell them."""
    found = places(root)
    key, findings = folder_of_labels(root, found, wanted.labels)
    lone = of_one_image_each([(place.images, place.masks.get(key), place.above) for place in found])
    pairs: list[tuple[Place, list[Pair]]] = []
    for number, place in enumerate(found):
        if number in lone:
            name, image, labels, form = lone[number]
            some, more = [Pair(name, image, labels, "", form=form)], []
        else:
            some, more = _of_place(root, place, (place.masks | place.others).get(key), wanted.classes)
        pairs.append((place, some))
        findings += more
    named, twice = _named(root, pairs)
    return named, [*dict.fromkeys(findings), *twice]


def _of_place(root: Path, place: Place, masks: Path | None, classes: Sequence[str] | None) -> Found:
    """The pairs of one folder of images, whose labels lie in ``masks``, in the images, or beside them."""
    folder = place.images
    if masks is None and (recorded := films(folder)):
        return _of_films(folder, recorded), []
    if masks is None and (within := _within(folder)):
        return within, []
    findings = unread(folder) + (unread(masks) if masks else [])
    there = Sorted([*folder.iterdir()], [], []) if masks else sorted_out(sorted(folder.iterdir()))
    pictured, more = by_stem(folder, IMAGE_SUFFIXES, there.images)
    labelled, others = label_files(masks or folder, pictured, classes, there.others)
    if masks is None and not labelled and folder != root:  # of labelme or COCO, one folder further up
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
        findings.append(Finding("left-out", NOTE, str(folder), what, "images and labels, which are taken", fix))
    named, alone = partners(root, pictured, labelled)
    pairs = [
        Pair(name, image, labels, "", form=form, channels=channels.get(name, ()))
        for name, (image, labels, form) in named.items()
    ]
    return pairs, findings + alone


def _named(root: Path, found: Sequence[tuple[Place, list[Pair]]]) -> Found:
    """The pairs of all places with names of their own, in which folders stand where the files alone do not tell.

    A folder with one image, which is called like it, or like the images of all such folders, stands for its image.
    """
    names = [pair.name for _, pairs in found for pair in pairs]
    alike = len(set(names)) == 1
    tell = len(set(names)) == len(names)
    named = []
    for place, pairs in found:
        for pair in pairs:
            name, above = pair.name, [each for each in place.above if each != pair.name]
            if not tell:
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
    """OME-Zarr images that hold their labels themselves, but for our own predictions.

    Raises:
        FileNotFoundError: one of them holds several.
    """
    found = {file: labels_within(file) for file in sorted(folder.glob("*.zarr")) if not is_prediction(file)}
    several = [labels for labels in found.values() if len(labels) > 1]
    if several:
        names = ", ".join(file.name for file in several[0])
        raise FileNotFoundError(f"expected one label image in {several[0][0].parent}, but got {names}")
    return [Pair(stem(file), file, labels[0], file.name) for file, labels in found.items() if labels]


def _of_films(root: Path, folders: Sequence[Path]) -> list[Pair]:
    pairs = []
    for masks in folders:
        film = masks.parent.name.removesuffix("_GT")
        for labels in sorted(masks.glob("man_seg*.tif")):
            number = re.sub("^man_seg_?", "", labels.stem).split("_")[0]
            name = f"{film}_t{number}"
            image = root / film / f"t{number}.tif"
            pairs.append(Pair(name, image, labels, film, form=Form(said="instances")))
    return pairs
