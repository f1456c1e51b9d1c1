"""Decoding of predicted probabilities into label images, in memory or block by block."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from src.files.arrays import strips_of
from src.files.image import Image
from src.files.legend import NUMBERS, Legend, in_values
from src.instances import Classes, Components, Decoder, cell_probability
from src.prediction.outputs.cells import Cells
from src.prediction.rescaling import Returned
from src.prediction.store import Held, Store, drop, unfinished
from src.tiles.blocks import joined_components
from src.tiles.overlap import Window

AT_ONCE = 2**26  # pixels; a larger plane is labelled block by block


def label_image(
    final: Path,
    probabilities: Store | Held,
    decoder: Decoder,
    made_from: str,
    legend: Legend = NUMBERS,
    image: Image | None = None,
) -> tuple[Store | Held, np.ndarray]:
    """Decode the probabilities of an image into a label image, which the caller saves (`finish`) or discards.

    Cells are decoded at the size at which the image was predicted, because sizes in the decoder, such as ``min_size``,
    are in pixels of that size.

    Args:
        final: the file or folder to which the label image can be saved.
        probabilities: the predicted probabilities.
        decoder: computes labels from probabilities.
        made_from: identifies everything that the labels depend on.
        legend: the classes, whose values are written to a label image of classes; ignored for cells.
        image: the image to whose size the labels are resampled (nearest neighbour); None keeps the predicted size.

    Returns:
        The label image, and the number of pixels of each label at the predicted size, label 0 first.
    """
    of_classes = decoder.numbering.of_classes
    shown, kind = (legend, "classes") if of_classes else (NUMBERS, "cells")
    predicted = final if image is None else final.with_stem(f"{final.stem}_rescaled")
    labels = _growing(predicted, probabilities, made_from, shown, kind)
    areas = label(labels, probabilities, decoder)
    if image is None:
        return labels, areas
    nearest = Returned(labels, image)
    returned = _growing(final, nearest, made_from, shown, kind)
    for plane in range(image.planes):
        for window in returned.blocks:
            returned.write(plane, window, nearest.nearest(plane, window))
    labels.discard()
    return returned, areas


def _growing(
    final: Path, probabilities: Store | Held | Returned, made_from: str, legend: Legend, labels: str
) -> Store | Held:
    """Return an empty label image of the same size as a prediction: in memory for a small TIFF, else on disk."""
    image = probabilities.image
    drop(unfinished(final))  # left by an interrupted command; all labels are computed again
    if final.suffix == ".tif" and image.planes == 1 and image.pixels <= AT_ONCE:
        return Held(final, image, 1, made_from, legend)
    return Store(final, image, 1, "int32", probabilities.side, made_from, legend, labels)


def cells_of(
    labels: Store | Held, probabilities: Store | Held | Returned, decoder: Decoder, measured: Image, growing: Path
) -> tuple[Cells, Store | Held]:
    """Return the cells of a label image; if it contains classes, the connected components of each class.

    Args:
        labels: the label image, as `label_image` returns it.
        probabilities: the probabilities that the labels were computed from, resampled to the size of the labels.
        decoder: the decoder that computed the labels.
        measured: the image with the channels to measure, of the size of the labels.
        growing: path after which the temporary label image of connected components is named if it is too large for
            memory.

    Returns:
        The cells, and the label image that numbers them: ``labels`` itself, or for classes a temporary one, which the
        caller discards when all results are written.
    """
    if not decoder.numbering.of_classes:
        return Cells(measured, labels.read, partial(_cell_probability, probabilities)), labels
    numbers = _growing(growing, probabilities, labels.made_from, NUMBERS, "cells")
    classes = partial(_class_numbers, labels)
    kinds = tuple(_number_pieces(numbers, partial(classes, plane), plane) for plane in range(labels.image.planes))
    sure = partial(_class_probability, probabilities, classes)
    return Cells(measured, numbers.read, sure, kinds, labels.legend), numbers


def _number_pieces(numbers: Store | Held, classes: Callable[[Window], np.ndarray], plane: int) -> np.ndarray:
    """Number the connected components of each class in a plane, and write the numbers to ``numbers``.

    Returns:
        The class of each component by its number, int32; entry 0 is the background.
    """
    kinds = np.zeros(1, np.int32)
    pieces = joined_components(classes, numbers.blocks)
    for window in numbers.blocks:
        found = pieces(window)
        numbers.write(plane, window, found)
        kinds = np.pad(kinds, (0, max(0, int(found.max()) + 1 - len(kinds))))
        kinds[found] = classes(window)
    return kinds


def _class_numbers(labels: Store | Held, plane: int, window: Window) -> np.ndarray:
    """Return the class number (0, 1, …) of each pixel in a window, also if the label image holds legend values."""
    found = labels.read(plane, window)
    numbers = np.zeros(found.shape, np.int32)
    for number, value in enumerate(labels.legend.values):
        numbers[found == value] = number
    return numbers if labels.legend.values else found


def _cell_probability(probabilities: Store | Held | Returned, plane: int, window: Window) -> np.ndarray:
    return cell_probability(_read(probabilities, plane, window))


def _class_probability(
    probabilities: Store | Held | Returned, classes: Callable[[int, Window], np.ndarray], plane: int, window: Window
) -> np.ndarray:
    values = _read(probabilities, plane, window)
    taken: np.ndarray = np.take_along_axis(values, classes(plane, window)[None], axis=0)[0]
    return taken


def label(labels: Store | Held, probabilities: Store | Held, decoder: Decoder) -> np.ndarray:
    """Decode the probabilities of each plane and write the labels to ``labels``.

    In a plane that is too large for memory, connected components and classes are computed block by block, with the
    same result; the watershed and the filling of holes need the whole plane at once.

    Args:
        labels: the label image to write to.
        probabilities: the probabilities to read.
        decoder: computes labels from probabilities.

    Returns:
        The number of pixels of each label: first the background of all planes together, then the labels 1, 2, … of the
        first plane, those of the second plane, and so on.
    """
    image = labels.image
    areas: list[np.ndarray] = []
    for plane in range(image.planes):
        read = partial(_read, probabilities, plane)
        segment = _whole(read, image.height, image.width, decoder)
        if image.height * image.width > AT_ONCE:
            match decoder.numbering:
                case Classes():
                    segment = partial(_segmented, decoder, read)
                case Components(fill_holes=False, min_size=min_size):
                    segment = joined_components(partial(_foreground, decoder.threshold, read), labels.blocks, min_size)
        counts = np.zeros(1, np.int64)
        for window in labels.blocks:
            found = segment(window)
            for strip in strips_of(found):
                counts = _added(counts, np.bincount(strip.ravel()))
            labels.write(plane, window, in_values(found, labels.legend.values))
        areas.append(counts)
    return np.concatenate([[sum(each[0] for each in areas)], *(each[1:] for each in areas)])


def _added(counts: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Add two arrays of counts per label; the shorter array is padded with zeros."""
    length = max(len(counts), len(more))
    total: np.ndarray = np.pad(counts, (0, length - len(counts))) + np.pad(more, (0, length - len(more)))
    return total


def _read(probabilities: Store | Held | Returned, plane: int, window: Window) -> np.ndarray:
    """Return class probabilities ``(K, height, width)``, also for two classes, where only class 1 is stored."""
    values = probabilities.read(plane, window)
    return values if values.ndim == 3 else np.stack([1 - values, values])


def _whole(
    read: Callable[[Window], np.ndarray], height: int, width: int, decoder: Decoder
) -> Callable[[Window], np.ndarray]:
    """Return a function that reads a window of the labels of a plane; its first call decodes the whole plane."""
    labels: list[np.ndarray] = []

    def cut(window: Window) -> np.ndarray:
        if not labels:
            labels.append(decoder(read(Window(0, 0, height, width))))
        return labels[0][window.top : window.top + window.height, window.left : window.left + window.width]

    return cut


def _segmented(decoder: Decoder, read: Callable[[Window], np.ndarray], window: Window) -> np.ndarray:
    return decoder(read(window))


def _foreground(threshold: float, read: Callable[[Window], np.ndarray], window: Window) -> np.ndarray:
    return cell_probability(read(window)) > threshold
