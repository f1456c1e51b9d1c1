"""OME-Zarr, read and described; and bare Zarr arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zarr

from src.files import guard
from src.files.legend import Legend
from src.files.stored import Stored
from src.files.units import MICROMETRES, possible

VERSION = "0.5"  # of what we write (https://ngff.openmicroscopy.org/0.5)
KINDS = {"T": {"type": "time"}, "C": {"type": "channel"}} | {axis: {"type": "space"} for axis in "ZYX"}


def open_zarr(file: Path) -> Stored:
    """The finest level of an OME-Zarr image, or a Zarr array."""
    node = zarr.open(file, mode="r")
    if isinstance(node, zarr.Array):
        guard.check_zarr(node)
        return Stored(node, {2: "YX", 3: "ZYX"}.get(node.ndim, ""))
    multiscales = node.attrs.get("ome", node.attrs).get("multiscales")
    if not multiscales or multiscales[0]["datasets"][0]["path"] not in node:
        raise ValueError("it is no OME-Zarr image (no multiscales, or no array where they point)")
    described = multiscales[0]
    level = described["datasets"][0]
    # The size of a pixel of this level, and what holds for all levels.
    scales = [
        step["scale"]
        for transformations in (level, described)
        for step in transformations.get("coordinateTransformations", ())
        if step["type"] == "scale"
    ]
    scale = np.prod(scales, axis=0).tolist() if scales else ()
    letters, sizes = "", {}
    for place, axis in enumerate(described["axes"]):
        letter = (axis if isinstance(axis, str) else axis["name"]).upper()
        letters += letter
        unit = axis.get("unit") if isinstance(axis, dict) else None
        if letter in "ZYX" and unit in MICROMETRES and scale:
            sizes[letter] = scale[place] * MICROMETRES[unit]
    guard.check_zarr(node[level["path"]])
    return Stored(node[level["path"]], letters, possible(sizes), made_from=str(node.attrs.get("made_from", "")))


def multiscales(axes: str, pixel_size: Mapping[str, float], name: str, path: str) -> dict:
    """What an OME-Zarr of one level says of itself.

    Args:
        axes: a letter an axis.
        pixel_size: of the axes Z, Y and X in µm, as far as it is known.
        name: of the image.
        path: of the level in the group that says it.
    """
    units = {axis: {"unit": "micrometer"} for axis in pixel_size}
    described = [{"name": axis.lower()} | KINDS[axis] | units.get(axis, {}) for axis in axes]
    scale = [{"type": "scale", "scale": [pixel_size.get(axis, 1.0) for axis in axes]}]
    dataset = {"path": path, "coordinateTransformations": scale}
    return {"version": VERSION, "multiscales": [{"axes": described, "datasets": [dataset], "name": name}]}


def image_label(legend: Legend) -> dict:
    """What an OME-Zarr says of labels two groups below its image: classes and their colours, if there are any."""
    values = [int(value) for value in legend.described()]
    classes = [{"label-value": value, "class": legend.name(number)} for number, value in enumerate(values)]
    colours = [
        {"label-value": value, "rgba": [*colour, 255]} for value, colour in zip(values, legend.colours, strict=False)
    ]
    found = {"properties": classes, "colors": colours, "source": {"image": "../../"}}
    return {name: each for name, each in found.items() if each}
