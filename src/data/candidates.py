"""Which of several folders holds the labels; where two may, the person chooses."""

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
    """The name of the folder of labels, None if there is none, and what to know of others that may be meant as well.

    Args:
        root: the folder of all.
        places: of its images.
        asked: the name or path that was asked for.

    Raises:
        FileNotFoundError: there is no such folder as was asked for.
    """
    if asked is not None:
        return _as_asked(root, places, asked), []
    names = sorted(
        dict.fromkeys(name for place in places for name in place.masks),
        key=lambda name: USUAL.index(name) if name in USUAL else len(USUAL),
    )
    filled = [name for name in names if any(_has_labels(place, name) for place in places)] if len(names) > 1 else names
    where = str(places[0].images.parent) if places else str(root)
    if len(filled) > 1:
        return filled[0], [_two(where, filled)]
    if filled and filled[0] == "SegmentationClass" and (root / OBJECTS).is_dir():
        fix = f"data.source.labels={OBJECTS} data.source.kind=instances takes the objects"
        file = str(places[0].masks[filled[0]])
        return filled[0], [Finding("objects-too", NOTE, file, f"{OBJECTS} beside it", "the classes", fix)]
    others = list(dict.fromkeys(name for place in places for name in _of_all_images(place)))
    if filled or names:
        name = (filled or names)[0]
        if not others:
            return name, []
        what = f"as many label images in {' and in '.join(others)}"
        fix = f"{_key(others[0])} takes those"
        file = str(next(place.masks[name] for place in places if name in place.masks))
        return name, [Finding("other-labels", WARNING, file, what, "labels, as which these are taken", fix)]
    if len(others) > 1:
        return others[0], [_two(where, others)]
    if others:
        what, fix = f"{others[0]}/, with a label image for each image", "nothing, if that is meant"
        return others[0], [Finding("labels-by-names", NOTE, where, what, "labels, as which these are taken", fix)]
    return None, []


def _key(name: str) -> str:
    return f"data.source.labels={shlex.quote(name)}"


def _two(where: str, names: Sequence[str]) -> Finding:
    what, fix = f"labels in {' and in '.join(names)}", " or ".join(map(_key, names))
    return Finding("two-label-folders", ERROR, where, what, "one folder of labels", fix)


def _as_asked(root: Path, places: Sequence[Place], asked: str) -> str:
    """The name under which places have the folder that was asked for, by its name or its path."""
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
    """Whether a folder of a place holds labels of any of its images, or of an image of its own."""
    folder = place.masks.get(name)
    return folder is not None and bool(label_files(folder, by_stem(place.images, IMAGE_SUFFIXES)[0])[0])


def _of_all_images(place: Place) -> list[str]:
    """Folders of other names with a label image for each image of a place, but for our own predictions."""
    pictured = by_stem(place.images, IMAGE_SUFFIXES)[0] if place.others else {}
    found = []
    for name, folder in place.others.items():
        names = by_stem(folder, LABEL_SUFFIXES)[0]
        if names and (names.keys() == pictured.keys() or alike([*pictured], [*names])):
            first = next(iter(names.values()))
            found += [name] if are_labels(first) and not is_prediction(first) else []
    return found
