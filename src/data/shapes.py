"""Rasterises labels that were drawn as shapes in labelme or ImageJ, or saved as COCO."""

import functools
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import unreadable
from src.data.outlines import Patch, Size, corners, decoded, filled, outline, rounded
from src.data.rois import covered, is_spline, plane, read_rois
from src.files.reading import Layout, Number, read_json
from src.files.stored import Note

AREAS = ("polygon", "rectangle", "circle")  # kinds of labelme shapes that are areas
IGNORED = "__ignore__"  # the label in labelme for areas to ignore
NO_CLASSES = ("_background_", IGNORED)  # labels in labelme that do not name a class
DRAW = "draw them as areas, if they are labels"
Values = dict[str, Any]  # an object in a JSON file


@dataclass(frozen=True)
class Shapes:
    """The rasterised shapes that were drawn on an image.

    Attributes:
        classes: class of each pixel, ``(H, W)`` int32: 0 for background, else 1, 2, … in the order of ``names``. ImageJ
            ROIs have no class names; all of them are class 1.
        objects: object at each pixel, ``(H, W)`` int32: 0 for background, else numbers in the order of drawing.
        names: names of classes 1, 2, … in the whole file.
        notes: what the user should know about how the shapes were read.
    """

    classes: np.ndarray
    objects: np.ndarray
    names: tuple[str, ...]
    notes: tuple[Note, ...]


class CocoImage(Layout):
    """An image in a COCO file."""

    id: int | str
    file_name: str
    height: Number | None = None
    width: Number | None = None


class CocoCategory(Layout):
    """A class in a COCO file."""

    id: int
    name: str


class Annotations(Layout):
    """The content of a JSON file: labelme has ``shapes``, COCO has ``images`` and ``annotations``, others neither."""

    shapes: list[dict[str, object]] | None = None
    imageHeight: Number | None = None
    imageWidth: Number | None = None
    images: list[CocoImage] | None = None
    annotations: list[dict[str, object]] | None = None
    categories: list[CocoCategory] | None = None


class _Area(NamedTuple):
    kind: str  # for messages
    number: int  # class number; 0 erases the shapes below
    patch: Patch | None  # None if the shape cannot be drawn
    together: Hashable = None  # equal for all shapes of one object; None: the shape is an object of its own


def read_shapes(file: Path, image: str, size: Size) -> Shapes:
    """Read and rasterise the shapes that were drawn on an image; later shapes cover earlier ones.

    Args:
        file: a JSON file in labelme or COCO format, an ImageJ ROI, or a zip of ROIs.
        image: the file name of the image.
        size: rows and columns of the image as stored in its file.

    Raises:
        Refused: the file is damaged or belongs to other images, or none of its shapes can be drawn.
    """
    try:
        if file.suffix.lower() != ".json":
            return _imagej(file, size)
        content = _content(*_version(file))
        if _is_coco(content):
            return _coco(file, image, size)
        if content.get("shapes") is not None:
            return _labelme(file, content, size)
        raise ValueError("a JSON file without shapes, or without images and annotations")
    except Refused:
        raise
    except Exception as error:  # a wrong value may raise anything
        raise Refused(replace(unreadable(file, error), expected="shapes of labelme, COCO or ImageJ")) from error


def coco_images(file: Path) -> list[str] | None:
    """Return the file names of the images that a COCO file annotates, or None if the file is not COCO or damaged."""
    content = _content_or_none(file)
    return [_file_name(each["file_name"]) for each in content["images"]] if content and _is_coco(content) else None


def is_labelme(file: Path) -> bool:
    """Return whether a file contains labelme shapes; False for a damaged file."""
    content = _content_or_none(file) or {}
    return content.get("shapes") is not None and not _is_coco(content)


def names_in(file: Path) -> tuple[str, ...]:
    """Return the names of classes 1, 2, … in a labelme or COCO file; empty for ROIs and for a damaged file."""
    content = _content_or_none(file) or {}
    return tuple(_categories(content).values()) if _is_coco(content) else _class_names(content.get("shapes") or [])


def _content_or_none(file: Path) -> Values | None:
    try:
        return _content(*_version(file)) if file.suffix.lower() == ".json" else None
    except Exception:  # `read_shapes` gives the reason
        return None


def _version(file: Path) -> tuple[Path, int, int]:
    """Return path, size and modification time of a file, the key under which its content is cached."""
    stat = file.stat()
    return file, stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=2)
def _content(file: Path, size: int, changed: int) -> Values:
    """Read a JSON file without the image that labelme embeds; `_version` gives the arguments."""
    try:
        content = read_json(file, Annotations)
    except ValueError as error:
        raise ValueError(str(error).partition(f"{file} is not: ")[2] or str(error)) from None
    content.pop("imageData", None)
    return content


def _is_coco(content: Values) -> bool:
    return content.get("images") is not None and content.get("annotations") is not None


def _drawn(areas: Iterable[_Area], size: Size, file: Path, names: Sequence[str], notes: list[Note]) -> Shapes:
    """Draw areas, later ones over earlier ones, and add notes on overlaps and on shapes that cannot be drawn."""
    classes, objects, several = np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, bool)
    numbers: dict[Hashable, int] = {}
    left, used = Counter[str](), 0
    for place, (kind, number, patch, together) in enumerate(areas):
        if patch is None or not patch[1].any():
            where = "" if patch is None else " without a pixel" if patch[1].size else " outside the image"
            left[f"{kind}{where}"] += 1
            continue
        window, mask = patch
        key = place if together is None else together
        own = numbers.setdefault(key, len(numbers) + 1) if number else 0
        below = objects[window]
        shared = several[window] | (mask & (below > 0) & (below != own))
        several[window] = shared if number else shared & ~mask
        below[mask], classes[window][mask] = own, number
        used += 1
    undrawn = ", ".join(f"{count} {kind}" for kind, count in left.most_common())
    if left and not used:
        raise Refused(Finding("not-drawn", ERROR, str(file), undrawn, "areas, such as polygons", DRAW))
    if several.any():
        share = 100 * np.count_nonzero(several) / np.count_nonzero(objects)
        found = f"{share:.3g} % of the annotated pixels lie in several shapes"
        notes = [*notes, Note("overlapping-shapes", found, "the later one")]
    if left:
        notes = [*notes, Note("not-drawn", undrawn, "the areas alone", DRAW)]
    return Shapes(classes, objects, tuple(names), tuple(notes))


def _check_size(file: Path, given: Sequence[float | None], size: Size) -> None:
    """Refuse shapes drawn on an image of another size; a given height or width of None is not checked."""
    rows, columns = (actual if each is None else each for each, actual in zip(given, size, strict=True))
    if (rows, columns) != tuple(size):
        found, expected = f"{rows}×{columns} px", f"shapes drawn on their image, {size[0]}×{size[1]} px"
        fix = "draw them on this image, or use the image that they were drawn on"
        raise Refused(Finding("size-mismatch", ERROR, str(file), f"shapes drawn on {found}", expected, fix))


def _labelme(file: Path, content: Values, size: Size) -> Shapes:
    _check_size(file, (content.get("imageHeight"), content.get("imageWidth")), size)
    shapes, names = content["shapes"], _class_names(content["shapes"])
    numbers = {name: number for number, name in enumerate(names, start=1)}
    ignored = sum(shape.get("label") == IGNORED for shape in shapes)
    fix = "label what is there, if it is to be learnt"
    notes = [Note("ignored-shapes", f"{ignored} of {IGNORED}", "background", fix)] if ignored else []
    return _drawn((_labelme_area(shape, numbers, size) for shape in shapes), size, file, names, notes)


def _class_names(shapes: Iterable[dict[str, object]]) -> tuple[str, ...]:
    """Return the class names of all labelme shapes that are areas, sorted."""
    labels = [shape.get("label") for shape in shapes if _kind(shape) in AREAS]
    return tuple(sorted({label for label in labels if isinstance(label, str) and label not in NO_CLASSES}))


def _kind(shape: dict[str, object]) -> str:
    return str(shape.get("shape_type") or "polygon")[:40]  # early versions of labelme have no shape_type


def _labelme_area(shape: dict[str, object], numbers: dict[str, int], size: Size) -> _Area:
    label, group, kind = shape.get("label"), shape.get("group_id"), _kind(shape)
    if not isinstance(label, str):
        raise ValueError(f"expected labels in text, but got {str(label)[:80]}")
    number, together = numbers.get(label, 0), None if group is None else (label, group)
    if kind not in AREAS:
        return _Area(kind, number, None)
    points = outline(shape.get("points", []))
    if kind == "circle" and len(points) == 2:  # its centre, and a point on its edge
        radius = np.full(2, np.hypot(*(points[1] - points[0])))
        return _Area(kind, number, rounded(points[0] - radius, points[0] + radius, radius, size), together)
    if kind == "rectangle" and len(points) == 2:
        points = corners(*points)
    if kind == "circle" or len(points) < 3:
        return _Area(f"{kind} of {len(points)} points", number, None)
    return _Area(kind, number, filled([points], size), together)


def _file_name(name: str) -> str:
    """Return the last part of a path, of Windows or other systems."""
    return PurePosixPath(name.replace("\\", "/")).name


def _categories(content: Values) -> dict[int, str]:
    """Return the class names in a COCO file by category id, in ascending order of ids."""
    return dict(sorted((each["id"], each["name"]) for each in content.get("categories") or []))


@functools.lru_cache(maxsize=2)
def _by_image(file: Path, size: int, changed: int) -> tuple[dict[str, list[Values]], dict[Hashable, list[Values]]]:
    """Return the images in a COCO file by file name, and the annotations by image id."""
    images: dict[str, list[Values]] = defaultdict(list)
    annotations: dict[Hashable, list[Values]] = defaultdict(list)
    for each in _content(file, size, changed)["images"]:
        images[_file_name(each["file_name"])].append(each)
    for each in _content(file, size, changed)["annotations"]:
        annotations[each["image_id"]].append(each)
    return dict(images), dict(annotations)


def _coco(file: Path, image: str, size: Size) -> Shapes:
    categories = _categories(_content(*_version(file)))
    images, annotations = _by_image(*_version(file))
    entries = images.get(image, [])
    if len(entries) != 1:
        code, fix = "missing-label", "annotate it, or move it out of the folder"
        if entries:
            code, fix = "same-name", "give each image a name of its own"
        found, expected = f"{len(entries)} images of that name", f"one image named {image}"
        raise Refused(Finding(code, ERROR, str(file), found, expected, fix))
    own = annotations.get(entries[0]["id"], [])
    masks = [each["segmentation"] for each in own if isinstance(each.get("segmentation"), dict)]
    for given in [(entries[0].get("height"), entries[0].get("width")), *(mask["size"] for mask in masks)]:
        _check_size(file, given, size)
    crowds = sum(bool(each.get("iscrowd")) for each in own)
    found, fix = f"{crowds} iscrowd, groups of objects drawn as one", "draw each object, if they are to be learnt"
    notes = [Note("crowd", found, "one object each", fix)] if crowds else []
    numbers = {category: number for number, category in enumerate(categories, start=1)}
    areas = (area for place, each in enumerate(own) for area in _coco_areas(each, ("coco", place), numbers, size))
    return _drawn(areas, size, file, tuple(categories.values()), notes)


def _coco_areas(each: Values, together: Hashable, numbers: dict[int, int], size: Size) -> Iterator[_Area]:
    """Yield the polygons of a COCO annotation, which together are one object, or its mask."""
    if each.get("category_id") not in numbers:
        raise ValueError(f"expected the category_id of a category, but got {str(each.get('category_id'))[:80]}")
    number, segmentation = numbers[each["category_id"]], each.get("segmentation") or []
    if isinstance(segmentation, dict):
        yield _Area("mask", number, decoded(segmentation["counts"], size), together)
        return
    if not segmentation:
        kind = "keypoints" if each.get("keypoints") else "bounding box" if each.get("bbox") else "annotation of nothing"
        yield _Area(kind, number, None)
    for ring in segmentation:
        points = outline(ring)
        if len(points) < 3:
            yield _Area(f"polygon of {len(points)} points", number, None)
        else:
            yield _Area("polygon", number, filled([points], size), together)


def _imagej(file: Path, size: Size) -> Shapes:
    rois = read_rois(file)
    planes = {plane(roi) for roi in rois} - {()}
    if len(planes) > 1:
        fix = "save one set per slice; if all belong to one, remove their positions in the ROI Manager"
        found, expected = f"ROIs of {len(planes)} slices", "ROIs of one slice"
        raise Refused(Finding("several-slices", ERROR, str(file), found, expected, fix))
    splines, fix = sum(map(is_spline, rois)), "interpolate them in ImageJ (Edit › Selection), and save them again"
    notes = [Note("spline", f"{splines} splines", "straight lines between their points", fix)] if splines else []
    areas = (_Area(kind, 1, patch) for kind, patch in (covered(roi, size) for roi in rois))
    return _drawn(areas, size, file, (), notes)
