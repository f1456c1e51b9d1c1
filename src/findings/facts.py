"""Measure each annotated image once; the checks then compare the measurements with the training configuration."""

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import isfinite

import cv2
import numpy as np
from scipy import ndimage

from src.data.agreement import Offset, laid, offset, sketch, texture, width
from src.data.annotated import Annotated, read_pair
from src.data.description import LARGEST_NUMBER, Description, describe
from src.data.finding import WARNING, Finding, Refused
from src.data.folder import Meaning, annotated_only, as_meant
from src.data.likeness import thumbnail
from src.data.matching import ALL, Pair, Wanted
from src.data.sources import ONE_FILE, Form
from src.data.targets import PAPER, Target, without_inside
from src.files.grey import is_grey, one_grey, range_of, scaled
from src.files.image import open_image
from src.files.stored import SHOWN, Reading
from src.instances import numbered

FULL_WELLS = (255, 4095, 16383, 65535)  # largest grey values of cameras with 8, 12, 14 and 16 bits
AS_READ = ("in_colours", "was_grey", "palette", "overlap", "reading", "evidence", "notes")


@dataclass(frozen=True)
class Choices:
    """The settings of a training configuration that the data must fit.

    Attributes:
        classes: number of classes of the network; None: as many as the labels have.
        channels: number of input channels of the network; None: as many as the images have.
        depth: number of pooling steps of the network.
        padded: whether the network pads its convolutions.
        groups: choice of the train, validation and held_out images, see `split.split`.
        wanted: which files of a folder are read, and how.
        values: label values of class 0, 1, …; None: they are inferred from the labels.
        ignore_label: label value of unannotated pixels; None: all pixels are annotated.
        min_size: area in pixels below which predicted cells are removed.
        metrics: names of the scores that training reports.
        scaling: how grey values are scaled to [0, 1], one of `files.stored.SCALINGS`.
        together: pattern of image names, such as ``{patient}[LR]``, that shows which images must stay in the same group
            of the split; None: no pattern.
        target: how annotated cells become the classes that the network learns.
    """

    classes: int | None
    channels: int | None
    depth: int
    padded: bool
    groups: dict[str, str]
    wanted: Wanted = ALL
    values: tuple[int, ...] | None = None
    ignore_label: int | None = None
    min_size: int = 0
    metrics: tuple[str, ...] = ()
    scaling: str = "objects"
    together: str | None = None
    target: Target = PAPER


@dataclass(frozen=True)
class Facts:
    """Measurements of one image and its labels, from which all checks work without reading the pixels again.

    Attributes:
        name: name of the image, with the slice number if the image is a slice of a stack.
        file: path of the image file.
        labels_file: path of the label file.
        source: the stack or film that the image is a slice of.
        size: numbers of rows and columns.
        channels: number of channels of the image.
        dtype: dtype of the image.
        finite: whether all grey values, and the difference between the largest and the smallest, are finite.
        levels: number of different grey values, counted up to 5.
        saturated: share of pixels at the largest value that a camera can record, see `FULL_WELLS`.
        digest: SHA-256 hash of the image.
        thumbnail: thumbnail of the image for finding near-duplicates, see `likeness.thumbnail`.
        shift: offset of the labels from the image; None if it could not be measured, see `agreement.offset`.
        texture: texture of cells relative to the background; None if unknown, see `agreement.texture`.
        width: diameter in pixels of the largest disc that fits into a cell.
        is_its_labels: whether image and labels are the same array.
        ignored: share of unannotated pixels.
        pixel_size: pixel size in µm; None if unknown.
        lossy: whether the image is a JPEG.
        labels: description of the label image.
        sketch: small copy of image and labels for comparing many pairs, see `agreement.sketch`.
        thin: number of cells too thin to have an interior; 0 for targets that need no interior.
        scattered: number of cells in several pieces that do not touch even at corners; 0 for masks.
        form: how the labels are stored.
        part: train, validation or held_out if the image lies in a folder for that group of the split, else empty.
        grey: whether the image has one channel, or several equal channels.
        cells: median scaled grey value of the pixels whose label is not 0; None without such pixels.
        background: median scaled grey value of the pixels with label 0; None without such pixels.
        clipped: share of the grey values of cells that lie outside the range scaled to [0, 1].
        in_colours, was_grey, palette, overlap, reading, evidence, notes: see `annotated.Annotated`.
    """

    name: str
    file: str
    labels_file: str
    source: str
    size: tuple[int, int]
    channels: int
    dtype: str
    finite: bool
    levels: int
    saturated: float
    digest: str
    thumbnail: np.ndarray
    shift: Offset | None
    texture: float | None
    width: int
    is_its_labels: bool
    ignored: float
    pixel_size: float | None
    lossy: bool
    labels: Description
    sketch: np.ndarray
    thin: int = 0
    scattered: int = 0
    form: Form = ONE_FILE
    part: str = ""
    in_colours: bool = False
    was_grey: bool = False
    palette: tuple[int, ...] = ()
    overlap: float = 0.0
    grey: bool = True
    cells: float | None = None
    background: float | None = None
    clipped: float = 0.0
    reading: Reading = SHOWN
    evidence: str | None = ""
    notes: tuple[Finding, ...] = ()


def look_at_files(
    pair: Pair,
    ignore_label: int | None,
    read: Callable[[Pair], list[Annotated]] = read_pair,
    scaling: str = "objects",
    meaning: Meaning | None = None,
    target: Target = PAPER,
) -> tuple[list[Facts], list[Finding]]:
    """Measure an image file and its label file; report an unusable file as a finding instead of raising an error.

    Args:
        pair: image and labels on disk.
        ignore_label: the label value of unannotated pixels; None: all pixels are annotated.
        read: function that reads the annotated images of the pair.
        scaling: how grey values are scaled to [0, 1], one of `files.stored.SCALINGS`.
        meaning: what the labels mean; None: measure the stored label values instead of classes or cells.
        target: how annotated cells become the classes that the network learns.

    Returns:
        The facts of each image (empty if a file cannot be used), and the findings on the files.
    """
    try:
        return [look(each, ignore_label, scaling, meaning, target) for each in read(pair)], missing_chunks(pair)
    except Refused as refused:
        return [], [refused.finding]


def missing_chunks(pair: Pair) -> list[Finding]:
    """Report missing chunks of an OME-Zarr image, which readers silently replace with a fill value."""
    if pair.image.suffix != ".zarr":
        return []
    with closing(open_image(pair.image)) as image:
        missing = image.missing_chunks
    found = f"{missing} missing chunks, which are read as one grey value"
    fix = "copy the Zarr again if they should exist"
    return [Finding("missing-chunks", WARNING, str(pair.image), found, "all chunks", fix)] if missing else []


def look(
    annotated: Annotated,
    ignore_label: int | None = None,
    scaling: str = "objects",
    meaning: Meaning | None = None,
    target: Target = PAPER,
) -> Facts:
    """Measure one image and its labels.

    Args:
        annotated: image ``(H, W)`` or ``(H, W, C)`` and labels ``(H, W)``.
        ignore_label: the label value of unannotated pixels; None: all pixels are annotated.
        scaling: how grey values are scaled to [0, 1], one of `files.stored.SCALINGS`.
        meaning: what the labels mean; None: measure the stored label values instead of classes or cells.
        target: how annotated cells become the classes that the network learns.
    """
    image, pair = annotated.image, annotated.pair
    labels = _to_measure(annotated, meaning, ignore_label)
    seen = image if image.ndim == 2 and image.dtype.kind in "iu" else one_grey(image)
    description = describe(labels, seen)  # the first step, because it needs the most memory
    values = one_grey(seen)
    finite = image.dtype.kind != "f" or bool(
        np.isfinite(image).all() and isfinite(float(image.max()) - float(image.min()))
    )
    highest, small = image.max(), laid(values, labels)
    cells, background, clipped = _scaled(image, labels != 0, scaling) if finite else (None, None, 0.0)
    return Facts(
        name=annotated.name,
        file=str(pair.image),
        labels_file=str(pair.labels),
        source=pair.source,
        size=image.shape[:2],
        channels=1 if image.ndim == 2 else image.shape[2],
        dtype=str(image.dtype),
        finite=finite,
        levels=_levels(values),
        saturated=float(np.mean(image == highest)) if image.dtype.kind in "iu" and highest in FULL_WELLS else 0.0,
        digest=hashlib.sha256(np.ascontiguousarray(image).data).hexdigest(),
        thumbnail=thumbnail(values),
        shift=offset(small),
        texture=texture(small),
        width=width(small),
        is_its_labels=np.array_equal(image, annotated.labels),
        ignored=float(np.mean(annotated.labels == ignore_label)) if ignore_label is not None else 0.0,
        pixel_size=annotated.pixel_size,
        lossy=pair.image.suffix.lower() in (".jpg", ".jpeg"),
        labels=description,
        sketch=sketch(values, labels),
        thin=_thin(labels, annotated.labels, ignore_label, target) if target.added else 0,
        scattered=_scattered(labels, description),
        form=annotated.form,
        part=pair.part,
        grey=image.ndim == 2 or is_grey(image),
        cells=cells,
        background=background,
        clipped=clipped,
        **{name: getattr(annotated, name) for name in AS_READ},
    )


def _to_measure(annotated: Annotated, meaning: Meaning | None, ignore_label: int | None) -> np.ndarray:
    """Return the label image ``(H, W)`` to measure: its cells if the labels are instances, else its classes.

    If ``meaning`` is None, return the stored values, with 0 for unannotated pixels.
    """
    if meaning is None:
        return annotated_only(annotated.labels, ignore_label)
    target, cells, _ = as_meant(annotated, meaning, ignore_label)[0]
    return cells if meaning.judgement.kind == "instances" else target


def _thin(labels: np.ndarray, drawn: np.ndarray, ignore_label: int | None, target: Target) -> int:
    """Count the cells that are too thin to have an interior, which the target cannot separate from other cells.

    Args:
        labels: the label image to measure, ``(H, W)`` integers, 0 = background.
        drawn: the label image as stored, ``(H, W)`` integers.
        ignore_label: the stored value of unannotated pixels; None: all pixels are annotated.
        target: how annotated cells become the classes that the network learns.
    """
    known = np.ones(drawn.shape, bool) if ignore_label is None else drawn != ignore_label
    places = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    return len(without_inside(numbered(np.where(labels == 0, 0, places + (labels.min() != 0))), known, target))


def _scaled(image: np.ndarray, inside: np.ndarray, scaling: str) -> tuple[float | None, float | None, float]:
    """Measure the scaled grey values of cells and background.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        inside: the pixels of cells, ``(H, W)`` bool.
        scaling: one of `files.stored.SCALINGS`.

    Returns:
        Median of the cells, median of the background (each None without such pixels), and the share of the grey values
        of cells that the scaling clips.
    """
    low, high = range_of(image, scaling)
    cells, background = (
        float(scaled(np.median(image[where], keepdims=True), low, high).item()) if where.any() else None
        for where in (inside, ~inside)
    )
    values = image[inside]
    return cells, background, float(np.mean((values < low) | (values > high))) if values.size else 0.0


def _levels(grey: np.ndarray) -> int:
    """Count the different grey values of an image, up to 5."""
    values = grey.ravel()
    few = len(np.unique(values[:: max(1, len(values) // 1024)])) < 5  # a thousand pixels decide for nearly all images
    return min(5, len(np.unique(values))) if few else 5


def _scattered(labels: np.ndarray, description: Description) -> int:
    """Count the cells that consist of several 8-connected components; return 0 for masks."""
    values = description.counts
    if description.single == 1 or len(values) <= 2 or min(values) < 0 or max(values) > LARGEST_NUMBER:
        return 0
    boxes = enumerate(ndimage.find_objects(labels), 1)
    inside = (labels[box] == value for value, box in boxes if box)
    return sum(cv2.connectedComponents(cell.astype(np.uint8), connectivity=8)[0] > 2 for cell in inside)
