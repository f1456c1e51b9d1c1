"""Losses: pure functions of logits ``(N, K, h, w)``, target ``(N, h, w)`` and weight ``(N, h, w)``."""

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The paper's energy (eq. 1): cross-entropy of the soft-max, weighted by w(x), mean over pixels.

    It divides by the number of pixels, not by the sum of weights, so that the loss of a batch does not depend on how
    the batch is split between processes.

    Args:
        logits: ``(N, K, h, w)``, class scores before the soft-max.
        target: ``(N, h, w)`` int64, classes.
        weight: ``(N, h, w)``, the weight map of eq. 2; 0 where a pixel is not annotated.

    Returns:
        A scalar, in nats per pixel.
    """
    return (weight * F.cross_entropy(logits.float(), target, reduction="none")).mean()


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with equal weight for each annotated pixel: eq. 1 without its weights.

    Shapes as in `weighted_cross_entropy`.
    """
    return weighted_cross_entropy(logits, target, (weight > 0).to(weight.dtype))


def dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 − soft Dice, averaged over classes (Milletari et al. 2016): for classes of very unequal size.

    The overlap is pooled over the batch. One pixel is added to numerator and denominator, so that a class absent from
    truth and prediction costs nothing. Shapes as in `weighted_cross_entropy`.
    """
    annotated = (weight > 0).unsqueeze(1)
    probabilities = logits.float().softmax(dim=1) * annotated
    truth = F.one_hot(target, logits.shape[1]).movedim(-1, 1) * annotated
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = probabilities.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    return 1 - torch.mean((2 * overlap + 1) / (total + 1))
