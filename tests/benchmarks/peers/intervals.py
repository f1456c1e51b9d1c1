"""The mean over images of scores, with a 95 % bootstrap interval over the images, of one ``scores.json`` or several.

``python -m tests.benchmarks.peers.intervals ap50,ap runs/…/scores.json …``; of several, as of seeds, an image counts
with the mean of its scores, and splits and merges are means too.
"""

import json
import sys
from pathlib import Path

import numpy as np


def interval(scores: np.ndarray, draws: int = 10_000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of scores ``(images,)``, and between what it lies in 95 of 100 draws of as many images."""
    drawn = np.random.default_rng(seed).choice(scores, (draws, len(scores))).mean(axis=1)
    return float(scores.mean()), *map(float, np.percentile(drawn, (2.5, 97.5)))


def main(names: str, *files: str) -> None:
    contents = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    for name in names.split(","):
        rows = [{row["name"]: row[name] for row in content["per_image"]} for content in contents]
        mean, low, high = interval(np.mean([[row[image] for image in sorted(rows[0])] for row in rows], axis=0))
        pooled = np.mean([content["scores"][name] for content in contents])
        print(f"{name}: mean of {len(rows[0])} images {mean:.3f} ({low:.3f} to {high:.3f}), all together {pooled:.3f}")
    for name in ("splits", "merges", "missed", "extra"):
        print(f"{name}: {np.mean([content['scores'][name] for content in contents]):g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
