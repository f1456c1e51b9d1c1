"""Probabilities that mean what they say: of all pixels with a probability of 0.8, 80 in 100 are cells.

Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks) and a shift, both of the logit of the
probability of cell. A loss with border weights asks for background more often than there is, which shifts
probabilities rather than sharpens them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from src.instances import Decoder, Watershed

LARGEST_LOGIT, BINS = 16.0, 4096  # in which probabilities are counted, 0.008 wide
LOGITS = (np.arange(BINS) + 0.5) * (2 * LARGEST_LOGIT / BINS) - LARGEST_LOGIT
WORTH = 1e-4  # of log loss, for which one number more is fitted
WIDEST = ((-math.log(20), math.log(20)), (-LARGEST_LOGIT, LARGEST_LOGIT))  # of what is fitted
# What may be fitted, the simpler first: the logarithm of 1 / temperature, and the shift.
FREE = {"none": (False, False), "temperature": (True, False), "shift": (False, True), "both": (True, True)}


@dataclass(frozen=True)
class Calibration:
    """A probability p of cell becomes that of the logit ``logit(p) / temperature + shift``; others keep their shares.

    Attributes:
        temperature: above 0; above 1 makes probabilities less sure.
        shift: above 0 makes cells more probable.
    """

    temperature: float = 1.0
    shift: float = 0.0

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, of those of class 1 ``(H, W)`` or of each class ``(K, H, W)``."""
        if probabilities.ndim == 2:
            return self.of_cell(probabilities)
        cell = 1 - probabilities[0]
        found = self.of_cell(cell)
        with np.errstate(invalid="ignore", divide="ignore"):  # where there is no cell
            times = np.where(cell > 0, found / cell, 0)
        return np.concatenate([1 - found[None], probabilities[1:] * times]).astype(probabilities.dtype)

    def of_cell(self, probability: np.ndarray) -> np.ndarray:
        """The calibrated probability of cell; 0 and 1 stay as they are."""
        found = expit(logit(np.asarray(probability, np.float64)) / self.temperature + self.shift)
        return found.astype(np.asarray(probability).dtype)

    def undone(self, decoder: Decoder) -> Decoder:
        """What makes of the probabilities before calibration the labels that a decoder says of those after it."""
        return self._moved(decoder, Calibration(1 / self.temperature, -self.shift * self.temperature))

    def told(self, decoder: Decoder) -> Decoder:
        """What says of the calibrated probabilities what a decoder makes of those before calibration."""
        return self._moved(decoder, self)

    def _moved(self, decoder: Decoder, how: "Calibration") -> Decoder:
        def moved(value: float) -> float:
            return float(how.of_cell(np.float64(value)))

        numbering, threshold = decoder.numbering, moved(decoder.threshold)
        if isinstance(numbering, Watershed):  # whose marker is a share of the way from the threshold to 1
            marker = moved(decoder.threshold + numbering.marker * (1 - decoder.threshold))
            share = (marker - threshold) / (1 - threshold) if threshold < 1 else numbering.marker
            numbering = replace(numbering, marker=min(max(share, 0.0), 1.0))
        return Decoder(numbering, threshold)


def tally(probability: np.ndarray, is_cell: np.ndarray) -> np.ndarray:
    """Count how often each probability was predicted where there is no cell, and where there is one: ``(2, BINS)``.

    Args:
        probability: of cell, of any shape.
        is_cell: what is true, of the same shape.
    """
    places = np.floor((logit(probability.astype(np.float64)) + LARGEST_LOGIT) * (BINS / (2 * LARGEST_LOGIT)))
    places = np.clip(places, 0, BINS - 1).astype(np.int64)
    return np.stack([np.bincount(places[is_cell == truth], minlength=BINS) for truth in (False, True)])


def fitted(counts: np.ndarray, free: str = "both") -> Calibration:
    """Find the calibration under which what was counted is most probable.

    Args:
        counts: as `tally` gives them, added up.
        free: what may change, a key of `FREE`.
    """
    chosen = np.flatnonzero(FREE[free])
    if not chosen.size or not counts.sum(axis=1).all():  # there is nothing to tell cells from
        return Calibration()
    shares = counts / counts.sum()

    def values(found: np.ndarray) -> np.ndarray:
        all_values = np.zeros(2)
        all_values[chosen] = found
        return all_values

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        sharpness, shift = values(found)
        logits = LOGITS * math.exp(sharpness) + shift
        probability = expit(logits)
        slope = shares[1] * (probability - 1) + shares[0] * probability  # of each bin, by its logit
        slopes = np.array([(slope * LOGITS).sum() * math.exp(sharpness), slope.sum()])
        return float((shares * np.logaddexp(0, np.stack([logits, -logits]))).sum()), slopes[chosen]

    bounds = [WIDEST[each] for each in chosen]
    sharpness, shift = values(minimize(loss, np.zeros(len(chosen)), jac=True, bounds=bounds, method="L-BFGS-B").x)
    return Calibration(math.exp(-sharpness), float(shift))


def needed(tallies: Sequence[np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """Tell what has to be fitted, by what each fold's counts are worth under the fit of the other folds.

    Args:
        tallies: what was counted in each fold.

    Returns:
        A key of `FREE`: the simplest one whose log loss is at most `WORTH` above the least; and of each key what
        `cross_fitted` gives.
    """
    found = {free: cross_fitted(tallies, free) for free in FREE}
    losses = {free: log_loss(*each) for free, each in found.items()}
    return next(free for free, loss in losses.items() if loss <= min(losses.values()) + WORTH), found


def cross_fitted(tallies: Sequence[np.ndarray], free: str) -> tuple[np.ndarray, np.ndarray]:
    """Calibrate each fold with the fit of the others.

    Args:
        tallies: what was counted in each fold, at least two.
        free: what may change, a key of `FREE`.

    Returns:
        Calibrated probabilities ``(folds × BINS)``, and the counts ``(2, folds × BINS)`` at each.
    """
    total = sum(tallies)
    probabilities = [fitted(total - each, free).of_cell(expit(LOGITS)) for each in tallies]
    return np.concatenate(probabilities), np.concatenate(tallies, axis=1)


def log_loss(probability: np.ndarray, counts: np.ndarray) -> float:
    """The mean of −log of the probability of what is true.

    Args:
        probability: of cell.
        counts: how often there was none, and one, at each ``(2, N)``.
    """
    smallest = np.finfo(np.float64).tiny
    logarithms = np.log(np.maximum(np.stack([1 - probability, probability]), smallest))
    return float(-(counts * logarithms).sum() / counts.sum())
