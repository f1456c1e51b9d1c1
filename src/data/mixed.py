"""Tells images from labels in a folder that holds both."""

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
    """The files of a folder: images, possible labels, and other files such as ``a_flows`` of Cellpose."""

    images: list[Path]
    labels: list[Path]
    others: list[Path]


def sorted_out(files: Sequence[Path]) -> Sorted:
    """Sort files into images and labels; all are images if none look like labels.

    Names decide: labels have the name of their image and a further ending (``a_mask`` beside ``a``), they begin or end
    with a word such as mask where all images have another word, or only their suffix differs (``a.png`` beside
    ``a.jpg``). If names leave it open, one file of each kind is opened.

    Args:
        files: the files of a folder; only those with an ending of `IMAGE_SUFFIXES` count.
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
    """The names of images that names of labels begin with."""
    images = set(names) - set(labels)
    return {base for name in labels if (base := base_of(name, images))}


def further_files(names: Collection[str], labelled: Collection[str]) -> set[str]:
    """Names of files that are neither images nor labels but belong to labelled images: ``a_flows`` beside ``a``.

    Args:
        names: names of images, and of such files.
        labelled: names that have labels.
    """
    labelled = set(names) & set(labelled)
    ends = _ends(set(names) - labelled, labelled)
    more = {end for end, count in Counter(ends.values()).items() if count > len(labelled) / 2}
    return {name for name, end in ends.items() if end in more}


def _ends(names: Iterable[str], bases: Collection[str]) -> dict[str, str]:
    """What follows the base in each name that begins with one of ``bases``."""
    return {name: name[len(base) :] for name in names if (base := base_of(name, bases))}


def _of_other_suffix(alike: Mapping[str, Sequence[Path]]) -> set[Path]:
    """Label files that differ from their images in the suffix only, if all of them have the same suffix."""
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
    """Names that consist of another file's name and a word for labels."""
    return {name for name in names if base_of(name, names) and LABEL_WORDS.intersection(words_of(name)[-1:])}


def _followers(names: Mapping[str, Path]) -> set[str]:
    """Names that consist of another file's name and one of a few endings, if the files with that ending hold labels."""
    ends = _ends(names, names)
    count = Counter(ends.values())
    common = [end for end, times in count.items() if times > 1 and times >= (len(names) - len(ends)) / 2]
    if len(common) != len(count):
        return set()
    first = {end: next(file for name, file in names.items() if name.endswith(end)) for end in common}
    labels = [end for end, file in first.items() if are_labels(file)]
    return {name for name, end in ends.items() if end in labels}


def _worded(names: Mapping[str, Path]) -> set[str]:
    """Names that begin or end with a word for labels, if they pair with all other names."""
    words = {name: words_of(re.sub(r"\d+", " ", name)) for name in names}
    for place in (0, -1):
        worded = {name for name, each in words.items() if each and each[place] in LABEL_WORDS}
        others = [name for name in names if name not in worded]
        if worded and (aligned(others, sorted(worded)) or _one_of_each(others, worded)):
            return worded
    return set()


def _one_of_each(images: Sequence[str], labels: set[str]) -> bool:
    """Whether there is one label image and one image that is named so, as in a folder per image."""
    return len(images) == len(labels) == 1 and words_of(images[0])[-1] in IMAGE_WORDS


def are_labels(file: Path) -> bool:
    """Whether a file holds a mask, numbers or few colours, and not an image."""
    if file.suffix.lower() not in LABEL_SUFFIXES:
        return False
    try:
        drawn = read_labels(file)
    except Refused:  # reading it as a label file explains why
        return False
    distinct, counts = value_counts(drawn.numbers.reshape(-1, drawn.numbers.shape[-1]))
    return len(distinct) < 3 or drawn.in_colours or grain(drawn.numbers, distinct, counts) == FLAT
