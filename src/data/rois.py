"""Reads ImageJ ROIs, and determines the pixels that they cover."""

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from src.data.outlines import Patch, Size, corners, filled, outline, rounded
from src.files.limits import check_regular
from src.files.stored import OF_PREDICT

MOST_ENTRIES, MOST_BYTES = 100_000, 2**26  # most entries in a zip; most bytes in an entry, and four times that in all
FREE = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
OTHER = (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.ARROW, ROI_SUBTYPE.IMAGE)


def read_rois(file: Path) -> list[ImagejRoi]:
    """Read the ROIs in a zip file, in the order of the file, or the single ROI in a .roi file.

    Raises:
        ValueError: the file is larger than hand-drawn ROIs can be, or does not contain ROIs. A damaged file may raise
            other exceptions too.
        OSError: the file cannot be read.
    """
    check_regular(file)
    if file.suffix.lower() == ".roi":
        _check_bytes([file.stat().st_size])
        return [ImagejRoi.frombytes(file.read_bytes())]
    with zipfile.ZipFile(file) as archive:
        return [ImagejRoi.frombytes(data) for data in _entries(archive)]


def is_prediction(file: Path) -> bool:
    """Return whether a zip of ROIs was written by src.predict, so that the ROIs are predictions, not annotations."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.comment.startswith(OF_PREDICT.encode())
    except (zipfile.BadZipFile, OSError):  # a .roi file, or a damaged zip, which `read_rois` refuses
        return False


def _entries(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """Yield the content of each .roi file in a zip; refuse a zip that is too large or contains no ROIs."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"expected up to {MOST_ENTRIES:,} ROIs, but got {len(entries):,} entries")
    named = [(PurePosixPath(entry.filename).name.lower(), entry) for entry in entries]
    # macOS adds ._NAME to each NAME.
    rois = [entry for name, entry in named if name.endswith(".roi") and not name.startswith("._")]
    if entries and not rois:
        raise ValueError(f"expected ROIs, but got a zip of others, such as {entries[0].filename[:80]}")
    _check_bytes([entry.file_size for entry in rois])
    for entry in rois:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot stop at a given size
            raise ValueError(f"expected a zip as ImageJ writes it, but {entry.filename[:80]} is compressed otherwise")
        with archive.open(entry) as stream:
            yield stream.read(MOST_BYTES + 1)


def _check_bytes(sizes: list[int]) -> None:
    """Refuse ROI files, given their sizes in bytes, that are larger than hand-drawn ROIs can be."""
    if max(sizes, default=0) > MOST_BYTES or sum(sizes) > 4 * MOST_BYTES:
        raise ValueError(f"expected ROIs of up to {MOST_BYTES:,} bytes, but got {max(sizes):,}, {sum(sizes):,} in all")


def plane(roi: ImagejRoi) -> tuple[int, ...]:
    """Return where in a stack a ROI was drawn: its slice, or its slice and time frame; empty if it has no position."""
    places = (roi.z_position, roi.t_position) if roi.z_position or roi.t_position else (roi.position,)
    return places if any(places) else ()


def is_spline(roi: ImagejRoi) -> bool:
    """Return whether ImageJ fits a smooth curve through the points of a ROI."""
    return bool(roi.options & ROI_OPTIONS.SPLINE_FIT) and roi.roitype in FREE


def covered(roi: ImagejRoi, size: Size) -> tuple[str, Patch | None]:
    """Return the kind of a ROI, for messages, and the pixels that it covers.

    Args:
        roi: the ROI.
        size: rows and columns of the image.

    Returns:
        The kind; and a window of the image with the mask of covered pixels, or None if the ROI is no area, such as a
        line, or cannot be drawn.
    """
    if roi.subtype in OTHER:
        return roi.subtype.name.lower(), None
    if roi.roitype in FREE:
        points = outline(roi.coordinates())
        kind = roi.roitype.name.lower()
        return (kind, filled([points], size)) if len(points) > 2 else (f"{kind} of {len(points)} points", None)
    if roi.roitype == ROI_TYPE.RECT and roi.multi_coordinates is not None:
        try:
            outlines = [outline(points) for points in roi.path2coords(roi.multi_coordinates)]
        except NotImplementedError:  # roifile does not read curves
            return "composite with curves", None
        return "composite", filled(outlines, size)
    if roi.roitype in (ROI_TYPE.RECT, ROI_TYPE.OVAL):
        return _box(roi, size)
    return roi.roitype.name.lower(), None


def _box(roi: ImagejRoi, size: Size) -> tuple[str, Patch]:
    """Return the kind and the covered pixels, as `covered` does, of a rectangle, a rounded rectangle or an ellipse."""
    box: list[tuple[float, float]] = [(roi.left, roi.top), (roi.right, roi.bottom)]
    if roi.subpixelrect:
        box = [(roi.xd, roi.yd), (roi.xd + roi.widthd, roi.yd + roi.heightd)]
    first, second = outline(box)
    halves = np.maximum(second - first, 0) / 2
    if roi.roitype == ROI_TYPE.OVAL:
        return "oval", rounded(first, second, halves, size)
    if roi.rounded_rect_arc_size > 0:
        return "rectangle", rounded(first, second, np.minimum(halves, roi.rounded_rect_arc_size / 2), size)
    return "rectangle", filled([corners(first, second)], size)
