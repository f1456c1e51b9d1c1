"""The description stored in an exported network: its architecture, its input, and the meaning of its output."""

from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from src import version
from src.exports.network import ExportedUNet
from src.files.legend import plain
from src.files.whole import without_nan
from src.model.engine import folded
from src.model.layout import part_of
from src.model.trained import Trained
from src.tiles.geometry import covering_side, margin, nearest_valid_sides

MADE_BY = "unet-from-few-images"
LAYOUT = 1
SCALINGS = {
    "percentiles": "the 0.5th and the 99.5th percentile of all its pixels and channels become 0 and 1, clipped",
    "objects": "the 0.5th and the 99.5th percentile of all its pixels and channels become 0 and 1, clipped; where few "
    "bright or dark objects lie on an even background, the range is widened to include them",
}


class Architecture(TypedDict):
    """The arguments with which `ExportedUNet` is created; `ExportedUNet` explains them."""

    in_channels: int
    classes: int
    base_channels: int
    depth: int
    padded: bool
    norm_after: bool
    grey_range: list[float]
    mirrored: list[int]


Meaning = TypedDict("Meaning", {"class": int, "name": str, "value": int})


@dataclass(frozen=True)
class Leaving:
    """A trained network that is to be exported, with the options of the export.

    Attributes:
        trained: the trained network with its settings, as read from a checkpoint.
        grey_range: the grey values that the exported network maps to 0 and 1; None if the program that uses the export
            has to scale each image.
        pixel_size: pixel sizes in µm by axis (Y, X); None if unknown.
        mirrored: whether the network mirrors the image at its borders, so that the output has the size of the input.
    """

    trained: Trained
    grey_range: tuple[float, float] | None = None
    pixel_size: dict[str, float] | None = None
    mirrored: bool = False

    def architecture(self) -> Architecture:
        """Return the arguments with which `ExportedUNet` is created for this network."""
        network = self.trained.model
        return {
            "in_channels": network.in_channels,
            "classes": network.classes,
            "base_channels": network.classify.in_channels,
            "depth": network.depth,
            "padded": network.padded,
            "norm_after": any(isinstance(layer, nn.BatchNorm2d) for layer in folded(network).modules()),
            "grey_range": list(self.grey_range or ()),
            "mirrored": list(mirror(network.depth, network.padded)) if self.mirrored else [],
        }

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of `ExportedUNet` by name; batch normalisation before a ReLU is folded into them."""
        found = folded(self.trained.model).state_dict()
        return {name: weight.contiguous(memory_format=torch.contiguous_format) for name, weight in found.items()}

    def network(self) -> ExportedUNet:
        """Return the network as an `ExportedUNet` in evaluation mode."""
        with torch.device("meta"):
            made = ExportedUNet(**self.architecture())
        made.load_state_dict(self.weights(), assign=True)
        return made.eval().requires_grad_(False)

    def description(self) -> dict[str, Any]:
        """Return the description, for storage as JSON; it includes what `src.restore` needs to load the export."""
        trained = self.trained
        return {
            "made_by": f"{MADE_BY} {version()}",
            "layout": LAYOUT,
            "method": "Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, arXiv 1505.04597",
            "architecture": self.architecture(),
            "input": self._input(),
            "output": self._output(),
            "threshold": trained.decoder.threshold,
            "instances": part_of("instances", trained.decoder.numbering),
            "tta": trained.tta,
            "precision": trained.precision,
            "reading": asdict(trained.reading),
            "legend": plain(trained.legend),
            "appearance": list(trained.appearance),
            "validation_scores": without_nan(trained.validation_scores),
        }

    def _input(self) -> dict[str, object]:
        network, fixed = self.trained.model, self.grey_range
        depth, whole = network.depth, network.padded or self.mirrored
        scaling = f"by the reader; in each image {SCALINGS[self.trained.reading.scaling]}"
        return {
            "axes": "NCHW",
            "channels": network.in_channels,
            "type": "float32",
            "values": "grey values as in the file" if fixed else "from 0 to 1",
            "grey_range": list(fixed or ()),
            "scaling": "in the network" if fixed else scaling,
            "sides": f"a multiple of {2**depth}" if whole else f"{2**depth}·n + {4 * (2**depth - 1)}",
            "smallest_side": smallest_side(depth) if self.mirrored else nearest_valid_sides(1, depth, whole)[0],
            "pixel_size_um": self.pixel_size or {},
        }

    def _output(self) -> dict[str, object]:
        network = self.trained.model
        return {
            "axes": "NKHW",
            "values": "probabilities of the classes, whose sum is 1",
            "lost": 0 if network.padded or self.mirrored else margin(network.depth),  # pixels lost at each border
            "context": margin(network.depth, network.padded),
            "grid": 2**network.depth,
            "outside": "mirrored at the first and the last pixel",
            "classes": meanings(self.trained),
        }


def meanings(trained: Trained) -> list[Meaning]:
    """Return the number and the name of each class, and the value of its pixels in label images of classes."""
    numbering, count = trained.decoder.numbering, trained.model.classes
    others = [f"class {number}" for number in range(1, count)]
    if not numbering.of_classes:
        others[0] = "cell"
        if boundary := getattr(numbering, "boundary", None):
            others[boundary - 1] = "boundary of a cell"
    names, values = trained.legend.names or ("background", *others), trained.legend.values or range(count)
    return [
        {"class": number, "name": name, "value": value}
        for number, (name, value) in enumerate(zip(names, values, strict=True))
    ]


def halo(depth: int) -> int:
    """Return the halo in pixels: the context of a pixel, rounded up to a multiple of 2^depth.

    Programs that predict tile by tile discard the halo at each border of a tile.
    """
    return margin(depth, padded=True)


def smallest_side(depth: int) -> int:
    """Return the side in pixels of the smallest tile for a network that mirrors its input: two halos and 2^depth."""
    grid: int = 2**depth
    return 2 * halo(depth) + grid


def mirror(depth: int, padded: bool) -> tuple[int, int]:
    """Return how many pixels the network must mirror before the first and after the last pixel of an axis.

    With these, the output has the size of the input if the sides of the input are multiples of 2^depth.
    """
    before, side = margin(depth, padded), 2**depth
    return before, covering_side(side, depth, padded) - side - before
