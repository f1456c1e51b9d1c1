"""A small folder of images and numbered cells, without fault, and what people do to theirs."""

import functools
from pathlib import Path

import cv2
import imagecodecs
import imageio.v3 as iio
import numpy as np
import tifffile
import zarr

SIDE, IMAGES = 96, 10


def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of bright cells and their numbers, both ``(96, 96)``, another one for each number."""
    image, cells = _drawn(number)
    return image.copy(), cells.copy()


@functools.cache
def _drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(number)
    cells = np.zeros((SIDE, SIDE), np.uint16)
    while cells.max() < 7:
        y, x = random.integers(12, SIDE - 12, 2)
        disc = np.hypot(*(np.mgrid[:SIDE, :SIDE] - np.array([y, x])[:, None, None])) < random.integers(7, 12)
        if not cells[disc].any():
            cells[disc] = cells.max() + 1
    brightness = random.uniform(90, 200, 8) * (np.arange(8) > 0)
    image = cv2.GaussianBlur(20 + brightness[cells].astype(np.float32), (0, 0), 1)
    return np.clip(image + random.normal(0, 5, image.shape), 0, 250).astype(np.uint8), cells


def folder(root: Path, count: int = IMAGES) -> Path:
    """Write ``images/cell_00.png`` and so on, and ``labels/cell_00.tif`` and so on."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        image, cells = draw(number)
        iio.imwrite(root / f"images/cell_{number:02d}.png", image)
        write(root / f"labels/cell_{number:02d}.tif", cells)
    return root


def write(file: Path, array: np.ndarray, **options) -> None:
    if file.suffix == ".tif":
        tifffile.imwrite(file, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack", **options)
    elif file.suffix == ".zarr":
        zarr.save_array(file, array)
    elif file.suffix == ".jpg":
        file.write_bytes(imagecodecs.jpeg_encode(array, level=60))
    else:
        iio.imwrite(file, array)


def change_image(root: Path, change, numbers=range(IMAGES), suffix: str = ".png", **options) -> None:
    """Write images again that ``change`` has altered."""
    for number in numbers:
        old = root / f"images/cell_{number:02d}.png"
        image = iio.imread(old)
        old.unlink()
        write(old.with_suffix(suffix), change(image), **options)


def change_labels(root: Path, change, numbers=range(IMAGES), suffix: str = ".tif") -> None:
    """Write labels again that ``change`` has altered."""
    for number in numbers:
        old = root / f"labels/cell_{number:02d}.tif"
        labels = tifffile.imread(old)
        old.unlink()
        write(old.with_suffix(suffix), change(labels))


def cell_tracking_film(root: Path, film: str, frames: int) -> None:
    """A film of the Cell Tracking Challenge of which each third frame is annotated."""
    (root / film).mkdir(parents=True)
    (root / f"{film}_GT/SEG").mkdir(parents=True)
    for number in range(3 * frames):
        image, cells = draw(number)
        write(root / film / f"t{number:03d}.tif", image)
        if number % 3 == 0:
            write(root / f"{film}_GT/SEG/man_seg{number:03d}.tif", cells)
