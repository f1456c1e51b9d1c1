"""Tells images from labels in a folder that contains both."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from src.data.finding import Refused
from src.data.grain import FLAT, grain
from src.data.numbers import read_labels
from src.data.patterns import aligned
from src.data.places import IMAGE_WORDS, LABEL_WORDS, words_of
from src.files.arrays import value_counts
from src.files.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, base_of, stem


class Sorted(NamedTuple):
    """The files in a folder: images, possible labels, and other files such as Cellpose's ``a_flows``."""

    images: list[Path]
    labels: list[Path]
    others: list[Path]


def sorted_out(files: Sequence[Path]) -> Sorted:
    """Sort files into images, labels and others; all files are images if none look like labels.

    Names decide: a label file has the name of its image plus an ending (``a_mask`` for ``a``), begins or ends with a
    word such as mask where images have another word or none, or differs from its image in the suffix only (``a.png``
    for ``a.jpg``). Where names are ambiguous, one file of each kind is opened to see whether it holds labels.

    Args:
        files: the files in a folder; files without one of the `IMAGE_SUFFIXES` are ignored.
    """
    files = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    alike = defaultdict(list)
    for file in files:
        alike[stem(file)].append(file)
    drawn = _of_other_suffix(alike)
    names = {name: next(file for file in of if file not in drawn) for name, of in alike.items()}
    labels = _named_so(names) or _followers(names) or _worded(names)
    others = further_files(names.keys() - labels, _bases(labels, names))
    found = Sorted([], [], [])
    for file in files:
        is_labels = file in drawn or stem(file) in labels
        (found.labels if is_labels else found.others if stem(file) in others else found.images).append(file)
    return found


def _bases(labels: Collection[str], names: Collection[str]) -> set[str]:
    """Return the names of those images whose names are the beginning of a label file's name.

    Args:
        labels: names of label files.
        names: names of all files, including ``labels``.
    """
    images = set(names) - set(labels)
    return {base for name in labels if (base := base_of(name, images))}


def further_files(names: Collection[str], labelled: Collection[str]) -> set[str]:
    """Return the names of files that accompany labelled images without being images or labels: ``a_flows`` for ``a``.

    An ending such as ``_flows`` counts if more than half of the labelled images have a file with it.

    Args:
        names: names of images and of accompanying files.
        labelled: names of images that have labels.
    """
    labelled = set(names) & set(labelled)
    ends = _ends(set(names) - labelled, labelled)
    more = {end for end, count in Counter(ends.values()).items() if count > len(labelled) / 2}
    return {name for name, end in ends.items() if end in more}


def _ends(names: Iterable[str], bases: Collection[str]) -> dict[str, str]:
    """Return the names that consist of one of ``bases`` and an ending, each with its ending."""
    return {name: name[len(base) :] for name in names if (base := base_of(name, bases))}


def _of_other_suffix(alike: Mapping[str, Sequence[Path]]) -> set[Path]:
    """Return the label files that differ from their image in the suffix only; empty unless their suffix is unambiguous.

    Args:
        alike: all files, grouped by name without suffix.
    """
    suffixes = {tuple(sorted({file.suffix for file in of})) for of in alike.values() if len(of) > 1}
    if len(suffixes) != 1 or len(both := suffixes.pop()) != 2:
        return set()
    first = {file.suffix: file for file in next(of for of in alike.values() if len(of) > 1)}
    possible = [each for each in both if each.lower() in LABEL_SUFFIXES]
    if len(possible) == 2:
        possible = [each for each in both if are_labels(first[each])]
    if len(possible) != 1:
        return set()
    return {file for of in alike.values() if len(of) > 1 for file in of if file.suffix == possible[0]}


def _named_so(names: Mapping[str, Path]) -> set[str]:
    """Return the names that consist of another file's name and an ending whose last word means labels."""
    return {name for name in names if base_of(name, names) and LABEL_WORDS.intersection(words_of(name)[-1:])}


def _followers(names: Mapping[str, Path]) -> set[str]:
    """Return the names that consist of another file's name and a common ending, if files with that ending hold labels.

    One file with each ending is opened. Empty if any ending is rare.
    """
    ends = _ends(names, names)
    count = Counter(ends.values())
    common = [end for end, times in count.items() if times > 1 and times >= (len(names) - len(ends)) / 2]
    if len(common) != len(count):
        return set()
    first = {end: next(file for name, file in names.items() if name.endswith(end)) for end in common}
    labels = [end for end, file in first.items() if are_labels(file)]
    return {name for name, end in ends.items() if end in labels}


def _worded(names: Mapping[str, Path]) -> set[str]:
    """Return the names that begin or end with a word for labels, if they pair one to one with all other names."""
    words = {name: words_of(re.sub(r"\d+", " ", name)) for name in names}
    for place in (0, -1):
        worded = {name for name, each in words.items() if each and each[place] in LABEL_WORDS}
        others = [name for name in names if name not in worded]
        if worded and (aligned(others, sorted(worded)) or _one_of_each(others, worded)):
            return worded
    return set()


def _one_of_each(images: Sequence[str], labels: set[str]) -> bool:
    """Return whether there is one label file and one image whose name ends with a word such as image."""
    return len(images) == len(labels) == 1 and words_of(images[0])[-1] in IMAGE_WORDS


def are_labels(file: Path) -> bool:
    """Return whether a file holds labels (a mask, class or cell numbers, or a few flat colours), not an image."""
    if file.suffix.lower() not in LABEL_SUFFIXES:
        return False
    try:
        drawn = read_labels(file)
    except Refused:  # reading it as a label file explains why
        return False
    distinct, counts = value_counts(drawn.numbers.reshape(-1, drawn.numbers.shape[-1]))
    return len(distinct) < 3 or drawn.in_colours or grain(drawn.numbers, distinct, counts) == FLAT
