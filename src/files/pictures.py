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

Image.MAX_IMAGE_PIXELS = None  # `check_size` limits them, and users can raise that limit
ORIENTATION = 0x0112  # tag in EXIF and TIFF
MOST_BITS = 8  # the decoder scales values of a smaller bit depth to this bit depth


def open_png(file: Path) -> Stored:
    """Read a PNG of any bit depth and number of channels; a palette is returned with the indices into it.

    Raises:
        ValueError: the file is not a PNG, or its header announces too many pixels.
    """
    data = file.read_bytes()
    depth, colours = guard.check_png(data)
    if colours == 3:
        return _with_pillow(data)
    array = imagecodecs.png_decode(data)
    if depth < MOST_BITS:  # undo the scaling by the decoder
        array = array // (255 // (2**depth - 1))
        array = array.astype(bool) if depth == 1 else array
    turned = _orientation(data) if b"eXIf" in data else 1  # without EXIF, Pillow would decode all pixels
    return Stored(array, "YXS"[: array.ndim], orientation=turned, bits=int(depth == 1))


def open_jpeg(file: Path) -> Stored:
    """Read a JPEG file.

    Raises:
        ValueError: the file is truncated, not a JPEG, or announces too many pixels.
    """
    data = file.read_bytes()
    guard.check_jpeg(data)
    return _decoded(data, imagecodecs.jpeg_decode)


def open_jpeg2000(file: Path) -> Stored:
    """Read a JPEG 2000 file of any bit depth."""
    data = file.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        check_size((image.height, image.width), 1)
    return _decoded(data, imagecodecs.jpeg2k_decode)


def open_other(file: Path) -> Stored:
    """Read a BMP, GIF or WebP file.

    Raises:
        ValueError: the file is an animation, or announces too many pixels.
    """
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
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"it is an animation of {frames} pictures; nearest valid: a TIFF stack of them")
        array, orientation = np.asarray(image), known_orientation(image.getexif().get(ORIENTATION, 1))
        palette = image.getpalette("RGB") if image.mode == "P" else None
        table = np.array(palette, np.uint8).reshape(-1, 3) if palette is not None else None
        bits = int(image.mode == "1")
    return Stored(
        array,
        "YXS"[: array.ndim],
        orientation=orientation,
        bits=bits,
        table=table,
        is_picture=True,
    )
