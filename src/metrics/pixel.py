"""The pixel error of the ISBI-2012 challenge, and the fraction of wrong pixels, which is a different score."""

from typing import ClassVar

import numpy as np


def pixel_error(true_positive: int, false_positive: int, false_negative: int) -> float:
    """Compute 1 − F-score from numbers of pixels, where cell pixels are positive, as the ISBI-2012 challenge does.

    The error is 0 if there are no cell pixels in prediction and truth.
    """
    wrong = false_positive + false_negative
    return wrong / (2 * true_positive + wrong) if true_positive + wrong else 0.0


class PixelError:
    """Metric with two scores from pixel counts summed over images: `pixel_error` and the fraction of wrong pixels."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"pixel_error": "min", "wrong_pixels": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"pixels": np.zeros(4, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Count the true positive, false positive, false negative and true negative pixels of an image.

        Args:
            cell: predicted probability of cell, ``(H, W)``.
            target: true class of each pixel, ``(H, W)`` integers; all classes but 0 are cells.
            threshold: probability above which a pixel is predicted as cell.
        """
        proposal, truth = cell > threshold, target > 0
        outcomes = (proposal & truth, proposal & ~truth, ~proposal & truth, ~proposal & ~truth)
        return {"pixels": np.array([np.count_nonzero(outcome) for outcome in outcomes])}

    def scores(self, pixels: np.ndarray) -> dict[str, float]:
        """Compute both scores, by name, from the pixel counts of `count` summed over all images."""
        found, extra, missed, background = pixels.tolist()
        share = (extra + missed) / max(1, found + extra + missed + background)
        return {"pixel_error": pixel_error(found, extra, missed), "wrong_pixels": share}
