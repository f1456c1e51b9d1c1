"""What the tests of metrics share: class probabilities of drawings, and the official scorer's seven cases."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

CASES = [
    "a_prob_256",
    "b_prob_merge_256",
    "c_prob_512x3",
    "d_binary_256",
    "e_thick_300x200",
    "f_heavy_512",
    "g_perfect_200",
]


def two_classes(cell):
    """Probabilities ``(N, 2, H, W)`` from those of a cell."""
    cell = torch.as_tensor(np.asarray(cell, np.float32))
    return torch.stack([1 - cell, cell], dim=1)


def official(case):
    """Probabilities, target and the official scores of a case."""
    folder = Path(os.environ.get("ORACLE_DIR", "$ORACLE_DIR"))
    files = [folder / name for name in (f"{case}_proposal.tif", f"{case}_truth.tif", "official_scores.json")]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (set ORACLE_DIR)")
    proposal, truth = (image.reshape(-1, *image.shape[-2:]) for image in map(tifffile.imread, files[:2]))
    cell = proposal / np.float32(255) if proposal.dtype == np.uint8 else proposal
    return two_classes(cell), torch.from_numpy((truth > 0).astype(np.int64)), json.loads(files[2].read_text())[case]
