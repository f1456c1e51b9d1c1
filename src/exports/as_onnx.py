"""A trained network as ONNX, and one of ours read back.

The graph is built layer by layer: what it holds can be read here, and PyTorch's exporter, which traces a network, need
not be installed. The weights keep their names, so that the file is a checkpoint too.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from src.exports.described import LAYOUT, MADE_BY, Leaving
from src.exports.network import ExportedUNet
from src.files.limits import check_plain, reason
from src.tiles.geometry import shrinkage

OPSET, IR_VERSION = 17, 8  # of 2022, which each runtime of today knows
KEY = "unet"  # of the metadata
NETWORK = ("in_channels", "classes", "base_channels", "depth", "padded")  # of the architecture, as UNet has them
# As a checkpoint has them.
KEPT = ("threshold", "tta", "precision", "reading", "legend", "appearance", "validation_scores")
LARGEST = 2**31 - 2**20  # bytes of a file, by the rules of protobuf


class _Graph:
    """Nodes and weights, as they are added."""

    def __init__(self) -> None:
        self.nodes, self.weights = [], {}

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: object) -> str:
        """Add a node; → the name of its output."""
        from onnx import helper

        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, values: object, dtype: type = np.float32) -> str:
        """Add what does not change; → its name."""
        self.weights[name] = np.ascontiguousarray(values, dtype)
        return name

    def layer(self, node: str, layer: nn.Module, name: str) -> str:
        """Add a layer of `ExportedUNet`, under the name that it has there."""
        if isinstance(layer, nn.ReLU):
            return self.add("Relu", node)
        kinds = ("weight", "bias", "running_mean", "running_var")
        tensors = {kind: getattr(layer, kind, None) for kind in kinds}
        inputs = [self.constant(f"{name}.{kind}", each) for kind, each in tensors.items() if each is not None]
        if isinstance(layer, nn.BatchNorm2d):
            return self.add("BatchNormalization", node, *inputs, epsilon=layer.eps)
        kind = "ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv"
        return self.add(
            kind, node, *inputs, kernel_shape=layer.kernel_size, strides=layer.stride, pads=2 * layer.padding
        )

    def block(self, node: str, block: nn.Sequential, name: str) -> str:
        for number, layer in enumerate(block):
            node = self.layer(node, layer, f"{name}.{number}")
        return node

    def cut(self, node: str, before: int, behind: int) -> str:
        """Cut pixels off both axes."""
        if not before and not behind:
            return node
        ends = -behind if behind else np.iinfo(np.int64).max
        parts = {"starts": [before] * 2, "ends": [ends] * 2, "axes": [2, 3]}
        place = len(self.nodes)
        inputs = [self.constant(f"{key}_{place}", value, np.int64) for key, value in parts.items()]
        return self.add("Slice", node, *inputs)


def onnx_model(leaving: Leaving):
    """The network as a model of ONNX: images ``(N, C, H, W)`` of any size → class probabilities ``(N, K, h, w)``.

    Raises:
        ValueError: it is too large for a file of ONNX.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    graph, architecture = _Graph(), leaving.architecture()
    _add_network(graph, leaving.network(), architecture)
    shapes = {
        "image": ["N", architecture["in_channels"], "H", "W"],
        "probabilities": ["N", architecture["classes"], *(["H", "W"] if leaving.mirrored else ["h", "w"])],
    }
    size = sum(weight.nbytes for weight in graph.weights.values())
    if size > LARGEST:
        raise ValueError(f"expected a network of less than 2 GiB for ONNX, but got one of {size / 2**30:.1f} GiB")
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in shapes.items()]
    weights = [numpy_helper.from_array(weight, name) for name, weight in graph.weights.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "unet", *ends, weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=MADE_BY,
    )
    helper.set_model_props(model, {KEY: json.dumps(leaving.description())})
    checker.check_model(model, full_check=True)
    return model


def _add_network(graph: _Graph, network: ExportedUNet, architecture: dict) -> None:
    """What `ExportedUNet.forward` computes, from ``image`` to ``probabilities``."""
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
        lost = 0 if architecture["padded"] else shrinkage(number)  # at each side, by what is below
        node = graph.add("Concat", graph.cut(skips.pop(), lost, lost), node, axis=1)
        node = graph.block(node, merge, f"merge.{number}")
    node = graph.add("Softmax", graph.layer(node, network.classify, "classify"), axis=1)
    if network.before:
        lost = 0 if architecture["padded"] else shrinkage(depth)
        node = graph.cut(node, network.first, network.before + network.behind - lost - network.first)
    graph.add("Identity", node, name="probabilities")


def save(model, file: Path) -> None:
    """Write a model of ONNX."""
    file.write_bytes(model.SerializeToString())


def runtime(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What ONNX Runtime computes of a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["probabilities"], {"image": image})[0]


def read(file: Path) -> dict:
    """What `restore` needs of a model that `onnx_model` has made, as a checkpoint holds it.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it is no such model, or damaged.
    """
    if not file.is_file():
        raise FileNotFoundError(f"expected a network, but there is none at {file}")
    try:
        return _content(file)
    except OSError:
        raise
    except Exception as error:  # whatever the first wrong byte leads to
        raise ValueError(
            f"expected a network written by src.export format=onnx, but {file} is none: {reason(error)}"
        ) from error


def _content(file: Path) -> dict:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(file.read_bytes())  # which opens no other file
    described = {each.key: each.value for each in model.metadata_props}
    if KEY not in described:
        raise ValueError("it does not say how it was trained")
    said = json.loads(described[KEY])
    check_plain(said, KEY)
    if said["layout"] != LAYOUT:
        raise ValueError(f"expected layout {LAYOUT}, but it has {str(said['layout'])[:80]}, of another version")
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer):
        raise ValueError("its weights lie in another file")
    weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    weights = {name: torch.from_numpy(weight.copy()) for name, weight in weights.items() if "." in name}
    counted = {name.removesuffix("running_mean") for name in weights if name.endswith("running_mean")}
    weights |= {f"{name}num_batches_tracked": torch.zeros((), dtype=torch.int64) for name in counted}
    network = {name: value for name, value in said["architecture"].items() if name in NETWORK}
    norm = "batch_after" if said["architecture"]["norm_after"] else "none"
    parts = {"model": {"name": "unet", "norm": norm, **network}, "instances": said["instances"]}
    kept = {name: said[name] for name in KEPT if said.get(name) is not None}
    return {"hyper_parameters": parts, "state_dict": {f"model.{name}": each for name, each in weights.items()}, **kept}
