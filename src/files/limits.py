"""Limits on the image sizes that files may announce, and uniform messages for errors of decoders."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_NODES, MOST_DEPTH = 200_000, 24  # largest number of values, and of levels, in nested lists and dictionaries
MOST_PLANES = 100_000

_limits = {"pixels": 2**31}


def allow(pixels: int) -> None:
    """Set the largest number of pixels that a plane may have, for the rest of this process."""
    _limits["pixels"] = pixels


def check_regular(file: Path) -> None:
    """Refuse anything but a regular file or a Zarr folder: opening a pipe could block for ever.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: the path is another folder, a pipe or a device.
    """
    if not file.exists():
        raise FileNotFoundError(f"expected an image, but there is none at {file}")
    if not file.is_file() and not (file.is_dir() and file.suffix == ".zarr"):
        raise ValueError(f"expected a file, but {file} is a folder, a pipe or a device")


@contextmanager
def decoding(file: Path) -> Iterator[None]:
    """Turn any error that a decoder raises in the ``with`` block into a ValueError that names the file.

    Raises:
        ValueError: the file cannot be decoded, or does not fit into memory.
    """
    try:
        yield
    except MemoryError as error:
        raise ValueError(
            f"expected an image that fits into memory, but {file} does not ({reason(error)}); "
            f"nearest valid: a smaller part of it"
        ) from error
    except Exception as error:  # decoders raise errors of any type
        raise ValueError(f"expected a complete image, but {file} cannot be read: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return the message of an error as one line.

    Some decoders raise errors whose message is empty or a single word; then the type of the error is added.
    """
    message = str(error).partition("\n")[0][:300].strip().rstrip(":")
    if len(message.split()) > 1:
        return message
    return f"its content is invalid ({' '.join([type(error).__name__, *message.split()])})"


def check_size(shape: tuple[int, ...], planes: int, capacity: float = math.inf, announced: int = 0) -> None:
    """Refuse an image that announces more bytes than its file can decode to, or more pixels or planes than allowed.

    Args:
        shape: shape of a plane, beginning with rows and columns.
        planes: number of planes.
        capacity: largest number of bytes that the file can decode to.
        announced: number of bytes that the header announces.

    Raises:
        ValueError: the image announces too much; the message states its size and the setting that raises the limit.
    """
    pixels = math.prod(shape[:2])
    size = f"{planes:,} planes of {'×'.join(map(str, shape))}"
    if announced > capacity:
        raise ValueError(f"it announces {size}, more than a file of its size can hold")
    if planes > MOST_PLANES:
        raise ValueError(f"it announces {size}; nearest valid: {MOST_PLANES:,} planes")
    if pixels > _limits["pixels"]:
        raise ValueError(f"it announces {size}; nearest valid: max_pixels={pixels}")


def check_plain(node: object, what: str) -> None:
    """Refuse values that JSON cannot store unchanged, and more values or deeper nesting than the limits allow.

    JSON can store dictionaries with string keys, lists, strings, finite numbers, booleans and null.

    Args:
        node: a value, which may be a nested dictionary or list.
        what: plural name of such values, for the message.

    Raises:
        ValueError: JSON cannot store a value, which the message names, or the limits are exceeded.
    """
    left = MOST_NODES

    def check(node: object, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > MOST_DEPTH:
            limit = f"at most {MOST_NODES:,} values, nested at most {MOST_DEPTH} deep"
            raise ValueError(f"expected {what} of {limit}, but got more")
        if type(node) is dict and all(type(key) is str for key in node):
            for value in node.values():
                check(value, depth + 1)
        elif type(node) is list:
            for value in node:
                check(value, depth + 1)
        elif not (node is None or type(node) in (bool, int, str) or (type(node) is float and math.isfinite(node))):
            raise ValueError(f"expected {what} of plain values, but got {str(node)[:80]} ({type(node).__name__})")

    check(node, 0)
