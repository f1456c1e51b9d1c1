"""Build one colour table for all label files of a folder, so that a colour is the same class in every file.

A packed colour is one integer: red × 65 536 + green × 256 + blue.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from src.data.description import MOST_CLASSES
from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import as_colours, unpacked
from src.files.reading import read_text

LABELMAP = "labelmap.txt"


def read_labelmap(root: Path) -> dict[int, str] | None:
    """Read the class names of colours from the file ``labelmap.txt`` that CVAT writes into its exports.

    Each line has the format ``name:red,green,blue:parts:actions``.

    Returns:
        The names by packed colour, in the order of the lines; None if the file does not exist.

    Raises:
        Refused: a line has another format.
    """
    file = root / LABELMAP
    if not file.is_file():
        return None
    found = {}
    for line in read_text(file).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(part) for part in rest.partition(":")[0].split(","))
            if not all(0 <= part < 256 for part in (red, green, blue)):
                raise ValueError(line)
        except ValueError as error:
            expected, fix = "name:red,green,blue, each from 0 to 255", "correct the line, or remove the file"
            raise Refused(Finding("labelmap", ERROR, str(file), repr(line[:80]), expected, fix)) from error
        found[red << 16 | green << 8 | blue] = name.strip()
    return found


def line(name: str, colour: int) -> str:
    """Format the line of ``labelmap.txt`` for a class and its packed colour.

    >>> line("cell", 0x307020)
    'cell:48,112,32'
    """
    return f"{name}:{','.join(map(str, unpacked(colour)))}"


class Counted(Protocol):
    """An object that knows how often each value occurs in the labels of one file or image."""

    @property
    def counts(self) -> dict[int, int]:
        """The number of pixels with each label value."""


def table(described: Sequence[Counted], labelmap: dict[int, str] | None) -> tuple[int, ...]:
    """Return the packed colours of class 0, 1, ….

    The order is that of the labelmap. Without a labelmap, class 0 is the background (black, or the most frequent colour
    if black does not occur), and the other colours follow in order of decreasing frequency.

    Args:
        described: the pixel counts of each label file, by packed colour.
        labelmap: names by packed colour, from `read_labelmap`, or None.
    """
    if labelmap:
        return tuple(labelmap)
    pixels: Counter[int] = Counter()
    for each in described:
        pixels.update(each.counts)
    ordered = sorted(pixels, key=lambda colour: (-pixels[colour], colour))
    ground = 0 if 0 in pixels else ordered[0]
    return (ground, *(colour for colour in ordered if colour != ground))


def mixed(file: Path, in_colours: bool) -> Finding:
    """Report a label file that holds colours while most files hold numbers, or the other way round.

    Args:
        file: the label file.
        in_colours: whether this file holds colours.
    """
    found, expected = ("colours", "numbers") if in_colours else ("numbers", "colours")
    fix = f"save all labels as {expected}, or all as {found}"
    return Finding("rgb-label", ERROR, str(file), found, f"{expected}, as in most files", fix)


def are_classes(described: Sequence[Counted]) -> bool:
    """Return whether the label files hold so few colours that each colour is a class; otherwise, each is a cell."""
    return len(set().union(*(each.counts for each in described))) <= MOST_CLASSES + 1


def shown(values: Sequence[int], names: Sequence[str] = ()) -> str:
    """Format a colour table as text: number, name, and red, green and blue of each class.

    Args:
        values: packed colour of class 0, 1, ….
        names: names of the classes, as far as they are known.
    """
    named = [*names, *[""] * (len(values) - len(names))]
    return ", ".join(
        f"{place} {name + ' ' if name else ''}{unpacked(value)}"
        for place, (value, name) in enumerate(zip(values, named, strict=True))
    )


class Labelled(Protocol):
    """An object that knows how the labels of one file or image are stored, see `numbers.Drawn`."""

    @property
    def in_colours(self) -> bool:
        """Whether the labels are colours."""

    @property
    def was_grey(self) -> bool:
        """Whether the labels were saved as equal red, green and blue."""

    @property
    def palette(self) -> tuple[int, ...]:
        """The packed colour of label number 0, 1, …; empty without a palette."""


AnyLabelled = TypeVar("AnyLabelled", bound=Labelled)


def tell(files: Sequence[Labelled], values: Sequence[Iterable[int]]) -> bool:
    """Return whether labels are identified by their colours instead of their numbers.

    That is so if some files hold colours, or if files with palettes show the same number in different colours.

    Args:
        files: all label files.
        values: the numbers that occur in each file; if empty, palettes are not compared.
    """
    seen: dict[int, int] = {}
    pairs = zip(files, values, strict=bool(values))
    shown_in = ((value, each.palette[value]) for each, found in pairs if each.palette for value in found)
    differ = any(seen.setdefault(value, colour) != colour for value, colour in shown_in)
    return differ or any(each.in_colours for each in files)


def odd_ones(files: Sequence[AnyLabelled]) -> list[AnyLabelled]:
    """Return the files that hold colours if most files hold numbers, or numbers if most files hold colours.

    Files with equal red, green and blue or with a palette can be read either way and are never returned.
    """
    in_colours, in_numbers = (
        [each for each in files if each.in_colours is coloured and not (each.was_grey or each.palette)]
        for coloured in (True, False)
    )
    return min(in_colours, in_numbers, key=len)


def alike(labels: np.ndarray, each: Labelled, in_colours: bool) -> np.ndarray:
    """Convert the labels of one file to packed colours if the labels of its folder are colours.

    Args:
        labels: labels of the file, integers of any shape.
        each: how the labels of the file are stored.
        in_colours: whether the labels of the folder are colours; if not, the labels are returned unchanged.
    """
    if not in_colours or each.in_colours:
        return labels
    return np.asarray(each.palette, np.int32)[labels] if each.palette else as_colours(labels)


def packed_counts(counts: dict[int, int], each: Labelled) -> dict[int, int]:
    """Convert the pixel counts of one file from counts by label value to counts by packed colour.

    Args:
        counts: number of pixels of each label value.
        each: how the labels of the file are stored.
    """
    colours = alike(np.array(list(counts), np.int32), each, True).tolist()
    found: Counter[int] = Counter()
    for colour, count in zip(colours, counts.values(), strict=True):
        found[colour] += count
    return dict(found)
