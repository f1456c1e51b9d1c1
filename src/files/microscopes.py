"""Microscope files (Zeiss CZI, Leica LIF and Nikon ND2), which optional packages read."""

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import tifffile

from src.files.limits import check_size
from src.files.stored import Note, Stored, stacked_axes
from src.files.units import number, possible

EXTRA = "microscopes"  # optional dependencies of this name in pyproject.toml


def open_czi(file: Path) -> Stored:
    """Read a Zeiss CZI file and assemble its tiles into one image."""
    with _reader("czifile").CziFile(file) as czi:
        # The package czifile calls the axis of scenes S, and the axis of colour samples 0.
        axes = czi.axes.replace("S", "P").replace("0", "S")
        _check(axes, czi.shape)
        array, distances = czi.asarray(), _czi_distances(czi.metadata())
    return _stored(array, axes, {axis: 1e6 * size for axis, size in distances.items()})


def _czi_distances(metadata: str) -> dict[str, float]:
    """Return the pixel size in metres along each axis that the XML metadata of a CZI file state."""
    found: object = tifffile.xml2dict(metadata)
    for key in ("ImageDocument", "Metadata", "Scaling", "Items", "Distance"):
        found = found.get(key) if isinstance(found, dict) else None
    return {str(each.get("Id")): number(each.get("Value")) for each in (found if isinstance(found, list) else [])}


def open_lif(file: Path) -> Stored:
    """Read the image with the largest planes from a Leica LIF file."""
    with _reader("liffile").LifFile(file) as lif:
        images = [image for image in lif.images if {"Y", "X"} <= set(image.dims)]
        if not images:
            raise ValueError("it contains no image")
        areas = [image.sizes["Y"] * image.sizes["X"] for image in images]
        image = images[areas.index(max(areas))]
        _check("".join(image.dims), image.shape)
        steps = {axis: np.diff(image.coords[axis][:2]) for axis in "ZYX" if axis in image.coords}
        sizes = {axis: 1e6 * abs(float(step[0])) for axis, step in steps.items() if len(step)}
        array, axes, name = image.asarray(), "".join(image.dims), image.name
    notes: tuple[Note, ...] = ()
    if len(images) > 1:
        fix = "export each image to its own TIFF to use the others too"
        notes = (Note("several-series", f"{len(images)} images in one file", f"the first of the largest, {name}", fix),)
    return _stored(array, axes, sizes, notes)


def open_nd2(file: Path) -> Stored:
    """Read a Nikon ND2 file."""
    with _reader("nd2").ND2File(file) as nikon:
        axes, size = "".join(nikon.sizes), nikon.voxel_size()
        _check(axes, tuple(nikon.sizes.values()))
        array = nikon.asarray()
    return _stored(array, axes, {"Z": size.z, "Y": size.y, "X": size.x})


def _reader(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(
            f"its reader is not installed; nearest valid: pip install {name} (or the extra {EXTRA}), or export the "
            f"image as OME-TIFF"
        ) from None


def _check(axes: str, shape: tuple[int, ...]) -> None:
    planes = [size for axis, size in zip(axes, shape, strict=True) if axis not in "YX"]
    check_size(tuple(size for axis, size in zip(axes, shape, strict=True) if axis in "YX"), math.prod(planes))


def _stored(array: np.ndarray, axes: str, sizes: Mapping[str, float], notes: tuple[Note, ...] = ()) -> Stored:
    """Return an image without axes of length 1; positions and other unknown axes are renamed to Z, then T.

    Args:
        array: pixel values.
        axes: one letter for each axis of ``array``.
        sizes: pixel size in µm by axis.
        notes: what the user should know about the file.
    """
    kept = [place for place, axis in enumerate(axes) if axis in "YX" or array.shape[place] > 1]
    array, axes = array.reshape([array.shape[place] for place in kept]), "".join(axes[place] for place in kept)
    known = {axis: size for axis, size in sizes.items() if axis in "ZYX"}
    return Stored(array, stacked_axes(axes), possible(known), notes=notes)
