"""Images whose channels are in one file or in one file per channel (as in nnU-Net), and selection of channels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.files.grey import is_grey
from src.files.image import Image, image_of, in_memory, open_image
from src.files.names import natural, of_channel, stem
from src.files.stored import SHOWN, Reading, Stored


def put_together(files: Sequence[Path], count: int) -> list[tuple[Path, ...]]:
    """Group files with one channel each by the image to which they belong.

    The files are grouped if each image has the same ``count`` endings, such as NAME_0000 and NAME_0001, or NAME_actin
    and NAME_dapi. Otherwise, each file is an image of its own.

    Args:
        files: image files.
        count: number of channels of an image; if it is 1, no files are grouped.

    Returns:
        The files of each image, in natural order of their endings.
    """
    of: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for file in files:
        name, end = of_channel(stem(file))
        of[file.parent, name][end] = file
    orders = {tuple(sorted(parts, key=natural)) for parts in of.values()}
    ends = orders.pop() if len(orders) == 1 else ()
    if count < 2 or len(ends) != count or "" in ends:
        return [(file,) for file in files]
    return [tuple(parts[end] for end in ends) for parts in of.values()]


def in_memory_together(files: Sequence[Path]) -> Stored:
    """Read all pixels of an image that is stored as one file per channel; the channels become the first axis.

    A colour file whose red, green and blue values are equal counts as one grey channel.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file cannot be read, has several channels, or differs from the first file in axes or size.
    """
    channels: list[Stored] = []
    for file in files:
        stored = in_memory(file)
        array = np.asarray(stored.array)
        if stored.axes.endswith("S") and is_grey(array[..., :3]):
            stored = replace(stored, array=array[..., 0], axes=stored.axes[:-1])
        channels.append(stored)
        shapes = [each.array.shape for each in (channels[0], stored)]
        if {"C", "S"} & set(stored.axes) or shapes[0] != shapes[1] or stored.axes != channels[0].axes:
            got = f"{stored.array.shape} ({stored.axes}) in {file}"
            wanted = f"one channel per file, with the shape {shapes[0]} of {files[0].name}"
            raise ValueError(f"expected {wanted}, but got {got}")
    notes = tuple(dict.fromkeys(note for stored in channels for note in stored.notes))
    first, together = channels[0], np.stack([np.asarray(stored.array) for stored in channels])
    return replace(first, array=together, axes=f"C{first.axes}", unclear=False, table=None, notes=notes)


def open_together(files: Sequence[Path], reading: Reading = SHOWN) -> Image:
    """Open an image that is stored in one file or as one file per channel.

    A single file is opened with `open_image`; from one file per channel, the whole image is read into memory.

    Args:
        files: the only file of the image, or its file for each channel.
        reading: how to interpret the pixels.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file cannot be read, or the files do not fit together (see `in_memory_together`).
    """
    if len(files) == 1:
        return open_image(files[0], reading)
    return replace(image_of(files[0], in_memory_together(files), reading), parts=tuple(files))


def has_equal_channels(image: Image, rows: int = 512) -> bool:
    """Return whether all channels of an image are equal, so that the image is grey.

    Args:
        image: an opened image.
        rows: number of rows to read at a time.
    """
    return all((band == band[:1]).all() for plane in range(image.planes) for band in image.bands(plane, rows))


def with_channels(image: Image, channels: Sequence[int] | None, expected: int) -> Image:
    """Return the image restricted to the channels that a network takes.

    Args:
        image: an opened image.
        channels: indices of the channels to use. None uses all channels, but of a grey image that is stored as three
            equal channels only the first if the network takes one channel.
        expected: number of channels that the network takes.

    Raises:
        ValueError: a channel does not exist, or the number of channels is not ``expected``; the message says how to
            choose channels.
    """
    stored = image.in_channels
    if channels is not None:
        outside = [channel for channel in channels if not 0 <= channel < stored]
        if outside:
            raise ValueError(f"expected channels from 0 to {stored - 1}, but got {outside} of {image.file}")
        image = image.choose(tuple(channels))
    elif expected == 1 and stored == 3 and has_equal_channels(image):
        image = image.choose((0,))
    elif image.unclear and expected == 1:
        raise ValueError(
            f"expected slices or channels, but got {image.array.shape[0]} planes in {image.file}, tagged as colours; "
            f"nearest valid: axes=ZYX for slices, channels=0 for the first channel"
        )
    if image.in_channels != expected:
        example = ",".join(map(str, range(expected)))
        cure = f"; channels=[{example}] chooses" if channels is None and stored > expected else ""
        raise ValueError(
            f"expected {expected} channel{'s' * (expected > 1)}, but got {image.in_channels} in {image.file}, "
            f"which has shape {image.array.shape} ({image.axes}){cure}"
        )
    return image
