"""V_rand, the foreground-restricted Rand score after border thinning of the ISBI-2012 challenge.

Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142. It counts pairs of pixels that truth
and proposal put into the same cell, so one gap in one membrane, which merges two cells, costs a lot.
"""

import cv2
import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

THRESHOLDS = tuple(step / 10 for step in range(10))  # those of the official scorer


def v_rand(proposal: np.ndarray, truth: np.ndarray) -> float:
    """V_rand of one slice, 1 for a perfect segmentation (the F-score of split and merge, α = ½).

    Only pixels of true cells count. A pixel that the proposal leaves without a cell is a segment of
    its own.

    Args:
        proposal: segments ``(H, W)``, integers, 0 = none.
        truth: cells ``(H, W)``, integers, 0 = background.

    Returns:
        2 Σ p_ij² / (Σ a_i² + Σ b_j²); 1 where there is no cell to find.
    """
    cells = truth > 0
    n = int(cells.sum())
    if n == 0:
        return 1.0
    _, truth_ids = np.unique(truth[cells], return_inverse=True)
    proposal_ids = proposal[cells]
    width = int(proposal_ids.max()) + 1
    joint = np.bincount(truth_ids * width + proposal_ids, minlength=(truth_ids.max() + 1) * width)
    joint = joint.reshape(-1, width).astype(float)
    singles = joint[:, 0].sum()
    both = (joint[:, 1:] ** 2).sum() + singles
    in_truth = (joint.sum(axis=1) ** 2).sum()
    in_proposal = (joint[:, 1:].sum(axis=0) ** 2).sum() + singles
    return float(2 * both / (in_truth + in_proposal))


def components(foreground: np.ndarray) -> np.ndarray:
    """4-connected components of a mask ``(H, W)``, numbered from 1, as int32."""
    return cv2.connectedComponents(foreground.astype(np.uint8), connectivity=4)[1]


def thinned_components(foreground: np.ndarray) -> np.ndarray:
    """4-connected components that have grown into the background until one pixel is left between them.

    So the width of a membrane does not change the score. Each background pixel goes to the nearest
    component, and lines of 0 are drawn where two meet: the official scorer floods instead, which
    draws some of these lines elsewhere.

    Args:
        foreground: mask ``(H, W)``.

    Returns:
        Segments ``(H, W)`` int32.
    """
    labels = components(foreground)
    if labels.max() == 0:
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        (~foreground).astype(np.uint8), cv2.DIST_L1, cv2.DIST_MASK_3, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of = np.zeros(nearest.max() + 1, np.int32)
    label_of[nearest[foreground]] = labels[foreground]
    grown = label_of[nearest]
    line = np.zeros_like(foreground)
    for here, there in (((slice(None), slice(-1)), (slice(None), slice(1, None))), ((slice(-1),), (slice(1, None),))):
        meets = grown[here] != grown[there]
        line[here] |= meets & ~foreground[here]
        line[there] |= meets & foreground[here]  # of two pixels that meet, one at least is background
    return np.where(line, 0, grown)


class VRand(Metric):
    """V_rand averaged over slices, at the best of the ten thresholds of the official scorer."""

    higher_is_better = True
    full_state_update = False

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.zeros(len(THRESHOLDS), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("slices", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add slices.

        Args:
            probabilities: ``(N, K, H, W)``; a cell is whatever is not class 0.
            target: classes, ``(N, H, W)``; 0 is membrane or background.
        """
        cell = 1 - probabilities[:, 0].float().cpu().numpy()
        for proposal, truth in zip(cell, target.cpu().numpy(), strict=True):
            cells = components(truth > 0)
            scores = [v_rand(thinned_components(proposal > threshold), cells) for threshold in THRESHOLDS]
            self.total += torch.tensor(scores, device=self.total.device)
            self.slices += 1

    def compute(self) -> Tensor:
        """The best of the averages, a scalar."""
        return (self.total / self.slices).max().float()

    def best_threshold(self) -> float:
        """The threshold at which `compute` found its best; the middle one of several."""
        best = (self.total == self.total.max()).nonzero().flatten()
        return THRESHOLDS[int(best[len(best) // 2])]
