"""Rand scores, which count pairs of pixels in the same cell, and their counterpart from information theory.

V_rand and V_info compare segmentations in the pixels of true cells only, after thinning of predicted membranes
(Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142). The Rand error is the earlier score of the ISBI-2012
challenge. All three are sensitive to topology, because a single gap in a membrane merges two cells.
"""

from typing import ClassVar

import numpy as np
from skimage.metrics import contingency_table

from src.instances import components
from src.metrics.thinning import thinned_components


def v_rand(proposal: np.ndarray, truth: np.ndarray) -> float:
    """Compute V_rand of one image, the F-score of the Rand split and merge scores (α = ½); 1 is perfect.

    Only pixels of true cells count. Each of these pixels that the proposal assigns to no segment is a segment of its
    own.

    Args:
        proposal: predicted segment of each pixel, ``(H, W)`` integers, 0 = none.
        truth: true cell of each pixel, ``(H, W)`` integers, 0 = background.

    Returns:
        2 Σ p_ij² / (Σ a_i² + Σ b_j²), with p_ij, a_i and b_j the numbers of pixels in a pair of true cell i and
        segment j, in a true cell and in a segment; 1 if there is no true cell.
    """
    if not (truth > 0).any():
        return 1.0
    both, in_truth, in_proposal, singles = _shares(proposal, truth)
    together = (both**2).sum() + singles
    return float(2 * together / ((in_truth**2).sum() + (in_proposal**2).sum() + singles))


def v_info(proposal: np.ndarray, truth: np.ndarray) -> float:
    """Compute V_info of one image, the mutual information of two segmentations as an F-score; 1 is perfect.

    Only pixels of true cells count. Each of these pixels that the proposal assigns to no segment is a segment of its
    own.

    Args:
        proposal: predicted segment of each pixel, ``(H, W)`` integers, 0 = none.
        truth: true cell of each pixel, ``(H, W)`` integers, 0 = background.

    Returns:
        2 I(A; B) / (H(A) + H(B)), with I the mutual information and H the entropy of the segmentations A and B; 1 if
        both have at most one segment.
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
    """Count the pixels of true cells by segment; arguments as in `v_rand`.

    Returns:
        Numbers of pixels in each overlapping pair of true cell and proposed segment, in each true cell and in each
        proposed segment; and number of pixels that the proposal assigns to no segment.
    """
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
    """Count the pairs of pixels that are in the same segment.

    Args:
        proposal: predicted segment of each pixel, ``(H, W)`` integers from 0; the background, 0, is a segment too.
        truth: true segment of each pixel, in the same form.

    Returns:
        Numbers of pairs that are in the same segment in both segmentations, only in the proposal, and only in the
        truth.
    """
    table = contingency_table(truth, proposal, sparse_type="array").astype(np.int64)
    both, in_truth, in_proposal = (
        int((counts * (counts - 1) // 2).sum()) for counts in (table.data, table.sum(axis=1), table.sum(axis=0))
    )
    return both, in_proposal - both, in_truth - both


def rand_error(both: int, only_proposal: int, only_truth: int) -> float:
    """Compute 1 − F-score of pairs of pixels from the numbers that `pair_counts` returns; 0 if all numbers are 0."""
    wrong = only_proposal + only_truth
    return wrong / (2 * both + wrong) if both + wrong else 0.0


class AfterThinning:
    """Metric with V_rand and V_info, computed after thinning of predicted membranes and averaged over images."""

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"v_rand": "max", "v_info": "max"}
    best_over_thresholds = True
    nothing: ClassVar = {"total": np.zeros(2, np.float32), "images": np.zeros(1, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Return V_rand and V_info of an image (``total``) and the number of images, 1, to be summed over images.

        Args:
            cell: predicted probability of cell, ``(H, W)``.
            target: true class of each pixel, ``(H, W)`` integers; connected components of all classes but 0 are cells.
            threshold: probability above which a pixel is predicted as cell.
        """
        segments, cells = thinned_components(cell > threshold), components(target > 0)
        return {"total": np.array([v_rand(segments, cells), v_info(segments, cells)]), "images": np.ones(1)}

    def scores(self, total: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Compute the mean V_rand and V_info, by name, from their sums over images and the number of images."""
        with np.errstate(invalid="ignore"):  # without images
            return dict(zip(self.modes, total / images, strict=True))


class OfLabels:
    """Metric with V_rand and V_info of label images as they are written to files, averaged over images.

    There is no thinning and no choice of the best threshold, so that these scores are valid for users of the files.
    """

    takes = ("labels", "target")
    modes: ClassVar = {"v_rand_labels": "max", "v_info_labels": "max"}
    best_over_thresholds = False
    nothing: ClassVar = {"total": np.zeros(2, np.float32), "images": np.zeros(1, np.int64)}

    def count(self, labels: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        """Return V_rand and V_info of an image (``total``) and the number of images, 1, to be summed over images.

        Args:
            labels: predicted cell of each pixel, ``(H, W)`` integers, 0 = background.
            target: true class of each pixel, ``(H, W)`` integers; connected components of all classes but 0 are cells.
        """
        cells = components(target > 0)
        return {"total": np.array([v_rand(labels, cells), v_info(labels, cells)]), "images": np.ones(1)}

    def scores(self, total: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """Compute the mean V_rand and V_info, by name, from their sums over images and the number of images."""
        with np.errstate(invalid="ignore"):  # without images
            return dict(zip(self.modes, total / images, strict=True))


class RandError:
    """Metric with the Rand error, from pairs of pixels that are counted in each image and summed over images.

    Segments are 4-connected components of cell pixels; the background is one more segment.
    """

    takes = ("cell", "target", "threshold")
    modes: ClassVar = {"rand_error": "min"}
    best_over_thresholds = True
    nothing: ClassVar = {"pairs": np.zeros(3, np.int64)}

    def count(self, cell: np.ndarray, target: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        """Count the pairs of pixels in the same predicted or true segment of an image, as `pair_counts` does.

        Args:
            cell: predicted probability of cell, ``(H, W)``.
            target: true class of each pixel, ``(H, W)`` integers; all classes but 0 are cells.
            threshold: probability above which a pixel is predicted as cell.
        """
        return {"pairs": np.array(pair_counts(components(cell > threshold), components(target > 0)))}

    def scores(self, pairs: np.ndarray) -> dict[str, float]:
        """Compute the Rand error from the numbers of pairs of `pair_counts`, summed over images."""
        return {"rand_error": rand_error(*pairs.tolist())}
