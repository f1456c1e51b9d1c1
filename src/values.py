"""What the values of truth and prediction mean, which all files together tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.comparison import Facts
from src.data.finding import Refused
from src.data.grain import EDGED, FLAT, GRADED
from src.data.numbers import WHITE, Drawn, places_of
from src.files.arrays import strips_of
from src.instances import pieces
from src.metrics.semantic import MOST_CLASSES
from src.saying import say, warn

SCALES = {"uint8": 255, "uint16": 65535}  # of probabilities in whole numbers …
DARK, BRIGHT = 0.05, 0.5  # … and the shares of them that the lowest and the highest reach

Side = Sequence[Facts]  # of all truths, or of all predictions
Values = tuple[int, ...] | None  # of class 0, 1, …; None: the numbers themselves


@dataclass(frozen=True)
class Meant:
    """What the numbers of all truths, or of all predictions, mean: a `comparison.Meaning`."""

    values: Values = None  # or those of the background and all cells
    masks: bool = True  # whether 0 and 255 alone in a file are 0 and 1
    in_colours: bool = False  # whether it is their colours that count …
    pieced: bool = False  # … of which each may be that of several cells

    def __call__(self, drawn: Drawn, known: np.ndarray | None) -> np.ndarray:
        """The classes or cells of what was drawn, 0 where that is not known."""
        labels = colours.alike(drawn.numbers, drawn, True) if self.in_colours else drawn.numbers
        if labels.dtype.kind == "i" and not self.in_colours:
            labels = np.where(labels == -1, np.int32(self.values[0] if self.values else 0), labels)
        if self.values is not None:
            labels = places_of(labels, self.values)
        labels = labels if known is None else np.where(known, labels, labels.dtype.type(0))
        labels = pieces(labels) if self.pieced else labels
        white = labels.max()
        if self.values is not None or not self.masks or white not in WHITE:
            return labels
        is_mask = all(((strip == 0) | (strip == white)).all() for strip in strips_of(labels))
        return (labels > 0).astype(np.uint8) if is_mask else labels


def scales_of(predicted: Side) -> dict[str, int]:
    """By what values of each dtype are divided that are probabilities, in one file and so in all; it is said."""
    scales = {}
    for dtype in dict.fromkeys(each.dtype for each in predicted):
        held = [each for each in predicted if each.dtype == dtype]
        values = {value for each in held for value in each.counts} or {0}
        low, high, scale = min(values), max(values), SCALES.get(dtype, 0)
        graded, flat = ([each for each in held if each.grain in kinds] for kinds in ((GRADED, EDGED), (FLAT,)))
        if any(each.grain is None for each in held) or (dtype.startswith("float") and 0 <= low <= high <= 1):
            scales[dtype] = 1
        elif graded and flat:
            got = f"grey levels in {graded[0].file} and numbers in {flat[0].file}"
            raise ValueError(f"expected probabilities or labels throughout, but got {got}; nearest valid: one of both")
        elif graded and not min(min(each.counts) for each in graded) <= DARK * scale < BRIGHT * scale <= high:
            expected = "labels, or probabilities of 8 bits from 0 to 255 or of 16 bits from 0 to 65535"
            got = f"grey levels of {dtype} from {min(graded[0].counts)} to {high} in {graded[0].file} and others"
            raise ValueError(f"expected {expected}, but got {got}; nearest valid: real numbers from 0 to 1")
        elif graded:
            scales[dtype] = scale
            say(f"note: {graded[0].file}: probabilities from {low} to {high}, divided by {scale} ({len(held)} files)")
    return scales


def _told_by_colours(side: Side) -> bool:
    return colours.tell(side, [each.counts for each in side])


def _in_colours(side: Side) -> Side:
    """The same, with packed colours as values."""
    for odd in colours.odd_ones(side):
        raise Refused(colours.mixed(odd.file, odd.in_colours))
    return [replace(each, counts=colours.packed_counts(each.counts, each)) for each in side]


def said_values(predicted: Side) -> Values:
    """The values of class 0, 1, … that all prediction files say themselves, as those of src.predict do; else None."""
    said = {each.classes for each in predicted}
    return said.pop() or None if len(said) == 1 else None


def _held(side: Side) -> set[int]:
    """All values; −1 is background."""
    return {0 if value == -1 else value for each in side for value in each.counts}


def _are_masks(side: Side) -> bool:
    """Whether there are but 0 and 1, or 0 and 255, in each file."""
    return all(any(each.counts.keys() <= {-1, 0, white} for white in (1, *WHITE)) for each in side)


def _listed(values: Iterable[int], in_colours: bool = False) -> str:
    values = values if isinstance(values, tuple) else sorted(values)
    return ", ".join(str(colours.unpacked(value) if in_colours else value) for value in values)


def meanings(
    true: Side, labels: Side, of_classes: bool, values: Values = None, names: dict[int, str] | None = None
) -> tuple[Meant, Meant]:
    """What truth and prediction mean, from all files of them together, or why nobody can tell; this is said.

    Args:
        true: all truths.
        labels: the predictions but for probabilities.
        of_classes: whether they are to be classes, not cells.
        values: those of class 0, 1, … in the truth; None finds out.
        names: of colours in the truth.
    """
    if not of_classes:
        return _cells(true), _cells(labels)
    coloured, also = _told_by_colours(true), _told_by_colours(labels)
    if coloured:
        true = _in_colours(true)
        values = colours.table(true, names) if values is None else values
        say(f"note: classes by their colours: {colours.shown(values, tuple((names or {}).values()))}")
        also = also or (any(each.palette for each in labels) and _held(_in_colours(labels)) <= set(values))
    labels = _in_colours(labels) if also else labels
    if also and not coloured:
        raise Refused(colours.mixed(labels[0].file, True))
    if values is not None:
        return _by_values(true, labels, values, coloured, also)
    of_truth, held, masks = _held(true), _held(labels), _are_masks(true)
    usual = {0, 1} if masks else of_truth
    if usual == set(range(len(usual))) or len(usual) > MOST_CLASSES:
        if (len(usual) > 2 if _are_masks(labels) else held != set(range(len(held)))) and labels and held != usual:
            warn(f"the prediction holds {_listed(held)}, and the truth {_listed(usual)}")
        return Meant(masks=masks), Meant(masks=_are_masks(labels))
    void = [value for value in WHITE[:2] if of_truth - {value} == set(range(len(of_truth) - 1))]
    if not labels or not held <= of_truth:
        raise ValueError(_mismatch(true, labels, void))
    for value in void:
        warn(f"{value} is scored as a class; where nobody has annotated: ignore_label={value}")
    if max(of_truth) < MOST_CLASSES:
        return Meant(masks=False), Meant(masks=False)
    say(f"note: classes 0 to {len(of_truth) - 1} are {_listed(of_truth)} in truth and prediction")
    return _by_values(true, labels, tuple(sorted(of_truth)), False, False)


def _cells(side: Side) -> Meant:
    packed = _in_colours(side) if any(each.in_colours for each in side) else []
    return Meant(colours.table(packed, None), True, True, colours.are_classes(packed)) if packed else Meant()


def _mismatch(true: Side, labels: Side, void: list[int]) -> str:
    of_truth, held = _held(true), _held(labels)
    file = next((each.file for each in labels if not _held([each]) <= of_truth), true[0].file)
    every, nearest = of_truth | held, [f"ignore_label={value}" for value in void]
    nearest += [f"values=[{_listed(of_truth)}]"] if held <= set(range(len(of_truth))) else []
    nearest += [f"values=[{_listed(every)}]"] if held and every == set(range(len(every))) else []
    got = f"{_listed(of_truth)} in the truth and {_listed(held) or 'probabilities'} in the prediction ({file})"
    fix = " or ".join(each.replace(", ", ",") for each in nearest) or "the values of the truth in the prediction"
    return f"expected the same values in truth and prediction, but got {got}; nearest valid: {fix}"


def _by_values(true: Side, labels: Side, values: Values, coloured: bool, in_colours: bool) -> tuple[Meant, Meant]:
    """What they mean where the truth holds ``values`` of classes, and the prediction these or numbers of classes."""
    by_value = set(values) if in_colours == coloured else set()
    by_place = set() if in_colours else set(range(len(values)))
    shown = _listed(values, coloured)
    for each in true:
        if not _held([each]) <= set(values):
            got = f"{_listed(_held([each]), coloured)} in {each.file}"
            raise ValueError(f"expected {shown} in the truth, but got {got}; nearest valid: values=[…] of all classes")
    truth, held, said = Meant(values, in_colours=coloured), _held(labels), said_values(labels)
    if said is not None:
        return truth, Meant(said)
    odd = [each for each in labels if not (_held([each]) <= by_value or _held([each]) <= by_place)] or [*labels, *true]
    expected = f"{shown} or, as numbers of these classes, 0 to {len(values) - 1} in the prediction"
    got = f"{_listed(held, in_colours)} ({odd[0].file})"
    if held <= by_value & by_place and any(values[value] != value for value in held):
        fix = "another number for each class in the prediction, or no values=…, which takes them as the truth's"
        raise ValueError(f"expected {expected}, but got {got}, which may be either; nearest valid: {fix}")
    if held <= by_value:
        return truth, Meant(values, in_colours=coloured)
    if held <= by_place or (_are_masks(labels) and not in_colours):
        return truth, Meant()
    raise ValueError(f"expected {expected}, but got {got}; nearest valid: the values of the truth")


def agreed(
    true: Side, predicted: Side, of_classes: bool, values: Values, root: Path
) -> tuple[tuple[Meant, Meant], dict[str, int]]:
    """What labels mean, and by what probabilities of each dtype are divided; whatever was decided is said.

    Args:
        true: all truths.
        predicted: all predictions.
        of_classes: whether they are to be classes, not cells.
        values: those of class 0, 1, … in the truth; None finds out.
        root: the file or folder of the truth, in which a table of colours may lie.

    Raises:
        ValueError: nobody can tell.
    """
    scales = scales_of(predicted)
    names = {}
    if any(each.in_colours for each in true):
        folders = (root, true[0].file.parent, true[0].file.parent.parent)
        names = next((names for folder in folders if (names := colours.read_labelmap(folder))), {})
    labels = [each for each in predicted if each.dtype not in scales]
    meant = meanings(true, labels, of_classes, values, names)
    notes = {note.code: (each.file, note) for each in (*true, *labels)[::-1] for note in each.notes}
    for file, note in notes.values():  # each kind once
        say(f"note: {file}: {note.found}; taken: {note.taken}")
    if any({-1, 0} <= each.counts.keys() for each in true):
        warn("the truth holds -1 beside 0, and both are background; ignore_label=-1 leaves it out")
    return meant, scales
