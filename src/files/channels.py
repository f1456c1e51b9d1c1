"""The channels of images: in one file or in a file each, such as NAME_0000.tif of nnU-Net; all of them, or some."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.files.grey import is_grey
from src.files.image import Image, has_equal_channels, image_of, in_memory, open_image
from src.files.names import natural, of_channel, stem
from src.files.stored import SHOWN, Reading, Stored


def put_together(files: Sequence[Path], count: int) -> list[tuple[Path, ...]]:
    """Files that are the ``count`` channels of one image together, in their order; each by itself if they are not.

    All must be called so, with the same endings: NAME_0000 and NAME_0001, or NAME_actin and NAME_dapi.
    """
    of: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for file in files:
        name, end = of_channel(stem(file))
        of[file.parent, name][end] = file
    ends = {tuple(sorted(parts, key=natural)) for parts in of.values()}
    if count < 2 or len(ends) != 1 or len(ends := ends.pop()) != count or "" in ends:
        return [(file,) for file in files]
    return [tuple(parts[end] for end in ends) for parts in of.values()]


def in_memory_together(files: Sequence[Path]) -> Stored:
    """What the files of one image hold, a channel each.

    Raises:
        ValueError: as of `image.open_stored`, or they differ in their axes or sizes.
    """
    channels = []
    for file in files:
        stored = in_memory(file)
        if stored.axes.endswith("S") and is_grey(stored.array[..., :3]):
            stored = replace(stored, array=stored.array[..., 0], axes=stored.axes[:-1])
        channels.append(stored)
        shapes = [each.array.shape for each in (channels[0], stored)]
        if {"C", "S"} & set(stored.axes) or shapes[0] != shapes[1] or stored.axes != channels[0].axes:
            got = f"{stored.array.shape} ({stored.axes}) in {file}"
            raise ValueError(f"expected one channel of the size {shapes[0]} of {files[0].name} a file, but got {got}")
    notes = tuple(dict.fromkeys(note for stored in channels for note in stored.notes))
    first, array = channels[0], np.stack([stored.array for stored in channels])
    return replace(first, array=array, axes=f"C{first.axes}", unclear=False, table=None, notes=notes)


def open_together(files: Sequence[Path], reading: Reading = SHOWN) -> Image:
    """An image of one file, as `open_image` opens it, or of several with a channel each, which are read at once.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `in_memory_together`.
    """
    if len(files) == 1:
        return open_image(files[0], reading)
    return replace(image_of(files[0], in_memory_together(files), reading), parts=tuple(files))


def with_channels(image: Image, channels: Sequence[int] | None, expected: int) -> Image:
    """The image with the channels that the network takes.

    Raises:
        ValueError: it has more or fewer; says how to choose.
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
