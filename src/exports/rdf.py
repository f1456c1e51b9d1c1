"""What a package of bioimage.io says of itself: its ``rdf.yaml`` and its README.

A valid network returns less than it takes, and not every reader of such packages can tile that. So in a package the
network mirrors its input at the borders and returns as much as it takes. A reader takes tiles whose sides are multiples
of the grid and leaves out a halo as wide as the context, a multiple of the grid too: then no seams remain.
"""

import hashlib
import keyword
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from src.exports.as_onnx import OPSET
from src.exports.described import Leaving, halo, meanings, smallest_side
from src.files.grey import PERCENTILES

FORMAT_VERSION = "0.5.9"  # of the description, which the reader of ilastik and later ones know
NAME = re.compile(r"[A-Za-z0-9_+\- ()]{5,64}")
CITED = {
    "text": "Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015",
    "doi": "10.1007/978-3-319-24574-4_28",
}
WEIGHTS = {"pytorch_state_dict": "weights.pt", "torchscript": "torchscript.pt", "onnx": "weights.onnx"}
EPSILON = 1e-12  # that a reader adds to a range of grey values
TOLERANCE = {"absolute_tolerance": 1e-4, "relative_tolerance": 1e-4, "mismatched_elements_per_million": 0}


@dataclass(frozen=True)
class Named:
    """What only a person can say of a network.

    Attributes:
        name: 5 to 64 letters, digits, blanks and ``_+-()``.
        authors: of the network.
        license: such as ``CC-BY-4.0``; empty: none is named yet.

    Raises:
        ValueError: the name is another one.
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
    """The nearest name that a package may have.

    >>> suggested("Zellen/α.v2"), suggested("a")
    ('Zellen-v2', 'unet a')
    """
    fitting = re.sub(r"[^A-Za-z0-9_+() ]+", "-", name).strip("- ")[:64]
    return fitting if len(fitting) >= 5 else f"unet {fitting}".strip().ljust(5, "_")


def description(leaving: Leaving, named: Named, folder: Path) -> dict:
    """What the package says of itself, of which the other files lie in ``folder``."""

    def held(name: str) -> dict:
        return {"source": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}

    torch_version = torch.__version__.partition("+")[0]
    architecture = held("network.py") | {"callable": "ExportedUNet", "kwargs": leaving.architecture()}
    more = {
        "pytorch_state_dict": {"pytorch_version": torch_version, "architecture": architecture},
        "torchscript": {"pytorch_version": torch_version, "parent": "pytorch_state_dict"},
        "onnx": {"opset_version": OPSET, "parent": "pytorch_state_dict"},
    }
    known = {"license": named.license} if named.license else {}
    return {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": named.name,
        "description": "A U-Net that gives for each pixel of a microscope image the probabilities of its classes.",
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


def _input(leaving: Leaving) -> dict:
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


def _output(leaving: Leaving) -> dict:
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


def _space(leaving: Leaving, axis: str) -> dict:
    size = (leaving.pixel_size or {}).get(axis.upper())
    return {"type": "space", "id": axis} | ({"unit": "micrometer", "scale": size} if size else {})


def identifiers(leaving: Leaving) -> list[str]:
    """The names of the classes as a program may have them."""
    names = [re.sub(r"\W+", "_", each["name"]).strip("_") for each in meanings(leaving.trained)]
    known = [name if name.isidentifier() and not keyword.iskeyword(name) else "" for name in names]
    return [name if name and known.count(name) == 1 else f"class_{number}" for number, name in enumerate(known)]


def readme(leaving: Leaving, named: Named) -> str:
    """What a person should know who finds the package."""
    said, depth = leaving.description(), leaving.trained.model.depth
    classes = [f"- {each['name']}: {each['value']} in label images" for each in said["output"]["classes"]]
    scores = [f"- {name}: {score}" for name, score in said["validation_scores"].items()] or ["- none is known"]
    scaling = "Each image is scaled by itself, from the 0.5th to the 99.5th percentile of its grey values."
    if leaving.grey_range:
        low, high = leaving.grey_range
        scaling = f"In every image the grey value {low:g} becomes 0 and {high:g} becomes 1."
    return "\n".join(
        [
            f"# {named.name}\n",
            "A U-Net (Ronneberger, Fischer and Brox, 2015) that gives for each pixel the probabilities of\n",
            *classes,
            f"\nIt was trained with {said['made_by']}. {scaling}\n",
            f"Its threshold is {said['threshold']:g}; cells were numbered by {said['instances']['name']}.\n",
            f"Tiles have sides of {smallest_side(depth)} + n · {2**depth} pixels; leave the outer {halo(depth)} out.\n",
            "## Validation\n",
            "On the validation slices of its training:\n",
            *scores,
            "\nBefore you rely on it, compare what it finds on images of your own with what you have drawn there.\n",
        ]
    )
