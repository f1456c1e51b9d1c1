"""Rand scores, which count pairs of pixels in the same cell, and their counterpart from information theory.

V_rand and V_info are restricted to the pixels of true cells, after thinning: Arganda-Carreras et al.
2015, Frontiers in Neuroanatomy 9:142. The Rand error is the earlier score of the ISBI-2012 challenge.
All are sensitive to topology: a single gap in a membrane merges two cells.
"""

from typing import ClassVar

import numpy as np
from skimage.metrics import contingency_table

from src.instances import components
from src.metrics.thinning import thinned_components


def v_rand(proposal: np.ndarray, truth: np.ndarray) -> float:
    """V_rand of one image, 1 for a perfect segmentation (F-score of its split and merge scores, α = ½).

    Only pixels of true cells count. A pixel to which the proposal assigns no cell is a segment of its own.

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
    """V_info of one image, 1 for a perfect segmentation: the mutual information as an F-score.

    Args:
        proposal: segments ``(H, W)``, integers, 0 = none; such a pixel is a segment of its own.
        truth: cells ``(H, W)``, integers, 0 = background, which does not count.

    Returns:
        2 I(A; B) / (H(A) + H(B)); 1 if both have at most one segment.
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
    """Counts of the pixels of true cells: in each pair of segments, true cell, proposed segment, and in no segment."""
    cells = truth > 0
    _, truth_ids = np.unique(truth[cells], return_inverse=True)
    _, proposal_ids = np.unique(np.append(proposal[cells], 0), return_inverse=True)  # so that 0 stays 0
    table = contingency_table(truth_ids, proposal_ids[:-1], sparse_type="array").tocsc().astype(float)
    grown = table[:, 1:]
    return grown.data, table.sum(axis=1), grown.sum(axis=0), table[:, :1].sum()


def _entropy(shares: np.ndarray) -> float:
    occurring = shares[shares > 0]
    return -float((occurring * np.log(occurring)).sum())


def pair_counts(proposal: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Count pairs of pixels in the same segment: in both segmentations, only in the proposal, only in the truth.

    Args:
        proposal: segments ``(H, W)``, integers from 0; the background, 0, is a segment too.
        truth: true segments ``(H, W)``, likewise.
    """
    table = contingency_table(truth, proposal, sparse_type="array").astype(np.int64)
    both, in_truth, in_proposal = (
        int((counts * (counts - 1) // 2).sum()) for counts in (table.data, table.sum(axis=1), table.sum(axis=0))
    )
    return both, in_proposal - both, in_truth - both


def rand_error(both: int, only_proposal: int, only_truth: int) -> float:
    """1 − F-score of pairs of pixels, from the counts of `pair_counts`; 0 if there are none."""
    wrong = only_proposal + only_truth
    return wrong / (2 * both + wrong) if both + wrong else 0.0


class AfterThinning:
    """V_rand and V_info, averaged over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"v_rand": "max", "v_info": "max"}
    best_over_thresholds = True
    nothing: ClassVar = {"total": np.zeros(2, np.float32), "images": np.zeros(1, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Counts of an image, from the probability of cell and the target ``(H, W)``, where cells are not class 0."""
        segments, cells = thinned_components(cell > threshold), components(target > 0)
        return {"total": np.array([v_rand(segments, cells), v_info(segments, cells)]), "images": np.ones(1)}

    def scores(self, total: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Scores from summed counts."""
        with np.errstate(invalid="ignore"):  # without images
            return dict(zip(self.modes, total / images, strict=True))


class OfLabels:
    """V_rand and V_info of label images as they are written to files, averaged over images.

    There is no thinning and no choice of the best threshold: these scores hold for whoever uses the files.
    """

    takes = ("labels", "target")
    modes: ClassVar = {"v_rand_labels": "max", "v_info_labels": "max"}
    best_over_thresholds = False
    nothing: ClassVar = {"total": np.zeros(2, np.float32), "images": np.zeros(1, np.int64)}

    def count(self, labels: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        """Counts of an image, from the predicted cells and the target ``(H, W)``, where cells are not class 0."""
        cells = components(target > 0)
        return {"total": np.array([v_rand(labels, cells), v_info(labels, cells)]), "images": np.ones(1)}

    def scores(self, total: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Scores from summed counts."""
        with np.errstate(invalid="ignore"):  # without images
            return dict(zip(self.modes, total / images, strict=True))


class RandError:
    """The Rand error of 4-connected components, with the background as one more; pairs are pooled over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"rand_error": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"pairs": np.zeros(3, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Counts of an image, from the probability of cell and the target ``(H, W)``, where cells are not class 0."""
        return {"pairs": np.array(pair_counts(components(cell > threshold), components(target > 0)))}

    def scores(self, pairs: np.ndarray) -> dict[str, float]:
        """Scores from summed counts."""
        return {"rand_error": rand_error(*pairs.tolist())}
