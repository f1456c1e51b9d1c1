"""Find the folder that holds the labels; if several may, ask the user to choose one."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.label_files import is_prediction, label_files
from src.data.listing import by_stem
from src.data.mixed import are_labels
from src.data.patterns import alike
from src.data.places import OBJECTS, Place
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES

USUAL = ("labels", "masks", "label", "mask", "annotations", "SegmentationClass")


def folder_of_labels(root: Path, places: Sequence[Place], asked: str | None) -> tuple[str | None, list[Finding]]:
    """Find the folder of labels in a data set.

    Args:
        root: the folder of the data set.
        places: the folders of images, each with the folders that may hold their labels.
        asked: ``data.source.labels``, the name or path of the folder; None: search for it.

    Returns:
        The name of the folder, or None if there is none; and findings if other folders may hold labels as well.

    Raises:
        FileNotFoundError: the folder ``asked`` does not exist.
    """
    if asked is not None:
        return _as_asked(root, places, asked), []
    names = sorted(
        dict.fromkeys(name for place in places for name in place.masks),
        key=lambda name: USUAL.index(name) if name in USUAL else len(USUAL),
    )
    return _named_as_labels(root, places, names) if names else _named_otherwise(places)


def _named_as_labels(root: Path, places: Sequence[Place], names: Sequence[str]) -> tuple[str, list[Finding]]:
    """Choose among folders whose names are usual for labels.

    Args:
        root: the folder of the data set.
        places: the folders of images, each with the folders that may hold their labels.
        names: names of the folders to choose from, the most usual name first.

    Returns:
        The name of the chosen folder, and findings if other folders may hold labels as well.
    """
    filled = [name for name in names if any(_has_labels(place, name) for place in places)] if len(names) > 1 else names
    if len(filled) > 1:
        return filled[0], [_two(places, filled)]
    name = (filled or names)[0]
    file = str(next(place.masks[name] for place in places if name in place.masks))
    if filled and name == "SegmentationClass" and (root / OBJECTS).is_dir():
        fix = f"data.source.labels={OBJECTS} data.source.kind=instances uses the objects instead"
        return name, [Finding("objects-too", NOTE, file, f"{OBJECTS} beside it", "the classes", fix)]
    others = _with_a_label_image_each(places)
    if not others:
        return name, []
    found, fix = f"as many label images in {' and in '.join(others)}", f"{_key(others[0])} uses those instead"
    return name, [Finding("other-labels", WARNING, file, found, "one folder of labels; this one is used", fix)]


def _named_otherwise(places: Sequence[Place]) -> tuple[str | None, list[Finding]]:
    """Choose among folders with other names by their content: a folder with a label image for each image.

    Returns:
        The name of the chosen folder, or None if there is none; and findings that report the choice.
    """
    others = _with_a_label_image_each(places)
    if not others:
        return None, []
    if len(others) > 1:
        return others[0], [_two(places, others)]
    where, found = str(places[0].images.parent), f"{others[0]}/, with a label image for each image"
    expected = "a folder of labels; this one is used"
    return others[0], [Finding("labels-by-names", NOTE, where, found, expected, "nothing, if that is meant")]


def _key(name: str) -> str:
    return f"data.source.labels={shlex.quote(name)}"


def _two(places: Sequence[Place], names: Sequence[str]) -> Finding:
    where = str(places[0].images.parent)
    what, fix = f"labels in {' and in '.join(names)}", " or ".join(map(_key, names))
    return Finding("two-label-folders", ERROR, where, what, "one folder of labels", fix)


def _as_asked(root: Path, places: Sequence[Place], asked: str) -> str:
    """Return the name, in `Place.masks` or `Place.others`, of the folder that the user has asked for.

    Args:
        root: the folder of the data set.
        places: the folders of images, each with the folders that may hold their labels.
        asked: name or path of the folder of labels.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    for place in places:
        for name, folder in (place.masks | place.others).items():
            if asked.rstrip("/") in (name, folder.name, folder.relative_to(root).as_posix()):
                return name
    there = sorted({name for place in places for name in (*place.masks, *place.others)})
    there = there or sorted(path.name for path in root.iterdir() if path.is_dir())
    raise FileNotFoundError(
        f"expected data.source.labels to be a folder in {root}, but got {asked}; "
        f"nearest valid: {', '.join(there[:8]) or 'none'}"
    )


def _has_labels(place: Place, name: str) -> bool:
    """Return whether the folder of labels ``name`` next to a folder of images holds labels of any of the images."""
    folder = place.masks.get(name)
    return folder is not None and bool(label_files(folder, by_stem(place.images, IMAGE_SUFFIXES)[0])[0])


def _with_a_label_image_each(places: Sequence[Place]) -> list[str]:
    """Return the names of the folders that hold a label image for each image, except predictions of this program."""
    return list(dict.fromkeys(name for place in places for name in _of_all_images(place)))


def _of_all_images(place: Place) -> list[str]:
    """Return the names of the folders with a label image for each image of one place, except predictions."""
    pictured = by_stem(place.images, IMAGE_SUFFIXES)[0] if place.others else {}
    found = []
    for name, folder in place.others.items():
        names = by_stem(folder, LABEL_SUFFIXES)[0]
        if names and (names.keys() == pictured.keys() or alike([*pictured], [*names])):
            first = next(iter(names.values()))
            found += [name] if are_labels(first) and not is_prediction(first) else []
    return found
