"""Which labels belong to which image, in the layouts of folders that people have.

ROOT/images/NAME.tif + ROOT/labels/NAME.tif            also imgs, and masks (StarDist, milesial/Pytorch-UNet)
ROOT/NAME.tif + ROOT/NAME_masks.tif                    Cellpose
ROOT/01/tNNN.tif + ROOT/01_GT/SEG/man_segNNN.tif       Cell Tracking Challenge; frames without labels are left out
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, stem, without_ending
from src.files.stored import SHOWN, Reading
from src.files.tiffs import first_parts

IMAGE_FOLDERS = ("images", "imgs", "image", "img")
LABEL_FOLDERS = ("labels", "masks", "label", "mask", "annotations")
LABEL_ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg")
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


def asked(orientation: str, axes: str | None) -> Reading:
    """How pixels are to be seen, as far as that has been asked for.

    Raises:
        ValueError: there is no such orientation, or no such axes.
    """
    return replace(SHOWN, orientation=SHOWN.orientation if orientation == "auto" else orientation, axes=axes)


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
    asked(orientation, axes)
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
        file, found = str(labelled[name]), "labels without an image; they are left out"
        fix = "add the image, or delete the labels"
        findings.append(Finding("missing-image", WARNING, file, found, f"an image named {name}", fix))
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
