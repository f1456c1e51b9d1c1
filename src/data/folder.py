"""A folder of one's own images and labels, in the layouts that people have.

ROOT/images/NAME.tif + ROOT/labels/NAME.tif     also imgs, and masks (StarDist, milesial/Pytorch-UNet)
ROOT/NAME.tif + ROOT/NAME_masks.tif             Cellpose
"""

from collections.abc import Sequence
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from src.data import image as images
from src.data.image import open_image
from src.data.labels import KINDS, detect, read_labels, to_learn
from src.data.stack import Stack, stacked

IMAGE_FOLDERS = ("images", "imgs", "image", "img")
LABEL_FOLDERS = ("labels", "masks", "label", "mask", "annotations")
LABEL_ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg")
LABEL_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


def folder(
    root: str | Path,
    kind: str = "auto",
    values: Sequence[int] | None = None,
    ignore_label: int | None = None,
    include: str = "*",
) -> Stack:
    """The annotated images of a folder, in the order of their names.

    Args:
        root: the folder.
        kind: what the labels mean, one of `labels.KINDS`; auto finds out.
        values: of labels of classes, those of class 0, 1, …; None: they are 0, 1, … themselves.
        ignore_label: the value of pixels that nobody has annotated.
        include: images whose names fit this pattern only, such as ``plate1_*``.

    Raises:
        FileNotFoundError: there is no such folder, no image, or an image without labels.
        ValueError: a file cannot be read, image and labels differ in size, or labels in kind.
    """
    pairs = [pair for pair in matched(Path(root)) if fnmatch(pair[0].stem, include)]
    if not pairs:
        raise FileNotFoundError(f"expected images that fit {include} in {root}, but got none")
    labels = [read_labels(file) for _, file in pairs]
    if kind == "auto":
        kind = detect(labels)
    if kind not in KINDS:
        raise ValueError(f"expected data.source.kind to be auto, {', '.join(KINDS)}, but got {kind}")
    parts: dict[str, list] = {"images": [], "targets": [], "instances": [], "names": [], "files": []}
    for (image_file, label_file), label in zip(pairs, labels, strict=True):
        planes = read_planes(image_file)
        slices = label if label.ndim == 3 else label[None]
        if len(slices) != len(planes) or slices.shape[1:] != planes[0].shape[:2]:
            raise ValueError(
                f"expected labels of the size of their image, but {label_file} has {label.shape} "
                f"and {image_file} {len(planes)} × {planes[0].shape}"
            )
        for number, (plane, each) in enumerate(zip(planes, slices, strict=True)):
            target, cells = to_learn(each, kind, values, ignore_label)
            name = f"{image_file.stem}_{number:03d}" if len(planes) > 1 else image_file.stem
            for part, value in zip(parts, (plane, target, cells, name, image_file.name), strict=True):
                parts[part].append(value)
    arrays = (stacked(parts[part]) for part in ("images", "targets", "instances"))
    return Stack(*arrays, parts["names"], parts["files"])


def matched(root: Path) -> list[tuple[Path, Path]]:
    """Each image of a folder with its labels, by name.

    Raises:
        FileNotFoundError: there is no such folder, it has another layout, or a partner is missing.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder of images and labels, but there is none at {root}")
    pictures, masks = (
        next((root / name for name in names if (root / name).is_dir()), None)
        for names in (IMAGE_FOLDERS, LABEL_FOLDERS)
    )
    if (pictures is None) != (masks is None):
        raise FileNotFoundError(f"expected {root} to hold the folders images and labels, but got {pictures or masks}")
    if pictures is None:
        found = _by_stem(root, LABEL_SUFFIXES)
        labelled = {_image_stem(stem): file for stem, file in found.items() if _image_stem(stem) != stem}
        pictured = {stem: file for stem, file in found.items() if _image_stem(stem) == stem}
    else:
        pictured = _by_stem(pictures, images.SUFFIXES)
        labelled = {_image_stem(stem): file for stem, file in _by_stem(masks, LABEL_SUFFIXES).items()}
        # An image may itself be called NAME_mask.
        labelled |= {stem: file for stem, file in _by_stem(masks, LABEL_SUFFIXES).items() if stem in pictured}
    alone = sorted(pictured.keys() ^ labelled.keys())
    if alone or not pictured:
        named = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        raise FileNotFoundError(
            f"expected images and labels of the same names in {root}, but alone are: {named or '–'}"
        )
    return [(pictured[stem], labelled[stem]) for stem in sorted(pictured)]


def _by_stem(directory: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    files = (file for file in directory.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith("."))
    return {file.stem.removesuffix(".ome"): file for file in sorted(files)}


def _image_stem(stem: str) -> str:
    """The name of the image that a label file belongs to."""
    for ending in LABEL_ENDINGS:
        if stem.endswith(ending):
            return stem.removesuffix(ending)
    return stem


def read_planes(file: Path) -> list[np.ndarray]:
    """The planes of an image, as src.predict reads them: each ``(H, W)`` or ``(H, W, C)``."""
    with closing(open_image(file)) as image:
        bands = [image.band(plane, 0, image.height) for plane in range(image.planes)]
    return [band[0] if len(band) == 1 else np.ascontiguousarray(np.moveaxis(band, 0, -1)) for band in bands]
