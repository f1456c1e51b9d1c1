"""Images with one file per channel, such as NAME_0000.tif and NAME_0001.tif of nnU-Net."""

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
    """Group files that hold one of ``count`` channels each by image, in the order of the channels.

    The names of all files must end in the same ``count`` endings, such as NAME_0000 and NAME_0001, or NAME_actin and
    NAME_dapi. If they do not, each file is an image of its own.
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
    """Read the files of one image, one channel each.

    Raises:
        ValueError: as of `image.open_stored`, or the files differ in axes or size.
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
    """Open an image of one file as `open_image` does, or read one whose channels are in several files.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as of `in_memory_together`.
    """
    if len(files) == 1:
        return open_image(files[0], reading)
    return replace(image_of(files[0], in_memory_together(files), reading), parts=tuple(files))
