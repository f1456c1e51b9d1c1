"""What a file may claim, whatever it is: limits that can be raised, and one message for whatever a decoder says."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_NODES, MOST_DEPTH = 200_000, 24  # of nested containers
MOST_PLANES = 100_000

_limits = {"pixels": 2**31}


def allow(pixels: int) -> None:
    """Set the largest number of pixels of a plane, for this process."""
    _limits["pixels"] = pixels


def check_regular(file: Path) -> None:
    """Refuse what is no file on disk: to open a pipe would wait for ever.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is a folder, a pipe or a device.
    """
    if not file.exists():
        raise FileNotFoundError(f"expected an image, but there is none at {file}")
    if not file.is_file() and not (file.is_dir() and file.suffix == ".zarr"):
        raise ValueError(f"expected a file, but {file} is a folder, a pipe or a device")


@contextmanager
def decoding(file: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into one message that names the file.

    Raises:
        ValueError: it cannot be decoded.
    """
    try:
        yield
    except MemoryError as error:
        raise ValueError(
            f"expected an image that fits in memory, but there is too little for {file} ({reason(error)}); "
            f"nearest valid: a smaller part of it"
        ) from error
    except Exception as error:  # decoders raise whatever the first wrong byte leads to
        raise ValueError(f"expected a complete image, but {file} cannot be read: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What an error says, in a line; some of those of decoders say nothing, or a number."""
    said = str(error).partition("\n")[0][:300].strip().rstrip(":")
    if len(said.split()) > 1:
        return said
    return f"its content is not understood ({' '.join([type(error).__name__, *said.split()])})"


def check_size(shape: tuple[int, ...], planes: int, held: float = math.inf, bytes_promised: int = 0) -> None:
    """Refuse an image that promises more than it can hold, or than is allowed.

    Args:
        shape: of a plane, rows and columns first.
        planes: how many of them.
        held: bytes that the file can become when it is decoded.
        bytes_promised: bytes of all planes.

    Raises:
        ValueError: says what is promised, and the key that allows more.
    """
    pixels = math.prod(shape[:2])
    size = f"{planes:,} planes of {'×'.join(map(str, shape))}"
    if bytes_promised > held:
        raise ValueError(f"it promises {size}, which is more than a file of its size can hold")
    if planes > MOST_PLANES:
        raise ValueError(f"it promises {size}; nearest valid: {MOST_PLANES:,} planes")
    if pixels > _limits["pixels"]:
        raise ValueError(f"it promises {size}; nearest valid: max_pixels={pixels}")


def check_plain(node: object, what: str) -> None:
    """Refuse what JSON would not give back equal: anything but dictionaries by text, lists, text, numbers and null.

    Raises:
        ValueError: names the value.
    """
    left = MOST_NODES

    def check(node: object, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > MOST_DEPTH:
            raise ValueError(f"expected {what} of a handful of values, but got too many, or one within itself")
        if type(node) is dict and all(type(key) is str for key in node):
            for value in node.values():
                check(value, depth + 1)
        elif type(node) is list:
            for value in node:
                check(value, depth + 1)
        elif not (node is None or type(node) in (bool, int, str) or (type(node) is float and math.isfinite(node))):
            raise ValueError(f"expected {what} of plain values, but got {str(node)[:80]} ({type(node).__name__})")

    check(node, 0)
