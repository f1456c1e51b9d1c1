"""Match, inspect and read files of ground truth and predictions from any tool."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data.finding import ERROR, Refused
from src.data.grain import EDGED, GRADED, grain
from src.data.label_files import label_files, name_of
from src.data.matching import matched
from src.data.numbers import Drawn, drawn
from src.data.places import read_name
from src.data.shapes import coco_images
from src.data.sources import ONE_FILE, Form, labels_within, read_files
from src.files.arrays import value_counts
from src.files.grey import is_grey
from src.files.image import in_memory
from src.files.names import LABEL_SUFFIXES, PICTURED, REFUSED_SUFFIXES, SHAPE_SUFFIXES, stem
from src.files.stored import Note, Stored, turned
from src.instances import pieces

ROUNDING = 1e-5  # largest deviation of probabilities from their range that counts as a rounding error
MOST_VALUES = 500  # how many of the lowest values of a label file, and how many of the highest, are counted


@dataclass(frozen=True)
class Source:
    """Truth or prediction of one image: its file or folder, how it is stored, its name, and the image's file name."""

    file: Path
    form: Form = ONE_FILE
    name: str = ""
    image: str = ""

    @property
    def is_shapes(self) -> bool:
        """Whether the file holds drawn shapes, which can be converted to labels only if the image size is known."""
        return not self.form.parts and self.file.suffix.lower() in SHAPE_SUFFIXES

    @property
    def labels(self) -> Path | None:
        """The label image that `src.predict` wrote together with these probabilities, or None if it does not exist."""
        file = self.file.with_name(self.file.name.replace("_probabilities.", "_labels."))
        return file if file != self.file and file.exists() else None


Pair = tuple[Source, Source]  # truth and prediction
Read = tuple[Drawn, str]  # content of a file, and the dtype of its stored values
Meaning = Callable[[Drawn, np.ndarray | None], np.ndarray]  # makes classes or cells of labels and annotated pixels


@dataclass(frozen=True)
class Facts:
    """Facts about the truth or prediction of one image; those of all images show what the values mean."""

    file: Path
    dtype: str  # dtype of the stored values; empty if the labels were made from shapes or several files
    grain: str | None  # kind of integers, see `grain.grain`; None for real numbers
    counts: dict[int, int]  # number of pixels of each value except that of unannotated pixels, see `MOST_VALUES`
    in_colours: bool = False  # for this attribute and the following ones, see `numbers.Drawn`
    was_grey: bool = False
    palette: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Truth and prediction of one image, or of one slice of a stack."""

    name: str  # name of the image, with the slice number if it is a slice of a stack
    truth: np.ndarray  # class or cell of each pixel, ``(H, W)`` integers, 0 = background
    prediction: np.ndarray  # class or cell of each pixel, like `truth`, or class probabilities ``(K, H, W)`` float32
    known: np.ndarray | None = None  # annotated pixels, ``(H, W)`` bool; None: all pixels are annotated
    labels: np.ndarray | None = None  # label image saved with the predicted probabilities, ``(H, W)`` integers

    @property
    def is_probable(self) -> bool:
        """Whether the prediction consists of class probabilities."""
        return self.prediction.dtype.kind == "f"


def match(truth: Path, prediction: Path, preferred: str) -> tuple[list[Pair], list[Path]]:
    """Pair truth and prediction by name; return the pairs, and the files without a partner.

    Args:
        truth: a file, a folder, or a data set in a layout of `data.matching`.
        prediction: the same, for example annotations of another person.
        preferred: file name ending, one of `files.names.PREDICTED`, to use if a prediction has several files.

    Raises:
        FileNotFoundError: a path does not exist, only one is a folder, or no name occurs in both.
    """
    for path in (each for each in (truth, prediction) if not each.exists()):
        raise FileNotFoundError(f"expected a file or folder, but there is none at {path}")
    folders = [_is_folder(path) for path in (truth, prediction)]
    if not any(folders):
        return [(_alone(truth, prediction), _alone(prediction, truth))], []
    if not folders[1] or not (folders[0] or truth.suffix.lower() == ".json"):  # a COCO file holds many images
        raise FileNotFoundError(f"expected two files or two folders, but got {truth} and {prediction}")
    true, predicted = (_of_data_set(path) if _is_folder(path) else {} for path in (truth, prediction))
    predicted = predicted or _by_name(prediction, preferred, true or _names(truth))
    if not true.keys() & predicted.keys():
        true = _by_name(truth, ("_masks", "_mask"), predicted or _names(prediction))  # annotations, not predictions
    both = sorted(true.keys() & predicted.keys())
    if not both:
        raise FileNotFoundError(f"expected files of the same names in {truth} and {prediction}, but got none")
    pairs = [(true[name], replace(predicted[name], name=name)) for name in both]
    used = {file for pair in pairs for side in pair for file in (side.file, side.labels, *side.form.parts)}
    rest = [files[name].file for files in (true, predicted) for name in sorted(files.keys() - set(both))]
    return pairs, [file for file in dict.fromkeys(rest) if file not in used]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.suffix.lower() != ".zarr"


def _names(path: Path) -> set[str]:
    """Return the image names of the files and subfolders in a folder, except subfolders such as images/ and labels/."""
    there = path.iterdir() if _is_folder(path) else ()
    return {name_of(file) for file in there if not (_is_folder(file) and read_name(file.name).role)}


def _by_name(path: Path, preferred: str | tuple[str, ...], names: Collection[str]) -> dict[str, Source]:
    """Return the labels or predictions in a folder, by image name.

    Files without an ending such as _mask are taken for images if every file with an ending belongs to one of them.

    Args:
        path: the folder, or a file with the shapes of many images.
        preferred: ending, or endings, of the files to use if an image has several files.
        names: image names on the other side of the comparison.
    """
    found = _special(path, names)
    suffixes = (*REFUSED_SUFFIXES, *sorted(LABEL_SUFFIXES))  # .tif takes precedence over .png
    there = path.iterdir() if _is_folder(path) else ()
    files = [file for file in there if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    files = [file for file in files if not stem(file).endswith(PICTURED)]
    ranks: dict[Path, int] = {}
    for file in sorted(files, key=lambda file: (suffixes.index(file.suffix.lower()), file)):
        name, ended = stem(file), stem(file) != name_of(file)
        ranks[file] = 3 if name.endswith(preferred) else 1 if name.endswith("_probabilities") else 2 * ended
    files = sorted(ranks, key=lambda file: ranks[file])  # later files replace earlier ones
    named = {name_of(file): Source(_held_in(file)) for file in files if ranks[file]} | found
    plain = {name_of(file): Source(_held_in(file)) for file in files if not ranks[file]}
    return named if named and named.keys() <= plain.keys() else plain | named


def _held_in(file: Path) -> Path:
    """Return the label image inside an OME-Zarr image, if it has exactly one; else return the file itself."""
    labels = labels_within(file)
    return labels[0] if len(labels) == 1 else file


def _special(path: Path, names: Collection[str]) -> dict[str, Source]:
    """Return shapes, and labels stored as several files, by image name; ``names`` are those of the other side."""
    found, _ = label_files(path if _is_folder(path) else path.parent, dict.fromkeys(names, Path()))
    of = {name: Source(file, form, name) for name, (file, form) in found.items() if file == path or path.is_dir()}
    # Labels with one folder per class are excluded: several folders may hold something else.
    return {n: s for n, s in of.items() if s.is_shapes or {path, path / n} & {part.parent for part in s.form.parts}}


def _alone(file: Path, other: Path) -> Source:
    """Return the truth or prediction in one of two files that are compared although their names may differ."""
    found = _special(file, ()) if file.suffix.lower() in SHAPE_SUFFIXES else {}
    return found.get(name_of(other)) or next(iter(found.values()), Source(_held_in(file), name=name_of(file)))


def _of_data_set(root: Path) -> dict[str, Source]:
    """Return the labels of a data set by image name; empty for a folder that holds the labels itself."""
    try:
        pairs, findings = matched(root)
    except FileNotFoundError:  # the folder is no data set
        return {}
    pairs = [pair for pair in pairs if pair.labels.parent != root]
    for finding in findings if pairs else ():
        if finding.severity == ERROR and finding.code != "missing-label":
            raise Refused(finding)
    return {pair.name: Source(pair.labels, pair.form, image=pair.image.name) for pair in pairs}


def look(pair: Pair, of_classes: bool, ignore_label: int | None = None) -> tuple[Facts, Facts]:
    """Inspect truth and prediction of one image, and refuse values that cannot be labels."""
    (true, _), (predicted, dtype) = _both(pair, of_classes)
    truth, prediction = _facts(pair[0].file, true, "", ignore_label), _facts(pair[1].file, predicted, dtype)
    if truth.grain in (GRADED, EDGED):
        low, high = min(truth.counts), max(truth.counts)
        got = f"{truth.file} holds {truth.grain} from {low} to {high}"
        raise ValueError(f"expected labels in the truth, but {got}; nearest valid: labels > {(low + high) // 2}")
    for facts in (truth, prediction):
        low = min(facts.counts, default=0)
        if low < -1:
            got = f"{facts.file} holds negative labels, the lowest {low}"
            fix = f"0, or ignore_label={low}" if facts is truth else "0"
            raise ValueError(f"expected labels from 0, but {got}; nearest valid: {fix}")
    return truth, prediction


def _both(pair: Pair, of_classes: bool, probable: Collection[str] = ()) -> tuple[Read, Read]:
    """Read truth and prediction; predictions with fractional values or a dtype in ``probable`` stay as stored."""
    if pair[0].is_shapes and not pair[1].is_shapes:  # shapes are drawn at the size of the other file
        predicted = _read(pair[1], of_classes, None, probable)
        return _read(pair[0], of_classes, predicted[0], None), predicted
    true = _read(pair[0], of_classes, None, None)
    return true, _read(pair[1], of_classes, true[0], probable)


def _read(source: Source, of_classes: bool, other: Drawn | None, probable: Collection[str] | None) -> Read:
    file, form = source.file, source.form
    if source.is_shapes and other is None:
        raise ValueError(f"expected a label image beside the shapes in {file}, but got shapes, which have no size")
    if probable is not None and not form.parts and file.suffix.lower() in LABEL_SUFFIXES:
        stored = in_memory(file)
        values, dtype = np.asarray(stored.array), str(stored.array.dtype)
        whole = values.dtype.kind != "f" or (np.isfinite(values).all() and (values % 1 == 0).all())
        if dtype in probable or not whole:
            return Drawn(_planes(stored)), dtype
        if values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
            return Drawn(_planes(stored).astype(np.uint8)), dtype  # probabilities, unless other files hold labels
        return drawn(stored, file), dtype
    named = (each for each in coco_images(file) or () if stem(Path(each)) == source.name) if source.is_shapes else ()
    kind = "classes" if of_classes and form.classes else "instances"
    rows, columns = other.numbers.shape[-2:] if other else (0, 0)
    found = read_files(file, form, source.image or next(iter(named), ""), (rows, columns), kind=kind)
    if form.said == "instances" and of_classes and not form.classes:  # objects of one class
        return replace(found, numbers=found.numbers != 0), ""
    if form.said == "classes" and form.parts and not of_classes:
        return replace(found, numbers=pieces(found.numbers)), ""
    return found, ""


def _planes(stored: Stored) -> np.ndarray:
    """Return the values of a file in the order slices, channels, rows, columns; grey RGB(A) becomes one channel."""
    values, axes = turned(np.asarray(stored.array), stored.axes, stored.orientation), stored.axes
    if "S" in axes and not stored.unclear:
        samples = np.moveaxis(values, axes.index("S"), -1)
        colours = samples[..., : 1 if samples.shape[-1] == 2 else 3]
        if is_grey(colours):
            values, axes = colours[..., 0], axes.replace("S", "")
    values = values.transpose(np.argsort([2 * "YX".find(axis) + (axis in "CS") for axis in axes], kind="stable"))
    return values.squeeze(tuple(place for place in range(values.ndim - 2) if values.shape[place] == 1))


def _facts(file: Path, found: Drawn, dtype: str, ignored: int | None = None) -> Facts:
    values, more = found.numbers, (found.in_colours, found.was_grey, found.palette, found.classes, found.notes)
    if values.dtype.kind == "f":
        return Facts(file, dtype, None, {}, *more)
    distinct, counts = value_counts(values.reshape(-1, values.shape[-1]))
    counted = [(int(value), int(count)) for value, count in zip(distinct, counts, strict=True) if value != ignored]
    counted = counted if found.in_colours else counted[:MOST_VALUES] + counted[MOST_VALUES:][-MOST_VALUES:]
    return Facts(file, dtype, "" if found.in_colours else grain(values, distinct, counts), dict(counted), *more)


def comparisons(
    pair: Pair, meant: tuple[Meaning, Meaning], scales: dict[str, int], of_classes: bool, ignore: int | None = None
) -> Iterator[Comparison]:
    """Read truth and prediction of an image ``(H, W)``, or of each slice of a stack ``(D, H, W)``.

    Args:
        pair: the files of truth and prediction.
        meant: functions that turn the labels of truth and prediction into classes or cells.
        scales: the value that stands for probability 1, by dtype of predictions that are probabilities.
        of_classes: whether labels are classes and not cells.
        ignore: label value of unannotated pixels in the truth; None: all pixels are annotated.
    """
    (true, _), (predicted, dtype) = _both(pair, of_classes, scales)
    known = None if ignore is None else true.numbers != ignore
    truth, values, file, probable = meant[0](true, known), predicted.numbers, pair[1].file, dtype in scales
    each = values.shape[-3:-2] if probable and values.ndim > truth.ndim else ()
    if values.shape != truth.shape[:-2] + each + truth.shape[-2:]:
        raise ValueError(f"expected the shape of the truth, {truth.shape}, but {file} has shape {values.shape}")
    stack = truth.reshape(-1, *truth.shape[-2:])
    if probable:
        predictions = _probabilities(values.reshape(len(stack), *(each or (1,)), *stack.shape[1:]), scales[dtype], file)
    else:
        predictions = meant[1](predicted, None).reshape(stack.shape)
    places = [None] * len(stack) if known is None else known.reshape(stack.shape)
    for index, slices in enumerate(zip(stack, predictions, places, _written(pair[1], stack), strict=True)):
        yield Comparison(f"{pair[1].name}{f'_{index:02d}' * (len(stack) > 1)}", *slices)


def _written(source: Source, stack: np.ndarray) -> Sequence[np.ndarray | None]:
    """Return the label image saved with the probabilities of each slice, or None if none of this size exists."""
    labels = _planes(in_memory(source.labels)) if source.labels else np.zeros(0)
    fits = labels.dtype.kind in "iu" and labels.size == stack.size
    return list(labels.reshape(stack.shape)) if fits else [None] * len(stack)


def _probabilities(values: np.ndarray, scale: int, file: Path) -> np.ndarray:
    """Scale probabilities ``(D, K, H, W)`` to [0, 1]; K = 1 means class 1 of two classes, and class 0 is added."""
    low, high = values.min(), values.max()
    if not np.isfinite(high - low):
        raise ValueError(f"expected probabilities, but {file} holds NaN or infinity")
    if low < -ROUNDING or high > scale * (1 + ROUNDING):
        fix = f"divide them by {high:g}" if low >= 0 else "see whether they are logits"
        raise ValueError(f"expected probabilities in [0, 1], but {file} holds {low} to {high}; nearest valid: {fix}")
    each = (values.astype(np.float32) / scale).clip(0, 1)
    return each if each.shape[1] > 1 else np.concatenate([1 - each, each], axis=1)
