"""What of a configuration follows from the sizes of the slices, their split, and the memory of the machine."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from src.arguments import NO_VALIDATION
from src.memory import Room, data_bytes, training_bytes
from src.tiles.geometry import is_valid_side, nearest_valid_sides, output_side, shrinkage

USEFUL = 0.8  # share of the pixels of a tile, at or below which a smaller one is worth a word
FEWEST_CHANNELS = 8  # of the first level; narrower networks learn too little to be suggested


def fitted(config: Mapping, found: dict, chosen: Collection[str], room: Room | None) -> tuple[dict[str, object], str]:
    """What to choose so that a configuration trains on these data, by key; and the memory it takes, as a line.

    Args:
        config: as of `src.train`.
        found: what `findings.summary.described` gives, without errors.
        chosen: keys that a person has chosen, which stay as they are.
        room: for training; None where nobody knows.

    Raises:
        ValueError: what they have chosen cannot be trained with.
    """
    model, tile, added = dict(config["model"]), config["data"]["tile"], {}
    if "data.tile" in chosen:
        output_side(tile, model["depth"], model["padded"])
    else:
        tile = fitting_tile(typical_side(found["sizes"]), tile, model["depth"], model["padded"])
    if config["score"] == "best" and not found["split"]["validation"]:
        if "score" in chosen:
            raise ValueError(NO_VALIDATION)
        added["score"] = "last"
    first = Step(tile, config["data"]["batch_size"], model["base_channels"])
    step = first
    while room and taken(step, model, found, room) > room.size and (smaller := narrowed(step, model, chosen)):
        step = smaller
    if step.tile != config["data"]["tile"]:
        added["data.tile"] = step.tile
    if step.batch_size != first.batch_size:
        added["data.batch_size"] = step.batch_size
    if step.channels != first.channels:
        added["model.base_channels"] = step.channels
    return added, said(step, first, model, found, room)


@dataclass(frozen=True)
class Step:
    """What a step of training takes memory for: side of a tile in pixels, tiles, channels of the first level."""

    tile: int
    batch_size: int
    channels: int

    def __str__(self) -> str:
        return f"batch {self.batch_size}, tile {self.tile}, {self.channels} channels"


def taken(step: Step, model: Mapping, found: dict, room: Room | None) -> int:
    """How many bytes training takes at its peak: with the data, unless a GPU trains, which holds tiles of them only.

    Args:
        step: of training.
        model: of the configuration.
        found: what `findings.summary.described` gives.
        room: for training; None where nobody knows.
    """
    areas = [height * width for height, width in found["sizes"]]
    pixels, longest = found["slices"] * sum(areas) / len(areas), max(max(size) for size in found["sizes"])
    item = max(np.dtype(each).itemsize for each in found["dtypes"])
    data = 0 if room and room.place == "GPU" else data_bytes(pixels, max(areas), model["in_channels"], item)
    network = dict(model) | {"base_channels": step.channels}
    return training_bytes(network, step.tile, step.batch_size, longest) + data


def narrowed(step: Step, model: Mapping, chosen: Collection[str]) -> Step | None:
    """The next step that takes less: one tile, half the channels, half the pixels a side; None if there is none.

    Args:
        step: of training.
        model: of the configuration.
        chosen: keys that a person has chosen, which stay as they are.
    """
    if step.batch_size > 1 and "data.batch_size" not in chosen:
        return replace(step, batch_size=1)
    if step.channels >= 2 * FEWEST_CHANNELS and "model.base_channels" not in chosen:
        return replace(step, channels=step.channels // 2)
    if "data.tile" not in chosen:
        labelled = output_side(step.tile, model["depth"], model["padded"])
        tile = covering_tile(labelled // 2, model["depth"], model["padded"])
        return replace(step, tile=tile) if tile < step.tile else None
    return None


def said(step: Step, first: Step, model: Mapping, found: dict, room: Room | None) -> str:
    """The memory that training takes, as a line, and what would not fit.

    Args:
        step: of training.
        first: as it was before the memory of the machine was asked for.
        model: of the configuration.
        found: what `findings.summary.described` gives.
        room: for training; None where nobody knows.
    """
    needed = taken(step, model, found, room)
    line = f"memory: about {gib(needed)} to train ({step})"
    if step != first:
        line += f", because {first} would take {gib(taken(first, model, found, room))}"
    if room and (step != first or needed > room.size):
        line += f"; this {room.place} has {gib(room.size)} for it"
    return line


def fitting_tile(length: int, usual: int, depth: int, padded: bool) -> int:
    """The tile to train with on slices of a side: the usual one, or a smaller one that covers them and is cheaper.

    With a valid network the part of a tile that is learnt from is smaller than the tile. One that is larger than the
    slice shows it and its mirror images: time is lost, and nothing is learnt.

    Args:
        length: side of a typical slice in pixels.
        usual: side of the tile that would be taken otherwise.
        depth, padded: of the network, into which the usual tile may not fit.

    >>> fitting_tile(96, 444, depth=4, padded=False)
    284
    >>> fitting_tile(1024, 444, depth=4, padded=False)
    444
    """
    covering = covering_tile(min(length, usual), depth, padded)
    fits = is_valid_side(usual, depth, padded)
    return usual if fits and covering**2 > USEFUL * usual**2 else covering


def covering_tile(length: int, depth: int, padded: bool) -> int:
    """The smallest tile of which so many pixels a side are learnt from.

    A padded network is left two pixels a side at its bottom, because batch normalisation refuses to scale a single one.
    """
    side = max(length, 2 * 2**depth) if padded else length + shrinkage(depth)
    return next(each for each in nearest_valid_sides(side, depth, padded) if each >= side)


def typical_side(sizes: list[list[int]]) -> int:
    """Side in pixels of a square as large as a slice between the smallest and the largest one: their geometric mean."""
    return ceil(prod(height * width for height, width in sizes) ** (1 / (2 * len(sizes))))


def gib(size: float) -> str:
    """Bytes as people read them."""
    return f"{size / 2**30:.1f} GiB"
