"""Decide what the values of labels mean, from all label images together.

==========  ===================================================================================
binary      0 is background, one other value is foreground; cells are its components
boundary    the same, but the background is thin lines between cells (membranes, as in ISBI-2012)
instances   0 is background, every other value one cell
classes     each value a class
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
FEW_CLASSES = 4  # number of values up to which compact pieces may be classes
MOST_SCATTERED = 0.75  # share of values in one piece, below which values are classes
AT_ITS_PLACE = 0.15  # largest movement of the centre of an organ between images, as a share of the image
CHANCE = 0.01  # significance level of the F test for a correlation between images
KEPT = 0.7  # intraclass correlation from which a property of a value is constant over images
ALIKE = 0.2  # standard deviation over mean of areas, up to which all have one size, such as wells
MASKED = {1, *WHITE}  # values that programs use for the foreground of a mask
VOID = WHITE[:2]  # values that programs use for unannotated pixels


@dataclass(frozen=True)
class Judgement:
    """What labels mean, and what else they may mean.

    Attributes:
        kind: one of `KINDS`.
        values: the values of class 0, 1, …; of instances that of the background alone. None: 0 is background and all
            other values are foreground.
        other: the second most likely kind, None if there is no doubt.
        reasons: peculiarities to report: few-numbers, thin-pieces, mixed-mask, white-lines, white-ground, no-zero.
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
    """Return the configured kind and values; what is not configured follows from the files, or else from their values.

    Args:
        described: each label image, without its unannotated pixels.
        kind: ``data.source.kind``, one of `KINDS` or auto.
        values: ``data.source.values``, the values of class 0, 1, …, or None.
        said: the kind that the files declare, empty if they declare none.

    Raises:
        ValueError: ``kind`` does not exist.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"expected data.source.kind to be auto, {', '.join(KINDS)}, but got {kind}")
    found = Judgement(said) if said else infer(described)
    if kind == "auto":
        kind = found.kind if values is None else _kind_of(found, values)
    if values is not None:
        return replace(found, kind=kind, values=tuple(values))
    if kind != found.kind:
        # The configured kind counts, with 0 as background; the check reports doubts.
        kept = found.values if "no-zero" in found.reasons and kind != "instances" else None
        found = replace(found, kind=kind, values=kept)
    return replace(found, values=_class_values(described, found)) if kind == "classes" else found


def _kind_of(found: Judgement, values: Sequence[int]) -> str:
    """The kind of labels of which only the values were configured."""
    if found.kind == "instances":
        return "instances" if len(values) == 1 else "classes"
    same_ground = values[0] == (found.values or (0,))[0]
    return found.kind if len(values) <= 2 and (same_ground or found.kind != "boundary") else "classes"


def _class_values(described: Sequence[Description], found: Judgement) -> tuple[int, ...]:
    """The values of class 0, 1, …: 0, which is background even if it does not occur, and all others that occur."""
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
    """The kind of labels without 0, such as the 1 and 2 of ilastik."""
    numbers = _numbers(drawn, values)
    if len(foreground) > 2:
        return replace(numbers, reasons=("no-zero",)) if numbers.kind == "classes" else numbers
    border = {value: sum(each.areas[value].border for each in drawn if value in each.areas) for value in foreground}
    ground = max(foreground, key=lambda value: border[value])
    return Judgement("binary", (ground, *(value for value in foreground if value != ground)), "classes", ("no-zero",))


def _numbers(drawn: Sequence[Description], values: Sequence[tuple[int, ...]]) -> Judgement:
    """The kind of labels with few different numbers, which may be classes or numbers of cells.

    A cell is one piece, of random position, size and grey level. A class has several pieces, or its position, size or
    grey level is the same in all images.
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
    """The intraclass correlation (Fisher 1925) of a property of areas, with values as classes and images as members.

    1: the property is constant for each value and differs between values. 0: the correlation is not significant, or
    the property of a value varies by more than ``farthest``.
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
    """Whether all areas have one size and none spans its image, as layers do."""
    every = [area for each in areas for area in each.values()]
    shares = np.array([area.share for area in every])
    return bool(shares.std() <= ALIKE * shares.mean()) and not any(area.spans for area in every)


def _most(found: Iterable[bool]) -> bool:
    found = list(found)
    return bool(found) and sum(found) > len(found) / 2


def without(described: Sequence[Description], value: int) -> list[Description]:
    """Remove a value from descriptions of label images, as far as that is possible without their pixels."""
    return [
        replace(
            each,
            counts={other: count for other, count in each.counts.items() if other != value},
            areas={other: area for other, area in each.areas.items() if other != value},
        )
        for each in described
    ]


def void(described: Sequence[Description]) -> int | None:
    """Return the value that may mark unannotated pixels, 255 or 65 535 beside classes without gaps; else None."""
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
