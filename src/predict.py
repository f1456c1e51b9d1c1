"""Segment images with a trained network: ``python -m src.predict checkpoint=FILE input=PATH output=DIR``."""

from pathlib import Path

import hydra
import numpy as np
import torch
from omegaconf import DictConfig

from src import build, command
from src.data.patches import image_tensor
from src.data.stack import SUFFIXES, normalise, read
from src.model.segmenter import Segmenter
from src.run.device import inference
from src.run.prediction import OUTPUTS, prediction_file, write_prediction
from src.tiles.geometry import kept_side
from src.tiles.symmetry import AVERAGES


@hydra.main(config_path=str(build.CONF), config_name="predict", version_base="1.3")
@command.one_message
def main(config: DictConfig) -> None:
    command.check_choice("tta", config.tta, AVERAGES)
    command.check_choice("precision", str(config.precision), ("auto", "32", "bf16"))
    for kind in config.write:
        command.check_choice("write", kind, OUTPUTS)
    module = build.restore(config.checkpoint)
    if "instances" in config:
        module.instances = build.instances(config)
    if config.threshold != "auto":
        command.check_probability("threshold", config.threshold)
        module.threshold = config.threshold
    tile = tile_side(config.tile, module)
    files, output = input_files(Path(config.input)), Path(config.output)
    if not config.overwrite:
        refuse_existing(files, output, config.write)
    device, dtype = inference(str(config.precision))
    module.to(device)
    for file in files:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            probabilities = predict_file(module, file, tile, config.tta)
        write_prediction(output, file.stem, probabilities, module.segment, config.write)
        print(f"{file} → {', '.join(str(prediction_file(output, file.stem, kind)) for kind in config.write)}")


def tile_side(tile: int | str, module: Segmenter) -> int | None:
    """The side of a tile in pixels, None for ``auto``.

    Raises:
        ValueError: it does not fit the network; the message names the nearest side that does.
    """
    if tile == "auto":
        return None
    if not isinstance(tile, int):
        raise ValueError(f"expected tile to be auto or a number of pixels, but got {tile}; nearest valid: auto")
    kept_side(tile, module.model.depth, module.model.padded)
    return tile


def input_files(path: Path) -> list[Path]:
    """The images that ``input`` names: a file, or each image in a folder.

    Raises:
        FileNotFoundError: there is no such file, or no image in the folder.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"expected images ({', '.join(SUFFIXES)}) in {path}, but got none")
    return files


def refuse_existing(files: list[Path], output: Path, kinds: list[str]) -> None:
    """Stop before anything is computed if a result would replace a file, or another result.

    Raises:
        FileExistsError: names the files.
    """
    planned = [prediction_file(output, file.stem, kind) for file in files for kind in kinds]
    taken = [str(file) for file in planned if file.exists()]
    if taken:
        raise FileExistsError(f"expected no earlier result, but got {', '.join(taken)}; overwrite=true replaces it")
    twice = sorted({str(file) for file in planned if planned.count(file) > 1})
    if twice:
        raise FileExistsError(f"expected inputs of different names, but got two results named {', '.join(twice)}")


def predict_file(module: Segmenter, file: Path, tile: int | None, tta: str) -> np.ndarray:
    """Class probabilities of an image ``(K, H, W)``, or of each slice of a stack ``(D, K, H, W)``."""
    array = read(file)
    channels = module.model.in_channels
    image_dimensions = 2 if channels == 1 else 3
    if array.ndim not in (image_dimensions, image_dimensions + 1) or (channels > 1 and array.shape[-1] != channels):
        expected = "(H, W) or (D, H, W)" if channels == 1 else f"(H, W, {channels}) or (D, H, W, {channels})"
        raise ValueError(f"expected an image {expected}, but {file} has shape {array.shape}")

    slices = array if array.ndim > image_dimensions else array[None]
    predicted = [module.averaged_probabilities(image_tensor(normalise(image)).numpy(), tta, tile) for image in slices]
    return np.stack(predicted) if array.ndim > image_dimensions else predicted[0]


if __name__ == "__main__":
    command.run(main)
