"""Truth and prediction from disk, as any tool writes them: files matched by name, looked at, and read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data.finding import ERROR, Refused
from src.data.matching import matched
from src.data.numbers import Drawn, drawn
from src.data.shapes import SHAPE_SUFFIXES, coco_images
from src.data.sources import LABEL_ENDINGS, ONE_FILE, REFUSED_SUFFIXES, Form, label_files, read_files
from src.files.arrays import strips_of, value_counts
from src.files.image import in_memory
from src.files.names import LABEL_SUFFIXES, PREDICTED, stem, without_ending
from src.files.stored import Stored, turned
from src.instances import pieces

ROUNDING = 1e-5  # by which a probability may leave [0, 1]
MOST_VALUES = 1000  # of a file that are kept one by one
MOST_STRIPS = 16  # of a file that are looked at closely
# What integers look like. Measured on label images of many kinds, probability maps, pictures and all label files at
# hand: of grey levels half of the areas of one value are a single pixel, of numbers hardly any are, but for spots and
# edges of masks, which stand out from what lies around them.
GRADED, EDGED, FLAT = "grey levels", "a mask with smooth edges", "numbers"
TINY, STEP, SMALL_STEP = 2, 0.36, 0.1  # pixels of an area; shares of the range


@dataclass(frozen=True)
class Source:
    """Where one side of an image lies: a file or folder, how it lies there, and the name of the image for shapes."""

    file: Path
    form: Form = ONE_FILE
    image: str = ""

    @property
    def is_shapes(self) -> bool:
        """Whether it needs the size of an image to be drawn on."""
        return not self.form.parts and self.file.suffix.lower() in SHAPE_SUFFIXES


Pair = tuple[Source, Source]  # truth and prediction


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


@dataclass(frozen=True)
class Facts:
    """What one side of an image holds, from which, with all others, follows what its values mean.

    Attributes:
        file: where it lies.
        dtype: of the values as they are stored.
        lowest, highest: of the values.
        counts: pixels of each value; None if there are more than `MOST_VALUES` of them.
        grain: what integers look like, as of `grain`; None of real numbers.
        in_colours, was_grey, notes: as of `numbers.Drawn`.
    """

    file: Path
    dtype: str
    lowest: float
    highest: float
    counts: dict[int, int] | None
    grain: str | None
    in_colours: bool
    was_grey: bool
    notes: tuple


def match(truth: Path, prediction: Path, preferred: str) -> tuple[list[Pair], list[Path]]:
    """What belongs to the same names in two folders, and the files without a partner; or one pair of files.

    Names are compared without such endings as ``_probabilities``, ``_labels`` and ``_masks``.

    Args:
        truth: a file or folder, or a data set in a layout of `data.matching`.
        prediction: a file or folder.
        preferred: the ending of `files.names.PREDICTED` to take of a prediction that lies there in several forms.

    Raises:
        FileNotFoundError: one is not there, one is a file and the other a folder, or no name occurs in both.
        Refused: files of a data set cannot be told apart.
    """
    for path in (truth, prediction):
        if not path.exists():
            raise FileNotFoundError(f"expected a file or folder, but there is none at {path}")
    folders = [_is_folder(path) for path in (truth, prediction)]
    if not any(folders):
        return [(_alone(truth, prediction), _alone(prediction, truth))], []
    if not all(folders) and not (_is_folder(prediction) and truth.suffix.lower() == ".json"):
        raise FileNotFoundError(f"expected two files or two folders, but got {truth} and {prediction}")
    true, predicted = _by_name(truth, "_labels", prediction), _by_name(prediction, preferred, truth)
    if not true.keys() & predicted.keys() and folders[0]:
        true |= _of_data_set(truth)
    both = sorted(true.keys() & predicted.keys())
    if not both:
        raise FileNotFoundError(f"expected files of the same names in {truth} and {prediction}, but got none")
    alone = [files[name].file for files in (true, predicted) for name in sorted(files.keys() - set(both))]
    used = {files[name].file for files in (true, predicted) for name in both}
    return [(true[name], predicted[name]) for name in both], [each for each in dict.fromkeys(alone) if each not in used]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.suffix.lower() != ".zarr"


def name_of(file: Path) -> str:
    """The name of an image, of a file of its labels or of what was predicted for it."""
    name = file.stem[:-4] if file.stem.lower().endswith(".ome") else stem(file)
    return without_ending(name, (*PREDICTED, *LABEL_ENDINGS))


def _by_name(path: Path, preferred: str, other: Path) -> dict[str, Source]:
    """What lies in a folder by its names: of several files that with the preferred ending, then with another, then
    TIFF. A file without an ending is an image where one with it lies beside each of them.
    """
    found = _special(path, {name_of(file) for file in other.iterdir()} if _is_folder(other) else set())
    if not _is_folder(path):
        return found
    suffixes = (*REFUSED_SUFFIXES, *sorted(LABEL_SUFFIXES))  # worst first: .png < .tif
    files = [file for file in path.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    files.sort(key=lambda file: (_rank(file, preferred), suffixes.index(file.suffix.lower())))
    named = {name_of(file): Source(file) for file in files if _rank(file, preferred)} | found
    plain = {name_of(file): Source(file) for file in files if not _rank(file, preferred)}
    return named if named and named.keys() <= plain.keys() else plain | named


def _rank(file: Path, preferred: str) -> int:
    """How surely a file holds what is looked for: 0 without an ending."""
    if file.stem.endswith((preferred, *PREDICTED)):
        return 3 if file.stem.endswith(preferred) else 1
    return 0 if name_of(file) in (stem(file), file.stem[:-4]) else 2


def _special(path: Path, names: set[str]) -> dict[str, Source]:
    """Shapes, and labels in several files, by their names, of which the other side has ``names``."""
    found, _ = label_files(path if _is_folder(path) else path.parent, dict.fromkeys(names, Path()))
    sources = {name: Source(file, form) for name, (file, form) in found.items() if _is_folder(path) or file == path}
    sources = {name: each for name, each in sources.items() if each.form.parts or each.is_shapes}
    for name, each in sources.items():
        images = coco_images(each.file) or () if each.is_shapes else ()
        image = next((image for image in images if stem(Path(image)) == name), "")
        sources[name] = replace(each, image=image)
    return sources


def _alone(file: Path, other: Path) -> Source:
    """One of two files, of any names."""
    found = _special(file, set()) if file.suffix.lower() in SHAPE_SUFFIXES else {}
    return found.get(name_of(other)) or next(iter(found.values()), Source(file))


def _of_data_set(root: Path) -> dict[str, Source]:
    try:
        pairs, findings = matched(root)
    except FileNotFoundError:  # no data set
        return {}
    for finding in findings:
        if finding.severity == ERROR and finding.code != "missing-label":
            raise Refused(finding)
    return {pair.name: Source(pair.labels, pair.form, pair.image.name) for pair in pairs}


def look(pair: Pair, of_classes: bool, ignore_label: int | None = None) -> tuple[Facts, Facts]:
    """What truth and prediction of an image hold, as far as it takes all images to tell what that means.

    Raises:
        ValueError: one cannot be read or holds numbers below −1, or the truth is a picture.
    """
    truth, prediction = (
        _facts(source.file, *found, ignored)
        for source, found, ignored in zip(pair, _both(pair, of_classes), (ignore_label, None), strict=True)
    )
    if truth.grain in (GRADED, EDGED):
        raise ValueError(
            f"expected labels in the truth, but {truth.file} looks like {truth.grain} from {truth.lowest} to "
            f"{truth.highest}, as of a picture or of probabilities; nearest valid: labels > {truth.highest // 2}"
        )
    for facts in (truth, prediction):
        if facts.grain is not None and facts.lowest < -1:
            raise ValueError(
                f"expected labels from 0, but {facts.file} holds negative ones, down to {facts.lowest}; nearest valid: "
                f"0, or ignore_label={facts.lowest} where nobody has annotated the truth"
            )
    return truth, prediction


def _both(pair: Pair, of_classes: bool, probable: Collection[str] = ()) -> list[tuple[Drawn, str]]:
    """Truth and prediction with the types of their values; real numbers and ``probable`` ones as they are stored."""
    found, size = [None, None], None
    for place in sorted((0, 1), key=lambda place: pair[place].is_shapes):  # these need the size of the other one
        found[place] = _read(pair[place], of_classes, size, probable if place else None)
        size = found[place][0].numbers.shape[-2:]
    return found


def _read(
    source: Source, of_classes: bool, size: tuple[int, int] | None, probable: Collection[str] | None
) -> tuple[Drawn, str]:
    file, form = source.file, source.form
    if source.is_shapes and size is None:
        raise ValueError(f"expected a label image beside shapes, which gives their size, but got {file} and shapes")
    if probable is None or form.parts or file.suffix.lower() not in LABEL_SUFFIXES:
        kind = "classes" if of_classes and form.classes else "instances"
        found = read_files(file, form, source.image, size or (0, 0), kind=kind)
        if of_classes and form.said == "instances" and not form.classes:
            return replace(found, numbers=found.numbers != 0), ""  # objects of one class
        if form.parts and form.said == "classes" and not of_classes:
            return replace(found, numbers=pieces(found.numbers)), ""
        return found, ""
    stored = in_memory(file)
    values, dtype = stored.array, str(stored.array.dtype)
    if dtype in probable or (values.dtype.kind == "f" and not (np.isfinite(values).all() and (values % 1 == 0).all())):
        return Drawn(_planes(stored)), dtype
    return drawn(stored, file), dtype


def _planes(stored: Stored) -> np.ndarray:
    """Values as they are stored, rows and columns last; without transparency, and once where colours are grey."""
    values, axes = turned(stored.array, stored.axes, stored.orientation), stored.axes
    if "S" in axes:
        samples = np.moveaxis(values, axes.index("S"), -1)
        colours = samples[..., : 1 if samples.shape[-1] == 2 else 3]
        if is_grey(colours):
            values, axes = colours[..., 0], axes.replace("S", "")
    order = sorted(range(len(axes)), key=lambda place: ("YX".find(axes[place]), place))
    return values.transpose(order)


def _facts(file: Path, found: Drawn, dtype: str, ignored: int | None) -> Facts:
    values, more = found.numbers, (found.in_colours, found.was_grey, found.notes)
    if values.dtype.kind == "f":
        return Facts(file, dtype, float(values.min()), float(values.max()), None, None, *more)
    distinct, counts = value_counts(values.reshape(-1, values.shape[-1]))
    seen = "" if found.in_colours else grain(values, distinct, counts)
    counted = {int(value): int(count) for value, count in zip(distinct, counts, strict=True) if value != ignored}
    few = found.in_colours or len(counted) <= MOST_VALUES
    return Facts(file, dtype, min(counted, default=0), max(counted, default=0), counted if few else None, seen, *more)


def is_graded(values: np.ndarray) -> bool:
    """Whether integers ``(…, H, W)`` are grey levels, of a picture or of probabilities, and not numbers of labels."""
    return grain(values, *value_counts(values.reshape(-1, values.shape[-1]))) == GRADED


def grain(values: np.ndarray, distinct: np.ndarray, counts: np.ndarray) -> str:
    """What integers ``(…, H, W)`` look like, `GRADED`, `EDGED` or `FLAT`; empty where nobody can tell.

    Measured on label images, probability maps and pictures of many kinds, and on all label files at hand. Of grey
    levels half of the areas of one value are one pixel or two, nearly all pixels lie beside another value, and that is
    not far away. Spots, too, are small, but stand out; so does each side of an edge that is smooth.
    """
    if len(distinct) < 3:
        return ""
    low, high = np.sort(distinct[np.argsort(-counts, kind="stable")[:2]])
    strips = [strip for strip in strips_of(values.reshape(-1, values.shape[-1])) if np.ptp(strip)]
    seen = np.concatenate(strips[:: -(-len(strips) // MOST_STRIPS)]).astype(np.int64)
    others = (seen != low) & (seen != high)
    areas = np.bincount(pieces(np.where(others, seen - distinct[0] + 1, 0)).ravel())[1:]
    fine = len(areas) and np.median(areas) <= 2 and (edges_of(seen) > 0)[others].mean() > 0.7
    steps = np.concatenate([each[each > 0] for each in (np.abs(np.diff(seen, axis=axis)) for axis in (0, 1))])
    step = np.median(steps) / max(1, np.ptp(np.percentile(distinct, (5, 95))))  # one number far away does not count
    many = len(distinct) >= 24 or (len(distinct) >= 6 and np.ptp(distinct) >= 8 * len(distinct))
    again = len(distinct) >= 64 and len(areas) >= 8 * len(distinct)  # levels in blocks, as of an image made larger
    if many and others.sum() >= 64 and ((fine and step <= 0.36) or (again and step <= 0.1)):
        return GRADED
    is_edge = fine and (low, high) == (distinct[0], distinct[-1]) and high - low > FURTHEST_APART
    return EDGED if is_edge else "" if fine else FLAT


def comparisons(pair: Pair, agreed: Agreed, of_classes: bool, ignore_label: int | None = None) -> Iterator[Comparison]:
    """Each slice of a pair that holds an image ``(H, W)`` or a stack ``(D, H, W)``.

    Args:
        pair: truth, and a prediction in labels or probabilities.
        agreed: what their values mean.
        of_classes: whether they are to be classes, not cells.
        ignore_label: the value of pixels of the truth that nobody has annotated.

    Raises:
        ValueError: the prediction holds no probabilities, or their shapes differ.
    """
    (true, _), (predicted, dtype) = _both(pair, of_classes, agreed.scales)
    known = None if ignore_label is None else true.numbers != ignore_label
    if known is not None:
        true = replace(true, numbers=np.where(known, true.numbers, agreed.truth.ground))
    truth, file = agreed.truth.applied(true), pair[1].file
    if predicted.numbers.dtype.kind == "f" or dtype in agreed.scales:
        predictions = _probabilities(predicted.numbers, agreed.scales.get(dtype, 1), truth.shape, file)
    else:
        predictions = agreed.prediction.applied(predicted)
        _check_shape(predictions.shape, truth.shape, predicted, file)
    shape = (-1, *truth.shape[-2:])
    stack, predictions, places = truth.reshape(shape), ...
