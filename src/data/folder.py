"""A folder of one's own images and labels, in the layouts that people have.

ROOT/images/NAME.tif + ROOT/labels/NAME.tif            also imgs, and masks (StarDist, milesial/Pytorch-UNet)
ROOT/NAME.tif + ROOT/NAME_masks.tif                    Cellpose
ROOT/01/tNNN.tif + ROOT/01_GT/SEG/man_segNNN.tif       Cell Tracking Challenge; frames without labels are left out
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from src.data.agreement import CLEAR, agreement
from src.data.finding import ERROR, NOTE, WARNING, Finding, Refused
from src.data.labels import KINDS, MOST_CLASSES, Description, describe, detect, labels_and_notes, to_learn, unreadable
from src.data.stack import Stack, stacked
from src.files.image import SHOWN, Image, Reading, image_of, in_memory
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, stem, without_ending
from src.files.stored import Note, Stored

IMAGE_FOLDERS = ("images", "imgs", "image", "img")
LABEL_FOLDERS = ("labels", "masks", "label", "mask", "annotations")
LABEL_ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg")
AXES = ("ZYX", "CYX", "YXC", "YXZ")  # that programs write without saying so
LAYOUTS = "images/ and labels/, or NAME.tif beside NAME_masks.tif, or 01/ and 01_GT/SEG/"


@dataclass(frozen=True)
class Pair:
    """An image and its labels on disk.

    Attributes:
        name: of both.
        image: the file of the image.
        labels: the file of the labels.
        source: the file or the film that all its slices are of; a split does not part them.
        orientation: as `read_folder` takes it.
        axes: as `read_folder` takes it.
    """

    name: str
    image: Path
    labels: Path
    source: str
    orientation: str = "auto"
    axes: str | None = None


@dataclass(frozen=True)
class Annotated:
    """A slice as it is on disk.

    Attributes:
        name: of the image; in a stack with the number of the slice.
        pair: the files that it is of.
        image: ``(H, W)`` or ``(H, W, C)``.
        labels: ``(H, W)`` integers.
        pixel_size: in µm, None if the file does not say.
        reading: how its pixels were seen.
        evidence: the orientation that its labels fit, None if nobody can tell, empty if viewers do not turn the file.
        notes: on its files.
    """

    name: str
    pair: Pair
    image: np.ndarray
    labels: np.ndarray
    pixel_size: float | None = None
    reading: Reading = SHOWN
    evidence: str | None = ""
    notes: tuple[Finding, ...] = ()


def read_folder(
    root: str | Path,
    kind: str = "auto",
    values: Sequence[int] | None = None,
    ignore_label: int | None = None,
    include: str = "*",
    orientation: str = "auto",
    axes: str | None = None,
    read: Callable[["Pair"], list["Annotated"]] | None = None,
) -> Stack:
    """The annotated images of a folder, in the order of their names.

    Args:
        root: the folder.
        kind: what the labels mean, one of `labels.KINDS`; auto finds out.
        values: those of class 0, 1, …; None: see `class_values`.
        ignore_label: the value of pixels that nobody has annotated.
        include: images whose names fit this pattern only, such as ``plate1_*``.
        orientation: of images that viewers turn: shown, stored, or auto, which asks their labels.
        axes: a letter an axis of files with as many axes, such as ZYX where slices are tagged as channels; None: as
            the files say.
        read: gives the slices of a pair of files; None: `read_pair`, or what has read them already.

    Raises:
        Refused: an image without labels, a file that cannot be read, labels of another size than their image.
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: there is no such kind of labels, or labels hold other classes.
    """
    pairs, alone = matched(Path(root), include, orientation, axes)
    for finding in alone:
        if finding.severity == ERROR:
            raise Refused(finding)
    slices = settled([(read or read_pair)(pair) for pair in pairs], read or read_pair)
    open_question = kind == "auto" or (kind == "classes" and values is None)
    described = [describe(without(each.labels, ignore_label)) for each in slices if open_question]
    kind = chosen_kind(kind, described)
    values = class_values(described, values)
    learnt = [to_learn(each.labels, kind, values, ignore_label) for each in slices]
    targets, cells, known = (stacked(list(parts)) for parts in zip(*learnt, strict=True))
    return Stack(
        stacked([each.image for each in slices]),
        targets,
        cells,
        [each.name for each in slices],
        [each.pair.source for each in slices],
        known,
        reading_of(slices),
    )


def settled(pairs: Sequence[list[Annotated]], read: Callable[[Pair], list[Annotated]]) -> list[Annotated]:
    """The slices of all pairs, of which those whose own labels cannot tell an orientation follow the others.

    Args:
        pairs: the slices of each pair of files.
        read: gives them.
    """
    orientation = reading_of([each for slices in pairs for each in slices]).orientation
    found = []
    for slices in pairs:
        again = undecided(slices[0], orientation)
        found += read(replace(slices[0].pair, orientation=orientation)) if again else slices
    return found


def undecided(each: Annotated, orientation: str) -> bool:
    """Whether a slice was seen in another orientation than most, for no reason of its own."""
    return each.evidence is None and each.reading.orientation != orientation


def reading_of(slices: Sequence[Annotated]) -> Reading:
    """How the pixels of most files are seen that leave a choice."""
    told = Counter(each.evidence for each in slices if each.evidence)
    axes = Counter(each.reading.axes for each in slices if each.reading.axes)
    usual = slices[0].reading if slices else SHOWN
    orientation = told.most_common(1)[0][0] if told else usual.orientation
    return replace(usual, orientation=orientation, axes=axes.most_common(1)[0][0] if axes else None)


def chosen_kind(kind: str, described: Sequence[Description]) -> str:
    """The kind of labels that was asked for, or that they look like.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"expected data.source.kind to be auto, {', '.join(KINDS)}, but got {kind}")
    return detect(described) if kind == "auto" else kind


def class_values(described: Sequence[Description], values: Sequence[int] | None) -> Sequence[int] | None:
    """Of labels of classes the values of class 0, 1, …: those given, or all that occur if they are not small numbers.

    Small numbers are their classes themselves (None), also where one of them does not occur.
    """
    found = sorted(set().union(*(each.counts for each in described)))
    return found if values is None and found and max(found) > MOST_CLASSES else values


def without(labels: np.ndarray, ignore_label: int | None) -> np.ndarray:
    """Labels with 0 where nobody has annotated."""
    return labels if ignore_label is None else np.where(labels == ignore_label, 0, labels)


def matched(
    root: Path, include: str = "*", orientation: str = "auto", axes: str | None = None
) -> tuple[list[Pair], list[Finding]]:
    """Each image of a folder with its labels, by name, and what has no partner.

    Args:
        root: the folder.
        include: a pattern of names.
        orientation: as of `read_folder`.
        axes: as of `read_folder`.

    Raises:
        FileNotFoundError: there is no such folder, it has another layout, or nothing in it fits.
        ValueError: there is no such orientation, or no such axes.
    """
    Reading(orientation=SHOWN.orientation if orientation == "auto" else orientation, axes=axes)
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder of images and labels, but there is none at {root}")
    pictures, masks = (
        next((root / name for name in names if (root / name).is_dir()), None)
        for names in (IMAGE_FOLDERS, LABEL_FOLDERS)
    )
    films = [] if pictures or masks else sorted(path for path in root.glob("[0-9][0-9]_GT/SEG") if path.is_dir())
    if (pictures is None) != (masks is None):
        raise FileNotFoundError(f"expected {LAYOUTS} in {root}, but got {(pictures or masks).name}/ alone")
    if films:
        pairs, findings = _of_films(root, films), []
    elif pictures and masks:
        pairs, findings = _of_folders(pictures, masks)
    else:
        pairs, findings = _of_endings(root)
    pairs = [replace(pair, orientation=orientation, axes=axes) for pair in pairs if fnmatch(pair.name, include)]
    findings = [finding for finding in findings if fnmatch(stem(Path(finding.file)), include)]
    if not pairs and not findings:
        there = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise FileNotFoundError(f"expected {LAYOUTS} in {root}, with names that fit {include}, but got {there}")
    return pairs, findings


def _of_folders(pictures: Path, masks: Path) -> tuple[list[Pair], list[Finding]]:
    pictured, findings = _by_stem(pictures, IMAGE_SUFFIXES)
    drawn, more = _by_stem(masks, (*LABEL_SUFFIXES, ".jpg", ".jpeg"))  # which are refused by name
    # An image may itself be called NAME_mask.
    labelled = {without_ending(name, LABEL_ENDINGS): file for name, file in drawn.items()} | {
        name: file for name, file in drawn.items() if name in pictured
    }
    return _partners(pictured, labelled, findings + more)


def _of_endings(root: Path) -> tuple[list[Pair], list[Finding]]:
    found, findings = _by_stem(root, IMAGE_SUFFIXES)
    images = {name: without_ending(name, LABEL_ENDINGS) for name in found}
    labelled = {images[name]: file for name, file in found.items() if images[name] != name}
    pictured = {name: file for name, file in found.items() if images[name] == name}
    return _partners(pictured, labelled, findings) if labelled else ([], [])


def _of_films(root: Path, folders: list[Path]) -> list[Pair]:
    pairs = []
    for masks in folders:
        film = masks.parent.name.removesuffix("_GT")
        for labels in sorted(masks.glob("man_seg*.tif")):
            number = re.sub("^man_seg_?", "", labels.stem).split("_")[0]
            name = f"{film}_t{number}"
            pairs.append(Pair(name, root / film / f"t{number}.tif", labels, film))
    return pairs


def _partners(
    pictured: dict[str, Path], labelled: dict[str, Path], findings: list[Finding]
) -> tuple[list[Pair], list[Finding]]:
    for name in sorted(pictured.keys() - labelled.keys()):
        file, expected = str(pictured[name]), f"labels named {name} (.tif or .png)"
        fix = "annotate it, or move it out of the folder"
        findings.append(Finding("missing-label", ERROR, file, "an image without labels", expected, fix))
    for name in sorted(labelled.keys() - pictured.keys()):
        file, found = str(labelled[name]), "labels without an image; they are left out"
        fix = "add the image, or delete the labels"
        findings.append(Finding("missing-image", WARNING, file, found, f"an image named {name}", fix))
    both = sorted(pictured.keys() & labelled.keys())
    return [Pair(name, pictured[name], labelled[name], pictured[name].name) for name in both], findings


def _by_stem(directory: Path, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[Finding]]:
    files: dict[str, Path] = {}
    findings = []
    for file in sorted(directory.iterdir()):
        if file.suffix.lower() not in suffixes or file.name.startswith("."):
            continue
        named = file.name.encode("utf-8", "backslashreplace").decode()
        if named != file.name:
            what, fix = "a name that is not UTF-8", "give it another name"
            findings.append(Finding("name-encoding", ERROR, str(directory / named), what, "names in UTF-8", fix))
            continue
        other = files.setdefault(stem(file), file)
        if other != file:
            found, fix = f"{other.name} beside it", "move one of the two out of the folder"
            findings.append(Finding("same-name", ERROR, str(file), found, "one file of each name", fix))
    return files, findings


def read_pair(pair: Pair) -> list[Annotated]:
    """The slices of an image with their labels.

    Raises:
        Refused: a file cannot be read, or the labels have another size.
    """
    try:
        stored = in_memory(pair.image)
    except (ValueError, OSError) as error:
        raise Refused(unreadable(pair.image, error)) from error
    given = replace(SHOWN, orientation="shown" if pair.orientation == "auto" else pair.orientation, axes=pair.axes)
    labels, notes = labels_and_notes(pair.labels, given)
    stack = labels if labels.ndim == 3 else labels[None]
    readings = _possible(pair, stored, stack, given)
    seen = {each: _planes(pair.image, stored, each) for each in readings}
    fitting = [each for each in readings if _size(seen[each][0]) == _size(stack)]
    if not fitting:
        raise Refused(_mismatch(pair, stored, stack, seen[readings[0]][0]))
    reading, sure = _best(fitting, {each: seen[each][0] for each in fitting}, stack)
    planes, image = seen[reading]
    evidence = "" if len(readings) == 1 else reading.orientation if sure else None
    told = [(pair.image, note) for note in image.notes] + [(pair.labels, note) for note in notes]
    if stored.orientation != 1:
        other = "stored" if reading.orientation == "shown" else "shown"
        found = f"pixels that viewers turn (tag {stored.orientation})" + (", which its labels fit" if evidence else "")
        taken = {"shown": "turned as viewers do", "stored": "as they are stored"}[reading.orientation]
        told.append((pair.image, Note("turned", found, taken, f"data.source.orientation={other} takes the other")))
    if stored.unclear and pair.axes is None:
        found = f"{stored.array.shape[0]} planes tagged as colours, of which the labels tell what they are"
        taken = "slices" if reading.axes == "ZYX" else "channels"
        told.append((pair.image, Note("planes", found, taken, "data.source.axes=ZYX or data.source.axes=CYX chooses")))
    findings = tuple(Finding(each.code, NOTE, str(file), each.found, each.taken, each.fix) for file, each in told)
    numbered = [pair.name] if len(planes) == 1 else [f"{pair.name}_{number:03d}" for number in range(len(planes))]
    return [
        Annotated(name, pair, plane, each, image.pixel_size.get("X"), reading, evidence, findings if first else ())
        for first, name, plane, each in zip([True] + [False] * len(planes), numbered, planes, stack, strict=False)
    ]


def _possible(pair: Pair, stored: Stored, stack: np.ndarray, given: Reading) -> list[Reading]:
    """How the pixels of an image may be seen, the usual one first."""
    if stored.unclear and pair.axes is None:
        slices = len(stack) == stored.array.shape[0] and all(np.ptp(plane) > 0 for plane in stack)
        given = replace(given, axes="ZYX" if slices else "SYX")
    turns = pair.orientation == "auto" and stored.orientation != 1
    return [given, replace(given, orientation="stored")] if turns else [given]


def _best(readings: list[Reading], planes: dict[Reading, list[np.ndarray]], stack: np.ndarray) -> tuple[Reading, bool]:
    """The reading in which the image agrees best with its labels, the first of equals; and whether that is sure."""
    if len(readings) == 1:
        return readings[0], True
    agreed = [
        np.mean([agreement(plane, labels) for plane, labels in zip(planes[each], stack, strict=True)])
        for each in readings
    ]
    best = int(np.argmax(agreed))
    sure = agreed[best] > min(agreed) + CLEAR
    return readings[best if sure else 0], bool(sure)


def _size(planes: Sequence[np.ndarray]) -> str:
    """How many planes of how many pixels, as `Finding` says it."""
    return f"{len(planes)} × {planes[0].shape[0]}×{planes[0].shape[1]}"


def _mismatch(pair: Pair, stored: Stored, stack: np.ndarray, planes: Sequence[np.ndarray]) -> Finding:
    """That labels have another size than their image, and which key would make them fit."""
    found, expected = f"{_size(stack)} px", f"labels of the size of their image, {_size(planes)} px"
    fix = "export the labels again from the image that was annotated, without resizing"
    if len(planes) == len(stack) and planes[0].shape[1::-1] == stack.shape[1:]:
        found += ", as if rows and columns were exchanged"
    channels = 1 if planes[0].ndim == 2 else planes[0].shape[2]
    if channels > 1:
        expected += f" with {channels} channels"
    for axes in AXES:
        if len(axes) == stored.array.ndim and axes != stored.axes:
            sides = dict(zip(axes, stored.array.shape, strict=True))
            if [sides.get("Z", 1), sides["Y"], sides["X"]] == list(stack.shape):
                what = f"{sides['Z']} slices" if "Z" in sides else f"{sides['C']} channels"
                fix = f"data.source.axes={axes}, if the image is {what}"
                break
    return Finding("size-mismatch", ERROR, str(pair.labels), found, expected, fix)


class ReadTwice:
    """Reads each pair of files from disk once, for two who ask for it: the check of data, and then training.

    What was asked for a second time is not held any longer.
    """

    def __init__(self):
        self.held: dict[Pair, list[Annotated]] = {}

    def __call__(self, pair: Pair) -> list[Annotated]:
        """As `read_pair`."""
        if pair in self.held:
            return self.held.pop(pair)
        self.held[pair] = read_pair(pair)
        return self.held[pair]


def _planes(file: Path, stored: Stored, reading: Reading) -> tuple[list[np.ndarray], Image]:
    """The planes of an image as src.predict reads them, each ``(H, W)`` or ``(H, W, C)``; and the image."""
    image = image_of(file, stored, reading)
    bands = [image.band(plane, 0, image.height) for plane in range(image.planes)]
    return [band[0] if len(band) == 1 else np.ascontiguousarray(np.moveaxis(band, 0, -1)) for band in bands], image
