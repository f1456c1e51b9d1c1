"""Estimate the memory that training takes, in bytes, and find out how much memory the machine has.

The estimate is the sum of:

    fixed: Python with its libraries
    weights: the weights, their gradients, two moments of AdamW, their average, and a copy for the checkpoint
    activations: the results of the forward pass that the backward pass needs, for each tile of a training step
    data: all images, as read and as used for training

tests/test_memory.py compares the estimate with processes that train in fp32 on a CPU, where bf16 takes about as much.
"""

import math
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from src.build import Config
from src.tiles.geometry import covering_side

FIXED = 500 * 2**20  # bytes of a process that trains a tiny network
FLOAT = 4  # bytes
COPIES = 7  # copies of the weights in memory
BLOCK = 16  # channels that OpenVINO computes together when an image is validated, even if there are fewer
INDEX = 2  # floats: the position of the maximum in a pooling window, a 64-bit integer
VALIDATED = 250  # bytes per pixel of the largest image, measured: its probabilities, cells and distances in validation
USABLE = 0.9  # share of the memory that one process may take


class Room(NamedTuple):
    """The memory for training.

    Attributes:
        size: its size in bytes.
        place: where it is, ``machine`` or ``GPU``.
    """

    size: int
    place: str


def training_bytes(model: Config, tile: int, batch_size: int, longest: int) -> int:
    """Return the peak memory in bytes of a process that trains and validates, without that of the data.

    Args:
        model: the node ``model`` of the configuration, with the arguments of `src.model.unet.UNet`.
        tile: the side of the network's input in pixels.
        batch_size: the number of tiles in a training step.
        longest: the longest side of any image in pixels.
    """
    weights, learning = weights_and_activations(model, tile)
    validating = validation_floats(model, longest)
    return FIXED + FLOAT * (COPIES * weights + max(batch_size * learning, validating))


def weights_and_activations(model: Config, tile: int) -> tuple[int, int]:
    """Return the number of weights of a network, and the number of floats that a training step keeps per tile.

    Each convolution keeps its output for the backward pass of the ReLU, and with normalisation also the input of the
    normalisation. The largest activation is added once more, for its gradient.
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
        floats += 2 * outputs * side**2  # skip connection and up-convolution, concatenated
        double_convolution(2 * outputs, outputs)
    return weights, floats + (2 * widths[0] + 3 * model["classes"]) * side**2


def validation_floats(model: Config, longest: int) -> int:
    """Return the largest number of floats in memory while the network predicts an image for validation.

    The peak is at the end of the expanding path: the skip connection, the output of the up-convolution, both
    concatenated, and the output of the next convolution. At the end of training, images are also predicted rotated by
    any angle, which makes them up to √2 times as long. OpenVINO computes channels in blocks of 16.

    Args:
        model: the node ``model`` of the configuration.
        longest: the longest side of any image in pixels.
    """
    side = covering_side(math.ceil(2**0.5 * longest), model["depth"], model["padded"])
    channels: int = max(model["base_channels"], BLOCK)
    classes: int = model["classes"]
    return 5 * channels * side**2 + 3 * classes * longest**2


def data_bytes(pixels: float, largest: int, channels: int, item: int) -> int:
    """Return the memory in bytes of all images, and of everything computed from the largest one during validation.

    Grey values, classes, cell numbers and annotated pixels are held three times: as read, as selected for a part of the
    split, and with background inserted between touching cells. Training adds grey values and pixel weights as floats,
    and the classes once more.

    Args:
        pixels: the number of pixels of all images together.
        largest: the number of pixels of the largest image.
        channels: the number of channels of the images.
        item: the number of bytes of a stored grey value.
    """
    read = channels * item + 1 + 4 + 1
    return int(pixels * (3 * read + FLOAT * (channels + 1) + 1)) + VALIDATED * largest


def room(accelerator: str) -> Room | None:
    """Return the memory available for training, or None if it is unknown.

    Args:
        accelerator: the name of the accelerator, as Lightning names it.
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
    """Return the memory limits, in bytes, of the Linux control groups of this process, which containers and Slurm set.

    Args:
        groups: the file that lists the groups.
        mounted: the folder that contains the limits of each group.
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
