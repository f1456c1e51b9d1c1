"""Labels on disk, in whatever files they are: how they lie there, and what was drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def labels_within(file: Path) -> tuple[Path, ...]:
    """The label images in the group ``labels`` of an OME-Zarr, where its specification has them, if there are any."""
    if file.suffix != ".zarr" or not (file / "labels").is_dir():
        return ()
    try:
        attributes = zarr.open_group(file / "labels", mode="r").attrs
        return tuple(file / "labels" / name for name in attributes.get("ome", attributes).get("labels", ()))
    except (ValueError, OSError):  # no Zarr, so none of its
        return ()


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
    if file.suffix.lower() not in SHAPE_SUFFIXES:
        return numbers.read_labels(file, reading)
    drawn = shapes.read_shapes(file, image, size)
    if not drawn.names or (form.said if kind == "auto" else kind) == "instances":
        numbered = drawn.objects if kind != "classes" else drawn.classes
        return Drawn(numbered, drawn.notes, is_prediction=is_prediction(file))
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
