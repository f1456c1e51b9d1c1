"""The seven cases of the official scorer, for all tests of metrics."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

CASES = [
    "a_prob_256",
    "b_prob_merge_256",
    "c_prob_512x3",
    "d_binary_256",
    "e_thick_300x200",
    "f_heavy_512",
    "g_perfect_200",
]


def official(case):
    """Probabilities of cell float32 and truth int64, both ``(D, H, W)``, and the official scores of a case."""
    folder = Path(os.environ.get("ORACLE_DIR", "$ORACLE_DIR"))
    files = [folder / name for name in (f"{case}_proposal.tif", f"{case}_truth.tif", "official_scores.json")]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (set ORACLE_DIR)")
    proposal, truth = (image.reshape(-1, *image.shape[-2:]) for image in map(tifffile.imread, files[:2]))
    cell = proposal > 0 if proposal.dtype == np.uint8 else proposal
    return cell.astype(np.float32), (truth > 0).astype(np.int64), json.loads(files[2].read_text())[case]
