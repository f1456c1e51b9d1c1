"""AP of label images of any tool as the mean over images, with a 95 % bootstrap interval over the images.

``python -m tests.benchmarks.peers.intervals TRUTH PREDICTION …``: folders of label images, NAME.tif of the truth and
NAME.tif or NAME_labels.tif of predictions, of which several, as of seeds, count with their mean. AP at IoU 0.5, and
averaged over 0.5, 0.55 … 0.9.
"""

import sys
from pathlib import Path

import numpy as np
from tifffile import imread

from src.metrics.instance import MISTAKES, matches, mistakes, overlap

PERCENTS = range(50, 95, 5)


def scores(truth: np.ndarray, predicted: np.ndarray) -> list[float]:
    """AP at 0.5, AP averaged over 0.5:0.9, and what was split, merged, missed and extra, of one image."""
    pairs = overlap(predicted, truth)
    cells = len(pairs.true_area) + len(pairs.predicted_area)
    found = [matches(pairs, percent)[0] for percent in PERCENTS]
    precision = [each / (cells - each) if cells else 1.0 for each in found]
    return [precision[0], float(np.mean(precision)), *mistakes(pairs)]


def interval(values: np.ndarray, draws: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Between what the mean of values ``(images,)`` lies in 95 of 100 draws of as many images."""
    means = np.random.default_rng(seed).choice(values, (draws, len(values))).mean(axis=1)
    return tuple(np.percentile(means, (2.5, 97.5)))


def main(truth: str, *predictions: str) -> None:
    rows = []
    for file in sorted(Path(truth).glob("*.tif")):
        named = [Path(folder) / f"{file.stem}{end}.tif" for folder in predictions for end in ("", "_labels")]
        rows.append(np.mean([scores(imread(file), imread(each)) for each in named if each.exists()], axis=0))
    table = np.array(rows)
    for name, values in zip(("AP at 0.5", "AP over 0.5:0.9"), table.T, strict=False):
        low, high = interval(values)
        print(f"{name}: mean of {len(values)} images {values.mean():.3f} ({low:.3f} to {high:.3f})")
    print(", ".join(f"{name} {total:g}" for name, total in zip(MISTAKES, table[:, 2:].sum(axis=0), strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
