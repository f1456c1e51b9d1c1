"""``NAME_table.csv``: one row per cell, with the measures that scikit-image's regionprops gives on the whole image."""

import csv
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import regionprops_table

from src.files.whole import write_rows
from src.prediction.outputs.cells import Cells, Giant, Group, groups
from src.prediction.outputs.giants import properties

AXES = {"Z": "slice", "T": "frame"}  # columns for the position of a plane in its stack
BOX = ("bbox_top", "bbox_left", "bbox_bottom", "bbox_right")  # first row and column, last row and column plus 1
SHAPE = (
    "perimeter",
    "axis_major_length",
    "axis_minor_length",
    "equivalent_diameter_area",
    "eccentricity",
    "orientation",
    "solidity",
)
LENGTHS = SHAPE[:4]
MADE_FROM = "made_from"


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write the table of the cells of an image; the file appears only when it is complete.

    Args:
        file: path of the CSV file.
        cells: the cells of the image.
        made_from: text that identifies everything the cells depend on; it is stored in the file.
    """
    rows = ({**row, MADE_FROM: made_from} for group in groups(cells) for row in measured(group, cells))
    first = list(itertools.islice(rows, 1))
    # In a table without rows, only the header can hold what the table was made from.
    last = MADE_FROM if first else f"{MADE_FROM} {made_from}"
    write_rows(file, itertools.chain(first, rows), [*columns(cells), last])


def made_from(file: Path) -> str:
    """Read the ``made_from`` text that `write` stored in a table.

    Raises:
        ValueError, OSError, StopIteration: the file was not written by `write`.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        table = csv.reader(lines)
        header = next(table)
        return next(table, [header[-1].removeprefix(f"{MADE_FROM} ")])[-1]


def columns(cells: Cells) -> list[str]:
    """Return the column names; lengths and areas are in pixels unless their names end in ``_um`` or ``_um2``."""
    image = cells.image
    known, square = micrometres(cells)
    means = [f"intensity_mean_{channel}" for channel in range(image.in_channels)]
    return [
        "label",
        *(["class"] if cells.kinds else []),
        *(AXES[axis] for axis in image.stack_axes),
        "area",
        *(["area_um2"] if known else []),
        "centroid_y",
        "centroid_x",
        *(["centroid_y_um", "centroid_x_um"] if known else []),
        *BOX,
        *means,
        *SHAPE,
        *([f"{name}_um" for name in LENGTHS] if square else []),
        "confidence",
    ]


def micrometres(cells: Cells) -> tuple[dict[str, float], bool]:
    """Return the pixel size in µm by axis (Y, X), empty if unknown, and whether pixels are square, as lengths need."""
    size = {axis: cells.image.pixel_size[axis] for axis in "YX" if axis in cells.image.pixel_size}
    known = size if len(size) == 2 else {}
    return known, bool(known) and math.isclose(size["Y"], size["X"], rel_tol=1e-3)


def measured(group: Group | Giant, cells: Cells) -> Iterator[dict[str, Any]]:
    """Yield the table row of each cell in a group, in ascending order of labels."""
    found = properties(group, cells) if isinstance(group, Giant) else _properties(group, cells)
    top, left = group.window[:2]
    for place, axis in enumerate("yx"):
        found[f"centroid_{axis}"] = found.pop(f"centroid-{place}") + (top, left)[place]
    for place, name in enumerate(BOX):
        found[name] = found.pop(f"bbox-{place}") + (top, left)[place % 2]
    for channel in range(cells.image.in_channels):
        found[f"intensity_mean_{channel}"] = found.pop(f"intensity_mean-{channel}")
    found |= _in_micrometres(found, *micrometres(cells))
    where = {AXES[axis]: place for axis, place in cells.place(group.plane).items()}
    listed = {name: values.tolist() for name, values in found.items()}
    for row in zip(*listed.values(), strict=True):
        own = dict(zip(listed, row, strict=True))
        kind = {"class": cells.kind(group.plane, own["label"])} if cells.kinds else {}
        yield own | kind | where


def _properties(group: Group, cells: Cells) -> dict[str, np.ndarray]:
    """Return scikit-image's measures and the confidence of each cell; positions are relative to the group's window."""
    top, left, height, width = group.window
    seen = cells.image.band(group.plane, top, top + height)[..., left : left + width].transpose(1, 2, 0)
    found: dict[str, np.ndarray] = regionprops_table(
        group.labels, seen, ("label", "area", "centroid", "bbox", "intensity_mean", *SHAPE)
    )
    sure = cells.confidence(group.plane, group.window).astype(np.float64)  # sums of many float32 values are inexact
    return found | {"confidence": regionprops_table(group.labels, sure, ("intensity_mean",))["intensity_mean"]}


def _in_micrometres(found: dict[str, np.ndarray], size: dict[str, float], square: bool) -> dict[str, np.ndarray]:
    if not size:
        return {}
    scaled = {f"centroid_{axis.lower()}_um": found[f"centroid_{axis.lower()}"] * size[axis] for axis in "YX"}
    scaled["area_um2"] = found["area"] * size["Y"] * size["X"]
    return scaled | {f"{name}_um": found[name] * size["X"] for name in LENGTHS if square}
