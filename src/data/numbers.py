"""Label files of any tool: the numbers that were drawn, however they are shown."""

import re
from pathlib import Path

import numpy as np

from src.data.finding import ERROR, Finding, Refused
from src.files import limits
from src.files.arrays import value_counts
from src.files.grey import is_grey
from src.files.image import in_memory
from src.files.stored import SHOWN, Note, Reading, Stored, axes_of, turned

MOST_COLOURS = 20  # up to which a colour stands for a class


def read_labels(file: Path, reading: Reading = SHOWN) -> np.ndarray:
    """A label image or stack, ``(H, W)`` or ``(D, H, W)`` integers: the numbers, whatever colours show them.

    Raises:
        Refused: as of `labels_and_notes`.
    """
    return labels_and_notes(file, reading)[0]


def labels_and_notes(file: Path, reading: Reading = SHOWN) -> tuple[np.ndarray, list[Note]]:
    """The numbers of a label image or stack, ``(H, W)`` or ``(D, H, W)`` integers, and what to know of them.

    They are the stored ones under any table of colours; ImageJ shows 255 as black in its masks, and means an object.
    Only where white is 0 and a pixel is one bit, as in a fax, are they read as they are shown. Grey values that were
    saved as equal red, green and blue count as one number a pixel; of planes of which exactly one is on in each pixel
    that one is its number.

    Args:
        file: where they lie.
        reading: how the pixels of images are seen, of which orientation and axes hold for labels too.

    Raises:
        Refused: it holds colours or real numbers, is a JPEG, or cannot be decoded.
    """
    if file.suffix.lower() in (".jpg", ".jpeg"):
        found = "a JPEG, which alters the values"
        fix = "save the labels as PNG or TIFF from the program that they were drawn in"
        raise Refused(Finding("jpeg-label", ERROR, str(file), found, "labels as they were drawn", fix))
    try:
        stored = in_memory(file)
    except (ValueError, OSError) as error:
        raise Refused(unreadable(file, error)) from error
    return numbers_of(stored, file, reading)


def numbers_of(stored: Stored, file: Path, reading: Reading = SHOWN) -> tuple[np.ndarray, list[Note]]:
    """As `labels_and_notes`, of what a file holds.

    Raises:
        Refused: it holds colours or real numbers.
    """
    values, axes = stored.array, axes_of(stored, reading)
    if stored.orientation != 1 and reading.orientation == "shown":
        values = turned(values, axes, stored.orientation)
    if stored.unclear and axes[0] == "S" and not (values == values[:1]).all():
        axes = f"Z{axes[1:]}"  # red, green and blue would be no labels
    numbers, notes = _numbers(values, stored)
    return as_labels(numbers, axes, file), [*stored.notes, *notes]


def _numbers(values: np.ndarray, stored: Stored) -> tuple[np.ndarray, list[Note]]:
    """The numbers that were drawn, of values and what their file says of them."""
    if stored.signed:
        return values.astype(np.int32) - 2**15, []
    if stored.way < 0 and stored.bits:
        found = "one bit a pixel, of which 0 is white"
        fix = "data.source.values=[1,0] takes the stored ones"
        return ~values, [Note("white-is-zero", found, "the values as they are shown: white is 1", fix)]
    if stored.way < 0:
        drawn, _ = value_counts(values.reshape(-1, values.shape[-1]))
        note = Note("white-is-zero", "numbers that are shown as their negative", "the stored numbers")
        if len(drawn) == 2:
            note = note._replace(
                taken=f"the stored numbers: {drawn[1]} in cells, {drawn[0]} outside",
                fix=f"data.source.values=[{drawn[1]},{drawn[0]}] takes the other of the two as the cells",
            )
        return values, [note]
    if not stored.way:
        return values, [Note("colour-table", "labels with a table of colours", "the stored numbers")]
    return values, []


def as_labels(labels: np.ndarray, axes: str, file: Path) -> np.ndarray:
    """What was read from a file, ``(H, W)`` or ``(D, H, W)`` integers, or refused as of `labels_and_notes`."""
    if "S" in axes:
        labels, axes = _grey(np.moveaxis(labels, axes.index("S"), -1), file), axes.replace("S", "")
    if labels.dtype.kind not in "iub":
        whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and not np.any(labels % 1)
        found = f"{labels.dtype} from {labels.min():g} to {labels.max():g}, {'' if whole else 'not '}all of them whole"
        cast = f"tifffile.imwrite({file.with_suffix('.tif').name!r}, labels.astype('uint16'))"
        fix = cast if whole else "choose a threshold: a probability is no label"
        raise Refused(Finding("float-label", ERROR, str(file), found, "labels of whole numbers", fix))
    if labels.ndim not in (2, 3) or 0 in labels.shape:
        expected, fix = "one number a pixel, (H, W) or (D, H, W)", "save one plane a file, or a stack of planes"
        raise Refused(Finding("label-shape", ERROR, str(file), f"shape {labels.shape}", expected, fix))
    order = [place for place, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
    labels = labels.transpose(order)
    return one_hot(labels) if labels.ndim == 3 else labels


def one_hot(planes: np.ndarray) -> np.ndarray:
    """``(H, W)`` of planes ``(K, H, W)`` of which exactly one is on in each pixel: its number. Others as they are."""
    if len(planes) < 2 or len(np.unique(planes[:, :1])) > 2:  # a row tells of nearly all stacks
        return planes
    on = planes != 0
    return on.argmax(axis=0).astype(np.uint8) if (on.sum(axis=0) == 1).all() else planes


def unreadable(file: Path, error: BaseException) -> Finding:
    """That a file cannot be decoded."""
    found = limits.reason(error.__cause__ or error)  # without the file, which stands beside it
    larger = re.search(r"max_pixels=\d+", found)
    found, _, nearest = (found, "", "") if larger else found.partition("; nearest valid: ")
    fix = f"the same command with {larger[0]}" if larger else nearest or "copy the file again"
    return Finding("unreadable", ERROR, str(file), found, "a complete image", fix)


def _grey(labels: np.ndarray, file: Path) -> np.ndarray:
    """``(…, H, W)`` of ``(…, H, W, C)`` with equal colours; what is opaque everywhere does not count.

    Raises:
        Refused: the colours differ.
    """
    colours = labels[..., :-1] if labels.shape[-1] in (2, 4) and np.ptp(labels[..., -1]) == 0 else labels
    if is_grey(colours):
        return colours[..., 0]
    values, counts = np.unique(colours.reshape(-1, colours.shape[-1]), axis=0, return_counts=True)
    most = [tuple(map(int, values[place])) for place in np.argsort(-counts)[:4]]
    number = "np.unique(rgb.reshape(-1, rgb.shape[-1]), axis=0, return_inverse=True)[1].reshape(rgb.shape[:2])"
    fix = f"write {number} as uint8 PNG, for all files by the same table of colours"
    if len(values) > MOST_COLOURS:
        fix = "save the labels without smoothing, compression or overlay, one number a pixel"
    found = f"{len(values)} colours, most often {', '.join(map(str, most))}"
    raise Refused(Finding("rgb-label", ERROR, str(file), found, "one number a pixel", fix))
