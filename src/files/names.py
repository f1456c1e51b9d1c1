"""Names of files: which endings are read, and what a file is called without them."""

from collections.abc import Iterable
from pathlib import Path

TIFF_SUFFIXES = (".tif", ".tiff", ".lsm", ".svs")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".bmp", ".gif", ".webp")
MICROSCOPE_SUFFIXES = (".czi", ".lif", ".nd2")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, ".zarr", *MICROSCOPE_SUFFIXES)
LABEL_SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".gif", ".zarr")
OUTPUTS = ("probabilities", "labels")
PREDICTED = tuple(f"_{kind}" for kind in OUTPUTS)


def stem(file: Path) -> str:
    """The name of an image without its suffix, of an OME-TIFF and an OME-Zarr without both."""
    return file.stem.removesuffix(".ome")


def without_ending(name: str, endings: Iterable[str]) -> str:
    """A name without the first of ``endings`` that it has.

    >>> without_ending("cell_1_labels", PREDICTED)
    'cell_1'
    """
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name)
