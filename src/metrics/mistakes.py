"""Maps of the mistakes of a prediction, by kind, for cells and for classes."""

import numpy as np
from skimage.measure import regionprops

from src.instances import pieces
from src.metrics.instance import majority_overlaps, overlap

SPLIT, MERGED, MISSED, EXTRA, CONFUSED, INEXACT = 1, 2, 3, 4, 5, 6
OF_CELLS, OF_CLASSES = (SPLIT, MERGED, MISSED, EXTRA, INEXACT), (MISSED, EXTRA, CONFUSED)
KINDS = {SPLIT: "split", MERGED: "merged", MISSED: "missed", EXTRA: "extra", CONFUSED: "wrong class"}
KINDS[INEXACT] = "inexact (IoU ≤ 0.5)"


def cell_mistakes(labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Map the mistakes that `metrics.instance.mistakes` counts.

    Args:
        labels: predicted cells, ``(H, W)`` integers, 0 = background.
        instances: true cells, ``(H, W)`` integers, 0 = background.

    Returns:
        ``(H, W)`` uint8: `SPLIT` in the pieces of a split cell, `MERGED` in a predicted cell that merges several true
        ones, `EXTRA` in an extra cell, `MISSED` in a missed one, `INEXACT` in a cell without these mistakes whose IoU
        is too low to count as found (IoU ≤ 0.5); else 0.
    """
    pairs = overlap(labels, instances)
    of_true, of_predicted = majority_overlaps(pairs)
    of_labels = np.zeros(len(pairs.predicted_area) + 1, np.uint8)
    of_instances = np.zeros(len(pairs.true_area) + 1, np.uint8)
    split = np.bincount(pairs.true[of_true], minlength=len(pairs.true_area)) > 1
    merged = np.bincount(pairs.predicted[of_predicted], minlength=len(pairs.predicted_area)) > 1
    related = of_true | of_predicted
    of_labels[1:][~np.isin(np.arange(len(pairs.predicted_area)), pairs.predicted[related])] = EXTRA
    of_labels[1:][pairs.predicted[of_true & split[pairs.true]]] = SPLIT
    close = np.isin(np.arange(len(pairs.predicted_area)), pairs.predicted[2 * pairs.shared > pairs.union])
    of_labels[1:][(of_labels[1:] == 0) & ~close] = INEXACT
    of_labels[1:][merged] = MERGED
    of_instances[1:][~np.isin(np.arange(len(pairs.true_area)), pairs.true[related])] = MISSED
    found, missed = (
        kinds[np.searchsorted(np.unique(image[image > 0]), image, side="right")]
        for kinds, image in ((of_labels, labels), (of_instances, instances))
    )
    return np.where(found > 0, found, missed)


def kinds_of_mistakes(of_classes: bool) -> tuple[int, ...]:
    """The kinds of mistakes that occur in label images of classes or, if ``of_classes`` is False, of cells."""
    return OF_CLASSES if of_classes else OF_CELLS


def mistakes_of(of_classes: bool, labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Map the mistakes of predicted classes, or cells, ``(H, W)`` with `class_mistakes` or `cell_mistakes`."""
    return (class_mistakes if of_classes else cell_mistakes)(labels, truth)


def class_mistakes(labels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Map wrong classes ``(H, W)``: `MISSED`, `EXTRA` or `CONFUSED`, else 0, as uint8."""
    kinds = np.where(labels == 0, MISSED, np.where(target == 0, EXTRA, CONFUSED))
    return np.where(labels == target, 0, kinds).astype(np.uint8)


def largest_places(kinds: np.ndarray, most: int = 3) -> list[tuple[int, int, int]]:
    """Kind, row and column of the largest connected mistakes in a map ``(H, W)``."""
    places = sorted(regionprops(pieces(kinds)), key=lambda place: -place.area)[:most]
    points = (place.coords[len(place.coords) // 2] for place in places)  # the centroid may lie outside
    return [(int(kinds[row, column]), int(row), int(column)) for row, column in points]
