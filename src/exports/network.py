"""A trained U-Net (Ronneberger, Fischer and Brox, 2015) for other programs, from grey values to class probabilities.

This file needs nothing but PyTorch, because a copy of it is stored with exported weights. It is used like this:

    network = ExportedUNet(**arguments)
    network.load_state_dict(safetensors.torch.load_file("model.safetensors"))

The arguments are the entry ``architecture`` in the description of the network, a YAML file. Batch normalisation before
a ReLU is folded into the weights of the preceding convolution.
"""

import torch
from torch import Tensor, nn


class ExportedUNet(nn.Module):
    """A U-Net that includes all steps from the grey values of an image to class probabilities.

    Args:
        in_channels: number of channels of the image (C).
        classes: number of classes, background included (K).
        base_channels: number of channels at full resolution, which doubles at each level.
        depth: number of 2×2 poolings.
        padded: whether each 3×3 convolution is padded with zeros, so that the output has the size of the input.
        norm_after: whether batch normalisation follows each ReLU.
        grey_range: the grey values that are mapped to 0 and 1; empty if images are already scaled to [0, 1].
        mirrored: how many pixels are added to the image by mirroring before the first and after the last pixel of each
            axis, so that the output has the size of the input; empty for no mirroring.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        base_channels: int,
        depth: int,
        padded: bool,
        norm_after: bool,
        grey_range: "list[float] | tuple[float, ...]" = (),  # in quotes for older versions of Python
        mirrored: "list[int] | tuple[int, ...]" = (),
    ) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(depth + 1)]
        inputs = [in_channels, *widths[:-1]]
        self.down = nn.ModuleList(
            _convolutions(each, width, padded, norm_after) for each, width in zip(inputs, widths, strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:-1]))
        self.merge = nn.ModuleList(
            _convolutions(2 * width, width, padded, norm_after) for width in reversed(widths[:-1])
        )
        self.classify = nn.Conv2d(base_channels, classes, 1)
        self.fixed = len(grey_range) == 2
        self.low, self.high = grey_range if self.fixed else (0.0, 1.0)
        self.before, self.behind = mirrored if mirrored else (0, 0)
        self.first = self.before if padded else 0  # row and column of the output at the image's first pixel

    def forward(self, image: Tensor) -> Tensor:
        """Compute class probabilities ``(N, K, h, w)`` float32 from images ``(N, C, H, W)`` float32."""
        height, width = image.shape[2], image.shape[3]
        if self.fixed:
            image = ((image - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        if self.before:
            sides = [self.before, self.behind, self.before, self.behind]
            image = nn.functional.pad(image, sides, mode="reflect")
        image = 2 * image - 1
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            image = block(nn.functional.max_pool2d(image, 2) if level > 0 else image)
            skips.append(image)
        skips.pop()
        for up, merge in zip(self.up, self.merge):  # noqa: B905 – TorchScript does not know strict
            image = up(image)
            skip = skips.pop()
            top, left = (skip.shape[2] - image.shape[2]) // 2, (skip.shape[3] - image.shape[3]) // 2
            skip = skip[:, :, top : top + image.shape[2], left : left + image.shape[3]]
            image = merge(torch.cat([skip, image], dim=1))
        probabilities: Tensor = self.classify(image).softmax(dim=1)
        if self.before:
            first = self.first
            probabilities = probabilities[:, :, first : first + height, first : first + width]
        return probabilities


def _convolutions(inputs: int, outputs: int, padded: bool, norm_after: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=int(padded)), nn.ReLU()]
        if norm_after:
            layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers)
