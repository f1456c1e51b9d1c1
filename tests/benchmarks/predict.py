"""Prediction of an image, ours against MONAI's sliding window: same image, same weights, fp32.

Then each engine against the network as it is, in fp32 and bf16; many small images; and one pass over a slice of 512
pixels against the averages over its versions (§4).

``make bench``, or ``python -m tests.benchmarks.predict [side] [base channels] [repeats]`` with monai importable.
"""

import sys
import tempfile
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import tifffile
import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import BasicUNet
from torch.nn import functional

from src.command import Failures
from src.data.phantom import phantom
from src.files.legend import NUMBERS
from src.files.stored import SHOWN
from src.instances import Components, Decoder
from src.model.engine import ENGINES
from src.model.trained import predict_window
from src.model.unet import UNet
from src.predicting import predict_all
from src.prediction import store
from src.prediction.job import Wishes
from src.prediction.predictor import Predictor
from src.tiles.overlap import Window, reader
from src.tiles.symmetry import AVERAGES
from tests.benchmarks.ours import from_disk_to_disk, network
from tests.benchmarks.timing import interleaved, report

MARGIN = 94  # 92 is what a pixel needs; 512 + 2·94 is the next side that the network takes


class AsItIs:
    """A network that nothing was done to for prediction, in a number format by autocast."""

    def __init__(self, network: UNet, dtype: torch.dtype):
        self.network, self.dtype = network, dtype
        self.depth, self.padded = network.depth, network.padded

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype is not torch.float32):
            return self.network(image)


class Plain(Predictor):
    """Predicts by the networks as they are."""

    @property
    def engines(self) -> list[AsItIs]:
        return [AsItIs(network, self.dtype) for network in self.networks]


def small(predictor: Predictor, files: list[Path], folder: Path, moment: int) -> None:
    """Small images, held in memory and predicted together or, if they have more than ``moment`` pixels, in stores."""
    store.MOMENT = moment
    wishes = Wishes(folder / "small", ("probabilities", "labels"), overwrite=True)
    decoder, failures = Decoder(Components(), 0.5), Failures(len(files), debug=True)
    with redirect_stdout(StringIO()):
        predict_all([[file] for file in files], SHOWN, predictor, decoder, wishes, NUMBERS, failures)


@torch.inference_mode()
def monai(network, image: torch.Tensor) -> torch.Tensor:
    """As MONAI's tutorials do it: windows of 512, half of each overlapping the next, Gaussian weights."""
    return sliding_window_inference(image, (512, 512), 1, network, overlap=0.5, mode="gaussian").softmax(dim=1)


@torch.inference_mode()
def averaged(network: UNet, image: torch.Tensor, tta: str) -> torch.Tensor:
    return predict_window(network, reader(image), Window(0, 0, *image.shape[-2:]), tta)


def mirror_run_crop(network, window: torch.Tensor) -> torch.Tensor:
    """The wrapper that users write around a valid network."""
    predicted = network(functional.pad(window, (MARGIN,) * 4, mode="reflect"))
    surplus = (predicted.shape[-1] - window.shape[-1]) // 2
    return predicted[..., surplus:-surplus, surplus:-surplus]


def main(side: int = 2048, channels: int = 32, repeats: int = 3) -> None:
    image = np.tile(phantom(slices=1, size=512).images[0], (-(-side // 512),) * 2)[:side, :side]
    valid, padded = network(channels), network(channels, padded=True)
    predictor = Predictor([valid], torch.device("cpu"), torch.float32, "none", None)
    features = (channels, channels, 2 * channels, 4 * channels, 8 * channels, channels)
    basic = BasicUNet(spatial_dims=2, in_channels=1, out_channels=2, features=features).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.tif"
        tifffile.imwrite(file, image, photometric="minisblack")
        tensor = torch.from_numpy(image / np.float32(255))[None, None]
        jobs = {
            "ours, from disk to disk": partial(from_disk_to_disk, predictor, file, Path(folder)),
            "MONAI, the same valid network": partial(monai, partial(mirror_run_crop, valid), tensor),
            "MONAI, the padded network": partial(monai, padded, tensor),
            "MONAI, its BasicUNet of equal width": partial(monai, basic, tensor),
        }
        title, megapixels = f"{side}×{side} px, {channels} channels", side**2 / 1e6
        report(f"predict: {title}, fp32", interleaved(jobs, repeats), megapixels, "Mpx")
        given = [valid], torch.device("cpu")
        for dtype in (torch.float32, torch.bfloat16):
            engines = {f"engine={name}": Predictor(*given, dtype, "none", None, name) for name in reversed(ENGINES)}
            engines["the network as it is"] = Plain(*given, dtype, "none", None)
            jobs = {name: partial(from_disk_to_disk, each, file, Path(folder)) for name, each in engines.items()}
            report(f"engines in {dtype}: {title}", interleaved(jobs, repeats), megapixels, "Mpx")
        files = [Path(folder) / f"small_{number}.tif" for number in range(100)]
        for each in files:
            tifffile.imwrite(each, image[:32, :32], photometric="minisblack")
        jobs = {
            "held in memory, together": partial(small, predictor, files, Path(folder), store.MOMENT),
            "each in a store": partial(small, predictor, files, Path(folder), 0),
        }
        report("small: 100 images of 32×32 px, fp32", interleaved(jobs, repeats), 100, "images")
    one = torch.from_numpy(image[:512, :512] / np.float32(255))[None, None]
    seconds = interleaved({f"tta={tta}": partial(averaged, valid, one, tta) for tta in AVERAGES}, repeats)
    height, width = one.shape[-2:]
    report(f"averages: {height}×{width} px, {channels} channels, fp32", seconds, height * width / 1e6, "Mpx")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
