"""Legends of label images: the pixel value, name and colour of each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_CLASSES, LONGEST_NAME = 256, 64


@dataclass(frozen=True)
class Legend:
    """Pixel values, names and colours of the classes 0, 1, …; each of these is an empty tuple if it is unknown.

    Checkpoints and label images store the legend, so that predictions use the same pixel values as the annotation.

    Attributes:
        values: pixel value of each class in label images; if empty, pixel values are class numbers.
        names: name of each class.
        colours: colour of each class as red, green and blue from 0 to 255.
    """

    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if len({len(each) for each in vars(self).values() if each}) > 1:
            raise ValueError(f"expected values, names and colours for equally many classes, but got {str(self)[:80]}")
        for what, each in vars(self).items():
            if len(each) > MOST_CLASSES:
                raise ValueError(f"expected {what} for at most {MOST_CLASSES} classes, but got {len(each)}")
        if not all(type(value) is int and abs(value) < 2**31 for value in self.values):
            raise ValueError(f"expected 32-bit integers as values of classes, but got {str(self.values)[:80]}")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"expected a different value for each class, but got {str(self.values)[:80]}")
        if not all(type(name) is str and len(name) <= LONGEST_NAME and name.isprintable() for name in self.names):
            raise ValueError(f"expected short names of classes, but got {str(self.names)[:80]}")
        flat = [part for colour in self.colours for part in colour]
        if len(flat) != 3 * len(self.colours) or not all(type(part) is int and 0 <= part < 256 for part in flat):
            raise ValueError(f"expected colours of three numbers from 0 to 255, but got {str(self.colours)[:80]}")

    def fits(self, classes: int) -> bool:
        """Return whether the legend describes exactly ``classes`` classes, or is empty."""
        return all(len(each) in (0, classes) for each in vars(self).values())

    def name(self, number: int) -> str:
        """Return the name of class ``number``, or ``class NUMBER`` if its name is unknown."""
        return (self.names[number] if self.names else "") or f"class {number}"

    def described(self) -> dict[str, str]:
        """Return the meaning of each pixel value in a label image, such as ``{"0": "background", "255": "vessel"}``."""
        count = max(len(self.values), len(self.names), len(self.colours))
        values, names = self.values or range(count), self.names or ("",) * count
        colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self.colours] or [""] * count
        rows = zip(values, names, colours, strict=True)
        return {
            str(value): " ".join(filter(None, each)) or f"class {place}" for place, (value, *each) in enumerate(rows)
        }


NUMBERS = Legend()


def legend_of(plain: object) -> Legend:
    """Make a legend from a dictionary of lists, in which checkpoints store it (see `plain`).

    Raises:
        ValueError: ``plain`` is not a valid legend.
    """
    known = set(vars(NUMBERS))
    if (
        type(plain) is not dict
        or not set(plain) <= known
        or not all(type(each) in (list, tuple) for each in plain.values())
    ):
        raise ValueError(f"expected a legend of {', '.join(known)}, but got {str(plain)[:80]}")
    colours = plain.get("colours", ())
    if not all(type(colour) in (list, tuple) for colour in colours):
        raise ValueError(f"expected colours of three numbers, but got {str(colours)[:80]}")
    return Legend(tuple(plain.get("values", ())), tuple(plain.get("names", ())), tuple(map(tuple, colours)))


def plain(legend: Legend) -> dict[str, list[object]]:
    """Convert a legend to a dictionary of lists, which checkpoints can store."""
    return {
        "values": list(legend.values),
        "names": list(legend.names),
        "colours": [list(colour) for colour in legend.colours],
    }


def in_values(classes: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Replace the class number of each pixel by the pixel value of that class.

    Args:
        classes: class numbers, integers of any shape.
        values: pixel value of each class, as in `Legend.values`.

    Returns:
        An int32 array of the same shape; ``classes`` unchanged if ``values`` is empty.
    """
    return np.asarray(values, np.int32)[classes] if len(values) else classes
