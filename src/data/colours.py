"""One table of colours for all label files of a folder, so that a colour is the same class in each of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from src.data.description import MOST_CLASSES, Description
from src.data.finding import ERROR, Finding, Refused
from src.data.numbers import unpacked
from src.files.reading import read_text

LABELMAP = "labelmap.txt"


def read_labelmap(root: Path) -> dict[int, str] | None:
    """The names of packed colours, in the order of CVAT's ``labelmap.txt``; None if there is no such file.

    A line is ``name:red,green,blue:parts:actions``.

    Raises:
        Refused: a line is none.
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
            expected, fix = "name:red,green,blue, each from 0 to 255", "mend the line, or remove the file"
            raise Refused(Finding("labelmap", ERROR, str(file), repr(line[:80]), expected, fix)) from error
        found[red << 16 | green << 8 | blue] = name.strip()
    return found


def table(described: Sequence[Description], labelmap: dict[int, str] | None) -> tuple[int, ...]:
    """The packed colours of class 0, 1, …: those of a labelmap, else by frequency after the background.

    The background is black, or where that does not occur the most frequent colour.
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
    """That one file holds colours where most hold numbers, or numbers where most hold colours."""
    found, expected = ("colours", "numbers") if in_colours else ("numbers", "colours")
    fix = f"save all labels as {expected}, or all as {found}"
    return Finding("rgb-label", ERROR, str(file), found, f"{expected}, as in most files", fix)


def are_classes(described: Sequence[Description]) -> bool:
    """Whether so few colours occur that each stands for a class; else each object has one of its own."""
    return len(set().union(*(each.counts for each in described))) <= MOST_CLASSES + 1


def shown(values: Sequence[int], names: Sequence[str] = ()) -> str:
    """A table of colours as a person reads it."""
    named = [*names, *[""] * (len(values) - len(names))]
    return ", ".join(
        f"{place} {name + ' ' if name else ''}{unpacked(value)}"
        for place, (value, name) in enumerate(zip(values, named, strict=True))
    )
