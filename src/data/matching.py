"""Which labels belong to which image, in the layouts of folders that people have.

ROOT/images/NAME.tif + ROOT/labels/NAME.tif            also imgs, and masks (StarDist, milesial/Pytorch-UNet)
ROOT/NAME.tif + ROOT/NAME_masks.tif                    Cellpose
ROOT/01/tNNN.tif + ROOT/01_GT/SEG/man_segNNN.tif       Cell Tracking Challenge; frames without labels are left out
ROOT/JPEGImages/NAME.jpg + ROOT/SegmentationClass/NAME.png     Pascal VOC, CVAT
ROOT/NAME/images/NAME.png + ROOT/NAME/masks/*.png      Data Science Bowl 2018, one file a cell

Labels of an image may also be files of one class each, NAME_nucleus.png and NAME_cell.png; a folder NAME/ of files of
one object each; an OME-Zarr; or shapes: NAME.json of labelme, a COCO file for all images, NAME_RoiSet.zip of ImageJ.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.patterns import aligned, by_pattern, is_pattern
from src.data.shapes import SHAPE_SUFFIXES
from src.data.sources import LABEL_ENDINGS, ONE_FILE, Form, by_stem, label_files, labels_within
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, stem, without_ending
from src.files.stored import SHOWN, Reading
from src.files.tiffs import first_parts

IMAGE_FOLDERS = ("images", "imgs", "image", "img", "JPEGImages")
LABEL_FOLDERS = ("labels", "masks", "label", "mask", "annotations", "SegmentationClass")
OBJECTS = "SegmentationObject"  # of Pascal VOC, where each object has a colour
LAYOUTS = "images/ and labels/, or NAME.tif beside NAME_masks.tif, or 01/ and 01_GT/SEG/"


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
    """

    name: str
    image: Path
    labels: Path
    source: str
    orientation: str = "auto"
    axes: str | None = None
    form: Form = ONE_FILE
    kind: str = "auto"


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


ALL = Wanted()
Listed = tuple[dict[str, Path], list[Finding]]  # files by name, and what is wrong with their names


def asked(orientation: str, axes: str | None) -> Reading:
    """How pixels are to be seen, as far as that has been asked for.

    Raises:
        ValueError: there is no such orientation, or no such axes.
    """
    return replace(SHOWN, orientation=SHOWN.orientation if orientation == "auto" else orientation, axes=axes)


def matched(root: Path, wanted: Wanted = ALL) -> tuple[list[Pair], list[Finding]]:
    """Each image of a folder with its labels, by name, and what has no partner.

    Args:
        root: the folder.
        wanted: what of it.

    Raises:
        FileNotFoundError: there is no such folder, it has another layout, or nothing in it fits.
        ValueError: there is no such orientation, or no such axes.
    """
    asked(wanted.orientation, wanted.axes)
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder of images and labels, but there is none at {root}")
    pictures = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    listed = by_stem(pictures or root, IMAGE_SUFFIXES)
    if wanted.images or (wanted.labels and is_pattern(wanted.labels)):
        return _as_asked(_of_patterns(root, listed, wanted), wanted)
    masks, others = _label_folders(root, listed[0] if pictures else None, wanted)
    within = masks is None and (_within(pictures or root) or (pictures and _of_shapes(listed, (pictures, root))))
    if not within and (pictures is None) != (masks is None):
        raise FileNotFoundError(f"expected {LAYOUTS} in {root}, but got {(pictures or masks).name}/ alone")
    films = [] if pictures else sorted(path for path in root.glob("[0-9][0-9]_GT/SEG") if path.is_dir())
    if within:
        pairs, findings = within
    elif films:
        pairs, findings = _of_films(root, films), []
    elif pictures and masks:
        pairs, findings = _of_folders(listed, masks, wanted.classes)
    else:
        pairs, findings = _of_one_folder_each(root) or _of_endings(listed, root)
    pairs, findings = _as_asked((pairs, findings), wanted)
    findings += others  # which are of no image, and so of no name that may not fit
    if not pairs and not findings:
        there = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise FileNotFoundError(f"expected {LAYOUTS} in {root}, with names that fit {wanted.include}, but got {there}")
    return pairs, findings


def _as_asked(found: tuple[list[Pair], list[Finding]], wanted: Wanted) -> tuple[list[Pair], list[Finding]]:
    """Those pairs whose names fit, to be read as it was asked for, and what is wrong with others of such names."""
    how = {"orientation": wanted.orientation, "axes": wanted.axes, "kind": wanted.kind}
    pairs = [replace(pair, **how) for pair in found[0] if fnmatch(pair.name, wanted.include)]
    return pairs, [each for each in found[1] if fnmatch(stem(Path(each.file)), wanted.include)]


def _of_patterns(root: Path, listed: Listed, wanted: Wanted) -> tuple[list[Pair], list[Finding]]:
    """Images and labels where at least one of them is told by a pattern of paths."""
    pictured, findings = listed
    if wanted.images:
        pictured, findings = by_pattern(root, "data.source.images", wanted.images, IMAGE_SUFFIXES)
    if wanted.labels and is_pattern(wanted.labels):
        files, more = by_pattern(root, "data.source.labels", wanted.labels, LABEL_SUFFIXES)
        labelled = {name: (file, ONE_FILE) for name, file in files.items()}
    else:
        folder = _label_folders(root, None, wanted)[0]
        if folder is None:
            raise FileNotFoundError(f"expected {LAYOUTS} in {root}, or data.source.labels beside data.source.images")
        labelled, more = label_files(folder, pictured, wanted.classes)
    if not wanted.images:  # what lies beside an image and begins like it is labels too, of somebody else
        drawn = {file for file, _ in labelled.values()}
        pictured = {
            name: file
            for name, file in pictured.items()
            if file not in drawn and not any(name[:end] in labelled for end in range(1, len(name)))
        }
    return _partners(pictured, labelled, findings + more)


def _label_folders(
    root: Path, pictured: Mapping[str, Path] | None, wanted: Wanted
) -> tuple[Path | None, list[Finding]]:
    """The folder of the labels, None if there is none, and what to know of others that may be meant as well.

    Args:
        root: the folder of all.
        pictured: the images in a folder of their own; None if there is none.
        wanted: what was asked for.

    Raises:
        FileNotFoundError: there is no such folder as was asked for.
    """
    if wanted.labels is not None:
        if not (root / wanted.labels).is_dir():
            there = ", ".join(sorted(path.name for path in root.iterdir() if path.is_dir())[:8]) or "none"
            raise FileNotFoundError(
                f"expected data.source.labels to be a folder in {root}, but got {wanted.labels}; nearest valid: {there}"
            )
        return root / wanted.labels, []
    found = [root / name for name in LABEL_FOLDERS if (root / name).is_dir()]
    filled = [
        folder for folder in found if pictured is not None and len(found) > 1 and label_files(folder, pictured)[0]
    ]
    filled = filled or found
    if len(filled) > 1:
        names = [folder.name for folder in filled]
        what, fix = f"labels in {' and in '.join(names)}", " or ".join(f"data.source.labels={name}" for name in names)
        return filled[0], [Finding("two-label-folders", ERROR, str(root), what, "one folder of labels", fix)]
    if filled and filled[0].name == "SegmentationClass" and (root / OBJECTS).is_dir():
        fix = f"data.source.labels={OBJECTS} data.source.kind=instances takes the objects"
        what, taken = f"{OBJECTS} beside it", "the classes"
        return filled[0], [Finding("objects-too", NOTE, str(filled[0]), what, taken, fix)]
    if filled and (more := _more_labels(root, pictured or {})):
        what = f"as many label images in {' and in '.join(folder.name for folder in more)}"
        fix = f"data.source.labels={more[0].name} takes those"
        return filled[0], [Finding("other-labels", NOTE, str(filled[0]), what, "labels, as which these are taken", fix)]
    return (filled[0] if filled else None), []


def _more_labels(root: Path, pictured: Mapping[str, Path]) -> list[Path]:
    """Folders of other names with a label image for each image."""
    known = {*IMAGE_FOLDERS, *LABEL_FOLDERS, OBJECTS}
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name not in known]
    named = [(folder, by_stem(folder, LABEL_SUFFIXES)[0]) for folder in folders if not folder.name.startswith(".")]
    return [
        folder
        for folder, names in named
        if pictured and (names.keys() == pictured.keys() or aligned([*pictured], [*names]))
    ]


def _of_folders(listed: Listed, masks: Path, classes: Sequence[str] | None) -> tuple[list[Pair], list[Finding]]:
    pictured, findings = listed
    labelled, more = label_files(masks, pictured, classes)
    return _partners(pictured, labelled, findings + more)


def _of_endings(listed: Listed, root: Path) -> tuple[list[Pair], list[Finding]]:
    found, findings = listed
    pictured = {name: file for name, file in found.items() if without_ending(name, LABEL_ENDINGS) == name}
    labelled, more = label_files(root, pictured)
    return _partners(pictured, labelled, list(dict.fromkeys(findings + more))) if labelled else ([], [])


def _of_one_folder_each(root: Path) -> tuple[list[Pair], list[Finding]] | None:
    """Of NAME/images/ with one image and NAME/masks/ with a file for each cell; None if it is another layout."""
    pairs, findings = [], []
    for folder in sorted(path.parent for path in root.glob("*/masks") if (path.parent / "images").is_dir()):
        pictured, found = by_stem(folder / "images", IMAGE_SUFFIXES)
        parts, more = by_stem(folder / "masks", LABEL_SUFFIXES)
        if len(pictured) != 1:
            return None
        ((name, image),) = pictured.items()
        form = Form(tuple(parts.values()), said="instances")
        pairs.append(Pair(name, image, folder / "masks", image.name, form=form))
        findings += found + more
    return (pairs, findings) if pairs else None


def _of_shapes(listed: Listed, folders: Sequence[Path]) -> tuple[list[Pair], list[Finding]] | None:
    """Images with shapes in the first of ``folders`` that has some; None if there are no shapes."""
    pictured, findings = listed
    for folder in folders:
        labelled, more = label_files(folder, pictured)
        shaped = {name: each for name, each in labelled.items() if each[0].suffix in SHAPE_SUFFIXES}
        if shaped:
            return _partners(pictured, shaped, list(dict.fromkeys(findings + more)))
    return None


def _within(folder: Path) -> tuple[list[Pair], list[Finding]] | None:
    """OME-Zarr images that hold their labels themselves; None if there are none.

    Raises:
        FileNotFoundError: one of them holds several.
    """
    found = {file: labels_within(file) for file in sorted(folder.glob("*.zarr"))}
    several = [labels for labels in found.values() if len(labels) > 1]
    if several:
        names = ", ".join(file.name for file in several[0])
        raise FileNotFoundError(f"expected one label image in {several[0][0].parent}, but got {names}")
    pairs = [Pair(stem(file), file, labels[0], file.name) for file, labels in found.items() if labels]
    return (pairs, []) if pairs else None


def _of_films(root: Path, folders: list[Path]) -> list[Pair]:
    pairs = []
    for masks in folders:
        film = masks.parent.name.removesuffix("_GT")
        for labels in sorted(masks.glob("man_seg*.tif")):
            number = re.sub("^man_seg_?", "", labels.stem).split("_")[0]
            name = f"{film}_t{number}"
            image = root / film / f"t{number}.tif"
            pairs.append(Pair(name, image, labels, film, form=Form(said="instances")))
    return pairs


def _partners(
    pictured: dict[str, Path], labelled: dict[str, tuple[Path, Form]], findings: list[Finding]
) -> tuple[list[Pair], list[Finding]]:
    if not pictured.keys() & labelled.keys() and (partner := aligned([*pictured], [*labelled])):
        labelled = {partner[name]: each for name, each in labelled.items()}
        example = next(iter(labelled))
        found = f"{pictured[example].name} and {labelled[example][0].name}, and so on"
        folder = str(labelled[example][0].parent)
        findings.append(Finding("paired-by-affix", NOTE, folder, found, "images with their labels", "nothing"))
    both, alone = sorted(pictured.keys() & labelled.keys()), sorted(pictured.keys() - labelled.keys())
    whole = set(first_parts([pictured[name] for name in (*both, *alone)])) if alone else set()
    for name in alone:
        if pictured[name] not in whole:
            found, fix = "a part of an image in several files, of which another has labels", "nothing, if that is meant"
            findings.append(Finding("part-of-image", NOTE, str(pictured[name]), found, "one image, read once", fix))
            continue
        file, expected = str(pictured[name]), f"labels named {name} (.tif or .png)"
        fix = "annotate it, or move it out of the folder"
        findings.append(Finding("missing-label", ERROR, file, "an image without labels", expected, fix))
    for name in sorted(labelled.keys() - pictured.keys()):
        file, found = str(labelled[name][0]), "labels without an image; they are left out"
        fix = "add the image, or delete the labels"
        findings.append(Finding("missing-image", WARNING, file, found, f"an image named {name}", fix))
    pairs = [Pair(name, pictured[name], labelled[name][0], pictured[name].name) for name in both]
    return [replace(pair, form=labelled[pair.name][1]) for pair in pairs], findings
