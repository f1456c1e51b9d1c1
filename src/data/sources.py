"""Reads the labels of an image, whatever type of files they are stored in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from src.data import numbers, shapes
from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import Drawn
from src.data.rois import is_prediction
from src.files.names import SHAPE_SUFFIXES
from src.files.stored import SHOWN, Reading


@dataclass(frozen=True)
class Form:
    """How the labels of an image are stored.

    Attributes:
        parts: the files to merge, one per class or cell, where later ones cover earlier ones; empty for a single file.
        classes: names of classes 1, 2, … if each of the `parts` is a class, or if shapes have class names; else empty.
        said: the kind of labels, one of `kinds.KINDS`, that the type or names of the files imply; else empty.
    """

    parts: tuple[Path, ...] = ()
    classes: tuple[str, ...] = ()
    said: str = ""


ONE_FILE = Form()


def labels_within(file: Path) -> tuple[Path, ...]:
    """Return the label images inside an OME-Zarr image, in the group ``labels`` of the specification; may be empty."""
    if file.suffix != ".zarr" or not (file / "labels").is_dir():
        return ()
    try:
        attributes: dict[str, Any] = zarr.open_group(file / "labels", mode="r").attrs.asdict()
        return tuple(file / "labels" / name for name in attributes.get("ome", attributes).get("labels", ()))
    except (ValueError, OSError):  # it is not a Zarr group
        return ()


def read_files(
    file: Path, form: Form, image: str, size: tuple[int, int], reading: Reading = SHOWN, kind: str = "auto"
) -> Drawn:
    """Read the labels of an image.

    Args:
        file: the file or folder of the labels.
        form: how the labels are stored.
        image: the file name of the image.
        size: rows and columns of the image as stored in its file.
        reading: how the pixels of the image are read; its orientation and axes apply to the labels too.
        kind: the kind of labels in the configuration; for instances, each object drawn as shapes gets its own number.

    Raises:
        Refused: `numbers.read_labels` or `shapes.read_shapes` refuses a file, or the files to merge differ in size.
    """
    if form.parts:
        return _together(form, reading)
    if file.suffix.lower() not in SHAPE_SUFFIXES:
        return numbers.read_labels(file, reading)
    drawn = shapes.read_shapes(file, image, size)
    if not drawn.names or (form.said if kind == "auto" else kind) == "instances":
        numbered = drawn.objects if kind != "classes" else drawn.classes
        return Drawn(numbered, drawn.notes, is_prediction=is_prediction(file))
    places = [0, *(form.classes.index(name) + 1 for name in drawn.names)]
    return Drawn(np.asarray(places, np.int32)[drawn.classes], drawn.notes)


def _together(form: Form, reading: Reading) -> Drawn:
    """Merge label files that hold one class or one cell each into one label image."""

    def masks() -> Iterator[np.ndarray]:
        first = None
        for part in form.parts:
            mask = numbers.read_labels(part, reading).numbers != 0
            first = mask.shape if first is None else first
            if mask.shape != first:
                found, expected = f"shape {mask.shape}", f"{first}, as in {form.parts[0].name}"
                fix = "export the labels of all classes and cells of an image in one size"
                raise Refused(Finding("size-mismatch", ERROR, str(part), found, expected, fix))
            yield mask

    labels, overlap = numbers.overlaid(masks())
    return Drawn(labels, overlap=overlap)
