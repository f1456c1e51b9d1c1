"""Conversion of lengths in image metadata to micrometres."""

import math
from collections.abc import Mapping
from typing import TypedDict

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


class Resolution(TypedDict, total=False):
    """Arguments with which tifffile writes the resolution of a TIFF."""

    resolution: tuple[float, float]
    resolutionunit: str


def number(value: str | float | None) -> float:
    """Convert a value in metadata to a float; return NaN if the value is not a number."""
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):  # metadata may contain anything
        return math.nan


def possible(sizes: dict[str, float]) -> dict[str, float]:
    """Return the pixel sizes that are positive and finite; some files state 0, −1 or NaN for an unknown size."""
    return {axis: size for axis, size in sizes.items() if math.isfinite(size) and size > 0}


def resolution(size: Mapping[str, float]) -> Resolution:
    """Return the arguments with which tifffile writes a pixel size in µm; empty if the size in X or Y is unknown."""
    if not {"X", "Y"} <= size.keys():
        return {}
    return {"resolution": (1e4 / size["X"], 1e4 / size["Y"]), "resolutionunit": "CENTIMETER"}
