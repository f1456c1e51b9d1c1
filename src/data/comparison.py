"""Truth and prediction from disk, as any tool writes them: files matched by name, contents checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.numbers import numbers_of, read_labels
from src.files.arrays import strips_of
from src.files.image import in_memory
from src.files.names import LABEL_SUFFIXES, PREDICTED, without_ending
from src.instances import components

WHITE = tuple(2**bits - 1 for bits in (8, 16, 32))  # of masks
ROUNDING = 1e-5  # by which a probability may leave [0, 1]


@dataclass(frozen=True)
class Comparison:
    """One image of the truth and what was predicted for it.

    Attributes:
        name: of the image; in a stack with the number of the slice.
        truth: class or cell of each pixel, ``(H, W)`` integers, 0 = background.
        prediction: the same, or class probabilities ``(K, H, W)`` float32.
        known: where the truth is known, ``(H, W)`` booleans; None: everywhere.
    """

    name: str
    truth: np.ndarray
    prediction: np.ndarray
    known: np.ndarray | None = None

    @property
    def is_probable(self) -> bool:
        """Whether the prediction holds probabilities."""
        return self.prediction.dtype.kind == "f"


def match(truth: Path, prediction: Path, preferred: str) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pairs of files with the same name in two folders, and the files without a partner; or one pair of files.

    Names are compared without the ending ``_probabilities`` or ``_labels``.

    Args:
        truth: a file or folder.
        prediction: likewise.
        preferred: the ending of `files.names.PREDICTED` to take of a prediction that lies there in several forms.

    Raises:
        FileNotFoundError: one is not there, one is a file and the other a folder, or no name occurs in both.
    """
    for path in (truth, prediction):
        if not path.exists():
            raise FileNotFoundError(f"expected a file or folder, but there is none at {path}")
    if not truth.is_dir() and not prediction.is_dir():
        return [(truth, prediction)], []
    if not (truth.is_dir() and prediction.is_dir()):
        raise FileNotFoundError(f"expected two files or two folders, but got {truth} and {prediction}")
    true, predicted = _by_name(truth, preferred), _by_name(prediction, preferred)
    both = sorted(true.keys() & predicted.keys())
    if not both:
        raise FileNotFoundError(f"expected files of the same names in {truth} and {prediction}, but got none")
    alone = [files[name] for files in (true, predicted) for name in sorted(files.keys() - set(both))]
    return [(true[name], predicted[name]) for name in both], alone


def _by_name(folder: Path, preferred: str) -> dict[str, Path]:
    """The file of each name; of several the one with the preferred ending, then with another, then TIFF."""
    files = [
        file for file in folder.iterdir() if file.suffix.lower() in LABEL_SUFFIXES and not file.name.startswith(".")
    ]
    worst_first = sorted(
        files,
        key=lambda file: (file.stem.endswith(preferred), file.stem.endswith(PREDICTED), file.suffix),  # .png < .tif
    )
    return {without_ending(file.stem, PREDICTED): file for file in worst_first}


def comparisons(truth_file: Path, prediction_file: Path, ignore_label: int | None = None) -> Iterator[Comparison]:
    """Each slice of a pair of files that hold an image ``(H, W)`` or a stack ``(D, H, W)``.

    Args:
        truth_file: label images.
        prediction_file: label images or probabilities.
        ignore_label: the value of pixels of the truth that nobody has annotated.

    Raises:
        ValueError: the truth holds no integers or the prediction no probabilities, or their shapes differ.
    """
    truth, prediction = read_labels(truth_file), _read_prediction(prediction_file)
    known = None if ignore_label is None else truth != ignore_label
    if known is not None:
        truth = np.where(known, truth, 0).astype(truth.dtype)
    for file, values in ((truth_file, truth), (prediction_file, prediction)):
        if values.dtype.kind == "i" and values.min() < 0:
            raise ValueError(f"expected labels from 0, but {file} holds negative ones, down to {values.min()}")
    truth, known, prediction = (
        values[0] if values is not None and values.ndim == 3 and len(values) == 1 else values
        for values in (truth, known, prediction)
    )
    predictions = _slices(prediction, truth.shape, prediction_file)
    stack = _without_mask_values(truth if truth.ndim == 3 else truth[None])
    places = [None] * len(stack) if known is None else known.reshape(stack.shape)
    for index, (true, predicted, where) in enumerate(zip(stack, predictions, places, strict=True)):
        name = without_ending(prediction_file.stem, PREDICTED)
        yield Comparison(f"{name}_{index:02d}" if len(stack) > 1 else name, true, predicted, where)


def _read_prediction(file: Path) -> np.ndarray:
    stored = in_memory(file)
    return stored.array if stored.array.dtype.kind == "f" else numbers_of(stored, file)[0]


def _slices(prediction: np.ndarray, truth_shape: tuple[int, ...], file: Path) -> np.ndarray:
    """Labels ``(D, H, W)`` or class probabilities ``(D, K, H, W)``."""
    probable, of_classes = prediction.dtype.kind == "f", prediction.ndim == len(truth_shape) + 1
    seen = prediction.shape[:-3] + prediction.shape[-2:] if probable and of_classes else prediction.shape
    if seen != truth_shape:
        raise ValueError(f"expected the shape of the truth, {truth_shape}, but {file} has shape {prediction.shape}")
    plane = truth_shape[-2:]
    if not probable:
        return _without_mask_values(prediction.reshape(-1, *plane))
    if not np.isfinite(prediction).all():
        raise ValueError(f"expected probabilities, but {file} holds NaN or infinity")
    if prediction.min() < -ROUNDING or prediction.max() > 1 + ROUNDING:
        raise ValueError(f"expected probabilities in [0, 1], but {file} holds {prediction.min()} to {prediction.max()}")
    classes = prediction.shape[-3] if of_classes else 1
    each = prediction.reshape(-1, classes, *plane).astype(np.float32).clip(0, 1)
    return each if classes > 1 else np.concatenate([1 - each, each], axis=1)


def _without_mask_values(labels: np.ndarray) -> np.ndarray:
    """Labels; a mask of 0 and 255 (of 16 bits 65535, of 32 bits …) becomes one of 0 and 1."""
    white = labels.max()
    is_mask = white in WHITE and all(((strip == 0) | (strip == white)).all() for strip in strips_of(labels))
    return (labels > 0).astype(np.uint8) if is_mask else labels


def doubts(image: Comparison, membranes: bool) -> list[str]:
    """What looks as if it were not meant, in words; nothing of it stops scoring.

    Args:
        image: what is compared.
        membranes: whether cells are told apart by the background between them alone.
    """
    found = []
    true_cell = image.truth > 0
    background = image.prediction[0] if image.is_probable else image.prediction == 0
    if _difference(background, true_cell) > 0.5:
        found.append("the prediction looks inverted: expected high values in cells, and 0 in the background")
    if not membranes:
        return found
    pieces, holes = (components(mask).max() for mask in (true_cell, ~true_cell))
    if 0 < pieces < holes and true_cell.mean() < 0.5:
        found.append("the truth looks inverted: expected cells above 0, and membranes 0")
    if not image.is_probable and image.prediction.max() > 1:
        found.append("the prediction holds integers above 1: each pixel that is not 0 is taken as cell")
    return found


def _difference(background: np.ndarray, true_cell: np.ndarray) -> float:
    """Mean distance between the probability of cell and the truth."""
    strips = zip(strips_of(background), strips_of(true_cell), strict=True)
    return sum(np.abs((1 - part) - truth).sum() for part, truth in strips) / true_cell.size
