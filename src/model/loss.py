"""Loss functions of logits ``(N, K, h, w)``, true classes ``(N, h, w)`` and pixel weights ``(N, h, w)``."""

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Compute the paper's energy (eq. 1): the cross-entropy of the soft-max weighted by w(x), averaged over pixels.

    The sum is divided by the number of pixels, not by the sum of weights, so that the loss of a batch does not depend
    on how the batch is split between processes.

    Args:
        logits: ``(N, K, h, w)`` class scores before the soft-max.
        target: ``(N, h, w)`` int64, the true class of each pixel.
        weight: ``(N, h, w)``, the weight map of eq. 2; 0 where a pixel is not annotated.

    Returns:
        The loss, a scalar in nats per pixel.
    """
    return (weight * F.cross_entropy(logits.float(), target, reduction="none")).mean()


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Compute the cross-entropy with weight 1 for each annotated pixel: eq. 1 without its weight map.

    The arguments are those of `weighted_cross_entropy`; a pixel is annotated if its ``weight`` is positive.
    """
    return weighted_cross_entropy(logits, target, (weight > 0).to(weight.dtype))


def dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Compute the soft Dice loss, 1 − Dice averaged over classes (Milletari et al. 2016), for classes of unequal size.

    Overlaps and areas are summed over the whole batch. One pixel is added to the numerator and the denominator of Dice,
    so that a class that is absent from both truth and prediction has no loss. The arguments are those of
    `weighted_cross_entropy`; pixels whose ``weight`` is 0 are ignored, and all others count equally.
    """
    annotated = (weight > 0).unsqueeze(1)
    probabilities = logits.float().softmax(dim=1) * annotated
    truth = F.one_hot(target, logits.shape[1]).movedim(-1, 1) * annotated
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = probabilities.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    return 1 - torch.mean((2 * overlap + 1) / (total + 1))
