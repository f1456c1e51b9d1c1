"""Labels that were drawn as shapes: labelme, COCO and ImageJ, as pixels.

Coordinates lie on the edges of pixels, (0, 0) is the corner of the first one, and a pixel belongs to a shape if its
centre does. A centre on the outline itself belongs to what lies left of it or below, as in ImageJ, so that shapes that
share an edge share no pixel.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import unreadable
from src.files.reading import Layout, Number, read_json
from src.files.stored import Note

SHAPE_SUFFIXES = (".json", ".zip", ".roi")
AREAS = ("polygon", "rectangle", "circle")  # of labelme
CLEARED = ("_background_", "__ignore__")  # labels of labelme that are no classes
MOST_ENTRIES, MOST_BYTES = 100_000, 2**26  # of a zip of ROIs, and of an entry; four times as much of all entries
FARTHEST = 2**24  # px, of a coordinate from the first pixel
MOST_CROSSINGS = 2**24  # of the outline of a shape with rows of pixels
DRAW = "draw them as areas, if they are meant"

Patch = tuple[tuple[slice, slice], np.ndarray]  # a part of an image, and which of its pixels are meant


@dataclass(frozen=True)
class Shapes:
    """What was drawn on an image.

    Attributes:
        classes: ``(H, W)`` int32, the number of the class of each pixel, in the order of ``names``, 0 for background;
            1 for ROIs, which have no class.
        objects: ``(H, W)`` int32, the number of the shape that covers each pixel, in the order of drawing, 0 for none.
        names: of classes 1, 2, … that the file can hold.
        notes: what a person should know.
    """

    classes: np.ndarray
    objects: np.ndarray
    names: tuple[str, ...]
    notes: tuple[Note, ...]


class CocoImage(Layout):
    """An image of a COCO file."""

    id: int | str
    file_name: str
    height: Number | None = None
    width: Number | None = None


class CocoCategory(Layout):
    """A class of a COCO file."""

    id: int
    name: str


class Annotations(Layout):
    """A JSON file of labelme, which has shapes, of COCO, which has images and annotations, or of neither."""

    shapes: list[dict] | None = None
    imageHeight: Number | None = None
    imageWidth: Number | None = None
    images: list[CocoImage] | None = None
    annotations: list[dict] | None = None
    categories: list[CocoCategory] = []


class _Area(NamedTuple):
    kind: str  # what a person calls it
    number: int  # of its class, 0 to clear what lies below
    patch: Patch | None  # None if it cannot be drawn
    together: Hashable = None  # what the shapes of one object have in common


def read_shapes(file: Path, image: str, size: tuple[int, int]) -> Shapes:
    """What was drawn on an image, later shapes over earlier ones.

    Args:
        file: a JSON of labelme or COCO, a ROI of ImageJ, or a zip of them.
        image: the name of the file of the image.
        size: its rows and columns, as it is stored.

    Raises:
        Refused: the file is damaged, is of other images, or holds shapes of which none is an area.
    """
    try:
        if file.suffix.lower() != ".json":
            return _imagej(file, size)
        content = _content(*_version(file))
        if _is_coco(content):
            return _coco(file, image, size)
        if content.get("shapes") is not None:
            return _labelme(file, content, size)
        raise ValueError("a JSON file without shapes, and without images and annotations")
    except Refused:
        raise
    except Exception as error:  # whatever the first wrong value leads to
        raise Refused(replace(unreadable(file, error), expected="shapes of labelme, COCO or ImageJ")) from error


def coco_images(file: Path) -> list[str] | None:
    """The names of the files of the images that a COCO file annotates; None of any other or damaged file."""
    content = _content_or_none(file)
    return [_last(each["file_name"]) for each in content["images"]] if content and _is_coco(content) else None


def is_labelme(file: Path) -> bool:
    """Whether a file holds shapes of labelme; a damaged one does not."""
    content = _content_or_none(file)
    return bool(content) and not _is_coco(content) and content.get("shapes") is not None


def names_in(file: Path) -> tuple[str, ...]:
    """The names of classes 1, 2, … that a file can hold, as of `Shapes`; none of ROIs and of a damaged file."""
    content = _content_or_none(file) or {}
    if _is_coco(content):
        return tuple(_categories(content).values())
    return _labels(content.get("shapes") or [])


def _is_coco(content: dict) -> bool:
    return content.get("images") is not None and content.get("annotations") is not None


def _last(name: str) -> str:
    """The name of a file without its folders, those of Windows included."""
    return PurePosixPath(name.replace("\\", "/")).name


def _version(file: Path) -> tuple[Path, int, int]:
    """A file as it is now, for what is read from it once."""
    stat = file.stat()
    return file, stat.st_size, stat.st_mtime_ns


def _content_or_none(file: Path) -> dict | None:
    try:
        return _content(*_version(file)) if file.suffix.lower() == ".json" else None
    except Exception:  # as of `read_shapes`, which says why
        return None


@functools.lru_cache(maxsize=2)
def _content(file: Path, size: int, changed: int) -> dict:
    """What a JSON file holds, but for the picture in one of labelme."""
    try:
        content = read_json(file, Annotations)
    except ValueError as error:
        raise ValueError(str(error).partition(f"{file} is not: ")[2] or str(error)) from None
    content.pop("imageData", None)
    return content


def _drawn(
    areas: Iterable[_Area], size: tuple[int, int], file: Path, names: Sequence[str], notes: list[Note]
) -> Shapes:
    """All areas, one over the other, with what there is to say of them."""
    classes, objects, several = np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, bool)
    numbers: dict[Hashable, int] = {}
    left, used = Counter(), 0
    for place, area in enumerate(areas):
        if area.patch is None or not area.patch[1].any():
            where = "" if area.patch is None else " between pixels" if area.patch[1].size else " outside the image"
            left[f"{area.kind}{where}"] += 1
            continue
        window, mask = area.patch
        key = place if area.together is None else area.together
        number = numbers.setdefault(key, len(numbers) + 1) if area.number else 0
        below = objects[window]
        shared = several[window] | (mask & (below > 0) & (below != number))
        several[window] = shared if area.number else shared & ~mask
        below[mask], classes[window][mask] = number, area.number
        used += 1
    undrawn = ", ".join(f"{count} {kind}" for kind, count in left.most_common())
    if left and not used:
        raise Refused(Finding("not-drawn", ERROR, str(file), undrawn, "areas, such as polygons", DRAW))
    if several.any():
        share = 100 * np.count_nonzero(several) / np.count_nonzero(objects)
        found = f"{share:.3g} % of the annotated pixels lie in several shapes"
        notes.append(Note("overlapping-shapes", found, "the later one"))
    if left:
        notes.append(Note("not-drawn", undrawn, "the areas alone", DRAW))
    return Shapes(classes, objects, tuple(names), tuple(notes))


def _check_size(file: Path, said: Sequence[float | None], size: tuple[int, int]) -> None:
    """Refuse shapes of an image of another size, as far as their file says one."""
    said = [actual if each is None else each for each, actual in zip(said, size, strict=True)]
    if said != list(size):
        found, expected = f"shapes drawn on {said[0]}×{said[1]} px", f"{size[0]}×{size[1]} px"
        fix = "draw them on this image, or take the image that they were drawn on"
        expected = f"shapes drawn on their image, {expected}"
        raise Refused(Finding("size-mismatch", ERROR, str(file), found, expected, fix))


def _labelme(file: Path, content: dict, size: tuple[int, int]) -> Shapes:
    _check_size(file, (content.get("imageHeight"), content.get("imageWidth")), size)
    shapes = content["shapes"]
    names = _labels(shapes)
    numbers = {name: number for number, name in enumerate(names, start=1)}
    ignored = sum(shape.get("label") == "__ignore__" for shape in shapes)
    notes = [Note("ignored-shapes", f"{ignored} of __ignore__", "background")] if ignored else []
    return _drawn((_labelme_area(shape, numbers, size) for shape in shapes), size, file, names, notes)


def _labels(shapes: Iterable[dict]) -> tuple[str, ...]:
    """The labels of shapes of labelme that are areas, sorted."""
    labels = {shape.get("label") for shape in shapes if _kind(shape) in AREAS}
    return tuple(sorted(label for label in labels if isinstance(label, str) and label not in CLEARED))


def _kind(shape: dict) -> str:
    return str(shape.get("shape_type") or "polygon")[:40]  # which the first versions do not say


def _labelme_area(shape: dict, numbers: dict[str, int], size: tuple[int, int]) -> _Area:
    label, group, kind = shape.get("label"), shape.get("group_id"), _kind(shape)
    if not isinstance(label, str):
        raise ValueError(f"expected labels in text, but got {str(label)[:80]}")
    number, together = numbers.get(label, 0), None if group is None else (label, group)
    if kind not in AREAS:
        return _Area(kind, number, None)
    points = _outline(shape.get("points"))
    if kind == "circle" and len(points) == 2:  # its middle, and a point of its edge
        radius = np.hypot(*(points[1] - points[0]))
        return _Area(kind, number, _rounded(points[0] - radius, points[0] + radius, radius, size), together)
    if kind == "rectangle" and len(points) == 2:
        return _Area(kind, number, _filled([_corners(*points)], size), together)
    if kind == "circle" or len(points) < 3:
        return _Area(f"{kind} of {len(points)} points", number, None)
    return _Area(kind, number, _filled([points], size), together)


def _categories(content: dict) -> dict[int, str]:
    """The names of the classes of a COCO file by their ids, in the order of these."""
    return dict(sorted((each["id"], each["name"]) for each in content.get("categories", [])))


@functools.lru_cache(maxsize=2)
def _by_image(file: Path, size: int, changed: int) -> tuple[dict[str, list[dict]], dict[Hashable, list[dict]]]:
    """The images of a COCO file by their names, and annotations by the ids of images."""
    content, images, annotations = _content(file, size, changed), defaultdict(list), defaultdict(list)
    for each in content["images"]:
        images[_last(each["file_name"])].append(each)
    for each in content["annotations"]:
        annotations[each["image_id"]].append(each)
    return dict(images), dict(annotations)


def _coco(file: Path, image: str, size: tuple[int, int]) -> Shapes:
    categories = _categories(_content(*_version(file)))
    images, annotations = _by_image(*_version(file))
    entries = images.get(image, [])
    if len(entries) != 1:
        code, found = ("same-name", f"{len(entries)} images") if entries else ("missing-label", "none")
        fix = "give each image a name of its own" if entries else "annotate it, or move it out of the folder"
        raise Refused(Finding(code, ERROR, str(file), f"{found} of that name", f"one image named {image}", fix))
    _check_size(file, (entries[0].get("height"), entries[0].get("width")), size)
    own = annotations.get(entries[0]["id"], [])
    crowds = sum(bool(each.get("iscrowd")) for each in own)
    fix = "draw each object, if they are to be told apart"
    notes = (
        [Note("crowd", f"{crowds} regions of objects that are not told apart", "one object each", fix)]
        if crowds
        else []
    )
    numbers = {category: number for number, category in enumerate(categories, start=1)}
    areas = (area for place, each in enumerate(own) for area in _coco_areas(each, ("coco", place), numbers, size))
    return _drawn(areas, size, file, tuple(categories.values()), notes)


def _coco_areas(
    annotation: dict, together: Hashable, numbers: dict[int, int], size: tuple[int, int]
) -> Iterator[_Area]:
    """The polygons of an annotation, which are one object, or its mask."""
    category, segmentation = annotation.get("category_id"), annotation.get("segmentation")
    if category not in numbers:
        raise ValueError(f"expected the category_id of one of its categories, but got {str(category)[:80]}")
    if isinstance(segmentation, dict):
        yield _Area("mask", numbers[category], _decoded(segmentation, size), together)
        return
    if not segmentation:
        kind = next((kind for kind in ("keypoints", "bbox") if annotation.get(kind)), "annotation without a shape")
        yield _Area(kind, numbers[category], None)
    for ring in segmentation or []:
        points = _outline(ring)
        patch = _filled([points], size) if len(points) > 2 else None
        kind = "polygon" if patch else f"polygon of {len(points)} points"
        yield _Area(kind, numbers[category], patch, together)
