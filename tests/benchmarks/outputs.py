"""What is made of a label image: table, ROIs and GeoJSON of 100 000 cells, with the peak of memory.

``make bench``, or ``python -m tests.benchmarks.outputs``. Times are CPU-seconds of one process.
"""

import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from src.files.image import Image
from src.files.whole import write_json
from src.prediction.job import RESULTS as OUTPUTS
from src.prediction.names import prediction_file
from src.prediction.outputs.cells import Cells
from src.tiles.overlap import Window
from tests.benchmarks.timing import RESULTS
from tests.benchmarks.weight_map import discs

SIDE, ACROSS = 1024, 32  # of a square of cells, which is repeated …
TIMES = 10  # … so often along each axis


def main() -> None:
    square = discs(SIDE, ACROSS)
    height = width = SIDE * TIMES

    def numbers(plane: int, window: Window) -> np.ndarray:
        rows, columns = np.arange(window.height) + window.top, np.arange(window.width) + window.left
        found = square[np.ix_(rows % SIDE, columns % SIDE)]
        shift = ACROSS**2 * (rows[:, None] // SIDE * TIMES + columns // SIDE)
        return np.where(found > 0, found + shift, 0).astype(np.int32)

    def confidence(plane: int, window: Window) -> np.ndarray:
        return np.full((window.height, window.width), 0.9, np.float32)

    image = Image(Path("a.tif"), np.broadcast_to(np.uint8(1), (height, width)), "YX", {"Y": 0.5, "X": 0.5})
    cells = Cells(image, numbers, confidence)
    rows = []
    for kind, output in OUTPUTS.items():
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            file = prediction_file(Path(folder), "a", kind)
            partial(output.write, file, cells, "src.predict")()
            size = file.stat().st_size / 1e6
        seconds = time.process_time() - started
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
        print(f"{kind}: {seconds:.1f} CPU-s, {size:.0f} MB, peak of memory {growth:.2f} GiB more", flush=True)
        rows.append({"name": kind, "cpu_seconds": seconds})
    title = f"outputs: {ACROSS**2 * TIMES**2:,} cells on {height}×{width} px"
    write_json(RESULTS / "outputs.json", {"title": title, "rows": rows})


if __name__ == "__main__":
    main()
