"""Find the label files of each image: a label image, one file per class or per object, or drawn shapes."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from src.data import rois, shapes
from src.data.finding import ERROR, NOTE, Finding
from src.data.listing import by_stem
from src.data.places import LABEL_WORDS, words_of
from src.data.sources import ONE_FILE, Form
from src.files.image import open_stored
from src.files.names import (
    IMAGE_SUFFIXES,
    LABEL_SUFFIXES,
    PICTURED,
    PREDICTED,
    REFUSED_SUFFIXES,
    SHAPE_SUFFIXES,
    base_of,
    longer_than,
    natural,
    of_channel,
    stem,
    without_ending,
)

NUMBERED = r"(.*[_\-. ]|)\d+"  # end of the name of a file of one object, after the name of the image
LABEL_ENDINGS: tuple[str, ...] = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg", "_Simple Segmentation")
LABEL_ENDINGS += ("_RoiSet", "_rois")  # endings of ZIP files of ImageJ ROIs


def label_files(
    folder: Path, images: Mapping[str, Path], classes: Sequence[str] | None = None, leave: Collection[Path] = ()
) -> tuple[dict[str, tuple[Path, Form]], list[Finding]]:
    """Find the labels of each image in a folder.

    Args:
        folder: the folder of label images, files per class or per object, OME-Zarr, or drawn shapes.
        images: image files by image name; image files in the same folder are not taken for labels.
        classes: names of classes with one label file NAME_CLASS each; None: search for such files.
        leave: other files that are not taken for labels.

    Returns:
        The file or folder of the labels, and how they are stored, by image name; and findings on ambiguous files.
    """
    no_labels = {*images.values(), *leave}
    files, findings = by_stem(
        folder,
        (*LABEL_SUFFIXES, *REFUSED_SUFFIXES),
        [file for file in folder.iterdir() if file not in no_labels and not stem(file).endswith(PICTURED)],
    )
    found, more = _object_folders(folder, images)
    by_class = _class_files(files, images, classes) or _class_folders(folder, images, classes)
    for name, parts in by_class.items():
        found[name] = (next(iter(parts.values()), folder), Form(tuple(parts.values()), tuple(parts), "classes"))
    used = {file for parts in by_class.values() for file in parts.values()}
    rest = {name: file for name, file in files.items() if file not in used}
    objects = _object_files(rest, images)
    labelled, twice = ({}, []) if objects else _one_each(folder, rest, images)
    found |= {name: (file, ONE_FILE) for name, file in labelled.items()} | objects
    of_shapes, others = _shapes(folder)
    both = found.keys() & of_shapes.keys()
    predicted = {name for name in both if is_prediction(of_shapes[name][0])}  # outlines made from the same label images
    of_shapes = {name: each for name, each in of_shapes.items() if name not in predicted}
    for name in both - predicted:
        what, fix = f"{of_shapes[name][0].name} beside it", "move one of the two out of the folder"
        more.append(Finding("same-name", ERROR, str(found[name][0]), what, "one file of each name", fix))
    return found | of_shapes, [*findings, *more, *twice, *others]


def _one_each(
    folder: Path, files: Mapping[str, Path], images: Mapping[str, Path]
) -> tuple[dict[str, Path], list[Finding]]:
    """Choose one label file for each image, an annotation rather than a prediction, and report images with two."""
    labelled: dict[str, Path] = {}
    findings = []
    for name, file in files.items():
        image = _image_of(name, images)
        other = labelled.setdefault(image, file)
        if other == file:
            continue
        worse = next((each for each in (other, file) if each.suffix == ".npy" or is_prediction(each)), None)
        if worse is None:
            findings.append(_twice(folder, images, image, (other, file)))
            continue
        labelled[image] = other if worse == file else file
        if worse.suffix != ".npy":  # Cellpose saves a .npy file with its masks
            what, used = f"{worse.name}, a prediction of src.predict", f"{labelled[image].name}, which is used"
            findings.append(Finding("own-prediction", NOTE, str(worse), what, used, "nothing, if that is meant"))
    return labelled, findings


def _twice(folder: Path, images: Mapping[str, Path], image: str, both: tuple[Path, Path]) -> Finding:
    """Report an image with two label files; the proposed fix is a pattern of paths that selects one of them."""
    beside = f"{folder.name}/" if folder not in {each.parent for each in images.values()} else ""
    ends = [stem(each).removeprefix(image) for each in both]
    fix = " or ".join(f"data.source.labels='{beside}{{name}}{end}.*'" for end in ends)
    expected = "one file of labels for each image"
    return Finding("same-name", ERROR, str(both[1]), f"{both[0].name} beside it", expected, fix)


def _image_of(name: str, images: Mapping[str, Path]) -> str:
    """Return the image name for a label file's name: the same name, or that name without an ending such as _mask."""
    if name in images:  # an image may be called NAME_mask
        return name
    ended = without_ending(name, LABEL_ENDINGS)
    bases = (each for each in longer_than(name) if each in images and LABEL_WORDS & {*words_of(name[len(each) :])[-1:]})
    return ended if ended in images else next(bases, ended)


def name_of(file: Path) -> str:
    """Return the image name for a file of labels or predictions: the file's name without an ending such as _mask."""
    return without_ending(stem(file), (*PREDICTED, PICTURED, *LABEL_ENDINGS))


def is_prediction(file: Path) -> bool:
    """Return whether a file is a prediction written by this program, and so not an annotation."""
    try:
        if file.suffix.lower() == ".zip":
            return rois.is_prediction(file)
        return file.suffix.lower() in LABEL_SUFFIXES and open_stored(file).is_prediction
    except (ValueError, OSError):  # reported when the labels are read
        return False


def _object_files(files: Mapping[str, Path], images: Mapping[str, Path]) -> dict[str, tuple[Path, Form]]:
    """Find labels stored as one file per object: NAME_1, NAME_2, … or NAME_cell_1, NAME_cell_2, ….

    Args:
        files: label files by name without suffix.
        images: image files by image name.

    Returns:
        The folder of the files, and how they are stored, by image name; empty if any file has another name.
    """
    of: dict[str, list[Path]] = {}
    words: set[str] = set()
    for name, file in files.items():
        base = base_of(name, images)
        end = re.fullmatch(NUMBERED, name[len(base) + 1 :]) if base else None
        if not base or not end or name in images or file.suffix.lower() not in LABEL_SUFFIXES:
            return {}
        words.add(end[1])
        of.setdefault(base, []).append(file)
    if len(words) != 1 or all(len(parts) == 1 for parts in of.values()):
        return {}
    return {
        name: (parts[0].parent, Form(tuple(sorted(parts, key=lambda each: natural(each.name))), said="instances"))
        for name, parts in of.items()
    }


def of_one_image_each(
    folders: Sequence[tuple[Path, Path | None, tuple[str, ...]]],
) -> dict[int, tuple[str, Path, Path, Form]]:
    """Find the labels in data sets with a folder for each image, in which label file names do not contain image names.

    An example is the Data Science Bowl, where NAME/masks holds one file per cell. If the label files have the same
    names in all folders, they are taken for classes.

    Args:
        folders: for each image, its folder, the folder of its labels (or None), and the names of the folders above.

    Returns:
        Image name, image file, label file or folder, and how the labels are stored, by index in ``folders``.
    """
    found = {}
    for number, (pictures, masks, above) in enumerate(folders):
        if masks is None or not above:
            continue
        pictured = by_stem(pictures, IMAGE_SUFFIXES)[0]
        parts = by_stem(masks, LABEL_SUFFIXES)[0] if len(pictured) == 1 else {}
        if parts and not any(_image_of(name, pictured) in pictured for name in parts):
            ((name, image),) = pictured.items()
            found[number] = name, image, masks, parts
    names = {tuple(parts) for *_, parts in found.values()}
    several = any(len(parts) > 1 for *_, parts in found.values())
    classes = names.pop() if len(names) == 1 and several and len(found) > 1 else ()
    forms = {}
    for number, (name, image, masks, parts) in found.items():
        files = tuple(parts.values())
        form = Form(files, classes, "classes" if classes else "instances") if several else ONE_FILE
        forms[number] = name, image, masks if several else files[0], form
    return forms


def channel_files(pictured: Mapping[str, Path], labelled: Mapping[str, object]) -> dict[str, tuple[Path, ...]]:
    """Group image files that hold one channel each into images, by the name of their labels.

    Such files are named as by nnU-Net, NAME_0000, NAME_0001, …, or after stains, NAME_dapi and NAME_actin. Other plain
    numbers may be slices and are not taken for channels.

    Args:
        pictured: image files by name without suffix.
        labelled: labels by image name.

    Returns:
        The channel files of each image, by image name; empty unless all image files hold one channel each.
    """
    of: dict[str, dict[str, Path]] = {}
    for name, file in pictured.items():
        base = base_of(name, labelled)
        if base is None or name in labelled:
            return {}
        of.setdefault(base, {})[name[len(base) :]] = file
    ends = {tuple(sorted(parts, key=natural)) for parts in of.values()}
    if len(ends) != 1:
        return {}
    (all_of,) = ends
    if not all(of_channel(f"a{end}")[1] == end for end in all_of) or (len(all_of) == 1 and all_of[0][1:] != "0000"):
        return {}
    return {name: tuple(parts[end] for end in all_of) for name, parts in of.items()}


def _object_folders(folder: Path, images: Mapping[str, Path]) -> tuple[dict[str, tuple[Path, Form]], list[Finding]]:
    """Find folders that are named like an image and hold one label file for each object in that image."""
    found: dict[str, tuple[Path, Form]] = {}
    findings: list[Finding] = []
    for part in sorted(path for path in folder.iterdir() if path.is_dir() and path.name in images):
        parts, more = by_stem(part, LABEL_SUFFIXES)
        if parts and part != images[part.name]:
            found[part.name] = (part, Form(tuple(parts.values()), said="instances"))
            findings += more
    return found, findings


def _shapes(folder: Path) -> tuple[dict[str, tuple[Path, Form]], list[Finding]]:
    """Find files of drawn shapes (labelme, COCO or ImageJ) by the name of the annotated image, with findings."""
    files, findings = by_stem(folder, SHAPE_SUFFIXES)
    found: dict[str, tuple[Path, Form]] = {}
    labelme: dict[str, Path] = {}
    names: set[str] = set()
    for name, file in files.items():
        annotated = shapes.coco_images(file) if file.suffix == ".json" else None
        if annotated is not None:
            form = _of_shapes(shapes.names_in(file))
            found |= {stem(Path(image)): (file, form) for image in annotated}
        elif file.suffix != ".json":
            found[without_ending(name, LABEL_ENDINGS)] = (file, Form(said="instances"))
        elif shapes.is_labelme(file):
            labelme[name] = file
            names |= {*shapes.names_in(file)}
    form = _of_shapes(names)
    return found | {name: (file, form) for name, file in labelme.items()}, findings


def _of_shapes(names: Iterable[str]) -> Form:
    classes = tuple(sorted({*names}))
    return Form(classes=classes, said="classes" if len(classes) > 1 else "instances")


def _class_files(
    files: Mapping[str, Path], images: Mapping[str, Path], classes: Sequence[str] | None
) -> dict[str, dict[str, Path]]:
    """Return the label file of each class, by image name and class name, from files NAME_CLASS.

    Args:
        files: label files by name without suffix.
        images: image files by image name.
        classes: the names of the classes; None: use all, if all images have files with the same two or more endings.
    """
    ends: dict[str, dict[str, Path]] = {}
    for name, file in files.items():
        # The longest image name that fits: a_1_cell belongs to a_1, not to a.
        base = base_of(name, images)
        if base and file.suffix.lower() in LABEL_SUFFIXES and name not in images:
            ends.setdefault(base, {})[name[len(base) + 1 :]] = file
    every = sorted({end for parts in ends.values() for end in parts})
    wanted = list(classes) if classes else every
    known = {ending.removeprefix("_") for ending in LABEL_ENDINGS}
    if not classes and (
        len(every) < 2
        or known & set(every)
        or all(re.fullmatch(NUMBERED, end) for end in every)
        or any(set(parts) != set(every) for parts in ends.values())
    ):
        return {}
    return {image: {end: parts[end] for end in wanted if end in parts} for image, parts in ends.items()}


def _class_folders(
    folder: Path, images: Mapping[str, Path], classes: Sequence[str] | None
) -> dict[str, dict[str, Path]]:
    """Return the label file of each class, by image name and class name, from folders CLASS/NAME.

    The result is empty unless two or more subfolders hold one label file for each image.
    """
    parts = [part for part in sorted(folder.iterdir()) if part.is_dir() and not (part.suffix or part.name in images)]
    files = {part.name: by_stem(part, LABEL_SUFFIXES)[0] for part in parts}
    found = {name: each for name, each in files.items() if each and set(each) == set(images)}
    wanted = list(classes) if classes else list(found)
    if len(found) < 2 or not set(wanted) <= set(found):
        return {}
    return {image: {name: found[name][image] for name in wanted} for image in images}
