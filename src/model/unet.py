"""The U-Net of Ronneberger, Fischer and Brox, MICCAI 2015 (arXiv 1505.04597), figure 1.

    572 ─ conv conv ──────────── copy and crop ───────────► conv conv ─ 1×1 ─ 388
              └ pool ─ conv conv ── copy and crop ──► conv conv ─ up ┘
                          └ pool ─ … ─ conv conv ─ … ─ up ┘

Each ``conv`` is a 3×3 convolution without padding and a ReLU, ``pool`` 2×2 max-pooling, ``up`` a 2×2
up-convolution that halves the channels. ``UNet()`` is the paper's network: 23 convolutions,
31 030 658 parameters, 572×572 in, 388×388 out.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from src.tiles.geometry import output_side

NORMS = ("none", "batch", "batch_after")


class UNet(nn.Module):
    """The network of figure 1, with current practice (padding, batch normalisation) as options.

    Args:
        in_channels: channels of the image.
        classes: number of classes, background included (K).
        base_channels: channels of the first level; they double at each level (64 in the paper).
        depth: number of poolings (4 in the paper).
        padded: whether to pad each 3×3 convolution with zeros, so that the output is as large as the input
            (the paper does not pad).
        norm: ``none`` (the paper), ``batch`` normalisation before or ``batch_after`` each ReLU.
        dropout: probability at the end of the contracting path, the last two levels (§3.1).

    Raises:
        ValueError: an argument is out of its range; the message says which values are possible, and why.
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
        if not self.classify.weight.is_meta:  # on the meta device PyTorch would import its compiler and draw nothing
            initialise(self)

    def output_side(self, side: int) -> int:
        """Side of the output in pixels for an input of ``side`` pixels.

        Raises:
            ValueError: no input of that side fits; the message names the nearest sides that do.
        """
        return output_side(side, self.depth, self.padded)

    def context(self, side: int) -> int:
        """Width in pixels of the border of an input of ``side`` pixels for which the network gives no output."""
        return (side - self.output_side(side)) // 2

    @override
    def forward(self, image: Tensor) -> Tensor:
        """Class scores before the soft-max.

        Args:
            image: ``(N, C, H, W)``; H and W must be sides that ``tiles.geometry.output_side`` accepts.

        Returns:
            Logits ``(N, K, H', W')``; without padding H' = H − 184 at depth 4.
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
    """The centre of ``larger`` ``(…, H, W)`` with the height and width of ``like`` ``(…, h, w)``."""
    top, left = ((a - b) // 2 for a, b in zip(larger.shape[-2:], like.shape[-2:], strict=True))
    return larger[..., top : top + like.shape[-2], left : left + like.shape[-1]]


def initialise(network: nn.Module) -> None:
    """Draw each weight from N(0, √(2/N)), N = incoming nodes of one output unit (§3); biases are 0.

    For a 3×3 convolution, N is 9 times the number of input channels. In the 2×2 up-convolution with stride 2 each
    output pixel sees one input pixel, so N is the number of input channels (PyTorch's own fan-in differs).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kernel = layer.kernel_size[0] * layer.kernel_size[1] if isinstance(layer, nn.Conv2d) else 1
            nn.init.normal_(layer.weight, std=(2 / (layer.in_channels * kernel)) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _double_convolution(inputs: int, outputs: int, padded: bool, norm: str, dropout: float = 0.0) -> nn.Sequential:
    """2 × (3×3 convolution, ReLU) with normalisation ``norm``, and dropout at the end."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        # Batch normalisation would subtract a bias before it.
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
