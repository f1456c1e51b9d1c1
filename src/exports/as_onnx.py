"""Export of a trained network to ONNX, and reading of such a file.

The graph is built layer by layer, so that its content can be read in this module, and the packages that PyTorch's own
tracing exporter requires are not needed. The weights keep their names, so that the file can be used as a checkpoint.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from src.exports.described import LAYOUT, MADE_BY, Architecture, Leaving
from src.exports.network import ExportedUNet
from src.files.limits import check_plain, reason
from src.tiles.geometry import shrinkage

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

OPSET, IR_VERSION = 17, 8  # versions of 2022, which every current runtime can read
KEY = "unet"  # key of the description in the metadata
NETWORK = ("in_channels", "classes", "base_channels", "depth", "padded")  # arguments of UNet
# Entries of the description that a checkpoint has too.
KEPT = ("threshold", "tta", "precision", "reading", "legend", "appearance", "validation_scores")
LARGEST = 2**31 - 2**20  # bytes of all weights; protobuf limits files to 2 GiB


class _Graph:
    """An ONNX graph under construction: its nodes and weights."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: object) -> str:
        """Add a node of ONNX operator ``kind`` and return the name of its output."""
        from onnx import helper

        name = name or f"{kind.lower()}_{len(self.nodes)}"
        node = helper.make_node(kind, list(inputs), [name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        return name

    def constant(self, name: str, values: object, dtype: type = np.float32) -> str:
        """Add a constant tensor and return its name."""
        self.weights[name] = np.ascontiguousarray(values, dtype)
        return name

    def layer(self, node: str, layer: nn.Module, name: str) -> str:
        """Add a layer of `ExportedUNet`, and return the name of its output.

        Args:
            node: name of the input.
            layer: the layer.
            name: name of the layer in `ExportedUNet`, with which the names of its weights begin.

        Raises:
            TypeError: `ExportedUNet` has no layer of this type.
        """
        if isinstance(layer, nn.ReLU):
            return self.add("Relu", node)
        kinds = ("weight", "bias", "running_mean", "running_var")
        tensors = {kind: getattr(layer, kind, None) for kind in kinds}
        inputs = [self.constant(f"{name}.{kind}", each) for kind, each in tensors.items() if each is not None]
        if isinstance(layer, nn.BatchNorm2d):
            return self.add("BatchNormalization", node, *inputs, epsilon=layer.eps)
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            raise TypeError(f"expected a layer of ExportedUNet, but got {type(layer).__name__}")
        kind = "ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv"
        return self.add(
            kind, node, *inputs, kernel_shape=layer.kernel_size, strides=layer.stride, pads=2 * layer.padding
        )

    def block(self, node: str, block: nn.Module, name: str) -> str:
        """Add the layers of an `nn.Sequential` one after another, and return the name of the last output."""
        for number, layer in enumerate(block.children()):
            node = self.layer(node, layer, f"{name}.{number}")
        return node

    def cut(self, node: str, before: int, behind: int) -> str:
        """Add a crop of ``before`` pixels at top and left, ``behind`` at bottom and right; return the output's name."""
        if not before and not behind:
            return node
        ends = -behind if behind else np.iinfo(np.int64).max
        parts = {"starts": [before] * 2, "ends": [ends] * 2, "axes": [2, 3]}
        place = len(self.nodes)
        inputs = [self.constant(f"{key}_{place}", value, np.int64) for key, value in parts.items()]
        return self.add("Slice", node, *inputs)


def onnx_model(leaving: Leaving) -> "ModelProto":
    """Return the network as an ONNX model with input ``image`` and output ``probabilities``.

    The model computes class probabilities ``(N, K, h, w)`` from images ``(N, C, H, W)`` of any size that the network
    can take.

    Raises:
        ValueError: the network is too large for an ONNX file.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    graph, architecture = _Graph(), leaving.architecture()
    _add_network(graph, leaving.network(), architecture)
    shapes: dict[str, list[str | int | None]] = {
        "image": ["N", architecture["in_channels"], "H", "W"],
        "probabilities": ["N", architecture["classes"], *(["H", "W"] if leaving.mirrored else ["h", "w"])],
    }
    size = sum(weight.nbytes for weight in graph.weights.values())
    if size > LARGEST:
        raise ValueError(f"expected a network of less than 2 GiB for ONNX, but got one of {size / 2**30:.1f} GiB")
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in shapes.items()
    )
    weights = [numpy_helper.from_array(weight, name) for name, weight in graph.weights.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "unet", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=MADE_BY,
    )
    helper.set_model_props(model, {KEY: json.dumps(leaving.description())})
    checker.check_model(model, full_check=True)
    return model


def _add_network(graph: _Graph, network: ExportedUNet, architecture: Architecture) -> None:
    """Add the operations of `ExportedUNet.forward` to a graph, from input ``image`` to output ``probabilities``."""
    node, depth = "image", architecture["depth"]
    if network.fixed:
        node = graph.add("Sub", node, graph.constant("low", network.low))
        node = graph.add("Div", node, graph.constant("range", network.high - network.low))
        node = graph.add("Clip", node, graph.constant("zero", 0), graph.constant("one", 1))
    if network.before:
        sides = [0, 0, network.before, network.before, 0, 0, network.behind, network.behind]
        node = graph.add("Pad", node, graph.constant("mirrored", sides, np.int64), mode="reflect")
    node = graph.add("Sub", graph.add("Mul", node, graph.constant("two", 2)), graph.constant("centre", 1))
    skips = []
    for level, block in enumerate(network.down):
        node = graph.add("MaxPool", node, kernel_shape=[2, 2], strides=[2, 2]) if level else node
        node = graph.block(node, block, f"down.{level}")
        skips.append(node)
    skips.pop()
    for number, (up, merge) in enumerate(zip(network.up, network.merge, strict=True)):
        node = graph.layer(node, up, f"up.{number}")
        lost = 0 if architecture["padded"] else shrinkage(number)  # pixels that lower levels lose at each side
        node = graph.add("Concat", graph.cut(skips.pop(), lost, lost), node, axis=1)
        node = graph.block(node, merge, f"merge.{number}")
    node = graph.add("Softmax", graph.layer(node, network.classify, "classify"), axis=1)
    if network.before:
        lost = 0 if architecture["padded"] else shrinkage(depth)
        node = graph.cut(node, network.first, network.before + network.behind - lost - network.first)
    graph.add("Identity", node, name="probabilities")


def save(model: "ModelProto", file: Path) -> None:
    """Write an ONNX model to a file."""
    file.write_bytes(model.SerializeToString())


def runtime(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that predicts images ``(N, C, H, W)`` float32 with an ONNX file in ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def compute(image: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = session.run(["probabilities"], {"image": image})[0]
        return probabilities

    return compute


def read(file: Path) -> dict[str, Any]:
    """Read an ONNX file written by `src.export`; return the parts of a checkpoint that `src.restore` needs.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file was not written by `src.export`, or is damaged.
    """
    if not file.is_file():
        raise FileNotFoundError(f"expected a network, but there is none at {file}")
    try:
        return _content(file)
    except OSError:
        raise
    except Exception as error:  # damaged files raise all kinds of errors
        raise ValueError(
            f"expected a network written by src.export format=onnx, but {file} is not one: {reason(error)}"
        ) from error


def _content(file: Path) -> dict[str, Any]:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(file.read_bytes())  # unlike onnx.load, this opens no other file
    described = {each.key: each.value for each in model.metadata_props}
    if KEY not in described:
        raise ValueError(f"its metadata lack {KEY!r}, the description that src.export writes")
    said = json.loads(described[KEY])
    check_plain(said, KEY)
    if said["layout"] != LAYOUT:
        raise ValueError(f"expected layout {LAYOUT}, but it has {str(said['layout'])[:80]}, of another version")
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer):
        raise ValueError("its weights lie in another file")
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    weights = {name: torch.from_numpy(array.copy()) for name, array in arrays.items() if "." in name}
    counted = {name.removesuffix("running_mean") for name in weights if name.endswith("running_mean")}
    weights |= {f"{name}num_batches_tracked": torch.zeros((), dtype=torch.int64) for name in counted}
    network = {name: value for name, value in said["architecture"].items() if name in NETWORK}
    norm = "batch_after" if said["architecture"]["norm_after"] else "none"
    parts = {"model": {"name": "unet", "norm": norm, **network}, "instances": said["instances"]}
    kept = {name: said[name] for name in KEPT if said.get(name) is not None}
    return {"hyper_parameters": parts, "state_dict": {f"model.{name}": each for name, each in weights.items()}, **kept}
