"""Scores that count pairs of pixels put into the same cell, and their counterpart in bits.

V_rand and V_info restrict themselves to true cells, after thinning: Arganda-Carreras et al. 2015,
Frontiers in Neuroanatomy 9:142. The Rand error is the ISBI-2012 challenge's earlier one. One gap in
one membrane merges two cells and costs a lot.
"""

from typing import ClassVar

import numpy as np
from skimage.metrics import contingency_table

from src.instances import components
from src.metrics.thinning import thinned_components


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
    if not (truth > 0).any():
        return 1.0
    both, in_truth, in_proposal, singles = _shares(proposal, truth)
    together = (both**2).sum() + singles
    return float(2 * together / ((in_truth**2).sum() + (in_proposal**2).sum() + singles))


def v_info(proposal: np.ndarray, truth: np.ndarray) -> float:
    """V_info of one slice, 1 for a perfect segmentation: the mutual information as an F-score.

    Args:
        proposal: segments ``(H, W)``, integers, 0 = none; such a pixel is a segment of its own.
        truth: cells ``(H, W)``, integers, 0 = background, which does not count.

    Returns:
        2 I(A; B) / (H(A) + H(B)); 1 where there is nothing to tell apart.
    """
    if not (truth > 0).any():
        return 1.0
    both, in_truth, in_proposal, singles = _shares(proposal, truth)
    n = in_truth.sum()
    of_singles = singles / n * np.log(n)
    truth_entropy = _entropy(in_truth / n)
    proposal_entropy = _entropy(in_proposal / n) + of_singles
    joint_entropy = _entropy(both / n) + of_singles
    total = truth_entropy + proposal_entropy
    return float(2 * (total - joint_entropy) / total) if total > 0 else 1.0


def _shares(proposal: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Pixels of true cells: in each pair of segments, in each true cell, in each proposed one, in none."""
    cells = truth > 0
    _, truth_ids = np.unique(truth[cells], return_inverse=True)
    _, proposal_ids = np.unique(np.append(proposal[cells], 0), return_inverse=True)  # so that 0 stays 0
    table = contingency_table(truth_ids, proposal_ids[:-1], sparse_type="array").tocsc().astype(float)
    grown = table[:, 1:]
    return grown.data, table.sum(axis=1), grown.sum(axis=0), table[:, :1].sum()


def _entropy(shares: np.ndarray) -> float:
    occurring = shares[shares > 0]
    return -(occurring * np.log(occurring)).sum()


def pair_counts(proposal: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Pairs of pixels together in both segmentations, only in the proposal, only in the truth.

    Args:
        proposal: segments ``(H, W)``, integers from 0; 0, the background, is a segment too.
        truth: likewise.
    """
    table = contingency_table(truth, proposal, sparse_type="array").astype(np.int64)
    both, in_truth, in_proposal = (
        int((counts * (counts - 1) // 2).sum()) for counts in (table.data, table.sum(axis=1), table.sum(axis=0))
    )
    return both, in_proposal - both, in_truth - both


def rand_error(both: int, only_proposal: int, only_truth: int) -> float:
    """1 − F-score of pairs of pixels, from counts as `pair_counts` gives them; 0 where there are none."""
    wrong = only_proposal + only_truth
    return wrong / (2 * both + wrong) if both + wrong else 0.0


class AfterThinning:
    """V_rand and V_info, averaged over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"v_rand": "max", "v_info": "max"}
    best_over_thresholds = True
    nothing: ClassVar = {"total": np.zeros(2, np.float32), "images": np.zeros(1, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Of an image, probability of cell and target ``(H, W)``; a true cell is not class 0."""
        segments, cells = thinned_components(cell > threshold), components(target > 0)
        return {"total": np.array([v_rand(segments, cells), v_info(segments, cells)]), "images": np.ones(1)}

    def scores(self, total: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Of what was counted."""
        with np.errstate(invalid="ignore"):  # of no image
            return dict(zip(self.modes, total / images, strict=True))


class OfLabels:
    """V_rand and V_info of label images as they are written, averaged over images.

    Nothing is thinned and no threshold is the best one afterwards: it is what whoever opens the files has.
    """

    takes = ("labels", "target")
    modes: ClassVar = {"v_rand_labels": "max", "v_info_labels": "max"}
    best_over_thresholds = False
    nothing: ClassVar = {"total": np.zeros(2, np.float32), "images": np.zeros(1, np.int64)}

    def count(self, labels: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        """Of an image, predicted segment and target ``(H, W)``; a true cell is not class 0."""
        cells = components(target > 0)
        return {"total": np.array([v_rand(labels, cells), v_info(labels, cells)]), "images": np.ones(1)}

    def scores(self, total: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Of what was counted."""
        with np.errstate(invalid="ignore"):  # of no image
            return dict(zip(self.modes, total / images, strict=True))


class RandError:
    """The Rand error of 4-connected components, background being one more; pairs pooled over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"rand_error": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"pairs": np.zeros(3, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Of an image, probability of cell and target ``(H, W)``; a true cell is not class 0."""
        return {"pairs": np.array(pair_counts(components(cell > threshold), components(target > 0)))}

    def scores(self, pairs: np.ndarray) -> dict[str, float]:
        """Of what was counted."""
        return {"rand_error": rand_error(*pairs.tolist())}
