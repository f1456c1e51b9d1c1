"""Plan the folds of a cross-validation, each with its training, validation and held-out images."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.data.likeness import in_series, near_copies, thumbnail
from src.data.split import GROUPS, VALIDATION, check_groups, chosen, grouping_pattern, refused, split, together
from src.data.stack import Stack
from src.files.arrays import content_hash
from src.files.grey import one_grey

USUAL = 5  # default number of folds
LEAVE_ONE_OUT = 12  # with fewer images than this, each image is a fold of its own
ALIKE_SIZES = 0.8  # sizes identify microscopes only if this share of the images share their size with another image


@dataclass(frozen=True)
class Plan:
    """The folds of a cross-validation; images are given by their indices.

    Attributes:
        folds: train, validation and held_out images of each fold; each image that takes part is held out in exactly
            one fold.
        untouched: images that the configuration names as held out, which are not used in any fold.
        left_out: images that are not used because they are neighbours or near-duplicates of untouched images.
        apart: phrase that describes what separates the folds.
    """

    folds: list[dict[str, list[int]]]
    untouched: list[int]
    left_out: list[int]
    apart: str

    @property
    def scored(self) -> list[int]:
        """The indices of the images that take part, each of which is held out in one fold."""
        return sorted(number for fold in self.folds for number in fold["held_out"])


def planned(stack: Stack, groups: dict[str, str], pattern: str | None = None, count: int | None = None) -> Plan:
    """Plan the folds of a cross-validation without data leakage: no held-out image resembles a training image.

    Slices of one stack, or serial sections or film frames in separate files, are held out in contiguous stretches; a
    fold does not use the slices next to its stretch. Other images are distributed by file, or by groups that their
    names show; near-duplicates stay in one fold. Image sizes and bright or dark backgrounds are spread evenly.

    Args:
        stack: all images.
        groups: choice of the train, validation and held_out images, see `data.split.split`; the images it names as
            held_out are not used in any fold.
        pattern: pattern of image names that shows which images belong together; None: `grouping_pattern` infers one.
        count: number of folds; None: `USUAL`, or one per image if there are fewer than `LEAVE_ONE_OUT` images.

    Raises:
        Refused: the split is invalid, or there are too few unrelated images for this number of folds.
    """
    files = stack.files or [""] * len(stack)
    taking, untouched = taking_part(stack, files, groups, pattern)
    seen = np.stack([thumbnail(one_grey(image)) for image in stack.images])
    seen[[not target.any() for target in stack.targets]] = 0  # images without cells are all alike but unrelated
    alike = copies(seen, [content_hash(image) if np.ptp(image) else str(n) for n, image in enumerate(stack.images)])
    single = pattern is None and len({files[number] for number in taking}) == 1
    pattern = pattern or (None if single else grouping_pattern(stack.names))
    series = pattern is None and len(set(files)) == len(files) and in_series(seen[taking])
    close = [one | other for one, other in zip(alike, neighbours(files, series), strict=True)]
    left_out = [number for number in taking if close[number] & set(untouched)]
    taking = [number for number in taking if number not in left_out]
    if single or series:
        folds = stretches(taking, close, _checked(count, len(taking), len(taking), "slices"))
        return Plan(folds, untouched, left_out, "contiguous slices, with a slice left out between")
    keys = together(stack.names, files, pattern) if pattern else files
    _check_untouched(keys, taking, untouched, pattern, stack.names)
    units = united(taking, keys, alike)
    dealt = deal(units, kinds(stack), _checked(count, len(units), len(taking), "groups of images"))
    by = f"what data.groups='{pattern}' keeps together" if pattern else "source file"
    apart = f"images by {by}{', near copies together' if len(units) < len({keys[n] for n in taking}) else ''}"
    return Plan(of_units(dealt, kinds(stack)), untouched, left_out, apart)


def taking_part(
    stack: Stack, files: Sequence[str], groups: dict[str, str], pattern: str | None
) -> tuple[list[int], list[int]]:
    """Return the indices of the images that take part in a cross-validation, and of those set aside as held out.

    Training and validation images take part, and so do slices between two of them in the same file. With an automatic
    split, all images take part except those in a folder such as ``test/``.

    Raises:
        Refused: the split is invalid.
    """
    if all(groups[group] == "auto" for group in GROUPS):
        parts = stack.parts or []
        if "train" not in parts or not {"validation", "held_out"} & set(parts):
            return list(range(len(stack))), []
        numbers = split(groups, stack.names, list(files), parts, pattern)
        untouched = numbers["held_out"] if "held_out" in parts else []
        return sorted({number for part in numbers.values() for number in part} - set(untouched)), untouched
    if str(groups["held_out"]).strip():
        named = split(groups, stack.names, list(files))
    else:
        named = {group: chosen(groups[group], stack.names) for group in GROUPS}
        check_groups(named, needed=("train",))
    taking, untouched = {*named["train"], *named["validation"]}, named["held_out"]
    for one, other in pairwise(sorted({*taking, *untouched})):
        if {one, other} <= taking and files[one] == files[other]:
            taking |= {number for number in range(one, other) if files[number] == files[one]}
    return sorted(taking), untouched


def copies(seen: np.ndarray, digests: Sequence[str]) -> list[set[int]]:
    """Return for each image the set of its exact and near-duplicates, by index.

    Args:
        seen: thumbnail of each image, ``(N, pixels)``; all zeros for images that are not compared, such as blank ones.
        digests: a hash of each image.
    """
    found: list[set[int]] = [set() for _ in digests]
    shown = np.flatnonzero(seen.any(axis=1))
    for number in shown.tolist() if len(shown) > 1 else ():
        others = shown[shown != number]
        for other in others[near_copies(seen[others] @ seen[number])].tolist():
            found[number].add(other)
            found[other].add(number)
    same: dict[str, set[int]] = defaultdict(set)
    for number, digest in enumerate(digests):
        same[digest].add(number)
    return [(found[number] | same[digest]) - {number} for number, digest in enumerate(digests)]


def neighbours(files: Sequence[str], series: bool) -> list[set[int]]:
    """Return the slices before and after each slice in the same file, or in all files if they form a series."""
    numbers = range(len(files))
    return [
        {other for other in (number - 1, number + 1) if other in numbers and (series or files[other] == files[number])}
        for number in numbers
    ]


def stretches(order: Sequence[int], close: Sequence[set[int]], count: int) -> list[dict[str, list[int]]]:
    """Make folds of consecutive slices: each fold holds out a contiguous stretch, and validates on the slices after it.

    Args:
        order: indices of the slices that take part, in ascending order.
        close: for each slice, the slices too similar to it to be training slices while it is held out.
        count: number of folds.

    Raises:
        Refused: no training slices are left for a fold.
    """
    size, folds = _chooses(len(order)), []
    for part in np.array_split(order, count):
        held = part.tolist()
        last = order.index(held[-1]) + 1
        free = [n for n in (*order[last:], *order[:last]) if n not in held and not close[n] & set(held)]
        chooses = free[:size]
        learns = [n for n in free[size:] if not close[n] & set(chooses)]
        if not learns:
            learns, chooses = free, []
        if not learns:
            expected = "training slices that are unlike the held-out ones of a fold"
            raise refused(expected, f"none beside {len(held)} of {len(order)}", "more slices, or other folds")
        folds.append({"train": sorted(learns), "validation": sorted(chooses), "held_out": held})
    return folds


def united(taking: Sequence[int], keys: Sequence[Hashable], alike: Sequence[set[int]]) -> list[list[int]]:
    """Group images that must stay in the same fold: those that share a key, and near-duplicates.

    Args:
        taking: indices of the images that take part.
        keys: key of each image, such as its file or patient.
        alike: exact and near-duplicates of each image, from `copies`.

    Returns:
        The groups, ordered by their first image.
    """
    place = {number: index for index, number in enumerate(taking)}
    first: dict[Hashable, int] = {}
    edges = [(place[number], first.setdefault(keys[number], place[number])) for number in taking]
    edges += [(place[number], place[other]) for number in taking for other in alike[number] if other in place]
    rows, columns = zip(*edges, strict=True)
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(taking), len(taking)))
    labels = connected_components(graph, directed=False)[1]
    units: dict[int, list[int]] = defaultdict(list)
    for number, label in zip(taking, labels.tolist(), strict=True):
        units[label].append(number)
    return list(units.values())


def deal(units: list[list[int]], kind: Sequence[Hashable], count: int) -> list[list[list[int]]]:
    """Distribute groups of images over folds: each kind of image evenly, and consecutive groups to the same fold.

    Args:
        units: groups of images that must stay in the same fold.
        kind: the kind of each image, from `kinds`; the kind of a group is that of its first image.
        count: number of folds.
    """
    of_kind: dict[Hashable, list[list[int]]] = defaultdict(list)
    for unit in units:
        of_kind[kind[unit[0]]].append(unit)
    folds: list[list[list[int]]] = [[] for _ in range(count)]
    start = 0
    for alike in of_kind.values():
        for place, part in enumerate(np.array_split(range(len(alike)), count)):
            folds[(start + place) % count] += [alike[each] for each in part]
        start += len(alike) % count  # the next kind continues with the fold after the last one
    return folds


def of_units(dealt: list[list[list[int]]], kind: Sequence[Hashable]) -> list[dict[str, list[int]]]:
    """Complete folds, given the groups each holds out: validate on groups of the next fold, and train on all others."""
    wanted, folds = _chooses(sum(len(unit) for fold in dealt for unit in fold)), []
    for place, held in enumerate(dealt):
        pool = [*_mixed(dealt[(place + 1) % len(dealt)], kind)]
        pool += [unit for other in range(2, len(dealt)) for unit in dealt[(place + other) % len(dealt)]]
        chooses: list[int] = []
        while len(pool) > 1 and len(chooses) < wanted:
            chooses += pool.pop(0)
        learns = sorted(number for unit in pool for number in unit)
        if not chooses and len(learns) > 2:  # a single stack is left, whose last slices become validation slices
            size = _chooses(len(learns))
            learns, chooses = learns[: -size - 1], learns[-size:]
        held_out = sorted(number for unit in held for number in unit)
        folds.append({"train": learns, "validation": sorted(chooses), "held_out": held_out})
    return folds


def kinds(stack: Stack) -> list[Hashable]:
    """Return the size (None unless sizes identify microscopes) of each image, and whether its background is bright."""
    sizes = [image.shape[:2] for image in stack.images]
    count = Counter(sizes)
    meant = sum(number for number in count.values() if number > 1) >= ALIKE_SIZES * len(sizes)
    bright = []
    for image in stack.images:
        low, middle, high = np.percentile(one_grey(image), (1, 50, 99))
        bright.append(bool(middle - low > high - middle))
    return [(size if meant else None, each) for size, each in zip(sizes, bright, strict=True)]


def as_text(numbers: Sequence[int]) -> str:
    """Format indices of images in the form that `data.split.chosen` reads.

    >>> as_text([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _mixed(units: list[list[int]], kind: Sequence[Hashable]) -> list[list[int]]:
    """Return groups of images in an order in which the kinds of images alternate."""
    rank: Counter[Hashable] = Counter()
    ranks = []
    for unit in units:
        ranks.append(rank[kind[unit[0]]])
        rank[kind[unit[0]]] += 1
    return [units[place] for place in np.argsort(ranks, kind="stable")]


def _chooses(count: int) -> int:
    """Return how many of ``count`` images are used for validation."""
    return max(1, round(VALIDATION * count))


def _checked(count: int | None, most: int, images: int, what: str) -> int:
    """Return the number of folds: ``count``, or the default if ``count`` is None.

    Raises:
        Refused: there are too few images: ``most``, the largest possible number of folds, is below 2 or ``count``.
    """
    if most < 2:
        raise refused(f"at least 2 {what} that are unlike each other", f"{most} of {images} images", "more images")
    folds = count or (most if images < LEAVE_ONE_OUT else min(USUAL, most))
    if folds > most:
        expected = f"at most {most} folds, because there are {most} {what}"
        raise refused(expected, f"folds={folds}", f"folds={most}")
    return folds


def _check_untouched(
    keys: Sequence[Hashable], taking: list[int], untouched: list[int], pattern: str | None, names: list[str]
) -> None:
    """Refuse a split with related images (of equal key) among both training and held-out images; name two of them."""
    held = {keys[number]: number for number in untouched}
    for number in taking if pattern else ():
        if keys[number] in held:
            found = f"{names[number]} for training and {names[held[keys[number]]]} held out, both of {keys[number]}"
            expected = f"all images that data.groups='{pattern}' keeps together either for training or held out"
            raise refused(expected, found, "data.held_out=… with all of them, or data.groups='{image}'")
