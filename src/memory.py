"""Memory that training takes, in bytes, and memory that the machine has.

    fixed ─ Python with its libraries
    weights ─ themselves, their gradients, two moments of AdamW, their average, and a copy for the checkpoint
    activations ─ what the backward pass needs of the forward pass, for each tile of a step
    data ─ all images as they are read and as they are learnt from

tests/test_memory.py compares it with processes that train in fp32 on a CPU; bf16 takes about as much there.
"""

import math
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from src.build import Config
from src.tiles.geometry import covering_side

FIXED = 500 * 2**20  # of a process that trains a tiny network
FLOAT = 4
COPIES = 7  # of the weights
BLOCK = 16  # channels that OpenVINO computes together when an image is validated, even if there are fewer
INDEX = 2  # floats: the position of the maximum in a pooling window, a 64-bit integer
VALIDATED = 250  # bytes a pixel of the largest image, measured: its probabilities, cells and distances in validation
USABLE = 0.9  # share of the memory that one process may take


class Room(NamedTuple):
    """Memory for training in bytes, and where it is: ``machine`` or ``GPU``."""

    size: int
    place: str


def training_bytes(model: Config, tile: int, batch_size: int, longest: int) -> int:
    """Return the peak memory of a process that trains and validates, without the data.

    Args:
        model: of the configuration, as `src.model.unet.UNet` takes it.
        tile: side of the network's input in pixels.
        batch_size: tiles a step.
        longest: side of the largest image in pixels.
    """
    weights, learning = weights_and_activations(model, tile)
    validating = validation_floats(model, longest)
    return FIXED + FLOAT * (COPIES * weights + max(batch_size * learning, validating))


def weights_and_activations(model: Config, tile: int) -> tuple[int, int]:
    """Return the number of weights of a network, and of floats that a step keeps of a tile.

    Each convolution keeps its output for the ReLU, and with normalisation also the input of that. The largest
    activation is added once more, for its gradient.
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
        floats += 2 * outputs * side**2  # skip and up-convolution, concatenated
        double_convolution(2 * outputs, outputs)
    return weights, floats + (2 * widths[0] + 3 * model["classes"]) * side**2


def validation_floats(model: Config, longest: int) -> int:
    """Return the number of floats that validating an image keeps at its peak, at the end of the expanding path.

    These are the skip, the up-convolution, both concatenated, and the output of the next convolution. At the end of
    training images are also rotated by any angle, which makes them √2 times as long. OpenVINO computes that in blocks
    of 16 channels.
    """
    side = covering_side(math.ceil(2**0.5 * longest), model["depth"], model["padded"])
    channels: int = max(model["base_channels"], BLOCK)
    classes: int = model["classes"]
    return 5 * channels * side**2 + 3 * classes * longest**2


def data_bytes(pixels: float, largest: int, channels: int, item: int) -> int:
    """Return the memory of all images, and of what is computed from one of them during validation.

    Grey values, classes, cell numbers and annotated pixels are held three times: as read, as selected for a part of the
    split, and with the background between touching cells. Training adds grey values and weights as floats, and the
    classes once more.

    Args:
        pixels: of all images together.
        largest: pixels of the largest image.
        channels: of the images.
        item: bytes of a stored grey value.
    """
    read = channels * item + 1 + 4 + 1
    return int(pixels * (3 * read + FLOAT * (channels + 1) + 1)) + VALIDATED * largest


def room(accelerator: str) -> Room | None:
    """Return the memory for training; None if unknown.

    Args:
        accelerator: as Lightning names it.
    """
    if accelerator in ("auto", "gpu", "cuda") and shutil.which("nvidia-smi"):
        import torch  # takes seconds to import, so only if there is a GPU

        if torch.cuda.is_available():
            return Room(int(USABLE * torch.cuda.get_device_properties(0).total_memory), "GPU")
    limits = cgroup_limits()
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):  # not on Windows
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return Room(int(USABLE * min(limits)), "machine") if limits else None


def cgroup_limits(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Return the memory limits in bytes of the control groups of this process, as containers and Slurm set them.

    Args:
        groups: the file that lists the groups.
        mounted: the folder with their limits.
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
