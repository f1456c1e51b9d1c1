"""What a GPU gives: training steps against the peak of its multipliers, the real loop, prediction, minutes to a score.

``python -m tests.benchmarks.gpu`` on a machine with a CUDA device; with ``isbi`` behind it, also the minutes that
``experiment=isbi`` takes to a held-out V_rand of 0.97, which needs its data. On a CPU it computes the same, slowly, by
which it is tested. Goals on an H100: 40 % of the peak; 300 Mpx/s at 32 channels and 100 at 64; 5 minutes.
"""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import tifffile
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from src.data.phantom import phantom
from src.files.whole import write_json
from src.model.trained import MEMORY_FORMAT, predict_window
from src.prediction.predictor import Predictor
from src.tiles.overlap import Window, reader
from tests.benchmarks.ours import from_disk_to_disk, network
from tests.benchmarks.timing import RESULTS, interleaved
from tests.benchmarks.train import DEVICE, job, loops

DTYPE = torch.bfloat16


def wait() -> None:
    """Until the device has computed all that was asked of it."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def product(left: Tensor, right: Tensor) -> None:
    left @ right
    wait()


def peak(side: int, repeats: int = 10) -> float:
    """FLOP/s of a matrix product of ``side``³ in bf16, the fastest that a convolution could be."""
    left, right = (torch.rand(side, side, device=DEVICE, dtype=DTYPE) for _ in range(2))
    (seconds,) = interleaved({"product": partial(product, left, right)}, repeats).values()
    return 2 * side**3 / min(seconds)


def steps(channels: int, tile: int, repeats: int) -> dict[str, float]:
    """Tiles a second of compiled training steps, and the FLOP that each computes."""
    step = job(channels, MEMORY_FORMAT, DTYPE, compiled=True, tile=tile)
    with FlopCounterMode(display=False) as counter:
        job(channels, MEMORY_FORMAT, DTYPE, tile=tile)()
    (seconds,) = interleaved({"step": step}, repeats).values()
    return {"tiles_per_second": 1 / median(seconds), "flop": counter.get_total_flops()}


def from_memory(predictor: Predictor, image: Tensor) -> None:
    with torch.inference_mode():
        predict_window(predictor.engines[0], reader(image), Window(0, 0, *image.shape[-2:]), tile=predictor.tile)
    wait()


def prediction(channels: int, side: int, repeats: int) -> dict[str, float]:
    """Megapixels a second in bf16, of an image in memory and from disk to disk."""
    image = np.tile(phantom(slices=1, size=256).images[0], (-(-side // 256),) * 2)[:side, :side]
    predictor = Predictor([network(channels)], DEVICE, DTYPE, "none", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.tif"
        tifffile.imwrite(file, image, photometric="minisblack")
        jobs = {
            "memory": partial(from_memory, predictor, torch.from_numpy(image / np.float32(255))[None, None]),
            "disk to disk": partial(from_disk_to_disk, predictor, file, Path(folder)),
        }
        seconds = interleaved(jobs, repeats)
    return {name: side**2 / 1e6 / median(values) for name, values in seconds.items()}


def minutes_to(score: float, experiment: str, *overrides: str) -> dict[str, float]:
    """Minutes of training of an experiment, and whether its held-out V_rand reaches ``score``."""
    with tempfile.TemporaryDirectory() as folder:
        places = [f"hydra.run.dir={folder}/run", f"cache_dir={folder}/cache"]
        command = [sys.executable, "-m", "src.train", f"experiment={experiment}", *places, *overrides]
        subprocess.run(command, check=True)
        found = json.loads((Path(folder) / "run" / "scores.json").read_text(encoding="utf-8"))
    reached = found["scores"]["v_rand"]
    return {"minutes": found["seconds"] / 60, "v_rand": reached, "reached": reached >= score}


def main(
    isbi: bool = False,
    channels: tuple[int, ...] = (32, 64),
    tiles: tuple[int, ...] = (572, 1020),
    side: int = 8192,
    product_side: int = 8192,
    repeats: int = 10,
) -> dict:
    """Measure, print and keep as ``runs/bench/gpu.json``; → what is kept."""
    found: dict = {"device": str(DEVICE), "peak": peak(product_side)}
    print(f"{DEVICE}: a matrix product of {product_side}³ in bf16 at {found['peak'] / 1e12:.1f} TFLOP/s", flush=True)
    for width in channels:
        for tile in tiles:
            step = steps(width, tile, repeats)
            step["of_peak"] = step["tiles_per_second"] * step["flop"] / found["peak"]
            found[f"step, {width} channels, {tile} px"] = step
            print(
                f"training, {width} channels, {tile} px: {step['tiles_per_second']:.2f} tiles/s, "
                f"{step['of_peak']:.0%} of that",
                flush=True,
            )
        whole, bare = loops(width, 6 + repeats, tiles[0])
        found[f"busy, {width} channels"] = bare / whole
        print(f"src.train, {width} channels: the device is busy for {bare / whole:.0%} of a step", flush=True)
        found[f"prediction, {width} channels"] = rates = prediction(width, side, max(1, repeats // 3))
        said = ", ".join(f"{rate:.1f} Mpx/s {way}" for way, rate in rates.items())
        print(f"prediction, {width} channels, {side}²: {said}", flush=True)
    if isbi:
        found["isbi"] = minutes_to(0.97, "isbi")
        print(f"experiment=isbi: {found['isbi']}", flush=True)
    write_json(RESULTS / "gpu.json", found)
    return found


if __name__ == "__main__":
    main(isbi="isbi" in sys.argv[1:])
