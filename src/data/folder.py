"""Read a folder of images and labels as training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from src.data import colours
from src.data.annotated import Annotated, read_pair, reading_of, settled
from src.data.description import Description, describe
from src.data.finding import ERROR, Refused
from src.data.kinds import Judgement, decide
from src.data.labels import to_learn
from src.data.matching import Pair, Wanted, matched
from src.data.nnunet import UNNAMED, LabelNames, read_label_names
from src.data.numbers import unpacked
from src.data.sources import Form
from src.data.stack import Stack, stacked
from src.files.grey import one_grey
from src.files.legend import NUMBERS, Legend


@dataclass(frozen=True)
class Meaning:
    """What the labels of a folder mean.

    Attributes:
        judgement: kind of the labels, and label values of the classes.
        legend: label values, names and colours of the classes; predictions are saved with the same ones.
        in_colours: whether label values are packed colours.
    """

    judgement: Judgement
    legend: Legend = NUMBERS
    in_colours: bool = False


@dataclass(frozen=True)
class Names:
    """Names of classes, from the files of a data set that list them.

    Attributes:
        colours: names by packed colour; None if no file names colours.
        numbers: names of label numbers.
    """

    colours: dict[int, str] | None = None
    numbers: LabelNames = UNNAMED


NO_NAMES = Names()


def names_in(root: Path) -> Names:
    """Read class names: ``labelmap.txt`` names the class of each label colour, ``dataset.json`` of each label number.

    Raises:
        Refused: one of the two files is damaged.
    """
    return Names(colours.read_labelmap(root), read_label_names(root))


def read_folder(
    root: str | Path,
    kind: str = "auto",
    values: Sequence[int] | None = None,
    ignore_label: int | None = None,
    include: str = "*",
    orientation: str = "auto",
    axes: str | None = None,
    classes: Sequence[str] | None = None,
    images: str | None = None,
    labels: str | None = None,
    order: str = "natural",
    read: Callable[[Pair], list[Annotated]] | None = None,
) -> Stack:
    """Read the annotated images of a folder, in the order of their names.

    Args:
        root: the folder.
        kind: kind of the labels, one of `kinds.KINDS`, or auto to infer it.
        values: label values of class 0, 1, …; None: they are inferred from the labels.
        ignore_label: label value of unannotated pixels; None: all pixels are annotated.
        include: name pattern such as ``plate1_*``; images with other names are left out.
        orientation: how images with an orientation tag are read: shown (rotated as in viewers), stored (not rotated),
            or auto (whichever fits the labels).
        axes: axes of the image files, one letter each, such as ZYX if slices are tagged as channels; applies to files
            with that number of axes. None: the axes that the files state.
        classes: names of classes with one label file NAME_CLASS each; where files overlap, the later class is used.
            None: search for such files.
        images: pattern of image paths, such as ``raw/{name}_img.*``; None: search for folders of images.
        labels: pattern of label paths, or name of the folder of labels; None: search for folders of labels.
        order: order of the names: natural, so that 2 comes before 10, or plain, as in earlier versions.
        read: function that reads the annotated images from an image file and its label file; None: `read_pair`.

    Raises:
        Refused: an image has no labels, a file cannot be read, or labels have another size than their image.
        FileNotFoundError: the folder does not exist or holds no images.
        ValueError: ``kind`` is not one of these kinds, or labels hold values that belong to no class.
    """
    wanted = Wanted(include, orientation, axes, tuple(classes) if classes else None, kind, images, labels, order)
    pairs, alone = matched(Path(root), wanted)
    for finding in alone:
        if finding.severity == ERROR:
            raise Refused(finding)
    slices = settled([(read or read_pair)(pair) for pair in pairs], read or read_pair)
    # Labels need no description if kind or values are given, except to compare palettes or find the background colour.
    known = (values is not None or kind == "instances") and not any(each.palette or each.in_colours for each in slices)
    described = [
        describe(annotated_only(each.labels, ignore_label), one_grey(each.image)) for each in slices if not known
    ]
    for each in colours.odd_ones(slices):
        raise Refused(colours.mixed(each.pair.labels, each.in_colours))
    found = meaning(slices, described, kind, values, names_in(Path(root)))
    read_as = [as_meant(each, found, ignore_label)[0] for each in slices]
    targets, cells, annotated = (stacked(list(parts)) for parts in zip(*read_as, strict=True))
    return Stack(
        stacked([each.image for each in slices]),
        targets,
        cells,
        annotated,
        [each.name for each in slices],
        [each.pair.source for each in slices],
        reading_of(slices),
        found.legend,
        [each.pair.part for each in slices],
        [each.pixel_size for each in slices],
    )


class Drawing(colours.Labelled, Protocol):
    """An object that knows how the labels of one image are stored; the pixels are not needed."""

    @property
    def form(self) -> Form:
        """The form in which the labels are stored, see `sources.Form`."""


def meaning(
    slices: Sequence[Drawing],
    described: Sequence[Description],
    kind: str = "auto",
    values: Sequence[int] | None = None,
    names: Names = NO_NAMES,
) -> Meaning:
    """Decide what the labels of a folder mean, from all its label images together.

    Args:
        slices: how the labels of each image are stored.
        described: description of each label image; may be empty if kind and values leave nothing to infer.
        kind: kind of the labels, one of `kinds.KINDS`, or auto to infer it.
        values: label values of class 0, 1, …; None: they are inferred from the labels.
        names: names of classes, from `names_in`.

    Raises:
        ValueError: ``kind`` is not one of these kinds.
    """
    if colours.tell(slices, [one.counts for one in described]):
        return _meaning_of_colours(slices, described, kind, values, names.colours)
    return _meaning_of_numbers(slices, described, kind, values, names.numbers)


def _meaning_of_numbers(
    slices: Sequence[Drawing],
    described: Sequence[Description],
    kind: str,
    values: Sequence[int] | None,
    named: LabelNames,
) -> Meaning:
    forms = {"classes"} if len(named.names) > 2 else {each.form.said for each in slices}
    found = decide(described, kind, values, forms.pop() if len(forms) == 1 else "")
    if found.kind != "classes":
        return Meaning(found)
    own, names = found.values or (), named.all_names
    if named.names and set(own) <= names.keys():
        if values is None and named.ignored not in own:
            own = tuple(named.names)  # including values that do not occur
        return Meaning(replace(found, values=own), Legend(own, tuple(names[value] for value in own)))
    classes = next((each.form.classes for each in slices if each.form.classes), ())
    numbers = tuple(range(len(classes) + 1))
    if classes and (values is None or tuple(values) == numbers):
        return Meaning(replace(found, values=numbers), Legend(numbers, ("background", *classes)))
    return Meaning(found, Legend(own))


def _meaning_of_colours(
    slices: Sequence[Drawing],
    described: Sequence[Description],
    kind: str,
    values: Sequence[int] | None,
    labelmap: dict[int, str] | None,
) -> Meaning:
    pairs = zip(described, slices, strict=bool(described))
    counted = [replace(one, counts=colours.packed_counts(one.counts, each)) for one, each in pairs]
    table = tuple(values) if values is not None else colours.table(counted, labelmap)
    few = values is not None or bool(labelmap) or colours.are_classes(counted)
    found = decide(counted, kind, table if few or kind == "classes" else table[:1], "classes" if few else "instances")
    if found.kind != "classes":
        return Meaning(replace(found, values=table if values is not None else table[:1]), in_colours=True)
    names = tuple(labelmap[value] for value in table) if labelmap and set(table) <= set(labelmap) else ()
    return Meaning(found, Legend(names=names, colours=tuple(map(unpacked, table))), in_colours=True)


def as_meant(
    each: Annotated, meaning: Meaning, ignore_label: int | None
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Convert the labels of one image to classes and cells, according to what the labels of its folder mean.

    Args:
        each: the image with its labels.
        meaning: what the labels of the folder mean.
        ignore_label: label value of unannotated pixels; None: all pixels are annotated.

    Returns:
        A tuple of classes ``(H, W)`` uint8, cells ``(H, W)`` int32 and annotated pixels ``(H, W)`` bool; and the label
        values ``(H, W)`` from which they were made, which are packed colours if ``meaning.in_colours``.
    """
    numbers = colours.alike(each.labels, each, meaning.in_colours)
    if meaning.in_colours and ignore_label is not None:  # ignore_label is a value of the file, before the conversion
        numbers, ignore_label = np.where(each.labels == ignore_label, -1, numbers), -1
    return to_learn(numbers, meaning.judgement.kind, meaning.judgement.values, ignore_label), numbers


def annotated_only(labels: np.ndarray, ignore_label: int | None) -> np.ndarray:
    """Return labels ``(H, W)`` with the unannotated pixels, those of value ``ignore_label``, set to 0."""
    return labels if ignore_label is None else np.where(labels == ignore_label, 0, labels)
