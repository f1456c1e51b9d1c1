"""A trained network for PyTorch: as TorchScript, and as weights in a file of safetensors."""

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
from src.exports.described import Leaving
from src.exports.network import ExportedUNet

DESCRIPTION = "description.json"  # in a file of TorchScript


@contextmanager
def although_deprecated() -> Iterator[None]:
    """Without PyTorch's warnings that it is about to give TorchScript up, which other programs go on reading."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=DeprecationWarning)
        yield


def save_script(leaving: Leaving, file: Path) -> None:
    """Write the network as TorchScript; it is compiled from its source and not traced, so that any size fits."""
    with although_deprecated():
        script = torch.jit.script(leaving.network())
        torch.jit.save(script, str(file), _extra_files={DESCRIPTION: json.dumps(leaving.description())})


def script_runtime(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What PyTorch computes of a file of TorchScript."""
    with although_deprecated():
        return _called(torch.jit.load(str(file), map_location="cpu"))


def save_weights(leaving: Leaving, file: Path) -> None:
    """Write the weights of `ExportedUNet` as safetensors, and its source beside them."""
    from safetensors.torch import save

    file.write_bytes(save(leaving.weights(), {"description": json.dumps(leaving.description())}))
    shutil.copyfile(source.__file__, file.with_suffix(".py"))


def weights_runtime(file: Path, architecture: dict) -> Callable[[np.ndarray], np.ndarray]:
    """What PyTorch computes of a file of safetensors."""
    from safetensors.torch import load_file

    made = ExportedUNet(**architecture)
    made.load_state_dict(load_file(str(file)))
    return _called(made.eval())


def _called(network: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def compute(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(image)).numpy()

    return compute
