"""TIFF and what is written as one: OME-TIFF, ImageJ's, LSM, SVS."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
import zarr

from src.files import guard
from src.files.stored import Note, Stored, known_orientation, stacked_axes
from src.files.units import MICROMETRES, number, possible

SIGNED = [-32768.0, 1.0]  # by which ImageJ says that 16 bits are signed


def open_tiff(file: Path) -> Stored:
    """The largest image or stack of a TIFF."""
    with tifffile.TiffFile(file) as tiff:
        guard.check_tiff(tiff, file)
        chosen, notes = _largest(tiff)
        series, imagej = tiff.series[chosen], tiff.imagej_metadata or {}
        incomplete = tiff.is_ome and any(page is None for page in series.pages)
        lost = [part.name for part in parts(tiff, file) if not part.exists()] if incomplete else []
        if lost:
            raise ValueError(
                f"it is part of an image in several files, of which {lost[0]} is not beside it; "
                f"nearest valid: all of them in one folder"
            )
        page = series.keyframe
        axes = stacked_axes(series.axes)
        said = {
            "axes": axes,
            "pixel_size": _pixel_size(tiff),
            "orientation": known_orientation(int(page.tags.valueof("Orientation", default=1))),
            "white_is_zero": page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
            "bits": int(page.bitspersample == 1),
            "table": _table(page, imagej),
            "signed": [imagej.get("c0"), imagej.get("c1")] == SIGNED and page.dtype == np.uint16,
            "unclear": axes[0] == "S" and series.shape[0] in (3, 4) and not tiff.is_ome,
            "classes": _classes(tiff),
            "made_from": str(page.tags.valueof("Software", default="")),
            "notes": notes,
        }
        if series.dataoffset is not None:
            return Stored(tifffile.memmap(file, mode="r", series=chosen), **said)
    return Stored(zarr.open_array(tifffile.imread(file, aszarr=True, series=chosen, level=0), mode="r"), **said)


def _classes(tiff: tifffile.TiffFile) -> tuple[int, ...]:
    """The values of class 0, 1, … of a map annotation, as `prediction.tiff` writes it; empty if there is none."""
    if not tiff.is_ome or "MapAnnotation" not in (tiff.ome_metadata or ""):
        return ()
    described = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("StructuredAnnotations", {})
    found = _list(described.get("MapAnnotation"))
    pairs = _list(found[0].get("Value", {}).get("M")) if len(found) == 1 else []
    values = [pair.get("K") for pair in pairs if isinstance(pair, dict)]
    return tuple(values) if values and all(type(value) is int for value in values) else ()


def parts(tiff: tifffile.TiffFile, file: Path) -> list[Path]:
    """The other files over which an OME-TIFF says that its image is spread; empty if it is whole in itself."""
    if not tiff.is_ome:
        return []
    described = tifffile.xml2dict(tiff.ome_metadata).get("OME", {})
    own, found = described.get("UUID"), {}
    for image in _list(described.get("Image")):
        for plane in _list(image.get("Pixels", {}).get("TiffData")):
            uuid = plane.get("UUID") if isinstance(plane, dict) else None
            if isinstance(uuid, dict) and uuid.get("FileName") and uuid.get("value") != own:
                found[str(uuid["FileName"])] = None
    return [file.with_name(Path(name).name) for name in found if name.lower() != file.name.lower()]


def first_parts(files: Sequence[Path]) -> list[Path]:
    """Files without those that are a later part of an OME-TIFF in several files, which the first one stands for."""
    later: set[Path] = set()
    for file in files:
        if file not in later and file.name.lower().endswith((".ome.tif", ".ome.tiff")):
            later.update(_others(file))
    return [file for file in files if file not in later]


def _others(file: Path) -> list[Path]:
    """The other files of the image of which an OME-TIFF shows a part; none if it cannot be read."""
    try:
        with tifffile.TiffFile(file) as tiff:
            pages = tiff.series[_largest(tiff)[0]].pages if parts(tiff, file) else []
            names = {page.parent.filename for page in pages if page is not None}
    except Exception:  # whoever reads the image says what is wrong with it
        return []
    return [file.with_name(name) for name in names - {file.name}]


def _list(node: object) -> list:
    return node if isinstance(node, list) else [node] if node else []


def _largest(tiff: tifffile.TiffFile) -> tuple[int, tuple[Note, ...]]:
    """The number of the series with the largest planes, in this file if there are such; and what to say of it."""
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
        fix = "save each image in a file of its own, to learn from the others too"
        return largest, (Note("several-series", found, f"the first, {shape} px", fix),)
    return largest, ()


def _table(page: tifffile.TiffPage, imagej: dict) -> np.ndarray | None:
    if page.colormap is not None:
        return page.colormap.T
    tables = np.asarray(imagej.get("LUTs", ()))
    return tables.reshape(3, -1).T if tables.size == 3 * 256 else None


def _pixel_size(tiff: tifffile.TiffFile) -> dict[str, float]:
    """Micrometres a pixel as OME, ImageJ or the resolution tags of the first page say."""
    if tiff.is_ome:
        image = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("Image", {})
        pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
        named = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"}
        units = {axis: pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"}
        return possible({a: number(s) * MICROMETRES.get(units[a], math.nan) for a, s in named.items()})
    page, imagej = tiff.pages.first, tiff.imagej_metadata or {}
    # Inches tell how large to print, not how large a cell is.
    unit = imagej.get("unit", "cm" if page.tags.valueof("ResolutionUnit", default=1) == 3 else None)
    if unit not in MICROMETRES:
        return {}
    sizes = {"Z": imagej.get("spacing")}
    for axis, tag in (("Y", "YResolution"), ("X", "XResolution")):
        numerator, denominator = page.tags.valueof(tag, default=(0, 1))
        sizes[axis] = denominator / numerator if numerator else None
    return possible({axis: abs(number(size)) * MICROMETRES[unit] for axis, size in sizes.items()})
