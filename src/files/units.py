"""Lengths as files of microscopes say them, in micrometres."""

import math
from collections.abc import Mapping

MICROMETRES = {
    **dict.fromkeys(("µm", "μm", r"\u00B5m", "um", "micron", "microns", "micrometer"), 1.0),  # ImageJ writes the third
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("Å", "angstrom"), 1e-4),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    "inch": 25_400.0,
}


def number(text: object) -> float:
    """A number that a file says, NaN if it is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def possible(sizes: dict[str, float]) -> dict[str, float]:
    """Sizes of a pixel without those that no pixel has: a file may say 0, −1 or NaN where nobody knew."""
    return {axis: size for axis, size in sizes.items() if math.isfinite(size) and size > 0}


def resolution(size: Mapping[str, float]) -> dict:
    """The tags of a TIFF, as tifffile takes them, for a pixel of so many micrometres; none if X or Y is not known."""
    if not {"X", "Y"} <= size.keys():
        return {}
    return {"resolution": tuple(1e4 / size[axis] for axis in "XY"), "resolutionunit": "CENTIMETER"}
