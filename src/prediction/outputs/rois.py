"""``NAME_rois.zip``: the outlines of cells for the ROI Manager of ImageJ and Fiji."""

import zipfile
from pathlib import Path

import numpy as np
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from src.files.whole import complete_file
from src.prediction.outputs.cells import Cells, groups
from src.prediction.outputs.rings import Polygon, Ring, outlines

MOVE, LINE, CLOSE = 0.0, 1.0, 4.0  # codes of path segments in Java
LARGEST, MOST_CORNERS = 60_000, 2**16 - 1  # largest coordinate, most corners; ImageJ stores both in 16 bits
MOST_GROUPS = 255  # largest number of an ROI group; ImageJ gives each group a colour


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write one ROI per cell, named by its number and grouped by class; the zip appears only when it is complete.

    Args:
        file: path of the zip.
        cells: the cells of the image.
        made_from: text that identifies everything the cells depend on; it is stored in the file.
    """
    with complete_file(file) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = made_from.encode()
        for group in groups(cells):
            place = cells.place(group.plane)
            for number, polygons in outlines(group, cells):
                name = "-".join(map(str, [*(index + 1 for index in place.values()), number]))
                found = roi(polygons, name, place)
                found.group = min(int(cells.kinds[group.plane][number]), MOST_GROUPS) if cells.kinds else 0
                archive.writestr(_entry(f"{name}.roi"), found.tobytes(), zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """Return the zip entry of an ROI: readable by all, with a fixed time, so that equal cells give equal files."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


def made_from(file: Path) -> str:
    """Read the ``made_from`` text that `write` stored in a zip.

    Raises:
        OSError, BadZipFile: the file is not a zip.
    """
    with zipfile.ZipFile(file) as archive:
        return archive.comment.decode()


def roi(polygons: list[Polygon], name: str, place: dict[str, int]) -> ImagejRoi:
    """Return the ROI of a cell: a traced outline, or a composite if the outline has several rings.

    Args:
        polygons: one polygon per connected component of the cell: its outer ring and its holes.
        name: name of the ROI in the ROI Manager.
        place: position of the cell's plane along each axis of the stack, from 0.
    """
    rings = [ring for polygon in polygons for ring in polygon]
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    found = ImagejRoi(top=top, left=left, bottom=bottom, right=right, name=name)
    for key, index in _position(place).items():
        setattr(found, key, index)
    if len(rings) == 1 and len(corners) <= MOST_CORNERS and corners.max() <= LARGEST:
        found.roitype = ROI_TYPE.TRACED
        found.n_coordinates = len(corners)
        found.integer_coordinates = (corners - (left, top)).astype(np.int32)
    else:
        found.roitype = ROI_TYPE.RECT
        found.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
        found.shape_roi_size = len(found.multi_coordinates)
    found.options = ROI_OPTIONS.OVERLAY_LABELS | ROI_OPTIONS.OVERLAY_BACKGROUNDS
    return found


def _position(place: dict[str, int]) -> dict[str, int]:
    """Return the attributes of an ROI for its position, from 1, in an ImageJ stack or hyperstack."""
    if len(place) == 1:
        return {"position": next(iter(place.values())) + 1}
    return {f"{axis.lower()}_position": index + 1 for axis, index in place.items()}


def _path(ring: Ring) -> np.ndarray:
    """Return a ring as an ImageJ path, 1-D float32: move to the first corner, lines to the others, close."""
    steps = np.full(3 * len(ring) + 1, LINE, np.float32)
    steps[0], steps[-1] = MOVE, CLOSE
    steps[1::3], steps[2::3] = ring.T
    return steps
