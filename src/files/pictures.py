"""Pictures of one plane: PNG, JPEG, BMP, GIF, JPEG 2000 and WebP."""

import io
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from src.files import guard
from src.files.limits import check_size
from src.files.stored import Stored, known_orientation

Image.MAX_IMAGE_PIXELS = None  # `check_size` sees to it, with a limit that can be raised
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
MOST_BITS = 8  # of a number of a palette


def open_png(file: Path) -> Stored:
    """A PNG of any depth and any channels; of one with a palette its numbers, and the palette."""
    data = file.read_bytes()
    depth, colours = guard.check_png(data)
    if colours == 3:
        return _with_pillow(data)
    array = imagecodecs.png_decode(data)
    if depth < MOST_BITS:  # spread over the 8 bits by the decoder
        array = array // (255 // (2**depth - 1))
        array = array.astype(bool) if depth == 1 else array
    turned = _orientation(data) if b"eXIf" in data else 1  # for which Pillow would decode all of it
    return Stored(array, "YXS"[: array.ndim], orientation=turned, bits=int(depth == 1))


def open_jpeg(file: Path) -> Stored:
    """A JPEG, whole or refused."""
    data = file.read_bytes()
    guard.check_jpeg(data)
    return _decoded(data, imagecodecs.jpeg_decode)


def open_jpeg2000(file: Path) -> Stored:
    """A JPEG 2000 of any depth."""
    data = file.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        check_size((image.height, image.width), 1)
    return _decoded(data, imagecodecs.jpeg2k_decode)


def open_other(file: Path) -> Stored:
    """A BMP, GIF or WebP."""
    return _with_pillow(file.read_bytes())


def _decoded(data: bytes, decode: Callable[[bytes], np.ndarray]) -> Stored:
    array = decode(data)
    return Stored(array, "YXS"[: array.ndim], orientation=_orientation(data))


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return known_orientation(image.getexif().get(ORIENTATION, 1))


def _with_pillow(data: bytes) -> Stored:
    with Image.open(io.BytesIO(data)) as image:
        check_size((image.height, image.width), 1)
        if getattr(image, "n_frames", 1) > 1:
            raise ValueError(f"it is a film of {image.n_frames} pictures; nearest valid: a TIFF stack of them")
        array, orientation = np.asarray(image), known_orientation(image.getexif().get(ORIENTATION, 1))
        table = np.reshape(image.getpalette("RGB"), (-1, 3)).astype(np.uint8) if image.mode == "P" else None
        bits = int(image.mode == "1")
    return Stored(
        array,
        "YXS"[: array.ndim],
        orientation=orientation,
        bits=bits,
        table=table,
        is_picture=True,
    )
