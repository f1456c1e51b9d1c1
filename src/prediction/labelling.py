"""Label images of predictions, in memory or block by block."""

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
    """The label image of a prediction, to be finished as a file or discarded.

    Cells are numbered on the pixels that were predicted, for which the sizes in a decoder were chosen.

    Args:
        final: the file or folder that it would become.
        probabilities: what to read.
        decoder: makes labels of probabilities.
        made_from: names what the labels depend on.
        legend: of classes, by whose values they are written.
        image: whose pixels they are to have, each the label nearest to it; None: those that were predicted.

    Returns:
        The label image, and how many of the predicted pixels each number has, 0 first.
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
    """Where whole numbers of each pixel of a prediction are written."""
    image = probabilities.image
    drop(unfinished(final))  # of an interrupted command; all is written anew
    if final.suffix == ".tif" and image.planes == 1 and image.pixels <= AT_ONCE:
        return Held(final, image, 1, made_from, legend)
    return Store(final, image, 1, "int32", probabilities.side, made_from, legend, labels)


def cells_of(
    labels: Store | Held, probabilities: Store | Held | Returned, decoder: Decoder, measured: Image, growing: Path
) -> tuple[Cells, Store | Held]:
    """The cells of a label image, or the connected pieces of its classes; and what to discard when all is written.

    Args:
        labels: as of `label_image`.
        probabilities: that the labels were made from, on their pixels.
        decoder: that made them.
        measured: the image with the channels that are measured.
        growing: the name of what holds the numbers of pieces, beside which it lies on disk if that is large.
    """
    if not decoder.numbering.of_classes:
        return Cells(measured, labels.read, partial(_cell_probability, probabilities)), labels
    numbers = _growing(growing, probabilities, labels.made_from, NUMBERS, "cells")
    classes = partial(_class_numbers, labels)
    kinds = tuple(_number_pieces(numbers, partial(classes, plane), plane) for plane in range(labels.image.planes))
    sure = partial(_class_probability, probabilities, classes)
    return Cells(measured, numbers.read, sure, kinds, labels.legend), numbers


def _number_pieces(numbers: Store | Held, classes: Callable[[Window], np.ndarray], plane: int) -> np.ndarray:
    """Number the connected components of each class of a plane; return the class of each number."""
    kinds = np.zeros(1, np.int32)
    pieces = joined_components(classes, numbers.blocks)
    for window in numbers.blocks:
        found = pieces(window)
        numbers.write(plane, window, found)
        kinds = np.pad(kinds, (0, max(0, int(found.max()) + 1 - len(kinds))))
        kinds[found] = classes(window)
    return kinds


def _class_numbers(labels: Store | Held, plane: int, window: Window) -> np.ndarray:
    """The class of each pixel by its number, where the label image holds the values of classes."""
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
    """Fill a store with the labels of each plane.

    Components and classes of a plane that is too large for memory are found block by block, with
    the same result; watershed and filled holes need the whole plane.

    Args:
        labels: where to write.
        probabilities: what to read.
        decoder: makes labels of probabilities.

    Returns:
        How many pixels each number has, those of one plane after those of another, and those of 0 of all planes first.
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
    """The sum of two tables of counts, of which one may be longer."""
    length = max(len(counts), len(more))
    total: np.ndarray = np.pad(counts, (0, length - len(counts))) + np.pad(more, (0, length - len(more)))
    return total


def _read(probabilities: Store | Held | Returned, plane: int, window: Window) -> np.ndarray:
    """Class probabilities ``(K, height, width)``; of two classes the store holds that of class 1."""
    values = probabilities.read(plane, window)
    return values if values.ndim == 3 else np.stack([1 - values, values])


def _whole(
    read: Callable[[Window], np.ndarray], height: int, width: int, decoder: Decoder
) -> Callable[[Window], np.ndarray]:
    """A function that returns windows of the labels of a plane; its first call decodes the whole plane."""
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
