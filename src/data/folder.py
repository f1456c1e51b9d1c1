"""A folder of one's own images and labels, as they are learnt from."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from src.data.annotated import Annotated, read_pair, reading_of, settled
from src.data.finding import ERROR, Refused
from src.data.labels import KINDS, MOST_CLASSES, Description, describe, detect, to_learn
from src.data.matching import Pair, matched
from src.data.stack import Stack, stacked


def read_folder(
    root: str | Path,
    kind: str = "auto",
    values: Sequence[int] | None = None,
    ignore_label: int | None = None,
    include: str = "*",
    orientation: str = "auto",
    axes: str | None = None,
    read: Callable[[Pair], list[Annotated]] | None = None,
) -> Stack:
    """The annotated images of a folder, in the order of their names.

    Args:
        root: the folder.
        kind: what the labels mean, one of `labels.KINDS`; auto finds out.
        values: those of class 0, 1, …; None: see `class_values`.
        ignore_label: the value of pixels that nobody has annotated.
        include: images whose names fit this pattern only, such as ``plate1_*``.
        orientation: of images that viewers turn: shown, stored, or auto, which asks their labels.
        axes: a letter an axis of files with as many axes, such as ZYX where slices are tagged as channels; None: as
            the files say.
        read: gives the slices of a pair of files; None: `read_pair`, or what has read them already.

    Raises:
        Refused: an image without labels, a file that cannot be read, labels of another size than their image.
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: there is no such kind of labels, or labels hold other classes.
    """
    pairs, alone = matched(Path(root), include, orientation, axes)
    for finding in alone:
        if finding.severity == ERROR:
            raise Refused(finding)
    slices = settled([(read or read_pair)(pair) for pair in pairs], read or read_pair)
    open_question = kind == "auto" or (kind == "classes" and values is None)
    described = [describe(without(each.labels, ignore_label)) for each in slices if open_question]
    kind = chosen_kind(kind, described)
    values = class_values(described, values)
    learnt = [to_learn(each.labels, kind, values, ignore_label) for each in slices]
    targets, cells, known = (stacked(list(parts)) for parts in zip(*learnt, strict=True))
    return Stack(
        stacked([each.image for each in slices]),
        targets,
        cells,
        [each.name for each in slices],
        [each.pair.source for each in slices],
        known,
        reading_of(slices),
    )


def chosen_kind(kind: str, described: Sequence[Description]) -> str:
    """The kind of labels that was asked for, or that they look like.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"expected data.source.kind to be auto, {', '.join(KINDS)}, but got {kind}")
    return detect(described) if kind == "auto" else kind


def class_values(described: Sequence[Description], values: Sequence[int] | None) -> Sequence[int] | None:
    """Of labels of classes the values of class 0, 1, …: those given, or all that occur if they are not small numbers.

    Small numbers are their classes themselves (None), also where one of them does not occur.
    """
    found = sorted(set().union(*(each.counts for each in described)))
    return found if values is None and found and max(found) > MOST_CLASSES else values


def without(labels: np.ndarray, ignore_label: int | None) -> np.ndarray:
    """Labels with 0 where nobody has annotated."""
    return labels if ignore_label is None else np.where(labels == ignore_label, 0, labels)
