"""Write one image and its labels into a repaired copy of their folder, and list the changes."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from src.data.annotated import Annotated
from src.data.folder import Meaning, as_meant
from src.data.matching import Pair
from src.data.stack import NO_CLASS
from src.files.arrays import content_hash
from src.files.channels import open_together
from src.files.image import Image, image_of, open_image, open_stored
from src.files.legend import NUMBERS, Legend
from src.files.names import SHAPE_SUFFIXES
from src.files.stored import Stored
from src.files.units import resolution
from src.prediction.tiff import write_tiff

PLAIN = (".png", ".tif", ".tiff")  # image files of these formats are copied as they are if nothing in them must change
MOST_SHOWN = 8  # label values listed in one line
MADE_BY = "src.check"  # the software named in the label files, which distinguishes them from predictions
LARGEST = 2**31 - 1  # largest number in a label image
TYPES = {"bool": "uint8", "float16": "float32", "int64": "float64", "uint64": "float64"}  # for dtypes OME-TIFF lacks


class Change(NamedTuple):
    """A difference between a file and its copy: the code, what was found, and what is written instead."""

    code: str
    found: str
    written: str


@dataclass(frozen=True)
class Numbering:
    """The meaning of the labels in a folder, and the numbers that represent them in the copy.

    Attributes:
        meaning: the meaning of the labels in the folder.
        ignore: the value of unannotated pixels in the folder; None if there are none.
        values: the values of class 0, 1, … in the copy; None: the labels are the numbers of cells.
        void: the value of unannotated pixels in the copy.
    """

    meaning: Meaning
    ignore: int | None
    values: tuple[int, ...] | None
    void: int = NO_CLASS


@dataclass(frozen=True)
class Written:
    """An image with its labels, as written to the copy.

    Attributes:
        pair: the original files.
        image: the image file in the copy, relative to the folder of the copy.
        labels: the label file in the copy, relative to the folder of the copy.
        changes: the changes to the image and to the labels.
        content: for each slice, by name, a hash of the image and a hash of the training targets made from the labels.
    """

    pair: Pair
    image: str
    labels: str
    changes: tuple[Change, ...]
    content: dict[str, tuple[str, str]]


def write_pair(slices: Sequence[Annotated], one_channel: bool, numbering: Numbering, root: Path, place: str) -> Written:
    """Write an image with its labels into the copy of a folder; the file of an unchanged image is copied.

    Args:
        slices: the annotated slices of an image file and its label file.
        one_channel: whether grey images that were saved in colour become images of one channel.
        numbering: the meaning of the labels, and their numbers in the copy.
        root: the folder of the copy.
        place: the subfolder of the copy for ``images/`` and ``labels/``, ending in a slash; empty for the copy itself.
    """
    pair = slices[0].pair
    planes = [_as_written(each.image, one_channel) for each in slices]
    learnt, labels = zip(*(_numbered(each, numbering) for each in slices), strict=True)
    stored = None if pair.channels else open_stored(pair.image)
    opened = open_together(pair.channels) if stored is None else image_of(pair.image, stored, slices[0].reading)
    with closing(opened) as image:
        changes = [*_changes_of_image(slices[0], stored, image, planes[0].ndim < slices[0].image.ndim)]
        ending = ".tif" if changes else f"{'.ome' * pair.image.stem.endswith('.ome')}{pair.image.suffix}"
        pictured, labelled = f"{place}images/{pair.name}{ending}", f"{place}labels/{pair.name}.tif"
        for each in (pictured, labelled):
            (root / each).parent.mkdir(parents=True, exist_ok=True)
        if changes:
            _write_image(root / pictured, np.stack(planes) if len(planes) > 1 else planes[0], image)
        else:
            shutil.copyfile(pair.image, root / pictured)
        _write_labels(root / labelled, np.stack(labels), image.pixel_size, numbering)
    changes += _changes_of_labels(slices, np.stack(labels), numbering.meaning.in_colours)
    content = {
        each.name: (content_hash(plane), content_hash(*of_slice))
        for each, plane, of_slice in zip(slices, planes, learnt, strict=True)
    }
    return Written(pair, pictured, labelled, tuple(changes), content)


def content_of(each: Annotated, meaning: Meaning, ignore: int | None) -> tuple[str, str]:
    """Return a hash of the image of a slice and a hash of the training targets made from its labels, as in `Written`.

    Args:
        each: the slice.
        meaning: the meaning of its labels.
        ignore: the value of unannotated pixels; None if there are none.
    """
    return content_hash(_as_written(each.image, False)), content_hash(*as_meant(each, meaning, ignore)[0])


def _numbered(each: Annotated, numbering: Numbering) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the training targets made from the labels of a slice, and its labels in the copy, ``(H, W)`` int32."""
    learnt, numbers = as_meant(each, numbering.meaning, numbering.ignore)
    target, cells, known = learnt
    if numbering.values is not None:
        labels = np.asarray(numbering.values, np.int32)[target]
    else:
        kept = numbers[cells > 0]
        fit = not numbering.meaning.in_colours and kept.min(initial=1) > 0 and kept.max(initial=1) < LARGEST
        labels = np.where(cells > 0, numbers, 0).astype(np.int32) if fit else cells
    return learnt, np.where(known, labels, np.int32(numbering.void))


def _as_written(image: np.ndarray, one_channel: bool) -> np.ndarray:
    """Convert an image to a dtype that TIFF can hold; if ``one_channel``, keep only the first channel."""
    image = image[..., 0] if one_channel and image.ndim == 3 else image
    return image.astype(TYPES.get(image.dtype.name, image.dtype.name), copy=False)


def _write_image(file: Path, stack: np.ndarray, image: Image) -> None:
    """Write an image as a TIFF.

    Args:
        file: the file to write.
        stack: the pixels, ``(H, W)`` or ``(D, H, W)``, with or without channels as the last axis.
        image: the original image, which gives the pixel size and tells channels from slices.
    """
    size, channels = image.pixel_size, image.in_channels if stack.ndim > 2 and "S" in image.axes else 0
    if channels == 3 == stack.shape[-1] and stack.dtype in (np.uint8, np.uint16):  # shown in colour by all viewers
        tifffile.imwrite(
            file,
            stack,
            photometric="rgb",
            compression="zlib",
            software=MADE_BY,
            **resolution(size),
        )
        return
    several = image.planes > 1
    axes = "YX" if stack.ndim == 2 + several else "CYX"
    stack = stack if axes == "YX" else np.moveaxis(stack, -1, -3)
    planes = stack.reshape(-1, *stack.shape[-2:])
    write_tiff(file, planes, stack.shape, stack.dtype, f"{'Z' * several}{axes}", size, f"{MADE_BY} of {file.name}")


def _write_labels(file: Path, stack: np.ndarray, pixel_size: dict[str, float], numbering: Numbering) -> None:
    """Write labels ``(D, H, W)`` as a TIFF of the smallest dtype that can hold them."""
    dtype = next(each for each in (np.uint8, np.uint16, np.int32) if stack.max() <= np.iinfo(each).max)
    shape = stack.shape if len(stack) > 1 else stack.shape[1:]
    legend = Legend(numbering.values or (), names) if (names := numbering.meaning.legend.names) else NUMBERS
    write_tiff(
        *(file, stack.astype(dtype), shape, np.dtype(dtype), "ZYX"[-len(shape) :], pixel_size),
        made_from=f"{MADE_BY} of {file.name}",
        legend=legend,
    )


def _changes_of_image(each: Annotated, stored: Stored | None, image: Image, one_channel: bool) -> Iterator[Change]:
    """Yield the changes to an image for which a new file must be written; without changes, its file is copied.

    Args:
        each: the first slice of the image.
        stored: the image as stored in its file; None if each channel has a file of its own.
        image: the image as viewers show it.
        one_channel: whether a grey image that was saved in colour becomes an image of one channel.
    """
    pair, ending = each.pair, each.pair.image.suffix.lower()
    if stored is None:
        yield Change("channel-files", f"{len(pair.channels)} files of a channel each", "one file")
        return
    seen = [Change(note.code, note.found, note.expected) for note in each.notes if note.file == str(pair.image)]
    same = image.array is stored.array
    yield from (change for change in seen if change.code != "colour-table" or not same)
    if not same and not seen:
        yield Change("colour-table", "grey values stored with a table of the values that occur", "the grey values")
    if ending not in PLAIN:
        yield Change("format", f"images ending in {ending}", "TIFF with the same pixels")
    elif ending != ".png" and names_others(pair.image):
        yield Change("ome-files", "an OME-TIFF that refers to other files", "a self-contained TIFF")
    if image.channels is not None:
        yield Change("alpha", "a constant alpha channel", "no alpha channel")
    if one_channel:
        yield Change("grey-as-colour", f"grey saved as {image.in_channels} equal channels", "one channel")
    if pair.axes and image.axes != stored.axes:
        yield Change("axes", f"axes {stored.axes}", image.axes)


def names_others(file: Path) -> bool:
    """Return whether the metadata of a TIFF refer to files by name, so that it cannot be moved or renamed alone."""
    with tifffile.TiffFile(file) as tiff:
        said = tiff.ome_metadata or ""
    return "FileName=" in said or "<BinaryOnly" in said


def _changes_of_labels(slices: Sequence[Annotated], labels: np.ndarray, in_colours: bool) -> Iterator[Change]:
    """Yield the differences between the original labels of all slices and their labels ``(D, H, W)`` in the copy."""
    first, pair = slices[0], slices[0].pair
    for note in first.notes:
        if note.file == str(pair.labels):
            yield Change(note.code, note.found, note.expected)
    if pair.form.parts:
        what = "class" if pair.form.classes else "object"
        yield Change(f"{what}-files", f"a file for each {what}", "one label image")
    elif pair.labels.suffix.lower() in SHAPE_SUFFIXES:
        yield Change("shapes", "shapes", "a label image")
    elif first.was_grey:
        yield Change("grey-as-colour", "numbers saved as equal red, green and blue", "one number a pixel")
    elif not first.in_colours and "class-planes" not in {note.code for note in first.notes}:
        with closing(open_image(pair.labels)) as drawn:
            planes = drawn.planes * drawn.in_channels
        if planes > len(slices):
            yield Change("one-hot", f"{planes} planes, of which one is on in each pixel", "its number")
    if in_colours:
        yield Change("colour-labels", "colours", "numbers")
    else:
        yield from _changed_values(np.stack([each.labels for each in slices]), labels)


def _changed_values(old: np.ndarray, labels: np.ndarray) -> Iterator[Change]:
    """Yield a description of how the values of labels change from the original to the copy, if they do."""
    if (old == labels).all():
        return
    values, places = np.unique(old, return_index=True)
    if len(values) <= MOST_SHOWN:
        new = labels.ravel()[places]
        yield Change("values", "/".join(map(str, map(int, values))), "/".join(map(str, new)))
    else:
        yield Change("values", "numbers of cells", "new numbers, from 1 up")
