"""File names: supported suffixes, image names without suffix and ending, and natural sort order."""

import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

TIFF_SUFFIXES = (".tif", ".tiff", ".lsm", ".svs")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".bmp", ".gif", ".webp")
MICROSCOPE_SUFFIXES = (".czi", ".lif", ".nd2")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, ".zarr", *MICROSCOPE_SUFFIXES)
LABEL_SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".gif", ".zarr")
REFUSED_SUFFIXES = (".jpg", ".jpeg", ".npy")  # label files that are found, but refused with a message when read
SHAPE_SUFFIXES = (".json", ".zip", ".roi")
OUTPUTS = ("probabilities", "labels", "table", "rois", "geojson", "overlay")
SEPARATORS = "_- ."  # between the name of an image and the ending of its label file
CHANNEL = r"[_\-. ](0\d{3}|[A-Za-z]\w*)"  # ending of a one-channel file: a number as in nnU-Net, a stain, c1, ch00
PREDICTED = ("_probabilities", "_labels")  # endings of predictions
PICTURED = "_overlay"  # ending of pictures of predictions, which are never read


def stem(file: Path) -> str:
    """Return a file name without its suffix; for OME-TIFF and OME-Zarr, also without ``.ome``.

    The name is normalised to composed Unicode (NFC), because macOS writes é as two characters, other systems as one.
    """
    return unicodedata.normalize("NFC", file.stem).removesuffix(".ome")


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a sort key for natural order, in which 2 comes before 10.

    >>> sorted(["a10", "a2", "a02"], key=natural)
    ['a02', 'a2', 'a10']
    """
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name))], name


def without_ending(name: str, endings: Iterable[str]) -> str:
    """Return a name without the first of ``endings`` that matches; unchanged if no ending matches.

    >>> without_ending("cell_1_labels", PREDICTED)
    'cell_1'
    """
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name)


def longer_than(name: str) -> list[str]:
    """Return all prefixes of a name that are followed by one of the `SEPARATORS`, longest first.

    >>> longer_than("a_1_mask")
    ['a_1', 'a']
    """
    return [name[:place] for place in range(len(name) - 1, 0, -1) if name[place] in SEPARATORS]


def base_of(name: str, names: Container[str]) -> str | None:
    """Return the longest of ``names`` that begins ``name`` and is followed by a separator there, or None.

    >>> base_of("a_1_mask", {"a", "a_1"})
    'a_1'
    """
    return next((each for each in longer_than(name) if each in names), None)


def of_channel(name: str) -> tuple[str, str]:
    """Split a file name into the image name and the ending for a channel; the ending is empty if there is none.

    >>> of_channel("cell_1_0000"), of_channel("cell_1")
    (('cell_1', '_0000'), ('cell_1', ''))
    """
    match = re.fullmatch(f"(.+)({CHANNEL})", name)
    return (match[1], match[2]) if match else (name, "")


def image_name(files: Sequence[Path]) -> str:
    """Return the name of an image from its files: a single file, or one file per channel."""
    return of_channel(stem(files[0]))[0] if len(files) > 1 else stem(files[0])
