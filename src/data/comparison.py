"""Truth and prediction from disk, as any tool writes them: files matched by name, looked at, and read."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data.finding import ERROR, Refused
from src.data.grain import EDGED, GRADED, grain
from src.data.label_files import LABEL_ENDINGS, label_files
from src.data.matching import matched
from src.data.numbers import Drawn, drawn
from src.data.places import read_name
from src.data.shapes import coco_images
from src.data.sources import ONE_FILE, Form, labels_within, read_files
from src.files.arrays import value_counts
from src.files.grey import is_grey
from src.files.image import in_memory
from src.files.names import LABEL_SUFFIXES, PICTURED, PREDICTED, REFUSED_SUFFIXES, SHAPE_SUFFIXES, stem, without_ending
from src.files.stored import Note, Stored, turned
from src.instances import pieces

ROUNDING = 1e-5  # by which probabilities may leave their range
MOST_VALUES = 500  # of a file of numbers that are kept, the lowest, and as many of the highest


@dataclass(frozen=True)
class Source:
    """Where one side of an image lies: its file or folder, how it lies there, its name and the file of the image."""

    file: Path
    form: Form = ONE_FILE
    name: str = ""
    image: str = ""

    @property
    def is_shapes(self) -> bool:
        """Whether it is shapes, which need the size of an image."""
        return not self.form.parts and self.file.suffix.lower() in SHAPE_SUFFIXES

    @property
    def labels(self) -> Path | None:
        """The label image that `src.predict` has written beside these probabilities."""
        file = self.file.with_name(self.file.name.replace("_probabilities.", "_labels."))
        return file if file != self.file and file.exists() else None


Pair = tuple[Source, Source]  # truth and prediction
Meaning = Callable[[Drawn, np.ndarray | None], np.ndarray]  # from what was drawn, and is known, to classes or cells


@dataclass(frozen=True)
class Facts:
    """What one side of an image holds, from which, with all others, follows what its values mean."""

    file: Path
    dtype: str  # of values as they are stored; empty if they were put together
    grain: str | None  # what they look like, as of `grain`; None of real numbers
    counts: dict[int, int]  # pixels of each value but the ignored one; of very many the lowest and the highest
    in_colours: bool = False  # as of `numbers.Drawn`, and the others too
    was_grey: bool = False
    palette: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """One image of the truth and what was predicted for it."""

    name: str  # of the image; in a stack with the number of the slice
    truth: np.ndarray  # class or cell of each pixel, ``(H, W)`` integers, 0 = background
    prediction: np.ndarray  # the same, or class probabilities ``(K, H, W)`` float32
    known: np.ndarray | None = None  # where the truth is known, ``(H, W)`` booleans; None: everywhere
    labels: np.ndarray | None = None  # the label image beside predicted probabilities, ``(H, W)`` integers

    @property
    def is_probable(self) -> bool:
        """Whether the prediction holds probabilities."""
        return self.prediction.dtype.kind == "f"


def match(truth: Path, prediction: Path, preferred: str) -> tuple[list[Pair], list[Path]]:
    """What has the same name in two folders, and files without a partner; or one pair of files.

    Args:
        truth: a file or folder, or a data set in a layout of `data.matching`.
        prediction: likewise, such as the annotation of another person.
        preferred: the ending of `files.names.PREDICTED` to take of a prediction that lies there in several forms.

    Raises:
        FileNotFoundError: one is not there, one is a file and the other a folder, or no name occurs in both.
    """
    for path in (each for each in (truth, prediction) if not each.exists()):
        raise FileNotFoundError(f"expected a file or folder, but there is none at {path}")
    folders = [_is_folder(path) for path in (truth, prediction)]
    if not any(folders):
        return [(_alone(truth, prediction), _alone(prediction, truth))], []
    if not folders[1] or not (folders[0] or truth.suffix.lower() == ".json"):  # a COCO file is of many images
        raise FileNotFoundError(f"expected two files or two folders, but got {truth} and {prediction}")
    true, predicted = (_of_data_set(path) if _is_folder(path) else {} for path in (truth, prediction))
    predicted = predicted or _by_name(prediction, preferred, true or _names(truth))
    if not true.keys() & predicted.keys():
        true = _by_name(truth, ("_masks", "_mask"), predicted or _names(prediction))  # before our own predictions
    both = sorted(true.keys() & predicted.keys())
    if not both:
        raise FileNotFoundError(f"expected files of the same names in {truth} and {prediction}, but got none")
    pairs = [(true[name], replace(predicted[name], name=name)) for name in both]
    used = {file for pair in pairs for side in pair for file in (side.file, side.labels, *side.form.parts)}
    rest = [files[name].file for files in (true, predicted) for name in sorted(files.keys() - set(both))]
    return pairs, [file for file in dict.fromkeys(rest) if file not in used]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.suffix.lower() != ".zarr"


def name_of(file: Path) -> str:
    """The name of an image, of a file of its labels or of what was predicted for it."""
    return without_ending(stem(file), (*PREDICTED, PICTURED, *LABEL_ENDINGS))


def _names(path: Path) -> set[str]:
    """The names of what lies in a folder, but for the folders of a data set."""
    there = path.iterdir() if _is_folder(path) else ()
    return {name_of(file) for file in there if not (_is_folder(file) and read_name(file.name).role)}


def _by_name(path: Path, preferred: str | tuple[str, ...], names: Collection[str]) -> dict[str, Source]:
    """What lies in a folder by its names; a file without an ending is an image, if one lies beside each with one.

    Args:
        path: the folder, or a file of shapes of many images.
        preferred: the ending of the files to take.
        names: those of the other side.
    """
    found = _special(path, names)
    suffixes = (*REFUSED_SUFFIXES, *sorted(LABEL_SUFFIXES))  # .png < .tif
    files = [file for file in (path.iterdir() if _is_folder(path) else ()) if file.suffix.lower() in suffixes]
    files = [file for file in files if not stem(file).endswith(PICTURED)]
    ranks = {}
    for file in sorted(files, key=lambda file: (suffixes.index(file.suffix.lower()), file)):
        name, ended = stem(file), stem(file) != name_of(file)
        ranks[file] = 3 if name.endswith(preferred) else 1 if name.endswith("_probabilities") else 2 * ended
    files = [file for file in sorted(ranks, key=ranks.get) if not file.name.startswith(".")]  # worst first
    named = {name_of(file): Source(_held_in(file)) for file in files if ranks[file]} | found
    plain = {name_of(file): Source(_held_in(file)) for file in files if not ranks[file]}
    return named if named and named.keys() <= plain.keys() else plain | named


def _held_in(file: Path) -> Path:
    """The labels, where an OME-Zarr holds an image with them."""
    labels = labels_within(file)
    return labels[0] if len(labels) == 1 else file


def _special(path: Path, names: Collection[str]) -> dict[str, Source]:
    """Shapes, and labels in several files, by their names, of which the other side has ``names``."""
    found, _ = label_files(path if _is_folder(path) else path.parent, dict.fromkeys(names, Path()))
    of = {name: Source(file, form, name) for name, (file, form) in found.items() if file == path or path.is_dir()}
    # Not folders of one class each: what lies in several folders may as well be something else.
    return {n: s for n, s in of.items() if s.is_shapes or {path, path / n} & {part.parent for part in s.form.parts}}


def _alone(file: Path, other: Path) -> Source:
    """One of two files, of any names."""
    found = _special(file, ()) if file.suffix.lower() in SHAPE_SUFFIXES else {}
    return found.get(name_of(other)) or next(iter(found.values()), Source(_held_in(file), name=name_of(file)))


def _of_data_set(root: Path) -> dict[str, Source]:
    """What lies in the folders of a data set; nothing of a folder of labels, perhaps beside their images."""
    pairs, findings = [], []
    with suppress(FileNotFoundError):  # which says that it is none
        pairs, findings = matched(root)
    pairs = [pair for pair in pairs if pair.labels.parent != root]
    for finding in findings if pairs else ():
        if finding.severity == ERROR and finding.code != "missing-label":
            raise Refused(finding)
    return {pair.name: Source(pair.labels, pair.form, image=pair.image.name) for pair in pairs}


def look(pair: Pair, of_classes: bool, ignore_label: int | None = None) -> tuple[Facts, Facts]:
    """What truth and prediction of an image hold, as far as it takes all images to tell what that means."""
    (true, _), (predicted, dtype) = _both(pair, of_classes)
    truth, prediction = _facts(pair[0].file, true, "", ignore_label), _facts(pair[1].file, predicted, dtype)
    if truth.grain in (GRADED, EDGED):
        low, high = min(truth.counts), max(truth.counts)
        got = f"{truth.file} holds {truth.grain} from {low} to {high}"
        raise ValueError(f"expected labels in the truth, but {got}; nearest valid: labels > {(low + high) // 2}")
    for facts in (truth, prediction):
        low = min(facts.counts, default=0)
        if low < -1:
            got = f"{facts.file} holds negative ones, to {low}"
            fix = f"0, or ignore_label={low}" if facts is truth else "0"
            raise ValueError(f"expected labels from 0, but {got}; nearest valid: {fix}")
    return truth, prediction


def _both(pair: Pair, of_classes: bool, probable: Collection[str] = ()) -> list[tuple[Drawn, str]]:
    """Truth and prediction with the types of their values; real numbers and ``probable`` ones as they are stored."""
    found, size = [None, None], None
    for place in sorted((0, 1), key=lambda place: pair[place].is_shapes):  # they need the size of the other one
        found[place] = _read(pair[place], of_classes, size, probable if place else None)
        size = found[place][0].numbers.shape[-2:]
    return found


def _read(source: Source, of_classes: bool, size: tuple | None, probable: Collection[str] | None) -> tuple[Drawn, str]:
    file, form = source.file, source.form
    if source.is_shapes and size is None:
        raise ValueError(f"expected a label image beside the shapes in {file}, but got shapes, which have no size")
    if probable is not None and not form.parts and file.suffix.lower() in LABEL_SUFFIXES:
        stored = in_memory(file)
        values, dtype = stored.array, str(stored.array.dtype)
        whole = values.dtype.kind != "f" or (np.isfinite(values).all() and (values % 1 == 0).all())
        if dtype in probable or not whole:
            return Drawn(_planes(stored)), dtype
        if values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
            return Drawn(_planes(stored).astype(np.uint8)), dtype  # probabilities, unless other files hold labels
        return drawn(stored, file), dtype
    named = (each for each in coco_images(file) or () if stem(Path(each)) == source.name) if source.is_shapes else ()
    kind = "classes" if of_classes and form.classes else "instances"
    found = read_files(file, form, source.image or next(iter(named), ""), size or (0, 0), kind=kind)
    if form.said == "instances" and of_classes and not form.classes:  # objects of one class
        return replace(found, numbers=found.numbers != 0), ""
    if form.said == "classes" and form.parts and not of_classes:
        return replace(found, numbers=pieces(found.numbers)), ""
    return found, ""


def _planes(stored: Stored) -> np.ndarray:
    """Values as they are stored: slices, channels, rows, columns; if colours are grey, one channel without alpha."""
    values, axes = turned(stored.array, stored.axes, stored.orientation), stored.axes
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
    """Each slice of a pair that holds an image ``(H, W)`` or a stack ``(D, H, W)``.

    Args:
        pair: truth and prediction, whose labels mean what ``meant`` says.
        scales: by what probabilities of each dtype are divided.
        of_classes: whether labels are to be classes, not cells.
        ignore: the value of pixels of the truth that nobody has annotated.
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
    """Of each slice the labels beside its probabilities; none where they are of something else."""
    labels = _planes(in_memory(source.labels)) if source.labels else np.zeros(0)
    fits = labels.dtype.kind in "iu" and labels.size == stack.size
    return labels.reshape(stack.shape) if fits else [None] * len(stack)


def _probabilities(values: np.ndarray, scale: int, file: Path) -> np.ndarray:
    """Class probabilities ``(D, K, H, W)`` of those in a file; one alone is that of class 1 of two."""
    low, high = values.min(), values.max()
    if not np.isfinite(high - low):
        raise ValueError(f"expected probabilities, but {file} holds NaN or infinity")
    if low < -ROUNDING or high > scale * (1 + ROUNDING):
        fix = f"divide them by {high:g}" if low >= 0 else "see whether they are logits"
        raise ValueError(f"expected probabilities in [0, 1], but {file} holds {low} to {high}; nearest valid: {fix}")
    each = (values.astype(np.float32) / scale).clip(0, 1)
    return each if each.shape[1] > 1 else np.concatenate([1 - each, each], axis=1)
