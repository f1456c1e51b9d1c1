"""Choose tile size, batch size and width of the network from the data and the memory of the machine."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import ceil, pow, prod
from typing import Any

import numpy as np

from src.arguments import NO_VALIDATION
from src.build import Config
from src.memory import Room, data_bytes, training_bytes
from src.tiles.geometry import is_valid_side, nearest_valid_sides, output_side, shrinkage

USEFUL = 0.8  # a smaller tile is chosen if it has at most this share of the pixels of the default tile
FEWEST_CHANNELS = 8  # in the first level; narrower networks learn too little

Found = dict[str, Any]  # the results of a check as plain values, see `findings.summary.Summary`


def fitted(config: Config, found: Found, fixed: Collection[str], room: Room | None) -> tuple[dict[str, object], str]:
    """Choose the settings with which a configuration fits the data and the memory for training.

    Args:
        config: a configuration of `src.train`.
        found: the results of a check, without errors.
        fixed: the keys that the user has set, whose values are kept.
        room: the memory for training; None if unknown.

    Returns:
        The values to change, by key; and a line that describes the memory that training takes.

    Raises:
        ValueError: the user's values do not fit the data.
    """
    model, tile = config["model"], config["data"]["tile"]
    added: dict[str, object] = {}
    if "data.tile" in fixed:
        output_side(tile, model["depth"], model["padded"])
    else:
        tile = fitting_tile(typical_side(found["sizes"]), tile, model["depth"], model["padded"])
    if config["score"] == "best" and not found["split"]["validation"]:
        if "score" in fixed:
            raise ValueError(NO_VALIDATION)
        added["score"] = "last"
    first = Step(tile, config["data"]["batch_size"], model["base_channels"])
    step = first
    while room and taken(step, model, found, room) > room.size and (smaller := narrowed(step, model, fixed)):
        step = smaller
    if step.tile != config["data"]["tile"]:
        added["data.tile"] = step.tile
    if step.batch_size != first.batch_size:
        added["data.batch_size"] = step.batch_size
    if step.channels != first.channels:
        added["model.base_channels"] = step.channels
    return added, memory_line(step, first, model, found, room)


@dataclass(frozen=True)
class Step:
    """The size of a training step, on which its memory depends.

    Attributes:
        tile: the side of a tile in pixels.
        batch_size: the number of tiles in a step.
        channels: the number of channels in the first level of the network.
    """

    tile: int
    batch_size: int
    channels: int

    def __str__(self) -> str:
        return f"batch {self.batch_size}, tile {self.tile}, {self.channels} channels"


def taken(step: Step, model: Config, found: Found, room: Room | None) -> int:
    """Return the peak memory of training in bytes, including all images, except on a GPU, which holds only tiles.

    Args:
        step: the size of a training step.
        model: the node ``model`` of the configuration.
        found: the results of a check.
        room: the memory for training; None if unknown.
    """
    areas = [height * width for height, width in found["sizes"]]
    pixels, longest = found["slices"] * sum(areas) / len(areas), max(max(size) for size in found["sizes"])
    item = max(np.dtype(each).itemsize for each in found["dtypes"])
    data = 0 if room and room.place == "GPU" else data_bytes(pixels, max(areas), model["in_channels"], item)
    network = dict(model) | {"base_channels": step.channels}
    return training_bytes(network, step.tile, step.batch_size, longest) + data


def narrowed(step: Step, model: Config, fixed: Collection[str]) -> Step | None:
    """Return the next smaller size of a training step, or None if there is no smaller size.

    First the batch is reduced to one tile, then the number of channels is halved, then the side of the labelled part of
    the tile.

    Args:
        step: the size of a training step.
        model: the node ``model`` of the configuration.
        fixed: the keys that the user has set, whose values are kept.
    """
    if step.batch_size > 1 and "data.batch_size" not in fixed:
        return replace(step, batch_size=1)
    if step.channels >= 2 * FEWEST_CHANNELS and "model.base_channels" not in fixed:
        return replace(step, channels=step.channels // 2)
    if "data.tile" not in fixed:
        labelled = output_side(step.tile, model["depth"], model["padded"])
        tile = covering_tile(labelled // 2, model["depth"], model["padded"])
        return replace(step, tile=tile) if tile < step.tile else None
    return None


def memory_line(step: Step, first: Step, model: Config, found: Found, room: Room | None) -> str:
    """Describe the memory that training takes, and which larger size of a training step would not fit.

    Args:
        step: the size of a training step to train with.
        first: the size before it was reduced to fit the memory.
        model: the node ``model`` of the configuration.
        found: the results of a check.
        room: the memory for training; None if unknown.
    """
    needed = taken(step, model, found, room)
    line = f"memory: about {gib(needed)} to train ({step})"
    if step != first:
        line += f", because {first} would take {gib(taken(first, model, found, room))}"
    if room and (step != first or needed > room.size):
        line += f"; this {room.place} has {gib(room.size)} for it"
    return line


def fitting_tile(length: int, usual: int, depth: int, padded: bool) -> int:
    """Return the side of the tile to train with: the default, or a smaller side that covers the images at less cost.

    A network without padding learns only from the inner part of a tile. If the inner part is larger than the image, it
    shows the image and mirror images of it, which cost time and teach nothing.

    Args:
        length: the side of a typical image in pixels.
        usual: the side of the default tile in pixels.
        depth: the depth of the network, which limits the valid sides.
        padded: whether the convolutions of the network are padded.

    >>> fitting_tile(96, 444, depth=4, padded=False)
    284
    >>> fitting_tile(1024, 444, depth=4, padded=False)
    444
    """
    covering = covering_tile(min(length, usual), depth, padded)
    fits = is_valid_side(usual, depth, padded)
    return usual if fits and covering**2 > USEFUL * usual**2 else covering


def covering_tile(length: int, depth: int, padded: bool) -> int:
    """Return the side of the smallest valid tile whose labelled part has a side of at least ``length`` pixels.

    A padded network also needs a side of at least two pixels at its lowest level, because batch normalisation refuses a
    single pixel.
    """
    side = max(length, 2 * 2**depth) if padded else length + shrinkage(depth)
    return next(each for each in nearest_valid_sides(side, depth, padded) if each >= side)


def typical_side(sizes: list[list[int]]) -> int:
    """Return the side in pixels of a square whose area is the geometric mean of the areas of images.

    Args:
        sizes: height and width of the smallest and of the largest image, or of all images if they are equally large.
    """
    return ceil(pow(prod(height * width for height, width in sizes), 1 / (2 * len(sizes))))


def gib(size: float) -> str:
    """Format a number of bytes as GiB."""
    return f"{size / 2**30:.1f} GiB"
