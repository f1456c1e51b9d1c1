"""Memory that training takes, in bytes, and how much of it the machine has.

    fixed ─ Python with its libraries
    weights ─ themselves, their gradients, two moments of AdamW, their average, and a copy while they are written
    activations ─ what the backward pass needs of the forward pass, for each tile of a step
    data ─ all slices as they are read and as they are learnt from

Held against processes that train in fp32 on a CPU, where bf16 takes about as much: tests/test_memory.py.
"""

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from src.tiles.geometry import covering_side

FIXED = 500 * 2**20  # what a process takes that trains next to nothing
FLOAT = 4
COPIES = 7  # of the weights
BLOCK = 16  # channels that are computed together when a slice is judged, also where there are fewer
INDEX = 2  # floats: where the maximum of a pooling window lay, as a 64-bit number
JUDGED = 250  # bytes a pixel of the largest slice, measured: its probabilities, cells and distances while it is judged
SPARE = 0.9  # share of the memory that one process may take


class Room(NamedTuple):
    """Bytes that there are to train in, and the place that has them: machine or GPU."""

    size: int
    place: str


def training_bytes(model: Mapping, tile: int, batch_size: int, longest: int) -> int:
    """Return what a process takes at its peak but for the data, while it learns from a tile or judges a slice.

    Args:
        model: of the configuration, as `src.model.unet.UNet` takes it.
        tile: side of the network's input in pixels.
        batch_size: tiles a step.
        longest: side of the largest slice in pixels.
    """
    weights, learning = weights_and_activations(model, tile)
    judging = judging_floats(model, longest)
    return FIXED + FLOAT * (COPIES * weights + max(batch_size * learning, judging))


def weights_and_activations(model: Mapping, tile: int) -> tuple[int, int]:
    """Return how many weights a network has, and how many floats a step keeps of a tile.

    Each convolution keeps what comes out of it, for the ReLU, and with normalisation also what went into that. The
    largest of all is added once more: its gradient.
    """
    depth, lost = model["depth"], 0 if model["padded"] else 2
    widths = [model["base_channels"] * 2**level for level in range(depth + 1)]
    each = 1 if model["norm"] == "none" else 2
    weights, floats, side = 0, model["in_channels"] * tile**2, tile

    def double_convolution(inputs: int, outputs: int) -> None:
        nonlocal weights, floats, side
        weights += 9 * outputs * (inputs + outputs)
        for _ in range(2):
            side -= lost
            floats += each * outputs * side**2

    for level, (inputs, outputs) in enumerate(zip([model["in_channels"], *widths], widths, strict=False)):
        double_convolution(inputs, outputs)
        if model["dropout"] and level >= depth - 1:
            floats += outputs * side**2
        if level < depth:
            side //= 2
            floats += (1 + INDEX) * outputs * side**2
    for outputs in reversed(widths[:-1]):
        side *= 2
        weights += 4 * 2 * outputs**2
        floats += 2 * outputs * side**2  # skip and up-convolution, one behind the other
        double_convolution(2 * outputs, outputs)
    return weights, floats + (2 * widths[0] + 3 * model["classes"]) * side**2


def judging_floats(model: Mapping, longest: int) -> int:
    """Return how many floats of a slice are there at once where it is largest: at the end of the expanding path.

    That is the skip, the up-convolution, both behind one another, and what is computed of them. Turned by any angle, as
    at the end of training, a slice is √2 times as long. OpenVINO, which computes it then, takes channels by sixteens.
    """
    side = covering_side(math.ceil(2**0.5 * longest), model["depth"], model["padded"])
    return 5 * max(model["base_channels"], BLOCK) * side**2 + 3 * model["classes"] * longest**2


def data_bytes(pixels: float, largest: int, channels: int, item: int) -> int:
    """Return what slices of so many pixels together take, and what is computed of one while it is judged.

    They are there as they were read, as they were chosen, and with background between cells that touch: each time
    grey values, classes, numbers of cells, and where somebody has annotated. And as they are learnt from: grey values
    and weights as floats, and the classes once more.

    Args:
        pixels: of all slices together.
        largest: pixels of the largest slice.
        channels: of the images.
        item: bytes of a grey value as it is read.
    """
    read = channels * item + 1 + 4 + 1
    return int(pixels * (3 * read + FLOAT * (channels + 1) + 1)) + JUDGED * largest


def room(accelerator: str) -> Room | None:
    """Return what there is to train in; None if nobody knows.

    Args:
        accelerator: as Lightning names it.
    """
    if accelerator in ("auto", "gpu", "cuda") and shutil.which("nvidia-smi"):
        import torch  # which takes seconds, and is needed only where there is a GPU

        if torch.cuda.is_available():
            return Room(int(SPARE * torch.cuda.get_device_properties(0).total_memory), "GPU")
    limits = cgroup_limits()
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):  # not on Windows
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return Room(int(SPARE * min(limits)), "machine") if limits else None


def cgroup_limits(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Return the limits in bytes that Linux sets to the groups of this process, as containers and Slurm use them.

    Args:
        groups: of which groups the process is.
        mounted: where their limits stand.
    """
    limits = []
    for line in groups.read_text(encoding="utf-8").splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", maxsplit=2)
        if controllers not in ("", "memory"):
            continue
        home, name = (mounted / "memory", "memory.limit_in_bytes") if controllers else (mounted, "memory.max")
        own = home / path.lstrip("/")
        for folder in (own, *own.parents):
            if (folder / name).is_file() and (text := (folder / name).read_text(encoding="utf-8").strip()) != "max":
                limits.append(int(text))
    return limits
