"""The U-Net of Ronneberger, Fischer and Brox, MICCAI 2015 (arXiv 1505.04597), figure 1.

    572 ─ conv conv ──────────── copy and crop ───────────► conv conv ─ 1×1 ─ 388
              └ pool ─ conv conv ── copy and crop ──► conv conv ─ up ┘
                          └ pool ─ … ─ conv conv ─ … ─ up ┘

Each ``conv`` is a 3×3 convolution without padding, followed by a ReLU; ``pool`` is a 2×2 max-pooling; and ``up``
is a 2×2 up-convolution that halves the number of channels. ``UNet()`` is the paper's network: 23 convolutions,
31 030 658 parameters, an input of 572×572 pixels and an output of 388×388 pixels.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from src.tiles.geometry import output_side

NORMS = ("none", "batch", "batch_after")


class UNet(nn.Module):
    """The U-Net of figure 1, optionally with padding and batch normalisation, which the paper does not use.

    Args:
        in_channels: number of channels of the image.
        classes: number of classes K, background included.
        base_channels: number of channels in the first level (64 in the paper); it doubles from level to level.
        depth: number of 2×2 max-poolings (4 in the paper).
        padded: whether to pad each 3×3 convolution with zeros, so that the output is as large as the input
            (the paper does not pad).
        norm: ``none`` (the paper), or batch normalisation before (``batch``) or after (``batch_after``) each ReLU.
        dropout: dropout probability in the last two levels of the contracting path (§3.1).

    Raises:
        ValueError: an argument is outside its valid range; the message states the valid values.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        base_channels: int = 64,
        depth: int = 4,
        padded: bool = False,
        norm: str = "none",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        _check(in_channels, classes, base_channels, depth, norm, dropout)
        self.depth, self.padded = depth, padded
        self.in_channels, self.classes = in_channels, classes
        widths = [base_channels * 2**level for level in range(depth + 1)]
        inputs = [in_channels, *widths[:-1]]
        self.down = nn.ModuleList(
            _double_convolution(inputs[level], widths[level], padded, norm, dropout if level >= depth - 1 else 0.0)
            for level in range(depth + 1)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2) for level in reversed(range(depth))
        )
        self.merge = nn.ModuleList(
            _double_convolution(widths[level + 1], widths[level], padded, norm) for level in reversed(range(depth))
        )
        self.classify = nn.Conv2d(base_channels, classes, 1)
        if not self.classify.weight.is_meta:  # drawing on the meta device would only import PyTorch's compiler
            initialise(self)

    def output_side(self, side: int) -> int:
        """Return the side in pixels of the output for a square input with a side of ``side`` pixels.

        Raises:
            ValueError: the network cannot take an input of this size; the message names the nearest valid sides.
        """
        return output_side(side, self.depth, self.padded)

    def context(self, side: int) -> int:
        """Return the width of the border of an input of ``side`` × ``side`` pixels for which no output is computed."""
        return (side - self.output_side(side)) // 2

    @override
    def forward(self, image: Tensor) -> Tensor:
        """Compute the logits, which are class scores before the soft-max.

        Args:
            image: ``(N, C, H, W)``; H and W must be sides that ``tiles.geometry.output_side`` accepts.

        Returns:
            The logits ``(N, K, H', W')``. With padding H' = H; without, H' = H − 184 at depth 4.
        """
        for side in image.shape[-2:]:
            self.output_side(side)
        skips = []
        for level in self.down[:-1]:
            skips.append(level(image))
            image = self.pool(skips[-1])
        image = self.down[-1](image)
        for up, merge in zip(self.up, self.merge, strict=True):
            image = up(image)
            image = merge(torch.cat([centre_crop(skips.pop(), image), image], dim=1))
        logits: Tensor = self.classify(image)
        return logits


def centre_crop(larger: Tensor, like: Tensor) -> Tensor:
    """Crop the centre of ``larger``, ``(…, H, W)``, to the height and width of ``like``, ``(…, h, w)``."""
    top, left = ((a - b) // 2 for a, b in zip(larger.shape[-2:], like.shape[-2:], strict=True))
    return larger[..., top : top + like.shape[-2], left : left + like.shape[-1]]


def initialise(network: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, √(2/N)), with standard deviation √(2/N) (§3); set biases to 0.

    N is the number of incoming nodes of one output unit. For a 3×3 convolution, N is 9 times the number of input
    channels. In a 2×2 up-convolution with stride 2 each output pixel depends on one input pixel only, so N equals the
    number of input channels (PyTorch computes another fan-in).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kernel = layer.kernel_size[0] * layer.kernel_size[1] if isinstance(layer, nn.Conv2d) else 1
            nn.init.normal_(layer.weight, std=(2 / (layer.in_channels * kernel)) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _double_convolution(inputs: int, outputs: int, padded: bool, norm: str, dropout: float = 0.0) -> nn.Sequential:
    """Build two 3×3 convolutions, each with a ReLU and the normalisation ``norm``, followed by dropout."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        # Batch normalisation right after the convolution would subtract a bias again.
        layers.append(nn.Conv2d(channels, outputs, 3, padding=int(padded), bias=norm != "batch"))
        activation = nn.ReLU(inplace=True)
        if norm == "batch":
            layers += [nn.BatchNorm2d(outputs), activation]
        elif norm == "batch_after":
            layers += [activation, nn.BatchNorm2d(outputs)]
        else:
            layers.append(activation)
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _check(in_channels: int, classes: int, base_channels: int, depth: int, norm: str, dropout: float) -> None:
    if norm in ("instance", "group", "layer"):
        raise ValueError(
            f"expected norm none, batch or batch_after, but got {norm}: its statistics change with the tile, "
            "so tiled prediction could not equal that of the whole image; nearest valid: batch"
        )
    if norm not in NORMS:
        raise ValueError(f"expected norm {', '.join(NORMS)}, but got {norm!r}")
    for name, value, smallest, largest in (
        ("in_channels", in_channels, 1, 1024),
        ("classes", classes, 2, 254),
        ("base_channels", base_channels, 1, 2048),
        ("depth", depth, 1, 8),
    ):
        if not smallest <= value <= largest:
            nearest = min(max(value, smallest), largest)
            raise ValueError(
                f"expected model.{name} from {smallest} to {largest}, but got {value}; nearest valid: {nearest}"
            )
    if not 0 <= dropout < 1:
        raise ValueError(f"expected model.dropout in [0, 1), but got {dropout}")
