"""Truth and prediction from disk, as any tool writes them: files matched by name, contents checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from src.data.stack import SUFFIXES, read

ENDINGS = ("_probabilities", "_labels")


@dataclass(frozen=True)
class Comparison:
    """One image of the truth and what was predicted for it.

    Attributes:
        name: of the image; in a stack with the number of the slice.
        truth: class or cell of each pixel, ``(H, W)`` integers, 0 = background.
        prediction: the same, or class probabilities ``(K, H, W)`` float32.
    """

    name: str
    truth: np.ndarray
    prediction: np.ndarray

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
        preferred: the ending of `ENDINGS` to take of a prediction that lies there in several forms.

    Raises:
        FileNotFoundError: one is a file and the other a folder, or no name occurs in both.
    """
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
    files = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    worst_first = sorted(
        files,
        key=lambda file: (file.stem.endswith(preferred), file.stem.endswith(ENDINGS), file.suffix != ".png", file.name),
    )
    return {_name(file): file for file in worst_first}


def _name(file: Path) -> str:
    for ending in ENDINGS:
        if file.stem.endswith(ending):
            return file.stem.removesuffix(ending)
    return file.stem


def comparisons(truth_file: Path, prediction_file: Path) -> Iterator[Comparison]:
    """Each slice of a pair of files that hold an image ``(H, W)`` or a stack ``(D, H, W)``.

    Raises:
        ValueError: the truth holds no integers or the prediction no probabilities, or their shapes differ.
    """
    truth, prediction = read(truth_file), read(prediction_file)
    if truth.dtype.kind not in "iub":
        raise ValueError(f"expected a truth of integers, but {truth_file} holds {truth.dtype}")
    if truth.ndim not in (2, 3) or (truth_file.suffix.lower() == ".png" and truth.ndim != 2):
        raise ValueError(f"expected a truth (H, W) or (D, H, W), but {truth_file} has shape {truth.shape}")
    if min(truth.min(), prediction.min()) < 0 and prediction.dtype.kind in "iub":
        raise ValueError(f"expected labels from 0, but {truth_file} or {prediction_file} holds negative ones")
    stack = _without_mask_values(truth if truth.ndim == 3 else truth[None])
    for index, (true, predicted) in enumerate(zip(stack, _slices(prediction, stack, prediction_file), strict=True)):
        name = _name(prediction_file)
        yield Comparison(f"{name}_{index:02d}" if len(stack) > 1 else name, true, predicted)


def _slices(prediction: np.ndarray, truth: np.ndarray, file: Path) -> np.ndarray:
    """Labels ``(D, H, W)`` or class probabilities ``(D, K, H, W)``."""
    depth, *plane = truth.shape
    probable = prediction.dtype.kind == "f"
    if probable and not np.isfinite(prediction).all():
        raise ValueError(f"expected probabilities, but {file} holds NaN or infinity")
    if probable and not 0 <= prediction.min() <= prediction.max() <= 1:
        raise ValueError(
            f"expected probabilities in [0, 1], but {file} holds {prediction.min():g} to {prediction.max():g}"
        )
    classes, rest = divmod(prediction.size, truth.size)
    if prediction.shape[-2:] != tuple(plane) or rest or (classes > 1 and not probable):
        raise ValueError(f"expected the shape of the truth, {truth.shape}, but {file} has shape {prediction.shape}")
    if not probable:
        return _without_mask_values(prediction.reshape(truth.shape))
    each = prediction.reshape(depth, classes, *plane).astype(np.float32)
    return each if classes > 1 else np.concatenate([1 - each, each], axis=1)


def _without_mask_values(labels: np.ndarray) -> np.ndarray:
    """Labels as int64; a mask of 0 and the largest value that its type holds, such as 255, becomes one of 0 and 1."""
    values = np.unique(labels)
    if labels.dtype.kind == "u" and set(values.tolist()) <= {0, np.iinfo(labels.dtype).max}:
        return (labels > 0).astype(np.int64)
    return labels.astype(np.int64)


def doubts(image: Comparison, membranes: bool) -> list[str]:
    """What looks as if it were not meant, in words; nothing of it stops scoring.

    Args:
        image: what is compared.
        membranes: whether cells are told apart by the background between them alone.
    """
    found = []
    true_cell = image.truth > 0
    background = image.prediction[0] if image.is_probable else image.prediction == 0
    if np.abs((1 - background) - true_cell).mean() > 0.5:
        found.append("the prediction looks inverted: expected high values in cells, and 0 in the background")
    if not membranes:
        return found
    pieces, holes = (ndimage.label(mask)[1] for mask in (true_cell, ~true_cell))
    if pieces < holes and true_cell.mean() < 0.5:
        found.append("the truth looks inverted: expected cells above 0, and membranes 0")
    if not image.is_probable and image.prediction.max() > 1:
        found.append("the prediction holds integers above 1: each pixel that is not 0 is taken as cell")
    return found
