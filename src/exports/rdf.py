"""The description of a bioimage.io package: its ``rdf.yaml`` and its README.

The output of a network with valid convolutions is smaller than its input, and not every program that reads packages can
tile such a network. So in a package the network mirrors its input at the borders, and the output has the size of the
input. Tiles leave no seams if their sides are multiples of 2^depth and a halo is discarded at each border of a tile.
The halo is the context of a pixel, rounded up to a multiple of 2^depth.
"""

import hashlib
import keyword
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from src.exports.as_onnx import OPSET
from src.exports.described import Leaving, halo, meanings, smallest_side
from src.files.grey import PERCENTILES

FORMAT_VERSION = "0.5.9"  # version of the description format; ilastik and later programs can read it
NAME = re.compile(r"[A-Za-z0-9_+\- ()]{5,64}")
CITED = {
    "text": "Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015",
    "doi": "10.1007/978-3-319-24574-4_28",
}
Format = Literal["pytorch_state_dict", "torchscript", "onnx"]
WEIGHTS: dict[Format, str] = {
    "pytorch_state_dict": "weights.pt",
    "torchscript": "torchscript.pt",
    "onnx": "weights.onnx",
}
EPSILON = 1e-12  # added to a range of grey values by programs that read packages
TOLERANCE = {"absolute_tolerance": 1e-4, "relative_tolerance": 1e-4, "mismatched_elements_per_million": 0}


@dataclass(frozen=True)
class Named:
    """The part of a package's description that a user has to state.

    Attributes:
        name: name of the package: 5 to 64 letters, digits, blanks and ``_+-()``.
        authors: names of the authors of the network.
        license: licence, such as ``CC-BY-4.0``; empty if not chosen yet.

    Raises:
        ValueError: the name contains other characters or has another length.
    """

    name: str
    authors: tuple[str, ...] = ()
    license: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"expected name to be 5 to 64 letters, digits, blanks and _+-(), but got {self.name}; "
                f"nearest valid: name={suggested(self.name)}"
            )


def suggested(name: str) -> str:
    """Return the valid package name nearest to a name.

    >>> suggested("Zellen/α.v2"), suggested("a")
    ('Zellen-v2', 'unet a')
    """
    fitting = re.sub(r"[^A-Za-z0-9_+() ]+", "-", name).strip("- ")[:64]
    return fitting if len(fitting) >= 5 else f"unet {fitting}".strip().ljust(5, "_")


def description(leaving: Leaving, named: Named, folder: Path) -> dict[str, Any]:
    """Return the content of ``rdf.yaml``.

    Args:
        leaving: the exported network.
        named: the name, authors and licence that the user stated.
        folder: folder with the other files of the package, whose hashes are stored.
    """

    def held(name: str) -> dict[str, object]:
        return {"source": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}

    torch_version = torch.__version__.partition("+")[0]
    architecture = held("network.py") | {"callable": "ExportedUNet", "kwargs": leaving.architecture()}
    more: dict[Format, dict[str, object]] = {
        "pytorch_state_dict": {"pytorch_version": torch_version, "architecture": architecture},
        "torchscript": {"pytorch_version": torch_version, "parent": "pytorch_state_dict"},
        "onnx": {"opset_version": OPSET, "parent": "pytorch_state_dict"},
    }
    known = {"license": named.license} if named.license else {}
    return {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": named.name,
        "description": "A U-Net that predicts for each pixel of a microscope image the probabilities of its classes.",
        "authors": [{"name": author} for author in named.authors],
        **known,
        "cite": [CITED],
        "tags": ["unet", "2d", "segmentation", "pytorch"],
        "covers": ["cover.png"],
        "documentation": "README.md",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": "0.1.0",
        "inputs": [
            _input(leaving) | {"test_tensor": held("test_input.npy"), "sample_tensor": held("sample_input.tif")}
        ],
        "outputs": [
            _output(leaving) | {"test_tensor": held("test_output.npy"), "sample_tensor": held("sample_output.tif")}
        ],
        "weights": {format: held(name) | more[format] for format, name in WEIGHTS.items()},
        "config": {
            "bioimageio": {"reproducibility_tolerance": [TOLERANCE], "architecture_type": "U-Net"},
            "unet_from_few_images": leaving.description(),
        },
    }


def _input(leaving: Leaving) -> dict[str, object]:
    size = {"min": smallest_side(leaving.trained.model.depth), "step": 2**leaving.trained.model.depth}
    channels = [f"channel_{number}" for number in range(leaving.trained.model.in_channels)]
    low, high = PERCENTILES
    kwargs = {"axes": ["channel", "y", "x"], "min_percentile": low, "max_percentile": high, "eps": EPSILON}
    scaling = [{"id": "scale_range", "kwargs": kwargs}, {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}}]
    return {
        "id": "raw",
        "description": "grey values as in the file",
        "data": {"type": "float32"},
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": channels},
            *(_space(leaving, axis) | {"size": dict(size), "concatenable": True} for axis in "yx"),
        ],
        "preprocessing": [] if leaving.grey_range else scaling,
    }


def _output(leaving: Leaving) -> dict[str, object]:
    return {
        "id": "probabilities",
        "description": "probability of each class",
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": identifiers(leaving)},
            *(
                _space(leaving, axis)
                | {"size": {"tensor_id": "raw", "axis_id": axis}, "halo": halo(leaving.trained.model.depth)}
                for axis in "yx"
            ),
        ],
    }


def _space(leaving: Leaving, axis: str) -> dict[str, object]:
    size = (leaving.pixel_size or {}).get(axis.upper())
    return {"type": "space", "id": axis} | ({"unit": "micrometer", "scale": size} if size else {})


def identifiers(leaving: Leaving) -> list[str]:
    """Return a unique identifier for each class: its name as a Python identifier if possible, else ``class_N``."""
    names = [re.sub(r"\W+", "_", each["name"]).strip("_") for each in meanings(leaving.trained)]
    known = [name if name.isidentifier() and not keyword.iskeyword(name) else "" for name in names]
    return [name if name and known.count(name) == 1 else f"class_{number}" for number, name in enumerate(known)]


def readme(leaving: Leaving, named: Named) -> str:
    """Return the text of the README of the package, for its users."""
    said, depth = leaving.description(), leaving.trained.model.depth
    classes = [f"- {each['name']}: {each['value']} in label images" for each in said["output"]["classes"]]
    scores = [f"- {name}: {score}" for name, score in said["validation_scores"].items()] or ["- none known"]
    scaling = "In each image the 0.5th and the 99.5th percentile of its grey values become 0 and 1."
    if leaving.grey_range:
        low, high = leaving.grey_range
        scaling = f"In every image the grey value {low:g} becomes 0 and {high:g} becomes 1."
    return "\n".join(
        [
            f"# {named.name}\n",
            "A U-Net (Ronneberger, Fischer and Brox, 2015) that predicts for each pixel the probabilities of\n",
            *classes,
            f"\nIt was trained with {said['made_by']}. {scaling}\n",
            f"The threshold is {said['threshold']:g}, the decoder {said['instances']['name']}.\n",
            f"Tiles have sides of {smallest_side(depth)} + n · {2**depth} pixels; discard the outer {halo(depth)}.\n",
            "## Validation\n",
            "Scores on the validation images:\n",
            *scores,
            "\nBefore you rely on it, compare its predictions with your own annotations on images of your own.\n",
        ]
    )
