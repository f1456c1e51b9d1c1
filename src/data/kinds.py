"""Decide what the values of label images mean, from all label images of a data set together.

==========  ===================================================================================
binary      0 is background, one other value is foreground, whose connected components are cells
boundary    as binary, but the background is thin lines between cells (membranes, as in ISBI-2012)
instances   0 is background, every other value is one cell
classes     each value is a class
==========  ===================================================================================
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from src.data.description import MOST_CLASSES, Area, Description
from src.data.numbers import WHITE

KINDS = ("binary", "boundary", "instances", "classes")
FEW_CLASSES = 4  # up to this number of values, labels with one compact piece per value may be classes
MOST_SCATTERED = 0.75  # labels are classes if a smaller share of the values than this form a single piece
AT_ITS_PLACE = 0.15  # largest variation of the centre of an organ between images, as a share of the image
CHANCE = 0.01  # significance level of the F test for a correlation between images
KEPT = 0.7  # least intraclass correlation of a property of a value that is constant over images
ALIKE = 0.2  # largest standard deviation over mean of areas that have the same size, such as wells
MASKED = {1, *WHITE}  # values that programs use for the foreground of a mask
VOID = WHITE[:2]  # values that programs use for unannotated pixels


@dataclass(frozen=True)
class Judgement:
    """What labels mean: their kind, the label values of the classes, and doubts to report.

    Attributes:
        kind: kind of the labels, one of `KINDS`.
        values: label values of class 0, 1, …; for instances, only the value of the background. None: 0 is background,
            and all other values are foreground.
        other: the second most likely kind; None if there is no doubt.
        reasons: peculiarities of the labels to report: few-numbers, thin-pieces, mixed-mask, white-lines, white-ground,
            no-zero.
    """

    kind: str
    values: tuple[int, ...] | None = None
    other: str | None = None
    reasons: tuple[str, ...] = ()


def decide(
    described: Sequence[Description],
    kind: str = "auto",
    values: Sequence[int] | None = None,
    said: str = "",
) -> Judgement:
    """Decide the kind and the class values of labels: as configured, else as the files declare, else by inference.

    Args:
        described: description of each label image, without its unannotated pixels.
        kind: ``data.source.kind``, one of `KINDS`, or auto.
        values: ``data.source.values``, the label values of class 0, 1, …; None: not configured.
        said: the kind that the files declare; empty if they declare none.

    Raises:
        ValueError: ``kind`` is neither auto nor one of `KINDS`.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"expected data.source.kind to be auto, {', '.join(KINDS)}, but got {kind}")
    found = Judgement(said) if said else infer(described)
    if kind == "auto":
        kind = found.kind if values is None else _kind_of(found, values)
    if values is not None:
        return replace(found, kind=kind, values=tuple(values))
    if kind != found.kind:
        # The configured kind is used, with 0 as background; the data check reports doubts.
        kept = found.values if "no-zero" in found.reasons and kind != "instances" else None
        found = replace(found, kind=kind, values=kept)
    return replace(found, values=_class_values(described, found)) if kind == "classes" else found


def _kind_of(found: Judgement, values: Sequence[int]) -> str:
    """Return the kind of labels if the configuration sets their values but not their kind.

    Args:
        found: the kind that the files declare or that was inferred.
        values: the configured label values.
    """
    if found.kind == "instances":
        return "instances" if len(values) == 1 else "classes"
    same_ground = values[0] == (found.values or (0,))[0]
    return found.kind if len(values) <= 2 and (same_ground or found.kind != "boundary") else "classes"


def _class_values(described: Sequence[Description], found: Judgement) -> tuple[int, ...]:
    """Return the label values of class 0, 1, …: usually 0, as background, and all other values that occur."""
    occurring = sorted({value for each in described for value in each.counts})
    if "mixed-mask" in found.reasons:
        return (0,)
    return found.values or tuple(occurring if found.reasons == ("no-zero",) else sorted({0, *occurring}))


def infer(described: Sequence[Description]) -> Judgement:
    """Infer the kind of labels from their values and the shapes of their pieces."""
    drawn = [each for each in described if set(each.counts) != {0}]
    values = [tuple(sorted(value for value in each.counts if value != 0)) for each in drawn]
    foreground = {value for each in values for value in each}
    if not any(0 in each.counts for each in described) and 2 <= len(foreground) <= MOST_CLASSES:
        return _without_zero(drawn, values, sorted(foreground))
    if all(len(each) == 1 for each in values) and (len(foreground) <= 1 or foreground <= MASKED):
        return _mask(drawn, mixed=len(foreground) > 1)
    return _numbers(drawn, values) if len(foreground) <= MOST_CLASSES else Judgement("instances")


def _mask(drawn: Sequence[Description], mixed: bool) -> Judgement:
    reasons = ("mixed-mask",) if mixed else ()
    if _most(each.is_net for each in drawn):
        white = max(value for each in drawn for value in each.counts)
        return Judgement("boundary", (white, 0), "classes", (*reasons, "white-lines"))
    if _most(each.thin for each in drawn):
        return Judgement("boundary", reasons=reasons)
    if _most(each.has_blobs for each in drawn):
        return Judgement("binary", reasons=(*reasons, "white-ground"))
    if _most(each.is_branching for each in drawn):
        return Judgement("classes", None, "binary", (*reasons, "thin-pieces"))
    return Judgement("binary", reasons=reasons)


def _without_zero(drawn: Sequence[Description], values: Sequence[tuple[int, ...]], foreground: list[int]) -> Judgement:
    """Infer the kind of labels in which 0 does not occur, such as ilastik's, which are numbered from 1.

    Args:
        drawn: description of each label image.
        values: the values in each label image.
        foreground: all values that occur in any label image.
    """
    numbers = _numbers(drawn, values)
    if len(foreground) > 2:
        return replace(numbers, reasons=("no-zero",)) if numbers.kind == "classes" else numbers
    border = {value: sum(each.areas[value].border for each in drawn if value in each.areas) for value in foreground}
    ground = max(foreground, key=lambda value: border[value])
    return Judgement("binary", (ground, *(value for value in foreground if value != ground)), "classes", ("no-zero",))


def _numbers(drawn: Sequence[Description], values: Sequence[tuple[int, ...]]) -> Judgement:
    """Infer the kind of labels with few different values, which may be classes or numbers of cells.

    A cell has one piece, and its position, size and grey level vary between images. A class has several pieces, or its
    position, size or grey level is the same in all images.

    Args:
        drawn: description of each label image that is not empty.
        values: the foreground values in each of these label images.
    """
    if np.mean([each.single for each in drawn]) < MOST_SCATTERED > np.mean([each.whole for each in drawn]):
        return Judgement("classes", other="instances")
    classes, cells = (
        Judgement(kind, None, other, ("few-numbers",))
        for kind, other in (("classes", "instances"), ("instances", "classes"))
    )
    numbers = {value for each in values for value in each}
    count = len(numbers)
    sure = Judgement("instances") if count > FEW_CLASSES else cells
    closed_up = all(each == tuple(range(1, len(each) + 1)) for each in values)
    recurring = [value for value in numbers if sum(value in each for each in values) > 1]
    areas = [{value: each.areas[value] for value in found} for each, found in zip(drawn, values, strict=True)]
    if len(values) == 1 or not recurring:
        layers = any(area.spans for each in areas for area in each.values())
        return sure if not layers and (closed_up or count > FEW_CLASSES or len(values) > 1) else classes
    size = _kept(areas, recurring, lambda area: [np.log(area.share)])
    grey = _kept(areas, recurring, lambda area: [area.grey])
    place = _kept(areas, recurring, lambda area: [area.y, area.x], AT_ITS_PLACE)
    if max(size, grey, place) >= KEPT:
        wells = _alike(areas) and (grey < KEPT or count > FEW_CLASSES)
        return cells if wells and closed_up else classes
    return sure if closed_up or count > FEW_CLASSES else classes


def _kept(
    areas: Sequence[dict[int, Area]],
    values: Sequence[int],
    of: Callable[[Area], list[float]],
    farthest: float = math.inf,
) -> float:
    """Return how constant a property of each label value is over the images: its intraclass correlation (Fisher 1925).

    1: the property is constant for each value and differs between values. 0: the correlation is not significant, or
    the property of a value varies by more than ``farthest``.

    Args:
        areas: the area of each label value in each image.
        values: the label values to compare.
        of: function that returns the property of an area, as one or several numbers.
        farthest: largest standard deviation of the property of a value between images.
    """
    groups = [np.array([of(each[value]) for each in areas if value in each]) for value in values]
    sizes = np.array([len(group) for group in groups])
    if len(groups) < 2:
        return 0.0
    centre = np.concatenate(groups).mean(axis=0)
    between = sum(len(group) * np.sum((group.mean(axis=0) - centre) ** 2) for group in groups) / (len(groups) - 1)
    within = sum(np.sum((group - group.mean(axis=0)) ** 2) for group in groups) / (sizes.sum() - len(groups))
    if within > farthest**2:
        return 0.0
    total = between + (sizes.mean() - 1) * within
    by_chance = stats.f.sf(between / within, len(groups) - 1, sizes.sum() - len(groups)) if within else 0.0
    return float((between - within) / total) if total > 1e-12 and by_chance < CHANCE else 0.0


def _alike(areas: Sequence[dict[int, Area]]) -> bool:
    """Return whether all areas have about the same size and none spans its image, as a layer would."""
    every = [area for each in areas for area in each.values()]
    shares = np.array([area.share for area in every])
    return bool(shares.std() <= ALIKE * shares.mean()) and not any(area.spans for area in every)


def _most(found: Iterable[bool]) -> bool:
    found = list(found)
    return bool(found) and sum(found) > len(found) / 2


def without(described: Sequence[Description], value: int) -> list[Description]:
    """Return descriptions of label images without the pixel counts and areas of one value; the rest is unchanged."""
    return [
        replace(
            each,
            counts={other: count for other, count in each.counts.items() if other != value},
            areas={other: area for other, area in each.areas.items() if other != value},
        )
        for each in described
    ]


def void(described: Sequence[Description]) -> int | None:
    """Return the label value that may mark unannotated pixels, or None if there is no such value.

    It is 255 or 65 535 if the other values are 1, 2, … without gaps, as class numbers are, and perhaps 0.

    Args:
        described: description of each label image.
    """
    values = {value for each in described for value in each.counts}
    for value in VOID:
        others = values - {value, 0}
        having = [each for each in described if value in each.counts]
        if value not in values or not others or max(others) > MOST_CLASSES:
            continue
        if others == set(range(1, max(others) + 1)) and 2 * len(having) > len(described) and len(values) > 2:
            # If 0, 1 and 255 never occur in one image, both 1 and 255 are foreground.
            return value if any(len(each.counts) > 2 for each in having) else None
    return None
