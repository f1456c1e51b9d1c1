"""Peak memory and speed of ``src.predict`` on 2 000 × 2 000 and 20 000 × 20 000 px, with a network of two channels.

What a network itself needs depends on the tile, not on the image, so a small one shows what the image adds.
``make bench``, or ``python -m tests.benchmarks.memory``.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from src import training
from src.data.phantom import phantom
from src.files.whole import write_json
from src.model import archive
from tests.benchmarks.timing import RESULTS
from tests.conftest import composed

SIDES = (2000, 20_000)


def main() -> None:
    micrograph = phantom(slices=1, size=1000).images[0]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "small.ckpt"
        torch.manual_seed(0)
        module = training.make_segmenter(composed("model.base_channels=2", "model.depth=2"))
        parts = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict(), "threshold": 0.5}
        archive.write(checkpoint, parts)
        peaks = []
        for side in SIDES:
            file = Path(folder) / f"{side}.tif"
            image = np.tile(micrograph, (side // 1000, side // 1000))
            tifffile.imwrite(file, image, tile=(512, 512), compression="zlib", photometric="minisblack")
            paths = (f"checkpoint={checkpoint}", f"input={file}", f"output={folder}/predicted")
            started = time.perf_counter()
            child = os.posix_spawn(sys.executable, [sys.executable, "-m", "src.predict", *paths], os.environ)
            _, status, usage = os.wait4(child, 0)
            if status:
                raise SystemExit(f"expected src.predict to end with status 0, but got {status}")
            peaks.append(usage.ru_maxrss / 2**20)
            seconds = time.perf_counter() - started
            print(
                f"{side} × {side} px: peak {peaks[-1]:.2f} GiB, {seconds:.0f} s, start and labels included", flush=True
            )
        print(f"the larger image takes {peaks[1] - peaks[0]:.2f} GiB more")
        rows = [{"name": f"{side}² px", "peak_gib": peak} for side, peak in zip(SIDES, peaks, strict=True)]
        write_json(RESULTS / "memory.json", {"title": "memory: src.predict", "rows": rows})


if __name__ == "__main__":
    main()
