"""Inference engines, which run a trained network for prediction: PyTorch, compiled PyTorch or OpenVINO."""

import copy
import functools
import importlib.util
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from src.model.trained import in_memory_format
from src.model.unet import UNet
from src.saying import warn
from src.tiles.geometry import shrinkage

if TYPE_CHECKING:
    from openvino import Core, Model, Node

ENGINES = ("torch", "compiled", "openvino")
# The number format of each mixed precision, in Lightning's spelling; any other precision uses fp32.
FORMATS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
ALLOWED = {torch.float32: 2e-5}  # largest accepted difference from PyTorch's probabilities
ALLOWED_HALF = 0.1  # the same in 16-bit formats, where PyTorch itself rounds as much


class Engine:
    """An inference engine for a trained network; a call returns the same logits as the network, except for rounding.

    Batch normalisation is folded into the convolution that precedes it. If OpenVINO or compiled PyTorch fails, or
    disagrees with plain PyTorch on the first tile, a warning gives the reason, and plain PyTorch is used instead.
    tests/benchmarks/README.md compares the engines.

    Args:
        network: the network, in evaluation mode.
        name: the engine, one of `ENGINES`; ``compiled`` is meant for tiles of the same size, because the network is
            recompiled for each other size.
        device: the device on which PyTorch computes; OpenVINO always computes on the CPU.
        dtype: the number format to compute in.

    Attributes:
        depth: the number of 2×2 max-poolings in the network.
        padded: whether the network pads its convolutions.
    """

    def __init__(self, network: UNet, name: str, device: torch.device, dtype: torch.dtype) -> None:
        self.depth, self.padded = network.depth, network.padded
        self.name, self.dtype = name, dtype
        self.exact = folded(network)
        self.network = self.exact if dtype is torch.float32 else copy.deepcopy(self.exact)
        in_memory_format(self.network.to(device, dtype))
        self.compute: Callable[[Tensor], Tensor] | None = self._by_torch if name == "torch" else None

    def __call__(self, image: Tensor) -> Tensor:
        """Compute the logits ``(N, K, h, w)`` of tiles ``(N, C, H, W)``."""
        if self.compute is None:
            self.compute = self._checked(image)
        return self.compute(image)

    def _by_torch(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image.to(self.dtype))
        return logits

    def _checked(self, image: Tensor) -> Callable[[Tensor], Tensor]:
        expected = self._by_torch(image).float().softmax(dim=1)
        try:
            compute = self._by_openvino() if self.name == "openvino" else self._by_compiled()
            difference = float((compute(image).float().softmax(dim=1) - expected).abs().max())
            failure = "" if difference <= ALLOWED.get(self.dtype, ALLOWED_HALF) else f"differs by {difference:.1e}"
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # no compiler on this machine, or an engine that does not support its processor
            failure = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
        if failure:
            warn(f"{self.name} does not work here, so torch is used: {failure}")
            return self._by_torch
        return compute

    def _by_compiled(self) -> Callable[[Tensor], Tensor]:
        compiled = torch.compile(self.network, dynamic=False, options={"freezing": True})
        return lambda image: compiled(image.to(self.dtype))

    def _by_openvino(self) -> Callable[[Tensor], Tensor]:
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.dtype is torch.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = openvino_core().compile_model(openvino_model(self.exact), "CPU", settings)

        def compute(image: Tensor) -> Tensor:
            return torch.from_numpy(compiled(image.float().cpu().contiguous().numpy())[0]).to(image.device)

        return compute


def fastest(device: torch.device, dtype: torch.dtype) -> str:
    """Return the name of the fastest engine for a device: OpenVINO for fp32 and bf16 on a CPU, else PyTorch.

    PyTorch is also returned if OpenVINO is not installed. OpenVINO was the fastest on each CPU that was measured.
    """
    supported = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16)
    return "openvino" if supported and importlib.util.find_spec("openvino") else "torch"


@functools.cache
def openvino_core() -> "Core":
    """Return OpenVINO's runtime; a single runtime is shared by the whole process.

    Each runtime installs a stack for signal handlers, and restores the previous stack when the runtime ends. With
    several runtimes, the previous stack may belong to a runtime that has already ended, and the next signal would kill
    the process.
    """
    # Block the import of OpenVINO's converters: they report their use to a server, and their logger closes streams.
    converters = "openvino.tools.ovc"
    blocked = converters not in sys.modules
    if blocked:
        sys.modules[converters] = None  # type: ignore[assignment]  # None makes the import fail, as Python documents
    try:
        import openvino
    finally:
        if blocked:
            del sys.modules[converters]
    return openvino.Core()


def folded(network: UNet) -> UNet:
    """Return a copy of a trained network with each batch normalisation folded into the convolution that precedes it.

    Both layers are linear in evaluation mode, so the copy computes the same function except for rounding. Dropout is
    removed. Batch normalisation that follows a ReLU (``norm=batch_after``) cannot be folded, and stays.
    """
    network = copy.deepcopy(network).eval()
    for blocks in (network.down, network.merge):
        for number, block in enumerate(blocks):
            layers: list[nn.Module] = []
            for layer in block.children():
                if isinstance(layer, nn.BatchNorm2d) and isinstance(layers[-1], nn.Conv2d):
                    layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
                elif not isinstance(layer, nn.Dropout):
                    layers.append(layer)
            blocks[number] = nn.Sequential(*layers)
    return network.requires_grad_(False)


def openvino_model(network: UNet) -> "Model":
    """Build an OpenVINO model of a network, for tiles ``(N, C, H, W)`` of any size.

    The model is built layer by layer. OpenVINO's own converter is not used, because it relies on tracing, which PyTorch
    is about to drop, and because it reports its use to a server.

    Args:
        network: a network that `folded` has returned, in which any batch normalisation follows a ReLU.
    """
    from openvino import Model
    from openvino import opset13 as ops

    image = ops.parameter([-1, network.in_channels, -1, -1], np.float32)
    node, skips = image, []
    for block in network.down[:-1]:
        skips.append(_after(node, block))
        node = ops.max_pool(skips[-1], [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    node = _after(node, network.down[-1])
    for number, (up, merge) in enumerate(zip(network.up, network.merge, strict=True)):
        skip, margin = skips.pop(), 0 if network.padded else shrinkage(number)
        if margin:
            skip = ops.slice(skip, *(np.array(each) for each in ([margin] * 2, [-margin] * 2, [1, 1], [2, 3])))
        node = _after(ops.concat([skip, _after(node, up)], axis=1), merge)
    return Model([_after(node, network.classify)], [image])


def _after(node: "Node", layer: nn.Module) -> "Node":
    """Return an OpenVINO node that applies a layer, or a sequence of layers, to the output of another node.

    Raises:
        TypeError: the layer does not occur in the U-Net.
    """
    from openvino import opset13 as ops

    if isinstance(layer, nn.Sequential):
        return functools.reduce(_after, layer, node)
    if isinstance(layer, nn.ReLU):
        return ops.relu(node)
    if isinstance(layer, nn.BatchNorm2d):
        statistics = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        return ops.batch_norm_inference(
            node, *(_array(each) for each in statistics if each is not None), epsilon=layer.eps
        )
    if isinstance(layer, nn.ConvTranspose2d):
        node = ops.convolution_backprop_data(node, _array(layer.weight), [2, 2])
    elif isinstance(layer, nn.Conv2d):
        pad = list(layer.padding)
        node = ops.convolution(node, _array(layer.weight), [1, 1], pad, pad, [1, 1])
    else:
        raise TypeError(f"expected a layer of the U-Net, but got {layer}")
    return node if layer.bias is None else ops.add(node, _array(layer.bias).reshape(1, -1, 1, 1))


def _array(weight: Tensor) -> np.ndarray:
    return weight.detach().float().cpu().contiguous().numpy()
