"""Read images and their labels from files; the labels decide how an ambiguous image file is read."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from src.data.agreement import CLEAR, agreement
from src.data.finding import ERROR, NOTE, Finding, Refused
from src.data.matching import Pair, requested_reading
from src.data.numbers import Drawn, overlaid, unreadable
from src.data.sources import Form, read_files
from src.files.channels import in_memory_together
from src.files.image import Image, image_of, in_memory
from src.files.stored import SHOWN, Note, Reading, Stored

AXES = ("ZYX", "CYX", "YXC", "YXZ")  # orders of axes that programs write without declaring them


@dataclass(frozen=True)
class Annotated:
    """One image, or one slice of a stack, with its labels.

    Attributes:
        name: name of the image, with the slice number if the image is a slice of a stack.
        pair: the files that image and labels were read from.
        image: ``(H, W)`` or ``(H, W, C)``.
        labels: ``(H, W)`` integers.
        pixel_size: pixel size in µm; None if unknown.
        reading: how the pixels were read.
        evidence: the orientation of the image that the labels fit better (shown or stored); None if they fit both
            equally; empty if the image has no orientation tag or the configuration sets the orientation.
        notes: findings on the image file and the label file.
        in_colours, was_grey, palette, overlap: how the labels were stored, see `numbers.Drawn`.
    """

    name: str
    pair: Pair
    image: np.ndarray
    labels: np.ndarray
    pixel_size: float | None = None
    reading: Reading = SHOWN
    evidence: str | None = ""
    notes: tuple[Finding, ...] = ()
    in_colours: bool = False
    was_grey: bool = False
    palette: tuple[int, ...] = ()
    overlap: float = 0.0

    @property
    def form(self) -> Form:
        """The form in which the labels are stored."""
        return self.pair.form


class Oriented(Protocol):
    """An object that knows how an image was read; the pixels are not needed."""

    @property
    def reading(self) -> Reading:
        """The way in which the pixels were read."""

    @property
    def evidence(self) -> str | None:
        """The orientation that the labels fit better; None if they fit both equally; empty if there was no choice."""


def read_pair(pair: Pair) -> list[Annotated]:
    """Read an image file and its label file.

    Returns:
        One annotated image, or one for each slice if the file is a stack.

    Raises:
        Refused: a file cannot be read, or the labels have another size than the image.
    """
    try:
        stored = in_memory_together(pair.channels) if pair.channels else in_memory(pair.image)
    except (ValueError, OSError) as error:
        raise Refused(unreadable(pair.image, error)) from error
    given = requested_reading(pair.orientation, pair.axes)
    rows, columns = (stored.array.shape[stored.axes.index(axis)] for axis in "YX")
    drawn = read_files(pair.labels, pair.form, pair.image.name, (rows, columns), given, pair.kind)
    if drawn.is_prediction:
        found, fix = "a prediction of src.predict or src.train", "move it out of the folder"
        raise Refused(Finding("own-prediction", ERROR, str(pair.labels), found, "labels that a person drew", fix))
    stack = drawn.numbers if drawn.numbers.ndim == 3 else drawn.numbers[None]
    readings = _possible(pair, stored, stack, given)
    seen = {each: _planes(pair.image, stored, each) for each in readings}
    if len(stack) > 1 and all(len(planes) == 1 for planes, _ in seen.values()):
        stack, drawn = _classes_of(stack, drawn)
    same_size = [each for each in readings if _size(seen[each][0]) == _size(stack)]
    if not same_size:
        raise Refused(_mismatch(pair, stored, stack, seen[readings[0]][0]))
    reading, sure = _best(same_size, {each: seen[each][0] for each in same_size}, stack)
    planes, image = seen[reading]
    evidence = "" if len(readings) == 1 else reading.orientation if sure else None
    findings = _notes(pair, stored, reading, bool(evidence), image, drawn)
    numbered = [pair.name] if len(planes) == 1 else [f"{pair.name}_{number:03d}" for number in range(len(planes))]
    return [
        Annotated(
            *(name, pair, plane, each, image.pixel_size.get("X"), reading, evidence, () if place else findings),
            *(drawn.in_colours, drawn.was_grey, drawn.palette, drawn.overlap),
        )
        for place, (name, plane, each) in enumerate(zip(numbered, planes, stack, strict=True))
    ]


def _classes_of(stack: np.ndarray, drawn: Drawn) -> tuple[np.ndarray, Drawn]:
    """Merge K label planes of a single image into classes 1 … K; where masks overlap, the later plane is used.

    Planes that are no masks, or are in colours, are returned unchanged.

    Args:
        stack: the planes, ``(K, H, W)`` integers.
        drawn: the file content that the planes come from.

    Returns:
        The classes ``(1, H, W)``, and the file content with a note about the merge.
    """
    if any(len(np.unique(plane)) > 2 for plane in stack) or drawn.in_colours:
        return stack, drawn
    labels, overlap = overlaid(plane != 0 for plane in stack)
    note = Note(
        "class-planes", f"{len(stack)} planes for an image of one", "a class each, later ones over earlier ones"
    )
    return labels[None], replace(drawn, notes=(*drawn.notes, note), overlap=overlap)


def _notes(
    pair: Pair, stored: Stored, reading: Reading, decided: bool, image: Image, drawn: Drawn
) -> tuple[Finding, ...]:
    """Return notes on how the image and label files were read, where the user might expect something else.

    Args:
        pair: the two files.
        stored: the image file as stored.
        reading: how the pixels were read.
        decided: whether the labels decided between two orientations.
        image: the image as read.
        drawn: the labels as read.
    """
    notes = [(pair.image, note) for note in image.notes] + [(pair.labels, note) for note in drawn.notes]
    if stored.orientation != 1:
        other = "stored" if reading.orientation == "shown" else "shown"
        found = f"an image that viewers turn (orientation tag {stored.orientation})"
        taken = {"shown": "the image as viewers show it", "stored": "the image as it is stored"}[reading.orientation]
        taken += ", which its labels fit" if decided else ""
        notes.append((pair.image, Note("turned", found, taken, f"data.source.orientation={other} takes the other")))
    if stored.unclear and pair.axes is None:
        found = f"{stored.array.shape[0]} planes tagged as colours, which may be slices or channels"
        taken = "slices" if reading.axes == "ZYX" else "channels"
        taken += ", which its labels fit"
        notes.append((pair.image, Note("planes", found, taken, "data.source.axes=ZYX or data.source.axes=CYX chooses")))
    return tuple(Finding(each.code, NOTE, str(file), each.found, each.taken, each.fix) for file, each in notes)


def _possible(pair: Pair, stored: Stored, stack: np.ndarray, given: Reading) -> list[Reading]:
    """Return the possible ways to read the pixels of an image, the usual one first.

    Args:
        pair: the two files.
        stored: the image file as stored.
        stack: the labels, ``(D, H, W)`` integers.
        given: the way to read pixels that the configuration asks for.
    """
    if stored.unclear and pair.axes is None:
        slices = len(stack) == stored.array.shape[0] and all(np.ptp(plane) > 0 for plane in stack)
        given = replace(given, axes="ZYX" if slices else "SYX")
    turns = pair.orientation == "auto" and stored.orientation != 1
    return [given, replace(given, orientation="stored")] if turns else [given]


def _best(readings: list[Reading], planes: dict[Reading, list[np.ndarray]], stack: np.ndarray) -> tuple[Reading, bool]:
    """Return the reading in which image and labels agree best, and whether it is clearly the best.

    If none is clearly the best, return the first one.

    Args:
        readings: possible ways to read the pixels of the image.
        planes: the planes of the image in each reading.
        stack: the labels of each plane, ``(D, H, W)`` integers.
    """
    if len(readings) == 1:
        return readings[0], True
    agreed = [
        np.mean([agreement(plane, labels) for plane, labels in zip(planes[each], stack, strict=True)])
        for each in readings
    ]
    best = int(np.argmax(agreed))
    sure = agreed[best] > min(agreed) + CLEAR
    return readings[best if sure else 0], bool(sure)


def _size(planes: Sequence[np.ndarray] | np.ndarray) -> str:
    """Format the number and size of planes, such as ``30 × 512×512``."""
    return f"{len(planes)} × {planes[0].shape[0]}×{planes[0].shape[1]}"


def _mismatch(pair: Pair, stored: Stored, stack: np.ndarray, planes: Sequence[np.ndarray]) -> Finding:
    """Report labels that differ in size from their image, with the option that would make them fit.

    Args:
        pair: the two files.
        stored: the image file as stored.
        stack: the labels, ``(D, H, W)`` integers.
        planes: the planes of the image.
    """
    found, expected = f"{_size(stack)} px", f"labels of the same size as the image, {_size(planes)} px"
    fix = "export the labels again from the image that was annotated, without resizing"
    if len(planes) == len(stack) and planes[0].shape[1::-1] == stack.shape[1:]:
        found += ", so that rows and columns may be exchanged"
    channels = 1 if planes[0].ndim == 2 else planes[0].shape[2]
    if channels > 1:
        expected += f" with {channels} channels"
    for axes in AXES:
        if len(axes) == stored.array.ndim and axes != stored.axes:
            sides = dict(zip(axes, stored.array.shape, strict=True))
            if [sides.get("Z", 1), sides["Y"], sides["X"]] == list(stack.shape):
                what = f"{sides['Z']} slices" if "Z" in sides else f"{sides['C']} channels"
                fix = f"data.source.axes={axes}, if the image is {what}"
                break
    return Finding("size-mismatch", ERROR, str(pair.labels), found, expected, fix)


class ReadTwice:
    """A reader for two callers in turn, the data check and training, that reads each pair of files only once.

    The first call with a pair keeps the annotated images in memory; the second call returns and releases them.
    """

    def __init__(self) -> None:
        self.held: dict[Pair, list[Annotated]] = {}

    def __call__(self, pair: Pair) -> list[Annotated]:
        """Read an image file and its label file, or return what the previous call with this pair has read."""
        if pair in self.held:
            return self.held.pop(pair)
        self.held[pair] = read_pair(pair)
        return self.held[pair]


def _planes(file: Path, stored: Stored, reading: Reading) -> tuple[list[np.ndarray], Image]:
    """Return the planes of an image as `src.predict` reads them, each ``(H, W)`` or ``(H, W, C)``, and the image."""
    image = image_of(file, stored, reading)
    bands = [image.band(plane, 0, image.height) for plane in range(image.planes)]
    return [band[0] if len(band) == 1 else np.ascontiguousarray(np.moveaxis(band, 0, -1)) for band in bands], image


def settled(pairs: Sequence[list[Annotated]], read: Callable[[Pair], list[Annotated]]) -> list[Annotated]:
    """Join the annotated images of all pairs of files into one list.

    Images whose labels fit both orientations equally are read again in the orientation of most other images.

    Args:
        pairs: the annotated images of each pair of files.
        read: function that reads a pair of files.
    """
    orientation = reading_of([each for slices in pairs for each in slices]).orientation
    found = []
    for slices in pairs:
        again = undecided(slices[0], orientation)
        found += read(replace(slices[0].pair, orientation=orientation)) if again else slices
    return found


def undecided(each: Oriented, orientation: str) -> bool:
    """Return whether an image was not read in the given orientation although its labels fit both orientations."""
    return each.evidence is None and each.reading.orientation != orientation


def reading_of(slices: Sequence[Oriented]) -> Reading:
    """Return the most common way of reading pixels among the files that can be read in several ways."""
    fitting = Counter(each.evidence for each in slices if each.evidence)
    axes = Counter(each.reading.axes for each in slices if each.reading.axes)
    usual = slices[0].reading if slices else SHOWN
    orientation = fitting.most_common(1)[0][0] if fitting else usual.orientation
    return replace(usual, orientation=orientation, axes=axes.most_common(1)[0][0] if axes else None)
