"""Calibration of probabilities: of all pixels with a calibrated probability of 0.8, 80 % should be cell pixels.

The logit of the probability of cell is scaled (temperature scaling: Guo et al. 2017, On Calibration of Modern Neural
Networks) and shifted. The shift is needed because a loss with border weights over-represents the background.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from src.instances import Decoder, Watershed

LARGEST_LOGIT, BINS = 16.0, 4096  # histogram of logits from −16 to 16, in bins of width 0.008
LOGITS = (np.arange(BINS) + 0.5) * (2 * LARGEST_LOGIT / BINS) - LARGEST_LOGIT  # centres of the bins
WORTH = 1e-4  # decrease of the log loss that justifies one more parameter
# Bounds of the two parameters, which are log(1 / temperature) and the shift.
WIDEST = ((-math.log(20), math.log(20)), (-LARGEST_LOGIT, LARGEST_LOGIT))
# Which of the two parameters are fitted; simple models come first.
FREE = {"none": (False, False), "temperature": (True, False), "shift": (False, True), "both": (True, True)}


@dataclass(frozen=True)
class Calibration:
    """A calibration, which maps the probability p of cell to ``expit(logit(p) / temperature + shift)``.

    With several foreground classes, p is the sum of their probabilities; the ratios between them do not change.

    Attributes:
        temperature: a positive number; a temperature above 1 makes probabilities less confident.
        shift: shift of the logit; a positive shift makes cells more probable.
    """

    temperature: float = 1.0
    shift: float = 0.0

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrate the probability of class 1 ``(H, W)``, or the probabilities of all classes ``(K, H, W)``."""
        if probabilities.ndim == 2:
            return self.of_cell(probabilities)
        cell = 1 - probabilities[0]
        found = self.of_cell(cell)
        with np.errstate(invalid="ignore", divide="ignore"):  # where the probability of cell is 0
            times = np.where(cell > 0, found / cell, 0)
        return np.concatenate([1 - found[None], probabilities[1:] * times]).astype(probabilities.dtype)

    def of_cell(self, probability: np.ndarray) -> np.ndarray:
        """Calibrate probabilities of cell, an array of any shape; probabilities of 0 and 1 do not change."""
        found = expit(logit(probability.astype(np.float64)) / self.temperature + self.shift)
        return found.astype(probability.dtype)

    def for_uncalibrated(self, decoder: Decoder) -> Decoder:
        """Convert a decoder for calibrated probabilities to one that gives the same labels for uncalibrated ones."""
        return self._moved(decoder, Calibration(1 / self.temperature, -self.shift * self.temperature))

    def for_calibrated(self, decoder: Decoder) -> Decoder:
        """Convert a decoder for uncalibrated probabilities to one that gives the same labels for calibrated ones."""
        return self._moved(decoder, self)

    def _moved(self, decoder: Decoder, how: "Calibration") -> Decoder:
        """Return a decoder with calibration ``how`` applied to its threshold and, in a watershed, to its marker."""

        def moved(value: float) -> float:
            return float(how.of_cell(np.array(value)))

        numbering, threshold = decoder.numbering, moved(decoder.threshold)
        if isinstance(numbering, Watershed):  # the marker is a fraction of the distance from the threshold to 1
            marker = moved(decoder.threshold + numbering.marker * (1 - decoder.threshold))
            share = (marker - threshold) / (1 - threshold) if threshold < 1 else numbering.marker
            numbering = replace(numbering, marker=min(max(share, 0.0), 1.0))
        return Decoder(numbering, threshold)


def tally(probability: np.ndarray, is_cell: np.ndarray) -> np.ndarray:
    """Count how often each probability was predicted for background and for cells.

    Args:
        probability: predicted probability of cell, an array of any shape.
        is_cell: ground truth, booleans of the same shape.

    Returns:
        Histograms ``(2, BINS)`` of the logits of the probabilities, for background and for cells.
    """
    places = np.floor((logit(probability.astype(np.float64)) + LARGEST_LOGIT) * (BINS / (2 * LARGEST_LOGIT)))
    places = np.clip(places, 0, BINS - 1).astype(np.int64)
    return np.stack([np.bincount(places[is_cell == truth], minlength=BINS) for truth in (False, True)])


def fitted(counts: np.ndarray, free: str = "both") -> Calibration:
    """Fit a calibration by maximum likelihood.

    Args:
        counts: histograms ``(2, BINS)`` as `tally` returns them, or a sum of several.
        free: which parameters to fit, a key of `FREE`.

    Returns:
        The calibration; without parameters to fit, and for only cells or only background, one that changes nothing.
    """
    places = np.flatnonzero(FREE[free])
    if not places.size or not counts.sum(axis=1).all():  # nothing to fit, or only cells, or only background
        return Calibration()
    shares = counts / counts.sum()

    def values(found: np.ndarray) -> np.ndarray:
        all_values = np.zeros(2)
        all_values[places] = found
        return all_values

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        sharpness, shift = values(found)
        logits = LOGITS * math.exp(sharpness) + shift
        probability = expit(logits)
        slope = shares[1] * (probability - 1) + shares[0] * probability  # derivative by each logit
        slopes = np.array([(slope * LOGITS).sum() * math.exp(sharpness), slope.sum()])
        return float((shares * np.logaddexp(0, np.stack([logits, -logits]))).sum()), slopes[places]

    bounds = [WIDEST[each] for each in places]
    sharpness, shift = values(minimize(loss, np.zeros(len(places)), jac=True, bounds=bounds, method="L-BFGS-B").x)
    return Calibration(math.exp(-sharpness), float(shift))


def needed(tallies: Sequence[np.ndarray]) -> tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Choose which parameters of a calibration to fit, by cross-validation over folds.

    Args:
        tallies: histograms ``(2, BINS)`` of each of at least two folds, as `tally` returns them.

    Returns:
        The first key of `FREE` (the simplest model) whose log loss is at most `WORTH` above the lowest log loss; and
        for each key of `FREE`, the result of `cross_fitted`.
    """
    found = {free: cross_fitted(tallies, free) for free in FREE}
    losses = {free: log_loss(*each) for free, each in found.items()}
    return next(free for free, loss in losses.items() if loss <= min(losses.values()) + WORTH), found


def cross_fitted(tallies: Sequence[np.ndarray], free: str) -> tuple[np.ndarray, np.ndarray]:
    """Calibrate the probabilities of each fold with a calibration that is fitted to the other folds.

    Args:
        tallies: histograms ``(2, BINS)`` of each of at least two folds, as `tally` returns them.
        free: which parameters to fit, a key of `FREE`.

    Returns:
        Calibrated probability of each bin in each fold, ``(folds × BINS,)``; and how often each of these was predicted
        for background and for cells, ``(2, folds × BINS)``.
    """
    total = np.sum(tallies, axis=0)
    probabilities = [fitted(total - each, free).of_cell(expit(LOGITS)) for each in tallies]
    return np.concatenate(probabilities), np.concatenate(tallies, axis=1)


def log_loss(probability: np.ndarray, counts: np.ndarray) -> float:
    """Compute the log loss (mean negative log-likelihood) of predicted probabilities.

    Args:
        probability: N different predicted probabilities of cell, ``(N,)``.
        counts: how often each probability was predicted for background and for cells, ``(2, N)``.
    """
    smallest = np.finfo(np.float64).tiny
    logarithms = np.log(np.maximum(np.stack([1 - probability, probability]), smallest))
    return float(-(counts * logarithms).sum() / counts.sum())
