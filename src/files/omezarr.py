"""OME-Zarr, and bare Zarr arrays."""

from pathlib import Path

import numpy as np
import zarr

from src.files import guard
from src.files.stored import Stored
from src.files.units import MICROMETRES, possible


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
