"""The pixel error of the ISBI-2012 challenge, and the fraction of wrong pixels, which is another score."""

from typing import ClassVar

import numpy as np


def pixel_error(true_positive: int, false_positive: int, false_negative: int) -> float:
    """1 − F-score of cell pixels, as the ISBI-2012 challenge computes it; 0 if there are none."""
    wrong = false_positive + false_negative
    return wrong / (2 * true_positive + wrong) if true_positive + wrong else 0.0


class PixelError:
    """`pixel_error` and the fraction of wrong pixels, pooled over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"pixel_error": "min", "wrong_pixels": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"pixels": np.zeros(4, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Counts of an image, from the probability of cell and the target ``(H, W)``, where cells are not class 0."""
        proposal, truth = cell > threshold, target > 0
        outcomes = (proposal & truth, proposal & ~truth, ~proposal & truth, ~proposal & ~truth)
        return {"pixels": np.array([np.count_nonzero(outcome) for outcome in outcomes])}

    def scores(self, pixels: np.ndarray) -> dict[str, float]:
        """Scores from summed counts."""
        found, extra, missed, background = pixels.tolist()
        share = (extra + missed) / max(1, found + extra + missed + background)
        return {"pixel_error": pixel_error(found, extra, missed), "wrong_pixels": share}
