"""ROIs of ImageJ, as pixels."""

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from src.data.outlines import Patch, Size, corners, filled, outline, rounded
from src.files.limits import check_regular
from src.files.stored import OF_PREDICT

MOST_ENTRIES, MOST_BYTES = 100_000, 2**26  # of a zip, and of an entry of it; of all of them four times as many
FREE = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
OTHER = (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.ARROW, ROI_SUBTYPE.IMAGE)


def read_rois(file: Path) -> list[ImagejRoi]:
    """The ROIs of a zip or of a file of one, in their order.

    Raises:
        ValueError: it promises more than a person draws, or holds no ROI but something else; or what decoders raise.
        OSError: it cannot be read.
    """
    check_regular(file)
    if file.suffix.lower() == ".roi":
        _check_bytes([file.stat().st_size])
        return [ImagejRoi.frombytes(file.read_bytes())]
    with zipfile.ZipFile(file) as archive:
        return [ImagejRoi.frombytes(data) for data in _entries(archive)]


def is_prediction(file: Path) -> bool:
    """Whether src.predict has written a zip, so that nobody has drawn what is in it."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.comment.startswith(OF_PREDICT.encode())
    except (zipfile.BadZipFile, OSError):  # a single ROI; or whoever reads it says why
        return False


def _entries(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """The content of those entries of a zip that are ROIs."""
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
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be read bit by bit
            raise ValueError(f"expected a zip as ImageJ writes it, but {entry.filename[:80]} is compressed otherwise")
        with archive.open(entry) as stream:
            yield stream.read(MOST_BYTES + 1)


def _check_bytes(sizes: list[int]) -> None:
    if max(sizes, default=0) > MOST_BYTES or sum(sizes) > 4 * MOST_BYTES:
        raise ValueError(f"expected ROIs of up to {MOST_BYTES:,} bytes, but got {max(sizes):,}, {sum(sizes):,} in all")


def plane(roi: ImagejRoi) -> tuple[int, ...]:
    """The slice of a stack on which a ROI was drawn, or its slice and frame; none if that is not said."""
    places = (roi.z_position, roi.t_position) if roi.z_position or roi.t_position else (roi.position,)
    return places if any(places) else ()


def is_spline(roi: ImagejRoi) -> bool:
    """Whether ImageJ shows a curve through the points of a ROI."""
    return bool(roi.options & ROI_OPTIONS.SPLINE_FIT) and roi.roitype in FREE


def covered(roi: ImagejRoi, size: Size) -> tuple[str, Patch | None]:
    """What to call a ROI, and which pixels of an image it covers; None if it is no area."""
    if roi.subtype in OTHER:
        return roi.subtype.name.lower(), None
    if roi.roitype in FREE:
        points = outline(roi.coordinates())
        kind = roi.roitype.name.lower()
        return (kind, filled([points], size)) if len(points) > 2 else (f"{kind} of {len(points)} points", None)
    if roi.roitype == ROI_TYPE.RECT and roi.composite:
        try:
            outlines = [outline(points) for points in roi.path2coords(roi.multi_coordinates)]
        except NotImplementedError:  # of the library
            return "composite with curves", None
        return "composite", filled(outlines, size)
    if roi.roitype not in (ROI_TYPE.RECT, ROI_TYPE.OVAL):
        return roi.roitype.name.lower(), None
    box = [(roi.left, roi.top), (roi.right, roi.bottom)]
    if roi.subpixelrect:
        box = [(roi.xd, roi.yd), (roi.xd + roi.widthd, roi.yd + roi.heightd)]
    first, second = outline(box)
    halves = np.maximum(second - first, 0) / 2
    if roi.roitype == ROI_TYPE.OVAL:
        return "oval", rounded(first, second, halves, size)
    if roi.rounded_rect_arc_size > 0:
        return "rectangle", rounded(first, second, np.minimum(halves, roi.rounded_rect_arc_size / 2), size)
    return "rectangle", filled([corners(first, second)], size)
