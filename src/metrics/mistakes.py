"""Maps of the mistakes in a prediction of cells or of classes, by kind of mistake."""

import numpy as np
from skimage.measure import regionprops

from src.instances import pieces
from src.metrics.instance import majority_overlaps, overlap

SPLIT, MERGED, MISSED, EXTRA, CONFUSED, INEXACT = 1, 2, 3, 4, 5, 6
OF_CELLS, OF_CLASSES = (SPLIT, MERGED, MISSED, EXTRA, INEXACT), (MISSED, EXTRA, CONFUSED)
KINDS = {SPLIT: "split", MERGED: "merged", MISSED: "missed", EXTRA: "extra", CONFUSED: "wrong class"}
KINDS[INEXACT] = "inexact (IoU ≤ 0.5)"


def cell_mistakes(labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Map the mistakes that `metrics.instance.mistakes` counts, and inexact cells.

    Args:
        labels: predicted cells, ``(H, W)`` integers, 0 = background.
        instances: true cells, ``(H, W)`` integers, 0 = background.

    Returns:
        ``(H, W)`` uint8: `SPLIT` in the predicted pieces of a split cell, `MERGED` in a predicted cell that merges
        several true cells, `EXTRA` in an extra cell, `MISSED` in a missed cell, `INEXACT` in a predicted cell without
        these mistakes whose IoU is too low to count as found (IoU ≤ 0.5), and 0 elsewhere.
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
    """Return the kinds of mistakes that occur in label images of classes or, if ``of_classes`` is False, of cells."""
    return OF_CLASSES if of_classes else OF_CELLS


def mistakes_of(of_classes: bool, labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Map the mistakes in a label image, with `class_mistakes` if ``of_classes`` is True, else with `cell_mistakes`.

    Args:
        of_classes: whether the label images contain classes, not cells.
        labels: predicted class or cell of each pixel, ``(H, W)`` integers, 0 = background.
        truth: true class or cell of each pixel, ``(H, W)`` integers, 0 = background.
    """
    return (class_mistakes if of_classes else cell_mistakes)(labels, truth)


def class_mistakes(labels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Map the pixels whose predicted class is wrong.

    Args:
        labels: predicted class of each pixel, ``(H, W)`` integers, 0 = background.
        target: true class of each pixel, ``(H, W)`` integers, 0 = background.

    Returns:
        ``(H, W)`` uint8: `MISSED` where a foreground class is predicted as background, `EXTRA` where background is
        predicted as a foreground class, `CONFUSED` where a foreground class is predicted as another foreground class,
        and 0 where the predicted class is right.
    """
    kinds = np.where(labels == 0, MISSED, np.where(target == 0, EXTRA, CONFUSED))
    return np.where(labels == target, 0, kinds).astype(np.uint8)


def largest_places(kinds: np.ndarray, most: int = 3) -> list[tuple[int, int, int]]:
    """Find the largest connected mistakes in a map; return the kind, row and column of each, largest first.

    Args:
        kinds: map of mistakes ``(H, W)``, as `mistakes_of` returns it.
        most: largest number of mistakes to return.
    """
    places = sorted(regionprops(pieces(kinds)), key=lambda place: -place.area)[:most]
    points = (place.coords[len(place.coords) // 2] for place in places)  # the centroid may lie outside the mistake
    return [(int(kinds[row, column]), int(row), int(column)) for row, column in points]
