"""A folder in which images lie beside their labels: which files are the images."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
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
    """Files of a folder: images, what may be their labels, and what is neither, such as ``a_flows`` of Cellpose."""

    images: list[Path]
    labels: list[Path]
    others: list[Path]


def sorted_out(files: Sequence[Path]) -> Sorted:
    """Files of a folder as images and labels, if there are labels among them; else all of them are images.

    Labels are told by their names: they are called as their image is and end in more (``a_mask`` beside ``a``), they
    end or begin in a word such as mask where all images do in another, or only their suffix differs (``a.png`` beside
    ``a.jpg``). Where a name leaves it open, one file of each kind is looked into.

    Args:
        files: of endings of `IMAGE_SUFFIXES`; others count as nothing.
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
    """The names of the images that labels are of, as far as they begin with them."""
    images = set(names) - set(labels)
    return {base for name in labels if (base := base_of(name, images))}


def further_files(names: Collection[str], labelled: Collection[str]) -> set[str]:
    """Names of further files of images that have labels, which have none themselves: ``a_flows`` beside ``a``.

    Args:
        names: those of images, and of such files.
        labelled: those that have labels.
    """
    labelled = set(names) & set(labelled)
    base = {name: base_of(name, labelled) for name in names}
    ends = Counter(name[len(base[name]) :] for name in names if base[name] and name not in labelled)
    more = {end for end, count in ends.items() if count > len(labelled) / 2}
    return {name for name in names if base[name] and name not in labelled and name[len(base[name]) :] in more}


def _of_other_suffix(alike: Mapping[str, Sequence[Path]]) -> set[Path]:
    """Label files that are called as their images are but for the suffix, which is the same of all of them."""
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
    """Names that are those of another file with a word for labels at their ends."""
    return {name for name in names if base_of(name, names) and LABEL_WORDS.intersection(words_of(name)[-1:])}


def _followers(names: Mapping[str, Path]) -> set[str]:
    """Names that are those of other files with one of a few endings, which hold labels."""
    base = {name: base_of(name, names) for name in names}
    images = [name for name in names if base[name] is None]
    ends = Counter(name[len(base[name]) :] for name in names if base[name])
    common = [end for end, count in ends.items() if count > 1 and count >= len(images) / 2]
    if len(common) != len(ends):
        return set()
    first = {end: next(file for name, file in names.items() if name.endswith(end)) for end in common}
    labels = [end for end, file in first.items() if are_labels(file)]
    return {name for name in names if base[name] and name[len(base[name]) :] in labels}


def _worded(names: Mapping[str, Path]) -> set[str]:
    """Names with a word for labels at one end, if the others, which may have one for images there, are as many."""
    words = {name: words_of(re.sub(r"\d+", " ", name)) for name in names}
    for place in (0, -1):
        worded = {name for name, each in words.items() if each and each[place] in LABEL_WORDS}
        others = [name for name in names if name not in worded]
        if worded and (aligned(others, sorted(worded)) or _one_of_each(others, worded)):
            return worded
    return set()


def _one_of_each(images: Sequence[str], labels: set[str]) -> bool:
    """Whether there is one image and one label image, called so, as in a folder for each image."""
    return len(images) == len(labels) == 1 and words_of(images[0])[-1] in IMAGE_WORDS


def are_labels(file: Path) -> bool:
    """Whether a file holds a mask, numbers or few colours, and no picture."""
    if file.suffix.lower() not in LABEL_SUFFIXES:
        return False
    try:
        drawn = read_labels(file)
    except Refused:  # whoever reads it says why
        return False
    distinct, counts = value_counts(drawn.numbers.reshape(-1, drawn.numbers.shape[-1]))
    return len(distinct) < 3 or drawn.in_colours or grain(drawn.numbers, distinct, counts) == FLAT
