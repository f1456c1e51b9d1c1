"""Read a folder of a user's images and labels as training data."""

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
        judgement: their kind and values.
        legend: values, names and colours of the classes, which predictions repeat.
        in_colours: whether values are packed colours.
    """

    judgement: Judgement
    legend: Legend = NUMBERS
    in_colours: bool = False


@dataclass(frozen=True)
class Names:
    """Names of classes from files beside the labels of a folder.

    Attributes:
        colours: names of packed colours, None without such a file.
        numbers: names of numbers.
    """

    colours: dict[int, str] | None = None
    numbers: LabelNames = UNNAMED


NO_NAMES = Names()


def names_in(root: Path) -> Names:
    """Read the names of classes: of colours from ``labelmap.txt``, of numbers from ``dataset.json``.

    Raises:
        Refused: one of them is damaged.
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
        kind: what the labels mean, one of `kinds.KINDS`; auto infers it.
        values: the values of class 0, 1, …; None: see `kinds.decide`.
        ignore_label: the value of unannotated pixels.
        include: a pattern such as ``plate1_*``; images with other names are left out.
        orientation: how images with an orientation tag are read: shown, stored, or auto, as fits their labels.
        axes: the axes of files with as many axes, a letter each, such as ZYX where slices are tagged as channels;
            None: as the files say.
        classes: names of classes with a file NAME_CLASS each, later ones over earlier ones; None: search for them.
        images: a pattern of paths, such as ``raw/{name}_img.*``; None: search for folders of images.
        labels: a pattern of paths, or the name of a folder; None: search for folders of labels.
        order: of the names: natural, so that 2 comes before 10, or plain, as in earlier versions.
        read: reads a pair of files; None: `read_pair`.

    Raises:
        Refused: an image has no labels, a file cannot be read, or labels have another size than their image.
        FileNotFoundError: the folder does not exist or holds no images.
        ValueError: ``kind`` does not exist, or labels hold values of no class.
    """
    wanted = Wanted(include, orientation, axes, tuple(classes) if classes else None, kind, images, labels, order)
    pairs, alone = matched(Path(root), wanted)
    for finding in alone:
        if finding.severity == ERROR:
            raise Refused(finding)
    slices = settled([(read or read_pair)(pair) for pair in pairs], read or read_pair)
    # Comparing palettes and finding the background colour need the values that occur.
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
    """How the labels of one image are stored, without their pixels."""

    @property
    def form(self) -> Form:
        """See `sources.Form`."""


def meaning(
    slices: Sequence[Drawing],
    described: Sequence[Description],
    kind: str = "auto",
    values: Sequence[int] | None = None,
    names: Names = NO_NAMES,
) -> Meaning:
    """Decide what the labels of a folder mean, from all of them together; the check and training both use it.

    Args:
        slices: all images.
        described: their labels; may be empty if kind and values leave nothing to infer.
        kind: see `read_folder`.
        values: see `read_folder`.
        names: see `names_in`.

    Raises:
        ValueError: ``kind`` does not exist.
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
            own = tuple(named.names)  # also those that do not occur
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
    """Apply a meaning to the labels of one image.

    Args:
        each: the image with its labels.
        meaning: of the labels of its folder.
        ignore_label: the value of unannotated pixels.

    Returns:
        Classes, cells and annotated pixels, see `labels.to_learn`; and the values ``(H, W)`` that they follow from,
        which are packed colours if ``meaning.in_colours``.
    """
    numbers = colours.alike(each.labels, each, meaning.in_colours)
    if meaning.in_colours and ignore_label is not None:  # a number of the file, or a packed colour
        numbers, ignore_label = np.where(each.labels == ignore_label, -1, numbers), -1
    return to_learn(numbers, meaning.judgement.kind, meaning.judgement.values, ignore_label), numbers


def annotated_only(labels: np.ndarray, ignore_label: int | None) -> np.ndarray:
    """Set unannotated pixels of labels to 0."""
    return labels if ignore_label is None else np.where(labels == ignore_label, 0, labels)
