"""The pixel error of the ISBI-2012 challenge, and the share of wrong pixels, which it is not."""

from typing import ClassVar

import numpy as np


def pixel_error(true_positive: int, false_positive: int, false_negative: int) -> float:
    """1 − F-score of cell pixels, as the ISBI-2012 challenge counts it; 0 where there are none."""
    wrong = false_positive + false_negative
    return wrong / (2 * true_positive + wrong) if true_positive + wrong else 0.0


class PixelError:
    """`pixel_error` and the share of wrong pixels, pooled over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"pixel_error": "min", "wrong_pixels": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"pixels": np.zeros(4, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Of an image, probability of cell and target ``(H, W)``; a true cell is not class 0."""
        proposal, truth = cell > threshold, target > 0
        outcomes = (proposal & truth, proposal & ~truth, ~proposal & truth, ~proposal & ~truth)
        return {"pixels": np.array([np.count_nonzero(outcome) for outcome in outcomes])}

    def scores(self, pixels: np.ndarray) -> dict[str, float]:
        """Of what was counted."""
        found, extra, missed, background = pixels.tolist()
        share = (extra + missed) / max(1, found + extra + missed + background)
        return {"pixel_error": pixel_error(found, extra, missed), "wrong_pixels": share}
