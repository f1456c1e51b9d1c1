"""One colour table for all label files of a folder, so that a colour is the same class in each of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from src.data.description import MOST_CLASSES, Description
from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import as_colours, unpacked
from src.files.reading import read_text

LABELMAP = "labelmap.txt"


def read_labelmap(root: Path) -> dict[int, str] | None:
    """Read the names of packed colours from CVAT's ``labelmap.txt``, in its order; None if there is no such file.

    A line reads ``name:red,green,blue:parts:actions``.

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
    """Write the line of a packed colour in a labelmap.

    >>> line("cell", 0x307020)
    'cell:48,112,32'
    """
    return f"{name}:{','.join(map(str, unpacked(colour)))}"


def table(described: Sequence[Description], labelmap: dict[int, str] | None) -> tuple[int, ...]:
    """Return the packed colours of class 0, 1, …: those of a labelmap, else the background and then by frequency.

    The background is black, or the most frequent colour if black does not occur.
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
    """Report a file that holds colours where most hold numbers, or the other way round."""
    found, expected = ("colours", "numbers") if in_colours else ("numbers", "colours")
    fix = f"save all labels as {expected}, or all as {found}"
    return Finding("rgb-label", ERROR, str(file), found, f"{expected}, as in most files", fix)


def are_classes(described: Sequence[Description]) -> bool:
    """Whether so few colours occur that each is a class; with more, each is a cell."""
    return len(set().union(*(each.counts for each in described))) <= MOST_CLASSES + 1


def shown(values: Sequence[int], names: Sequence[str] = ()) -> str:
    """Format a colour table for a person."""
    named = [*names, *[""] * (len(values) - len(names))]
    return ", ".join(
        f"{place} {name + ' ' if name else ''}{unpacked(value)}"
        for place, (value, name) in enumerate(zip(values, named, strict=True))
    )


class Labelled(Protocol):
    """How the labels of one file or image are stored, see `numbers.Drawn`; their pixels are not needed."""

    @property
    def in_colours(self) -> bool:
        """Whether the labels are colours."""

    @property
    def was_grey(self) -> bool:
        """Whether the labels were saved as equal red, green and blue."""

    @property
    def palette(self) -> tuple[int, ...]:
        """Packed colour of number 0, 1, …; empty without a palette."""


AnyLabelled = TypeVar("AnyLabelled", bound=Labelled)


def tell(files: Sequence[Labelled], values: Sequence[Iterable[int]]) -> bool:
    """Whether colours and not numbers identify labels: some files have no numbers, or palettes differ between files.

    Args:
        files: all label files.
        values: the numbers that occur in each of them; may be empty.
    """
    seen: dict[int, int] = {}
    pairs = zip(files, values, strict=bool(values))
    shown_in = ((value, each.palette[value]) for each, found in pairs if each.palette for value in found)
    differ = any(seen.setdefault(value, colour) != colour for value, colour in shown_in)
    return differ or any(each.in_colours for each in files)


def odd_ones(files: Sequence[AnyLabelled]) -> list[AnyLabelled]:
    """Return the files with colours where most have numbers, or with numbers where most have colours."""
    in_colours, in_numbers = (
        [each for each in files if each.in_colours is coloured and not (each.was_grey or each.palette)]
        for coloured in (True, False)
    )
    return min(in_colours, in_numbers, key=len)


def alike(labels: np.ndarray, each: Labelled, in_colours: bool) -> np.ndarray:
    """Convert the labels of a file to packed colours if ``in_colours``, as those of its folder are."""
    if not in_colours or each.in_colours:
        return labels
    return np.asarray(each.palette, np.int32)[labels] if each.palette else as_colours(labels)


def packed_counts(counts: dict[int, int], each: Labelled) -> dict[int, int]:
    """Convert pixel counts of the values of a file to pixel counts of packed colours."""
    colours = alike(np.array(list(counts), np.int32), each, True).tolist()
    found: Counter[int] = Counter()
    for colour, count in zip(colours, counts.values(), strict=True):
        found[colour] += count
    return dict(found)
