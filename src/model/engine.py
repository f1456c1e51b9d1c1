"""How a trained network is computed when it predicts: by PyTorch, by PyTorch compiled, or by OpenVINO.

Training computes the network as it is. When it predicts, batch normalisation goes into the convolution before it, and
an engine made for prediction may compute the rest. tests/benchmarks/README.md has what each is worth.
"""

import copy
import functools
import importlib.util
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from src.model.trained import MEMORY_FORMAT
from src.model.unet import UNet
from src.saying import warn
from src.tiles.geometry import shrinkage

ENGINES = ("torch", "compiled", "openvino")
FORMATS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # by precision, as Lightning names it
ALLOWED = {torch.float32: 2e-5}  # largest difference of a probability from PyTorch's …
ALLOWED_HALF = 0.1  # … and in a format of 16 bits, which PyTorch itself rounds by as much


class Engine:
    """A trained network, ready to predict; called as the network is, with the same result but for rounding.

    An engine that fails, or disagrees with PyTorch on the first tile, is named, and PyTorch takes its place.

    Args:
        network: in evaluation mode.
        name: one of `ENGINES`; ``compiled`` is for tiles of one size, because each further size is compiled anew.
        device: where PyTorch computes; OpenVINO computes on the CPU.
        dtype: number format to compute in.

    Attributes:
        depth, padded: of the network.
    """

    def __init__(self, network: UNet, name: str, device: torch.device, dtype: torch.dtype) -> None:
        self.depth, self.padded = network.depth, network.padded
        self.name, self.dtype = name, dtype
        self.exact = folded(network)
        self.network = self.exact if dtype is torch.float32 else copy.deepcopy(self.exact)
        self.network.to(device, dtype, memory_format=MEMORY_FORMAT)
        self.compute: Callable[[Tensor], Tensor] | None = self._by_torch if name == "torch" else None

    def __call__(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, h, w)`` of a tile ``(N, C, H, W)``."""
        if self.compute is None:
            self.compute = self._checked(image)
        return self.compute(image)

    def _by_torch(self, image: Tensor) -> Tensor:
        return self.network(image.to(self.dtype))

    def _checked(self, image: Tensor) -> Callable[[Tensor], Tensor]:
        expected = self._by_torch(image).float().softmax(dim=1)
        try:
            compute = self._by_openvino() if self.name == "openvino" else self._by_compiled()
            difference = float((compute(image).float().softmax(dim=1) - expected).abs().max())
            failure = "" if difference <= ALLOWED.get(self.dtype, ALLOWED_HALF) else f"differs by {difference:.1e}"
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # no compiler on this machine, or an engine that does not know its processor
            failure = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
        if failure:
            warn(f"{self.name} does not compute here, torch does: {failure}")
            return self._by_torch
        return compute

    def _by_compiled(self) -> Callable[[Tensor], Tensor]:
        compiled = torch.compile(self.network, dynamic=False, options={"freezing": True})
        return lambda image: compiled(image.to(self.dtype))

    def _by_openvino(self) -> Callable[[Tensor], Tensor]:
        asked = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.dtype is torch.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = openvino_core().compile_model(openvino_model(self.exact), "CPU", asked)

        def compute(image: Tensor) -> Tensor:
            return torch.from_numpy(compiled(image.float().cpu().contiguous().numpy())[0]).to(image.device)

        return compute


def fastest(device: torch.device, dtype: torch.dtype) -> str:
    """The engine for a device: OpenVINO on a CPU where it is installed, which was the fastest on each that was tried.

    It knows fp32 and bf16.
    """
    known = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16)
    return "openvino" if known and importlib.util.find_spec("openvino") else "torch"


@functools.cache
def openvino_core():
    """OpenVINO's runtime, one for the whole process.

    Each takes a stack for signal handlers of its own and, when it ends, gives back the one before it, which may be that
    of another which has ended: the next signal would kill the process.
    """
    # Without its converters, which are not called: they report their use, and import a logger that closes streams.
    left_out = "openvino.tools.ovc"
    sys.modules.setdefault(left_out, None)
    try:
        import openvino
    finally:
        if sys.modules[left_out] is None:
            del sys.modules[left_out]
    return openvino.Core()


def folded(network: UNet) -> UNet:
    """A copy of a trained network with batch normalisation in the weights of the convolution before it.

    Both are linear, so it is the same function, but for rounding. What follows a ReLU (``norm=batch_after``) stays.
    """
    network = copy.deepcopy(network).eval()
    for blocks in (network.down, network.merge):
        for number, block in enumerate(blocks):
            layers: list[nn.Module] = []
            for layer in block:
                if isinstance(layer, nn.BatchNorm2d) and isinstance(layers[-1], nn.Conv2d):
                    layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
                elif not isinstance(layer, nn.Dropout):
                    layers.append(layer)
            blocks[number] = nn.Sequential(*layers)
    return network.requires_grad_(False)


def openvino_model(network: UNet):
    """The network as a model of OpenVINO, for tiles ``(N, C, H, W)`` of any size.

    It is built layer by layer, because OpenVINO's converter of PyTorch networks traces them, which PyTorch is about to
    give up, and reports its use to a server.

    Args:
        network: of which batch normalisation that is left follows a ReLU.
    """
    from openvino import Model
    from openvino import opset13 as ops

    def array(weight: Tensor) -> np.ndarray:
        return weight.detach().float().cpu().contiguous().numpy()

    def with_bias(node, bias: Tensor | None):
        return node if bias is None else ops.add(node, array(bias).reshape(1, -1, 1, 1))

    def layer_of(node, layer: nn.Module):
        if isinstance(layer, nn.ReLU):
            return ops.relu(node)
        if isinstance(layer, nn.BatchNorm2d):
            statistics = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            return ops.batch_norm_inference(node, *map(array, statistics), epsilon=layer.eps)
        pad = list(layer.padding)
        return with_bias(ops.convolution(node, array(layer.weight), [1, 1], pad, pad, [1, 1]), layer.bias)

    def block_of(node, block: nn.Sequential):
        for layer in block:
            node = layer_of(node, layer)
        return node

    def cropped(node, pixels: int):
        if not pixels:
            return node
        return ops.slice(node, *(np.array(each) for each in ([pixels] * 2, [-pixels] * 2, [1, 1], [2, 3])))

    image = ops.parameter([-1, network.in_channels, -1, -1], np.float32)
    node, skips = image, []
    for block in network.down[:-1]:
        skips.append(block_of(node, block))
        node = ops.max_pool(skips[-1], [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    node = block_of(node, network.down[-1])
    for number, (up, block) in enumerate(zip(network.up, network.merge, strict=True)):
        node = with_bias(ops.convolution_backprop_data(node, array(up.weight), [2, 2]), up.bias)
        lost = 0 if network.padded else shrinkage(number)  # at each side, by what is below
        node = block_of(ops.concat([cropped(skips.pop(), lost), node], axis=1), block)
    return Model([layer_of(node, network.classify)], [image])
