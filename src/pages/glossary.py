"""The meaning of each score: a sentence, whether higher is better, and values to expect."""

import re

from src.metrics.goodness import OF_CLASS, PER_IMAGE

HIGHER, LOWER = "higher is better, 1 is perfect", "lower is better, 0 is perfect"
# For each score, by name: a sentence, the direction, and a reference value ("" if none is known).
MEANINGS = {
    "v_rand": (
        "How well cells are separated without being split: the F-score of the Rand index over pixels of cells, after "
        "thinning of borders (ISBI-2012)",
        HIGHER,
        "the paper's network has 0.973 on the challenge's test set; a gap in one membrane can cost 0.03",
    ),
    "v_info": (
        "As v_rand, but by information theory, which gives small cells more weight",
        HIGHER,
        "the paper's network has 0.987 on the challenge's test set",
    ),
    "v_rand_labels": ("v_rand of the label images that src.predict writes", HIGHER, "as v_rand, or a little below"),
    "v_info_labels": ("v_info of the label images that src.predict writes", HIGHER, "as v_info, or a little below"),
    "rand_error": (
        "The share of pairs of pixels that are wrongly joined or separated; membranes count, without thinning",
        LOWER,
        "it depends on the width of membranes; the paper reports 0.0382 on the test set",
    ),
    "pixel_error": (
        "The challenge's own definition: 1 minus the F-score of pixels of cells; not the share of wrong pixels",
        LOWER,
        "the paper reports 0.0611 on the test set",
    ),
    "wrong_pixels": ("The share of all pixels that are cell instead of border, or border instead of cell", LOWER, ""),
    "warping_error": (
        "The share of pixels where cells are split or merged; shifted borders do not count",
        LOWER,
        "the paper reports 0.000353 on the test set",
    ),
    "ap50": (
        "The share of found cells among all true and predicted cells; a true cell is found if a predicted one overlaps "
        "it with an IoU above 0.5",
        HIGHER,
        "experiment=nuclei has 0.82 on fluorescent nuclei of many microscopes",
    ),
    "ap": (
        "ap50 averaged over IoU thresholds from 0.5 to 0.95",
        HIGHER,
        "experiment=nuclei has 0.71",
    ),
    "f1_50": (
        "As ap50, but as an F-score, which is never smaller",
        HIGHER,
        "experiment=phase has 0.82 on cells in phase contrast",
    ),
    "f1": ("f1_50 averaged over IoU thresholds from 0.5 to 0.95", HIGHER, ""),
    "pq": ("Panoptic quality: f1_50 times the mean IoU of the found cells", HIGHER, ""),
    "pq_mean": ("pq averaged over IoU thresholds from 0.5 to 0.95", HIGHER, ""),
    "seg": (
        "The mean IoU of true cells and their matches; a missed cell counts 0 (Cell Tracking Challenge)",
        HIGHER,
        "the paper reports 0.92 for U373 and 0.78 for HeLa",
    ),
    "det": ("How few corrections detect every cell exactly once (Cell Tracking Challenge)", HIGHER, ""),
    "splits": ("Number of splits: pieces of true cells beyond the first", "fewer is better", ""),
    "merges": ("Number of merges: true cells in a predicted one beyond the first", "fewer is better", ""),
    "missed": ("Number of true cells that match no predicted cell", "fewer is better", ""),
    "extra": ("Number of predicted cells that match no true cell", "fewer is better", ""),
    "iou": (
        "Intersection over union: the area common to prediction and truth, divided by the area of both together; mean "
        "over the classes",
        HIGHER,
        "",
    ),
    "dice": ("The F-score of pixels, never smaller than iou; mean over the classes", HIGHER, ""),
    "precision": ("Of the pixels predicted as a class, the share that belong to it", HIGHER, ""),
    "recall": ("Of the pixels that belong to a class, the share predicted as it", HIGHER, ""),
}


def meaning(name: str) -> str:
    """Return the meaning of a score in a sentence or two; "" for an unknown name.

    >>> meaning("recall_class_2").endswith("(class 2); higher is better, 1 is perfect.")
    True
    """
    plain = re.sub(OF_CLASS, "", name.removesuffix(PER_IMAGE))
    if plain not in MEANINGS:
        return ""
    what, direction, scale = MEANINGS[plain]
    of = re.search(OF_CLASS, name)
    part = f" (class {of[1]})" if of else " (mean over the images)" if name.endswith(PER_IMAGE) else ""
    return f"{what}{part}; {direction}{f'; {scale}' if scale and not part else ''}."
