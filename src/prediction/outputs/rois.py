"""``NAME_rois.zip``: the outlines of cells as the ROI Manager of ImageJ and Fiji opens them."""

import zipfile
from pathlib import Path

import numpy as np
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from src.files.whole import complete_file
from src.prediction.outputs.cells import Cells, groups
from src.prediction.outputs.rings import Polygon, Ring, outlines

MOVE, LINE, CLOSE = 0.0, 1.0, 4.0  # of a path in Java
LARGEST, MOST_CORNERS = 60_000, 2**16 - 1  # of a coordinate, and of corners, that ImageJ keeps as 16 bits
MOST_GROUPS = 255  # of ROIs, which ImageJ shows in a colour each


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write a ROI a cell, named by its number and in the group of its class; the zip appears only when it is whole."""
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
    """An entry that anybody may read, and without the time of now, so that the same cells make the same file."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


def made_from(file: Path) -> str:
    """What a zip says that it was made from.

    Raises:
        OSError, BadZipFile: it is none.
    """
    with zipfile.ZipFile(file) as archive:
        return archive.comment.decode()


def roi(polygons: list[Polygon], name: str, place: dict[str, int]) -> ImagejRoi:
    """The ROI of a cell: its outline as the wand traces it, or of several rings a composite.

    Args:
        polygons: an outer ring and holes of each piece of the cell.
        name: in the ROI Manager.
        place: of its plane in the stack by axis, from 0.
    """
    rings = [ring for polygon in polygons for ring in polygon]
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    found = ImagejRoi(top=top, left=left, bottom=bottom, right=right, name=name, **_position(place))
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
    """Where ImageJ shows a ROI, from 1: at a slice of a stack, or at one of a hyperstack."""
    if len(place) == 1:
        return {"position": next(iter(place.values())) + 1}
    return {f"{axis.lower()}_position": index + 1 for axis, index in place.items()}


def _path(ring: Ring) -> np.ndarray:
    """A ring as steps of a path: to the first corner, along lines to the others, and back."""
    steps = np.full(3 * len(ring) + 1, LINE, np.float32)
    steps[0], steps[-1] = MOVE, CLOSE
    steps[1::3], steps[2::3] = ring.T
    return steps
