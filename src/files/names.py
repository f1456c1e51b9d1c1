"""Names of files: which endings are read, what a file is called without them, and the order of names."""

import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

TIFF_SUFFIXES = (".tif", ".tiff", ".lsm", ".svs")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".bmp", ".gif", ".webp")
MICROSCOPE_SUFFIXES = (".czi", ".lif", ".nd2")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, ".zarr", *MICROSCOPE_SUFFIXES)
LABEL_SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".gif", ".zarr")
REFUSED_SUFFIXES = (".jpg", ".jpeg", ".npy")  # of labels, by name, when they are read
SHAPE_SUFFIXES = (".json", ".zip", ".roi")
OUTPUTS = ("probabilities", "labels", "table", "rois", "geojson", "overlay")
SEPARATORS = "_- ."  # between the name of an image and what stands for its labels
CHANNEL = r"[_\-. ](0\d{3}|[A-Za-z]\w*)"  # of a file of one channel: numbered as by nnU-Net, or a stain, or c1, ch00
PREDICTED = ("_probabilities", "_labels")
PICTURED = "_overlay"  # of a prediction; a picture to look at, which nobody reads


def stem(file: Path) -> str:
    """The name of an image without its suffix, of an OME-TIFF and an OME-Zarr without both.

    Names are in the composed form of Unicode (NFC), because macOS writes an é as two characters and others as one.
    """
    return unicodedata.normalize("NFC", file.stem).removesuffix(".ome")


def natural(name: str) -> tuple[list[str | int], str]:
    """A key to sort names by, as people count: 2 comes before 10.

    >>> sorted(["a10", "a2", "a02"], key=natural)
    ['a02', 'a2', 'a10']
    """
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name))], name


def without_ending(name: str, endings: Iterable[str]) -> str:
    """A name without the first of ``endings`` that it has.

    >>> without_ending("cell_1_labels", PREDICTED)
    'cell_1'
    """
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name)


def longer_than(name: str) -> list[str]:
    """The names that a name may be a longer form of, the longest first.

    >>> longer_than("a_1_mask")
    ['a_1', 'a']
    """
    return [name[:place] for place in range(len(name) - 1, 0, -1) if name[place] in SEPARATORS]


def base_of(name: str, names: Container[str]) -> str | None:
    """The longest of some names that a name is a longer form of; None if it is of none.

    >>> base_of("a_1_mask", {"a", "a_1"})
    'a_1'
    """
    return next((each for each in longer_than(name) if each in names), None)


def of_channel(name: str) -> tuple[str, str]:
    """The name of an image and what stands for a channel behind it, in the name of a file; empty if nothing does.

    >>> of_channel("cell_1_0000"), of_channel("cell_1")
    (('cell_1', '_0000'), ('cell_1', ''))
    """
    match = re.fullmatch(f"(.+)({CHANNEL})", name)
    return (match[1], match[2]) if match else (name, "")


def image_name(files: Sequence[Path]) -> str:
    """The name of an image of one file, or of several with a channel each."""
    return of_channel(stem(files[0]))[0] if len(files) > 1 else stem(files[0])
