"""Find out what the values in label images mean, from all files of the truth and the prediction together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.comparison import Facts
from src.data.finding import Refused
from src.data.grain import EDGED, FLAT, GRADED
from src.data.numbers import WHITE, Drawn, places_of, unpacked
from src.files.arrays import strips_of
from src.instances import pieces
from src.metrics.semantic import MOST_CLASSES
from src.saying import say, warn

SCALES = {"uint8": 255, "uint16": 65535}  # the integers that stand for probability 1, by dtype
DARK, BRIGHT = 0.05, 0.5  # as shares of the scale: integer probabilities have a minimum ≤ DARK and a maximum ≥ BRIGHT

Side = Sequence[Facts]  # all files of the truth, or of the prediction
Values = tuple[int, ...] | None  # the values of class 0, 1, …; None: the stored numbers are the class numbers


@dataclass(frozen=True)
class Meant:
    """The meaning of the values in all files of the truth or of the prediction; a call converts values accordingly.

    Attributes:
        values: the values of all classes, or of the background and all cells; None: the stored numbers are used.
        masks: whether a file with only 0 and 255 is a mask of 0 and 1.
        in_colours: whether the values are packed colours, not stored numbers.
        pieced: whether several cells may share a value, so that each connected component is a cell.
    """

    values: Values = None
    masks: bool = True
    in_colours: bool = False
    pieced: bool = False

    def __call__(self, drawn: Drawn, known: np.ndarray | None) -> np.ndarray:
        """Return the classes or cells of a label image, 0 in unannotated pixels.

        Args:
            drawn: the label image as read from its file.
            known: the annotated pixels, booleans; None: all pixels.
        """
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
    """Return the number by which stored probabilities are divided, by dtype; dtypes that hold labels have no entry.

    If integers are taken as probabilities, a note is printed.
    """
    scales = {}
    for dtype in dict.fromkeys(each.dtype for each in predicted):
        files = [each for each in predicted if each.dtype == dtype]
        values = {value for each in files for value in each.counts} or {0}
        low, high, scale = min(values), max(values), SCALES.get(dtype, 0)
        graded, flat = ([each for each in files if each.grain in kinds] for kinds in ((GRADED, EDGED), (FLAT,)))
        if any(each.grain is None for each in files) or (dtype.startswith("float") and 0 <= low <= high <= 1):
            scales[dtype] = 1
        elif graded and flat:
            got = f"grey levels in {graded[0].file} and labels in {flat[0].file}"
            raise ValueError(f"expected only probabilities or only labels, but got {got}; nearest valid: one of both")
        elif graded and not min(min(each.counts) for each in graded) <= DARK * scale < BRIGHT * scale <= high:
            expected = "labels, or probabilities of 8 bits from 0 to 255 or of 16 bits from 0 to 65535"
            got = f"grey levels of {dtype} from {min(graded[0].counts)} to {high} in {graded[0].file} and others"
            raise ValueError(f"expected {expected}, but got {got}; nearest valid: real numbers from 0 to 1")
        elif graded:
            scales[dtype] = scale
            say(f"note: {graded[0].file}: probabilities from {low} to {high}, divided by {scale} ({len(files)} files)")
    return scales


def _are_colours(side: Side) -> bool:
    return colours.tell(side, [each.counts for each in side])


def _in_colours(side: Side) -> Side:
    """Return the same files with packed colours as values."""
    for odd in colours.odd_ones(side):
        raise Refused(colours.mixed(odd.file, odd.in_colours))
    return [replace(each, counts=colours.packed_counts(each.counts, each)) for each in side]


def stated_values(predicted: Side) -> Values:
    """Return the class values stated in all prediction files, as in those of `src.predict`; None if not all agree."""
    stated = {each.classes for each in predicted}
    return stated.pop() or None if len(stated) == 1 else None


def _occurring(side: Side) -> set[int]:
    """Return all values that occur in the files, with −1 replaced by 0, the background."""
    return {0 if value == -1 else value for each in side for value in each.counts}


def _are_masks(side: Side) -> bool:
    """Return whether each file holds only 0 and 1, or only 0 and one of `WHITE`, such as 255; −1 is ignored."""
    return all(any(each.counts.keys() <= {-1, 0, white} for white in (1, *WHITE)) for each in side)


def _listed(values: Iterable[int], in_colours: bool = False) -> str:
    values = values if isinstance(values, tuple) else sorted(values)
    return ", ".join(str(unpacked(value) if in_colours else value) for value in values)


def meanings(
    true: Side, labels: Side, of_classes: bool, values: Values = None, names: dict[int, str] | None = None
) -> tuple[Meant, Meant]:
    """Find out what the values in truth and prediction mean, from all their files, and print notes on the meaning.

    Args:
        true: all files of the truth.
        labels: all files of the prediction that hold labels, not probabilities.
        of_classes: whether classes are compared, not cells.
        values: the values of class 0, 1, … in the truth; None: find them out.
        names: the names of packed colours in the truth; None if unknown.

    Returns:
        The meaning of the truth, and the meaning of the prediction.
    """
    if not of_classes:
        return _cells(true), _cells(labels)
    coloured, also = _are_colours(true), _are_colours(labels)
    if coloured:
        true = _in_colours(true)
        values = colours.table(true, names) if values is None else values
        say(f"note: classes by their colours: {colours.shown(values, tuple((names or {}).values()))}")
        also = also or (any(each.palette for each in labels) and _occurring(_in_colours(labels)) <= set(values))
    labels = _in_colours(labels) if also else labels
    if also and not coloured:
        raise Refused(colours.mixed(labels[0].file, True))
    if values is not None:
        return _by_values(true, labels, values, coloured, also)
    of_truth, held, masks = _occurring(true), _occurring(labels), _are_masks(true)
    usual = {0, 1} if masks else of_truth
    if usual == set(range(len(usual))) or len(usual) > MOST_CLASSES:
        if (len(usual) > 2 if _are_masks(labels) else held != set(range(len(held)))) and labels and held != usual:
            warn(f"the prediction holds {_listed(held)}, and the truth {_listed(usual)}")
        return Meant(masks=masks), Meant(masks=_are_masks(labels))
    void = [value for value in WHITE[:2] if of_truth - {value} == set(range(len(of_truth) - 1))]
    if not labels or not held <= of_truth:
        raise ValueError(_mismatch(true, labels, void))
    for value in void:
        warn(f"{value} is scored as a class; if it marks pixels that are not annotated: ignore_label={value}")
    if max(of_truth) < MOST_CLASSES:
        return Meant(masks=False), Meant(masks=False)
    say(f"note: classes 0 to {len(of_truth) - 1} are {_listed(of_truth)} in truth and prediction")
    return _by_values(true, labels, tuple(sorted(of_truth)), False, False)


def _cells(side: Side) -> Meant:
    packed = _in_colours(side) if any(each.in_colours for each in side) else []
    return Meant(colours.table(packed, None), True, True, colours.are_classes(packed)) if packed else Meant()


def _mismatch(true: Side, labels: Side, void: list[int]) -> str:
    of_truth, held = _occurring(true), _occurring(labels)
    file = next((each.file for each in labels if not _occurring([each]) <= of_truth), true[0].file)
    every, nearest = of_truth | held, [f"ignore_label={value}" for value in void]
    nearest += [f"values=[{_listed(of_truth)}]"] if held <= set(range(len(of_truth))) else []
    nearest += [f"values=[{_listed(every)}]"] if held and every == set(range(len(every))) else []
    got = f"{_listed(of_truth)} in the truth and {_listed(held) or 'probabilities'} in the prediction ({file})"
    fix = " or ".join(each.replace(", ", ",") for each in nearest) or "the values of the truth in the prediction"
    return f"expected the same values in truth and prediction, but got {got}; nearest valid: {fix}"


def _by_values(
    true: Side, labels: Side, values: tuple[int, ...], coloured: bool, in_colours: bool
) -> tuple[Meant, Meant]:
    """Return the meanings of a truth with the values ``values`` and of a prediction with these or with class numbers.

    Args:
        true: all files of the truth.
        labels: all files of the prediction that hold labels, not probabilities.
        values: the values of class 0, 1, … in the truth.
        coloured: whether the values of the truth are packed colours.
        in_colours: whether the values of the prediction are packed colours.
    """
    by_value = set(values) if in_colours == coloured else set()
    by_place = set() if in_colours else set(range(len(values)))
    shown = _listed(values, coloured)
    for each in true:
        if not _occurring([each]) <= set(values):
            got = f"{_listed(_occurring([each]), coloured)} in {each.file}"
            raise ValueError(f"expected {shown} in the truth, but got {got}; nearest valid: values=[…] of all classes")
    truth, held, stated = Meant(values, in_colours=coloured), _occurring(labels), stated_values(labels)
    if stated is not None:
        return truth, Meant(stated)
    odd = [each for each in labels if not (_occurring([each]) <= by_value or _occurring([each]) <= by_place)] or [
        *labels,
        *true,
    ]
    expected = f"{shown} or, as numbers of these classes, 0 to {len(values) - 1} in the prediction"
    got = f"{_listed(held, in_colours)} ({odd[0].file})"
    if held <= by_value & by_place and any(values[value] != value for value in held):
        fix = "another number for each class in the prediction, or no values=…, so that it is read as the truth is"
        raise ValueError(f"expected {expected}, but got {got}, which could be either; nearest valid: {fix}")
    if held <= by_value:
        return truth, Meant(values, in_colours=coloured)
    if held <= by_place or (_are_masks(labels) and not in_colours):
        return truth, Meant()
    raise ValueError(f"expected {expected}, but got {got}; nearest valid: the values of the truth")


def agreed(
    true: Side, predicted: Side, of_classes: bool, values: Values, root: Path
) -> tuple[tuple[Meant, Meant], dict[str, int]]:
    """Find out what labels mean and by which numbers stored probabilities are divided, and print notes on both.

    Args:
        true: all files of the truth.
        predicted: all files of the prediction.
        of_classes: whether classes are compared, not cells.
        values: the values of class 0, 1, … in the truth; None: find them out.
        root: the file or folder of the truth, which may contain a table of colours.

    Returns:
        The meanings of truth and prediction, as from `meanings`; and the divisors by dtype, as from `scales_of`.

    Raises:
        ValueError: the meaning cannot be told from the files, or truth and prediction do not fit together.
    """
    scales = scales_of(predicted)
    names: dict[int, str] | None = None
    if any(each.in_colours for each in true):
        folders = (root, true[0].file.parent, true[0].file.parent.parent)
        tables = (colours.read_labelmap(folder) for folder in folders)
        names = next((table for table in tables if table), None)
    labels = [each for each in predicted if each.dtype not in scales]
    meant = meanings(true, labels, of_classes, values, names)
    notes = {note.code: (each.file, note) for each in (*true, *labels)[::-1] for note in each.notes}
    for file, note in notes.values():  # one note of each kind
        say(f"note: {file}: {note.found}; taken: {note.taken}")
    if any({-1, 0} <= each.counts.keys() for each in true):
        warn("the truth holds -1 beside 0, and both are background; ignore_label=-1 leaves it out")
    return meant, scales
