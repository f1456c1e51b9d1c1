"""What several benchmarks measure of ours: the network, and the way of ``src.predict`` from disk to disk."""

from pathlib import Path

import torch

from src.files.image import open_image
from src.model.unet import UNet
from src.prediction.predictor import Predictor, fill
from src.prediction.store import Store, drop


def network(channels: int, padded: bool = False) -> UNet:
    torch.manual_seed(0)
    return UNet(base_channels=channels, padded=padded, norm="batch").to(memory_format=torch.channels_last).eval()


def from_disk_to_disk(predictor: Predictor, file: Path, folder: Path) -> None:
    """The way of src.predict: from a file on disk to blocks on disk."""
    image = open_image(file)
    side = predictor.block_side(image.height, image.width)
    growing = Store(folder / "probabilities.zarr", image, 1, "float32", side, "benchmark")
    fill(growing, predictor, 0, 1)
    drop(growing.folder)
