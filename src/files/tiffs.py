"""TIFF files and formats based on TIFF: OME-TIFF, ImageJ TIFF, LSM and SVS."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from zarr.types import AnyArray

from src.files import guard
from src.files.stored import Note, Stored, known_orientation, stacked_axes
from src.files.units import MICROMETRES, number, possible

SIGNED = [-32768.0, 1.0]  # calibration by which ImageJ marks signed 16-bit values


def open_tiff(file: Path) -> Stored:
    """Open the image or stack with the largest planes in a TIFF file; pixels are read later.

    Raises:
        ValueError: the file is truncated or announces too much, or another file of a multi-file image is missing.
    """
    with tifffile.TiffFile(file) as tiff:
        guard.check_tiff(tiff, file)
        largest, notes = _largest(tiff)
        series, imagej = tiff.series[largest], tiff.imagej_metadata or {}
        incomplete = tiff.is_ome and any(page is None for page in series.pages)
        lost = [part.name for part in parts(tiff, file) if not part.exists()] if incomplete else []
        if lost:
            raise ValueError(
                f"it is part of an image in several files, of which {lost[0]} is not beside it; "
                f"nearest valid: all of them in one folder"
            )
        page = series.keyframe
        axes = stacked_axes(series.axes)
        array: np.ndarray | AnyArray
        if series.dataoffset is not None:
            array = tifffile.memmap(file, mode="r", series=largest)
        else:
            array = zarr.open_array(tifffile.imread(file, aszarr=True, series=largest, level=0), mode="r")
        return Stored(
            array,
            axes,
            pixel_size=_pixel_size(tiff),
            orientation=known_orientation(int(page.tags.valueof("Orientation", default=1))),
            white_is_zero=page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
            bits=int(page.bitspersample == 1),
            table=_table(page, imagej),
            signed=[imagej.get("c0"), imagej.get("c1")] == SIGNED and page.dtype == np.uint16,
            unclear=axes[0] == "S" and series.shape[0] in (3, 4) and not tiff.is_ome,
            classes=_classes(tiff),
            made_from=str(page.tags.valueof("Software", default="")),
            notes=notes,
        )


def _classes(tiff: tifffile.TiffFile) -> tuple[int, ...]:
    """Return the pixel values of class 0, 1, … from the OME map annotation that `prediction.tiff` writes, if any.

    Without this annotation, the result is empty.
    """
    metadata = tiff.ome_metadata or ""
    if "MapAnnotation" not in metadata:
        return ()
    described = tifffile.xml2dict(metadata).get("OME", {}).get("StructuredAnnotations", {})
    found = _list(described.get("MapAnnotation"))
    pairs = _list(found[0].get("Value", {}).get("M")) if len(found) == 1 else []
    values = [pair.get("K") for pair in pairs if isinstance(pair, dict)]
    whole = tuple(value for value in values if type(value) is int)
    return whole if len(whole) == len(values) else ()


def parts(tiff: tifffile.TiffFile, file: Path) -> list[Path]:
    """Return the other files that hold parts of the image, as the OME metadata of a TIFF state them.

    The files may not exist. If the image is stored in ``file`` alone, the result is empty.
    """
    if not tiff.ome_metadata:
        return []
    described = tifffile.xml2dict(tiff.ome_metadata).get("OME", {})
    own = described.get("UUID")
    found: dict[str, None] = {}
    for image in _list(described.get("Image")):
        for plane in _list(image.get("Pixels", {}).get("TiffData")):
            uuid = plane.get("UUID") if isinstance(plane, dict) else None
            if isinstance(uuid, dict) and uuid.get("FileName") and uuid.get("value") != own:
                found[str(uuid["FileName"])] = None
    return [file.with_name(Path(name).name) for name in found if name.lower() != file.name.lower()]


def first_parts(files: Sequence[Path]) -> list[Path]:
    """Return the files without the later parts of OME-TIFF images in several files.

    The part that comes first in ``files`` stands for the whole image.
    """
    later: set[Path] = set()
    for file in files:
        if file not in later and file.name.lower().endswith((".ome.tif", ".ome.tiff")):
            later.update(_others(file))
    return [file for file in files if file not in later]


def _others(file: Path) -> list[Path]:
    """Return the other files of the image to which an OME-TIFF belongs; empty if the OME-TIFF cannot be read."""
    try:
        with tifffile.TiffFile(file) as tiff:
            pages = tiff.series[_largest(tiff)[0]].pages if parts(tiff, file) else []
            names = {page.parent.filename for page in pages if page is not None}
    except Exception:  # when the image is read, the error is raised again and reported
        return []
    return [file.with_name(name) for name in names - {file.name}]


def _list(node: object) -> list[Any]:
    """Return the elements of a tag in parsed XML metadata as a list, whether there are none, one or several."""
    return node if isinstance(node, list) else [node] if node else []


def _largest(tiff: tifffile.TiffFile) -> tuple[int, tuple[Note, ...]]:
    """Return the index of the series (image or stack) with the largest planes, and notes if the choice is unclear.

    Of several series with the largest planes, the first one whose pixels are stored in this file is chosen.
    """
    areas = [
        math.prod(size for size, axis in zip(each.shape, each.axes, strict=True) if axis in "YX")
        for each in tiff.series
    ]
    own = [any(page is not None and page.parent is tiff for page in each.pages[:1]) for each in tiff.series]
    largest = max(range(len(areas)), key=lambda place: (areas[place], own[place], -place))
    shape = "×".join(map(str, tiff.series[largest].shape))
    alike = sum(area == areas[largest] and mine for area, mine in zip(areas, own, strict=True))
    if largest and own[0]:
        found = f"{len(areas)} images in one file, of which the first is {'×'.join(map(str, tiff.series[0].shape))} px"
        return largest, (Note("several-series", found, f"the largest, number {largest + 1}, {shape} px"),)
    if alike > 1:
        found = f"{alike} images of one size in one file"
        fix = "save each image to its own file to use the others too"
        return largest, (Note("several-series", found, f"the first, {shape} px", fix),)
    return largest, ()


def _table(page: tifffile.TiffPage, imagej: dict[str, Any]) -> np.ndarray | None:
    if page.colormap is not None:
        return page.colormap.T
    tables = np.asarray(imagej.get("LUTs", ()))
    return tables.reshape(3, -1).T if tables.size == 3 * 256 else None


def _pixel_size(tiff: tifffile.TiffFile) -> dict[str, float]:
    """Return the pixel size in µm along the axes for which OME or ImageJ metadata or resolution tags state it."""
    if tiff.ome_metadata:
        image = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("Image", {})
        pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
        named = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"}
        units = {axis: pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"}
        return possible({a: number(s) * MICROMETRES.get(units[a], math.nan) for a, s in named.items()})
    page, imagej = tiff.pages.first, tiff.imagej_metadata or {}
    # A resolution in inches describes printing, not the microscope.
    unit = imagej.get("unit", "cm" if page.tags.valueof("ResolutionUnit", default=1) == 3 else None)
    if unit not in MICROMETRES:
        return {}
    sizes = {"Z": imagej.get("spacing")}
    for axis, tag in (("Y", "YResolution"), ("X", "XResolution")):
        numerator, denominator = page.tags.valueof(tag, default=(0, 1))
        sizes[axis] = denominator / numerator if numerator else None
    return possible({axis: abs(number(size)) * MICROMETRES[unit] for axis, size in sizes.items()})
