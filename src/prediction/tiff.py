"""Writing of ``NAME_probabilities.tif`` and ``NAME_labels.tif``, from arrays in memory or page by page."""

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tifffile

from src.files.legend import NUMBERS, Legend, in_values
from src.files.stored import OF_RUN
from src.files.units import resolution
from src.files.whole import complete_file
from src.prediction.names import prediction_file

SPACE = "ZYX"


def write_tiff(
    file: Path,
    pages: Iterable[np.ndarray],
    shape: tuple[int, ...],
    dtype: np.dtype | str,
    axes: str,
    pixel_size: Mapping[str, float] | None = None,
    made_from: str | None = None,
    tile: int | None = None,
    legend: Legend = NUMBERS,
) -> None:
    """Write an OME-TIFF; the file appears only when it is complete.

    Args:
        file: path of the TIFF.
        pages: the planes ``(H, W)``; with ``tile``, the square tiles of each plane, row by row.
        shape: shape of all planes together.
        dtype: data type of the values.
        axes: one letter for each axis of ``shape``, such as ``ZYX``.
        pixel_size: pixel sizes in µm by axis (Z, Y, X); unknown ones are left out.
        made_from: identifies everything that the content depends on, so that a later command can recognise it; None
            marks the file as written by a training run.
        tile: side of the tiles in pixels; None writes each plane as a whole.
        legend: values, names and colours of the classes, stored as a map annotation.
    """
    size = pixel_size or {}
    # The same content must give the same file; the default UUID of tifffile depends on the clock.
    metadata: dict[str, object] = {
        "axes": axes,
        "UUID": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, made_from or file.name)}",
    }
    for axis in SPACE:
        if axis in size and axis in axes:
            metadata |= {f"PhysicalSize{axis}": size[axis], f"PhysicalSize{axis}Unit": "µm"}
    if described := legend.described():
        metadata["MapAnnotation"] = described
    with complete_file(file) as partial:
        tifffile.imwrite(
            partial,
            iter(pages),
            shape=shape,
            dtype=dtype,
            tile=(tile, tile) if tile else None,
            compression="zlib",
            photometric="minisblack",
            bigtiff=np.dtype(dtype).itemsize * np.prod(shape, dtype=int) > 2**31,
            ome=True,
            metadata=metadata,
            software=made_from or OF_RUN,
            **resolution(size),
        )


def write_prediction(
    directory: Path, name: str, probabilities: np.ndarray, labels: np.ndarray, legend: Legend = NUMBERS
) -> None:
    """Write the class probabilities (float32) and the label image (int32) of one image as two TIFF files.

    Args:
        directory: folder of the files.
        name: name of the image.
        probabilities: class probabilities ``(K, H, W)``; of two classes, only class 1 is written.
        labels: label image ``(H, W)``, with numbers of classes or cells.
        legend: the classes; if it has values, the label image is written with these instead of class numbers.
    """
    labels = in_values(labels, legend.values).astype(np.int32)
    several = len(probabilities) > 2
    shown = probabilities.astype(np.float32) if several else probabilities[1:].astype(np.float32)
    for kind, pages, shape in (
        ("probabilities", shown, shown.shape if several else shown.shape[1:]),
        ("labels", labels[None], labels.shape),
    ):
        file = prediction_file(directory, name, kind)
        own = legend if kind == "labels" else NUMBERS
        write_tiff(file, pages, shape, pages.dtype, "CYX"[-len(shape) :], legend=own)
