"""Reading of OME-Zarr images and plain Zarr arrays, and metadata for writing OME-Zarr images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import zarr
from pydantic import Field, ValidationError

from src.files import guard
from src.files.legend import Legend
from src.files.reading import Layout, first_problem
from src.files.stored import Stored
from src.files.units import MICROMETRES, possible

VERSION = "0.5"  # version of OME-Zarr of the files that we write (https://ngff.openmicroscopy.org/0.5)
KINDS = {"T": {"type": "time"}, "C": {"type": "channel"}} | {axis: {"type": "space"} for axis in "ZYX"}


class _Axis(Layout):
    name: str
    unit: str | None = None


class _Transformation(Layout):
    type: str
    scale: list[float] = Field(default_factory=list)


class _Level(Layout):
    path: str
    coordinateTransformations: list[_Transformation] = Field(default_factory=list)


class _Multiscale(Layout):
    axes: list[_Axis | str]
    datasets: Annotated[list[_Level], Field(min_length=1)]
    coordinateTransformations: list[_Transformation] = Field(default_factory=list)


def open_zarr(file: Path) -> Stored:
    """Open the full-resolution level of an OME-Zarr image, or a plain Zarr array; pixels are read later.

    Raises:
        ValueError: the file is not an OME-Zarr image, or announces too many pixels.
    """
    node = zarr.open(file, mode="r")
    if isinstance(node, zarr.Array):
        guard.check_zarr(node)
        return Stored(node, {2: "YX", 3: "ZYX"}.get(node.ndim, ""))
    described = _multiscale(node)
    level = described.datasets[0]
    array = node.get(level.path)
    if not isinstance(array, zarr.Array):
        raise ValueError(f"it is no OME-Zarr image: it has no array at {level.path}")
    # The scale of this level is multiplied by the scale that applies to all levels.
    steps = [*level.coordinateTransformations, *described.coordinateTransformations]
    scales = [step.scale for step in steps if step.type == "scale" and step.scale]
    scale = np.prod(scales, axis=0).tolist() if scales else ()
    letters, sizes = "", {}
    for place, axis in enumerate(described.axes):
        letter = (axis if isinstance(axis, str) else axis.name).upper()
        letters += letter
        unit = None if isinstance(axis, str) else axis.unit
        if letter in "ZYX" and unit in MICROMETRES and scale:
            sizes[letter] = scale[place] * MICROMETRES[unit]
    guard.check_zarr(array)
    return Stored(array, letters, possible(sizes), made_from=str(node.attrs.get("made_from", "")))


def _multiscale(node: zarr.Group) -> _Multiscale:
    """Return the metadata of the first multiscale image in a Zarr group.

    Raises:
        ValueError: the group has no valid metadata of a multiscale image.
    """
    attributes = node.attrs.get("ome", node.attrs.asdict())
    images = attributes.get("multiscales") if isinstance(attributes, Mapping) else None
    if not isinstance(images, list) or not images:
        raise ValueError("it is no OME-Zarr image: it has no multiscales")
    try:
        return _Multiscale.model_validate(images[0])
    except ValidationError as error:
        raise ValueError(f"its multiscales are invalid: {first_problem(error)}") from error


def multiscales(axes: str, pixel_size: Mapping[str, float], name: str, path: str) -> dict[str, Any]:
    """Return the OME-Zarr metadata of an image with a single resolution level.

    Args:
        axes: one letter for each axis.
        pixel_size: pixel size in µm along Z, Y and X; without the axes for which it is unknown.
        name: name of the image.
        path: path of the array within the Zarr group of the image.
    """
    units = {axis: {"unit": "micrometer"} for axis in pixel_size}
    described = [{"name": axis.lower()} | KINDS[axis] | units.get(axis, {}) for axis in axes]
    scale = [{"type": "scale", "scale": [pixel_size.get(axis, 1.0) for axis in axes]}]
    dataset = {"path": path, "coordinateTransformations": scale}
    return {"version": VERSION, "multiscales": [{"axes": described, "datasets": [dataset], "name": name}]}


def image_label(legend: Legend) -> dict[str, Any]:
    """Return the OME-Zarr metadata of a label image: the classes and colours that the legend states.

    The metadata refer to the image as ``../../``, so the label image must be two groups below the image.
    """
    values = [int(value) for value in legend.described()]
    classes = [{"label-value": value, "class": legend.name(number)} for number, value in enumerate(values)]
    colours = [
        {"label-value": value, "rgba": [*colour, 255]} for value, colour in zip(values, legend.colours, strict=False)
    ]
    found = {"properties": classes, "colors": colours, "source": {"image": "../../"}}
    return {name: each for name, each in found.items() if each}
