"""A folder of one's own images and labels, as they are learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.annotated import Annotated, read_pair, reading_of, settled
from src.data.description import Description, describe
from src.data.finding import ERROR, Refused
from src.data.kinds import Judgement, judged
from src.data.labels import to_learn
from src.data.matching import Pair, Wanted, matched
from src.data.nnunet import NOTHING_SAID, Classes, read_classes
from src.data.numbers import unpacked
from src.data.stack import Stack, stacked
from src.files.grey import one_grey
from src.files.legend import NUMBERS, Legend


@dataclass(frozen=True)
class Meaning:
    """What the labels of a folder mean.

    Attributes:
        judgement: their kind and values.
        legend: of their classes, as predictions are to have them.
        in_colours: whether values are packed colours.
    """

    judgement: Judgement
    legend: Legend = NUMBERS
    in_colours: bool = False


@dataclass(frozen=True)
class Names:
    """What files beside the labels of a folder call their classes.

    Attributes:
        colours: names of packed colours, None if nothing says any.
        numbers: classes of numbers.
    """

    colours: dict[int, str] | None = None
    numbers: Classes = NOTHING_SAID


NO_NAMES = Names()


def names_in(root: Path) -> Names:
    """The names of colours in a ``labelmap.txt`` of a folder, and of numbers in a ``dataset.json``.

    Raises:
        Refused: one of them is damaged.
    """
    return Names(colours.read_labelmap(root), read_classes(root))


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
    """The annotated images of a folder, in the order of their names.

    Args:
        root: the folder.
        kind: what the labels mean, one of `kinds.KINDS`; auto finds out.
        values: those of class 0, 1, …; None: see `kinds.judged`.
        ignore_label: the value of pixels that nobody has annotated.
        include: images whose names fit this pattern only, such as ``plate1_*``.
        orientation: of images that viewers turn: shown, stored, or auto, which asks their labels.
        axes: a letter an axis of files with as many axes, such as ZYX where slices are tagged as channels; None: as
            the files say.
        classes: names of which NAME_CLASS is a file each, later ones over earlier ones; None finds them out.
        images: a pattern of their paths, such as ``raw/{name}_img.*``; None: those of the folders that there are.
        labels: likewise, or the name of their folder.
        order: of the names: natural, so that 2 comes before 10, or plain, as of earlier versions.
        read: gives the slices of a pair of files; None: `read_pair`, or what has read them already.

    Raises:
        Refused: an image without labels, a file that cannot be read, labels of another size than their image.
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: there is no such kind of labels, or labels hold other classes.
    """
    wanted = Wanted(include, orientation, axes, tuple(classes) if classes else None, kind, images, labels, order)
    pairs, alone = matched(Path(root), wanted)
    for finding in alone:
        if finding.severity == ERROR:
            raise Refused(finding)
    slices = settled([(read or read_pair)(pair) for pair in pairs], read or read_pair)
    # Whether palettes differ, and which colour is the background, depends on the numbers that occur.
    known = (values is not None or kind == "instances") and not any(each.palette or each.in_colours for each in slices)
    described = [describe(without(each.labels, ignore_label), one_grey(each.image)) for each in slices if not known]
    for each in colours.odd_ones(slices):
        raise Refused(colours.mixed(each.pair.labels, each.in_colours))
    found = meaning(slices, described, kind, values, names_in(Path(root)))
    learnt = [as_meant(each, found, ignore_label)[0] for each in slices]
    targets, cells, annotated = (stacked(list(parts)) for parts in zip(*learnt, strict=True))
    return Stack(
        stacked([each.image for each in slices]),
        targets,
        cells,
        [each.name for each in slices],
        [each.pair.source for each in slices],
        annotated,
        reading_of(slices),
        found.legend,
        [each.pair.part for each in slices],
        [each.pixel_size for each in slices],
    )


def meaning(
    slices: Sequence[colours.Labelled],
    described: Sequence[Description],
    kind: str = "auto",
    values: Sequence[int] | None = None,
    names_of: Names = NO_NAMES,
) -> Meaning:
    """What the labels of a folder mean, from all of them together; for a check and for training alike.

    Args:
        slices: all of them.
        described: their labels; may be empty where kind and values leave nothing open.
        kind: as it was asked for.
        values: as they were asked for.
        names_of: colours and numbers, as `names_in` gives them.

    Raises:
        ValueError: there is no such kind.
    """
    said, labelmap = names_of.numbers, names_of.colours
    forms = {"classes"} if len(said.names) > 2 else {each.form.said for each in slices}
    classes = next((each.form.classes for each in slices if each.form.classes), ())
    if not colours.tell(slices, [one.counts for one in described]):
        found = judged(described, kind, values, forms.pop() if len(forms) == 1 else "")
        numbers = tuple(range(len(classes) + 1))
        names = ()
        if found.kind == "classes" and said.names and set(found.values) <= said.all_names.keys():
            if values is None and said.ignored not in found.values:
                found = replace(found, values=tuple(said.names))  # also those that do not occur
            names = tuple(said.all_names[value] for value in found.values)
        elif classes and found.kind == "classes" and (values is None or tuple(values) == numbers):
            names, found = ("background", *classes), replace(found, values=numbers)
        return Meaning(found, Legend(found.values or (), names) if found.kind == "classes" else NUMBERS)
    pairs = zip(described, slices, strict=bool(described))
    counted = [replace(one, counts=colours.packed_counts(one.counts, each)) for one, each in pairs]
    chosen = tuple(values) if values is not None else colours.table(counted, labelmap)
    few = values is not None or bool(labelmap) or colours.are_classes(counted)
    found = judged(counted, kind, chosen if few or kind == "classes" else chosen[:1], "classes" if few else "instances")
    if found.kind != "classes":
        return Meaning(replace(found, values=chosen if values is not None else chosen[:1]), in_colours=True)
    names = tuple(labelmap[value] for value in chosen) if labelmap and set(chosen) <= set(labelmap) else ()
    return Meaning(found, Legend(names=names, colours=tuple(map(unpacked, chosen))), in_colours=True)


def as_meant(
    each: Annotated, meaning: Meaning, ignore_label: int | None
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """What is learnt of the labels of a slice: target, cells and annotated pixels, as of `labels.to_learn`.

    Args:
        each: the slice.
        meaning: of the labels of its folder.
        ignore_label: the value of pixels that nobody has annotated.

    Returns:
        That, and the numbers ``(H, W)`` behind it, which are packed colours where these tell labels apart.
    """
    numbers = colours.alike(each.labels, each, meaning.in_colours)
    if meaning.in_colours and ignore_label is not None:  # which names a number of the file, or a packed colour
        numbers, ignore_label = np.where(each.labels == ignore_label, -1, numbers), -1
    return to_learn(numbers, meaning.judgement.kind, meaning.judgement.values, ignore_label), numbers


def without(labels: np.ndarray, ignore_label: int | None) -> np.ndarray:
    """Labels with 0 where nobody has annotated."""
    return labels if ignore_label is None else np.where(labels == ignore_label, 0, labels)
