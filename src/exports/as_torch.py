"""Export of a trained network for PyTorch: as TorchScript, and as weights in a safetensors file."""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from src.exports import network as source
from src.exports.described import Architecture, Leaving
from src.exports.network import ExportedUNet

DESCRIPTION = "description.json"  # name of the description inside a TorchScript file


@contextmanager
def although_deprecated() -> Iterator[None]:
    """Silence PyTorch's warnings that TorchScript is deprecated, because other programs still need TorchScript."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=DeprecationWarning)
        yield


def save_script(leaving: Leaving, file: Path) -> None:
    """Write the network as TorchScript, compiled rather than traced, so that images may have any valid size."""
    with although_deprecated():
        script = torch.jit.script(leaving.network())
        torch.jit.save(script, str(file), _extra_files={DESCRIPTION: json.dumps(leaving.description())})


def script_runtime(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that predicts images ``(N, C, H, W)`` float32 with a TorchScript file."""
    with although_deprecated():
        return _called(torch.jit.load(str(file), map_location="cpu"))


def save_weights(leaving: Leaving, file: Path) -> None:
    """Write the weights as a safetensors file, and next to it the source code of `ExportedUNet` as a ``.py`` file."""
    from safetensors.torch import save

    file.write_bytes(save(leaving.weights(), {"description": json.dumps(leaving.description())}))
    shutil.copyfile(source.__file__, file.with_suffix(".py"))


def weights_runtime(file: Path, architecture: Architecture) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that predicts images ``(N, C, H, W)`` float32 by `ExportedUNet` with a safetensors file."""
    from safetensors.torch import load_file

    made = ExportedUNet(**architecture)
    made.load_state_dict(load_file(str(file)))
    return _called(made.eval())


def _called(network: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def compute(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            probabilities: torch.Tensor = network(torch.from_numpy(image))
            return probabilities.numpy()

    return compute
