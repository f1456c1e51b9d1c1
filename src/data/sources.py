"""Labels on disk, in whatever files they are: found by the names of their images, and read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from src.data import numbers, shapes
from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import Drawn
from src.files.names import LABEL_SUFFIXES, stem, without_ending
from src.files.stored import SHOWN, Reading

LABEL_ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg", "_Simple Segmentation", "_RoiSet")
REFUSED_SUFFIXES = (".jpg", ".jpeg", ".npy")  # by name, when they are read


@dataclass(frozen=True)
class Form:
    """How the labels of an image lie on disk, beside their file or folder.

    Attributes:
        parts: the files that they are put together from, later ones over earlier ones; empty if it is one file.
        classes: names of classes 1, 2, …, where files or shapes have any; of parts one each.
        said: the kind of labels that this says, one of `kinds.KINDS`; empty if it says none.
    """

    parts: tuple[Path, ...] = ()
    classes: tuple[str, ...] = ()
    said: str = ""


ONE_FILE = Form()


def label_files(
    folder: Path, images: Mapping[str, Path], classes: Sequence[str] | None = None
) -> tuple[dict[str, tuple[Path, Form]], list[Finding]]:
    """The labels that lie in a folder, by the names of their images, and files that cannot be told apart.

    Args:
        folder: label images, files of one class or one object each, OME-Zarr, or shapes.
        images: by name; one that lies in the same folder is not taken for labels.
        classes: names of classes, of which NAME_CLASS is a file; None finds them out.
    """
    files, findings = by_stem(folder, (*LABEL_SUFFIXES, *REFUSED_SUFFIXES))
    files = {name: file for name, file in files.items() if file != images.get(name)}
    found, more = _object_folders(folder, images)
    by_class = _class_files(files, images, classes) or _class_folders(folder, images, classes)
    for name, parts in by_class.items():
        found[name] = (next(iter(parts.values()), folder), Form(tuple(parts.values()), tuple(parts), "classes"))
    used = {file for parts in by_class.values() for file in parts.values()}
    rest = {name: file for name, file in files.items() if file not in used}
    labelled: dict[str, Path] = {}
    for name, file in rest.items():
        image = name if name in images else without_ending(name, LABEL_ENDINGS)  # an image may be called NAME_mask
        if (other := labelled.setdefault(image, file)) != file:
            beside = f"{folder.name}/" if folder not in {each.parent for each in images.values()} else ""
            ends = [stem(each).removeprefix(image) for each in (other, file)]
            what = f"{other.name} beside it"
            fix = " or ".join(f"data.source.labels='{beside}{{name}}{end}.*'" for end in ends)
            more.append(Finding("same-name", ERROR, str(file), what, "one file of labels for each image", fix))
    found |= {name: (file, ONE_FILE) for name, file in labelled.items()}
    of_shapes, others = _shapes(folder)
    for name in found.keys() & of_shapes.keys():
        what, fix = f"{of_shapes[name][0].name} beside it", "move one of the two out of the folder"
        more.append(Finding("same-name", ERROR, str(found[name][0]), what, "one file of each name", fix))
    return found | of_shapes, [*findings, *more, *others]


def _object_folders(folder: Path, images: Mapping[str, Path]) -> tuple[dict[str, tuple[Path, Form]], list[Finding]]:
    """Folders of files of one object each, which have the names of images."""
    found, findings = {}, []
    for part in sorted(path for path in folder.iterdir() if path.is_dir() and path.name in images):
        parts, more = by_stem(part, LABEL_SUFFIXES)
        if parts and part != images[part.name]:
            found[part.name], findings = (part, Form(tuple(parts.values()), said="instances")), findings + more
    return found, findings


def _shapes(folder: Path) -> tuple[dict[str, tuple[Path, Form]], list[Finding]]:
    """Files of shapes by the names of the images that they are of."""
    files, findings = by_stem(folder, shapes.SHAPE_SUFFIXES)
    found, labelme, names = {}, {}, set()
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


def labels_within(file: Path) -> tuple[Path, ...]:
    """The label images in the group ``labels`` of an OME-Zarr, where its specification has them, if there are any."""
    if file.suffix != ".zarr" or not (file / "labels").is_dir():
        return ()
    try:
        attributes = zarr.open_group(file / "labels", mode="r").attrs
        return tuple(file / "labels" / name for name in attributes.get("ome", attributes).get("labels", ()))
    except (ValueError, OSError):  # no Zarr, so none of its
        return ()


def _of_shapes(names: Iterable[str]) -> Form:
    classes = tuple(sorted({*names}))
    return Form(classes=classes, said="classes" if len(classes) > 1 else "instances")


def _class_files(
    files: Mapping[str, Path], images: Mapping[str, Path], classes: Sequence[str] | None
) -> dict[str, dict[str, Path]]:
    """Of each image the file of each class: where every image has files of the same two endings or more."""
    ends: dict[str, dict[str, Path]] = {}
    for name, file in files.items():
        # The longest name that fits: a_1 and not a of a_1_cell.
        places = [place for place in range(len(name) - 1, 0, -1) if name[place] == "_" and name[:place] in images]
        if places and file.suffix.lower() in LABEL_SUFFIXES and name not in images:
            ends.setdefault(name[: places[0]], {})[name[places[0] + 1 :]] = file
    every = sorted({end for parts in ends.values() for end in parts})
    chosen = list(classes) if classes else every
    known = {ending.removeprefix("_") for ending in LABEL_ENDINGS}
    if not classes and (
        len(every) < 2 or known & set(every) or any(set(parts) != set(every) for parts in ends.values())
    ):
        return {}
    return {image: {end: parts[end] for end in chosen if end in parts} for image, parts in ends.items()}


def _class_folders(
    folder: Path, images: Mapping[str, Path], classes: Sequence[str] | None
) -> dict[str, dict[str, Path]]:
    """Of each image the file of each class: where a folder has two folders or more with files of all images."""
    parts = [part for part in sorted(folder.iterdir()) if part.is_dir() and not (part.suffix or part.name in images)]
    files = {part.name: by_stem(part, LABEL_SUFFIXES)[0] for part in parts}
    found = {name: each for name, each in files.items() if each and set(each) == set(images)}
    chosen = list(classes) if classes else list(found)
    if len(found) < 2 or not set(chosen) <= set(found):
        return {}
    return {image: {name: found[name][image] for name in chosen} for image in images}


def by_stem(directory: Path, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[Finding]]:
    """The files of a folder that end so, by their names without endings, and those that no name tells apart."""
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


def read_files(
    file: Path, form: Form, image: str, size: tuple[int, int], reading: Reading = SHOWN, kind: str = "auto"
) -> Drawn:
    """What was drawn for an image.

    Args:
        file: the file or folder of its labels.
        form: how they lie there.
        image: the name of the file of the image.
        size: its rows and columns, as it is stored.
        reading: how its pixels are seen, of which orientation and axes hold for labels too.
        kind: as it was asked for; shapes of several classes are numbered one by one for instances.

    Raises:
        Refused: as of `numbers.read_labels`, or the files have several sizes.
    """
    if form.parts:
        return _together(form, reading)
    if file.suffix.lower() not in shapes.SHAPE_SUFFIXES:
        return numbers.read_labels(file, reading)
    drawn = shapes.read_shapes(file, image, size)
    if not drawn.names or (form.said if kind == "auto" else kind) == "instances":
        return Drawn(drawn.objects if kind != "classes" else drawn.classes, drawn.notes)
    places = [0, *(form.classes.index(name) + 1 for name in drawn.names)]
    return Drawn(np.asarray(places, np.int32)[drawn.classes], drawn.notes)


def _together(form: Form, reading: Reading) -> Drawn:
    """Files of one class or one object each as one label image."""

    def masks() -> Iterator[np.ndarray]:
        first = None
        for part in form.parts:
            mask = numbers.read_labels(part, reading).numbers != 0
            first = mask.shape if first is None else first
            if mask.shape != first:
                found, expected = f"shape {mask.shape}", f"{first}, as of {form.parts[0].name}"
                fix = "export the labels of all classes and objects of an image in one size"
                raise Refused(Finding("size-mismatch", ERROR, str(part), found, expected, fix))
            yield mask

    labels, overlap = numbers.overlaid(masks())
    return Drawn(labels, overlap=overlap)
