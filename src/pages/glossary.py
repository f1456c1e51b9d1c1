"""What each score means: a sentence, whether more of it is better, and what to expect of it."""

import re

from src.metrics.goodness import OF_CLASS, PER_IMAGE

HIGHER, LOWER = "higher is better, 1 is perfect", "lower is better, 0 is perfect"
# By name: a sentence, the direction, and a scale where there is one that holds beyond a single data set.
MEANINGS = {
    "v_rand": (
        "How well cells are kept apart and whole: the F-score of the Rand index over pixels of cells, after borders "
        "were thinned (ISBI-2012)",
        HIGHER,
        "the paper's network has 0.973 on the challenge's test set; a gap in one membrane can cost 0.03",
    ),
    "v_info": (
        "The same as v_rand by information theory, which weighs small cells more",
        HIGHER,
        "the paper's network has 0.987 on the challenge's test set",
    ),
    "v_rand_labels": ("v_rand of the label images that src.predict writes", HIGHER, "as v_rand, or a little below"),
    "v_info_labels": ("v_info of the label images that src.predict writes", HIGHER, "as v_info, or a little below"),
    "rand_error": (
        "The share of pairs of pixels that are wrongly together or apart, of membranes too, without thinning",
        LOWER,
        "it reacts to the width of membranes; the paper reports 0.0382 on the test set",
    ),
    "pixel_error": (
        "What the challenge calls so: 1 minus the F-score of the pixels of cells; not the share of wrong pixels",
        LOWER,
        "the paper reports 0.0611 on the test set",
    ),
    "wrong_pixels": ("The share of all pixels that are on the wrong side of a border", LOWER, ""),
    "warping_error": (
        "The share of pixels at which cells are split or merged, when borders may move but not break",
        LOWER,
        "the paper reports 0.000353 on the test set",
    ),
    "ap50": (
        "Of all cells, true and predicted, the share that are found: each true cell with a predicted one that shares "
        "more than half of their common area (IoU above 0.5)",
        HIGHER,
        "experiment=nuclei has 0.82 on fluorescent nuclei of many microscopes",
    ),
    "ap": (
        "ap50 averaged over stricter and stricter overlap, IoU from 0.5 to 0.95",
        HIGHER,
        "experiment=nuclei has 0.71",
    ),
    "f1_50": (
        "As ap50, as an F-score, which is never smaller: found cells against all",
        HIGHER,
        "experiment=phase has 0.82 on cells in phase contrast",
    ),
    "f1": ("f1_50 averaged over IoU from 0.5 to 0.95", HIGHER, ""),
    "pq": ("Panoptic quality: f1_50 times the mean IoU of the cells that are found", HIGHER, ""),
    "pq_mean": ("pq averaged over IoU from 0.5 to 0.95", HIGHER, ""),
    "seg": (
        "The mean IoU of the true cells with their match, a missed one counting 0 (Cell Tracking Challenge)",
        HIGHER,
        "the paper reports 0.92 for U373 and 0.78 for HeLa",
    ),
    "det": ("How little has to be corrected for all cells to be counted (Cell Tracking Challenge)", HIGHER, ""),
    "splits": ("How many true cells are found in several pieces", "fewer is better", ""),
    "merges": ("How many predicted cells cover several true ones", "fewer is better", ""),
    "missed": ("How many true cells nothing was found of", "fewer is better", ""),
    "extra": ("How many predicted cells lie where none is annotated", "fewer is better", ""),
    "iou": ("The common area of prediction and truth, over the area of either; mean of the classes", HIGHER, ""),
    "dice": ("The F-score of pixels; mean of the classes; never smaller than iou", HIGHER, ""),
    "precision": ("Of the pixels that are predicted to be of a class, the share that are", HIGHER, ""),
    "recall": ("Of the pixels that are of a class, the share that are predicted to be", HIGHER, ""),
}


def meaning(name: str) -> str:
    """What a score of this name says, as a sentence or two; "" if nobody knows.

    >>> meaning("recall_class_2").endswith("(class 2); higher is better, 1 is perfect.")
    True
    """
    plain = re.sub(OF_CLASS, "", name.removesuffix(PER_IMAGE))
    if plain not in MEANINGS:
        return ""
    what, direction, scale = MEANINGS[plain]
    of = re.search(OF_CLASS, name)
    part = f" (class {of[1]})" if of else " (mean of the images' own scores)" if name.endswith(PER_IMAGE) else ""
    return f"{what}{part}; {direction}{f'; {scale}' if scale and not part else ''}."
