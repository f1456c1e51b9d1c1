"""Pairs images with labels by their names, and reports images and labels without a partner."""

import difflib
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.listing import by_stem
from src.data.mixed import are_labels
from src.data.patterns import NAME, alike, plain
from src.data.sources import Form
from src.files.names import IMAGE_SUFFIXES, SEPARATORS, stem
from src.files.tiffs import first_parts

LabelFiles = Mapping[str, tuple[Path, Form]]
# Upper limits for the images, labels and candidate affixes that are compared to find out how names correspond.
MOST_COMPARED, MOST_LABELS, MOST_AFFIXES = 12, 200, 40
OFFERED = 2  # largest number of pattern pairs that a message suggests


def partners(
    root: Path, pictured: Mapping[str, Path], labelled: LabelFiles
) -> tuple[dict[str, tuple[Path, Path, Form]], list[Finding]]:
    """Pair images with labels of the same name, and report images and labels without a partner.

    Differences in capitals and separators are ignored. If no names match, names may differ by a prefix or suffix,
    provided that all images and labels can be paired this way. If not, the finding suggests patterns that pair most.

    Args:
        root: the folder to which patterns are relative.
        pictured: image files by name.
        labelled: label files by name, each with the form in which the labels are stored.

    Returns:
        The image file, the label file and the form of the labels, by the name of the image; and the findings.
    """
    findings = []
    labelled = _spelt_alike(pictured, labelled)
    if not pictured.keys() & labelled.keys():
        partner = alike([*pictured], [*labelled])
        if partner:
            labelled = {partner[name]: each for name, each in labelled.items()}
            findings.append(_by_affix(pictured, labelled))
        elif offered := list(near_patterns(root, pictured.values(), [file for file, _ in labelled.values()])):
            image, labels = next(iter(pictured.values())), next(iter(labelled.values()))[0]
            found = f"{image.name} and {labels.name}, and so on"
            fix, expected = " or ".join(offered), "labels named like their images"
            return {}, [Finding("unpaired-names", ERROR, str(labels.parent), found, expected, fix)]
    both = pictured.keys() & labelled.keys()
    findings += _alone(pictured, labelled)
    return {name: (pictured[name], *labelled[name]) for name in both}, findings


def _spelt_alike(pictured: Mapping[str, Path], labelled: LabelFiles) -> LabelFiles:
    """Rename labels to the names of their images where names differ in capitals and separators only."""
    alone = sorted(pictured.keys() - labelled.keys())
    count = Counter(map(plain, alone))
    spelt = {plain(name): name for name in alone if count[plain(name)] == 1}
    return {name if name in pictured else spelt.get(plain(name), name): each for name, each in labelled.items()}


def _by_affix(pictured: Mapping[str, Path], labelled: LabelFiles) -> Finding:
    """Make the note that images and labels were paired although their names have different prefixes or suffixes."""
    example = next(iter(labelled))
    found = f"{pictured[example].name} and {labelled[example][0].name}, and so on"
    folder = str(labelled[example][0].parent)
    return Finding("paired-by-affix", NOTE, folder, found, "images with their labels", "nothing")


def _alone(pictured: Mapping[str, Path], labelled: LabelFiles) -> Iterator[Finding]:
    """Report images without labels, with similarly named label files, and labels without an image."""
    of_images, of_labels = sorted(pictured.keys() - labelled.keys()), sorted(labelled.keys() - pictured.keys())
    whole = set(first_parts(sorted(pictured.values()))) if of_images else set()
    free = {labelled[name][0].name: name for name in of_labels}
    for place, name in enumerate(of_images):
        image = pictured[name]
        if image not in whole:
            found, fix = "a part of an image in several files, of which another has labels", "nothing, if that is meant"
            yield Finding("part-of-image", NOTE, str(image), found, "one image, read once", fix)
            continue
        near = difflib.get_close_matches(image.name, free, 1) if place < MOST_COMPARED else []
        expected = f"labels named {name} (.tif or .png)"
        fix = "annotate it, or move it out of the folder" + "".join(f", or rename {each}" for each in near)
        yield Finding("missing-label", ERROR, str(image), "an image without labels", expected, fix)
    for name in of_labels:
        file, found = str(labelled[name][0]), "labels without an image; they are left out"
        fix = "add the image; nothing, if it is left out on purpose"
        yield Finding("missing-image", WARNING, file, found, f"an image named {name}", fix)


def near_patterns(root: Path, images: Iterable[Path], labels: Iterable[Path]) -> Iterator[str]:
    """Suggest path patterns that pair most images with labels, as command-line arguments, the shortest first.

    Nothing is suggested unless they pair two files and half of the images or of the labels, whichever are fewer.

    Args:
        root: the folder to which patterns are relative.
        images: image files, all in one folder.
        labels: label files, all in one folder.
    """
    images, labels = sorted(images), sorted(labels)
    folders = {file.parent for file in images}, {file.parent for file in labels}
    if not images or not labels or len(folders[0]) > 1 or len(folders[1]) > 1:
        return
    of_images, of_labels = ([stem(file) for file in files] for files in (images, labels))
    step = -(-len(of_images) // MOST_COMPARED)
    affixes = Counter(
        each for name in of_images[::step] for other in of_labels[:MOST_LABELS] for each in _common(name, other)
    )
    ways = {each: _paired(each, of_images, of_labels) for each, _ in affixes.most_common(MOST_AFFIXES)}
    best = max(map(len, ways.values()), default=0)
    if best < max(2, min(len(images), len(labels)) / 2):
        return
    shortest = sorted((each for each in ways if len(ways[each]) == best), key=lambda each: sum(map(len, each)))
    different = {ways[each]: each for each in reversed(shortest)}  # of affixes that pair the same files, the shortest
    for each in [each for each in shortest if each in different.values()][:OFFERED]:
        sides = zip(("images", "labels"), (images, labels), (each[:2], each[2:]), strict=True)
        yield " ".join(
            f"data.source.{key}={shlex.quote((files[0].parent.relative_to(root) / f'{start}{NAME}{end}.*').as_posix())}"
            for key, files, (start, end) in sides
        )


def likely_patterns(root: Path, folders: Sequence[Path]) -> Iterator[str]:
    """Suggest patterns, as `near_patterns` does, that pair the images in one folder with the labels in another folder.

    Args:
        root: the folder to which patterns are relative.
        folders: the folders to search, all inside ``root``.
    """
    files = {folder: [*by_stem(folder, IMAGE_SUFFIXES)[0].values()] for folder in folders[:MOST_COMPARED]}
    drawn = [folder for folder, of in files.items() if of and are_labels(of[0])]
    for folder in drawn:
        for images in (each for each, of in files.items() if of and each not in drawn):
            yield from near_patterns(root, files[images], files[folder])


def _common(name: str, other: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield, for each part that two names have in common, the text before and after it in the first and second name.

    Common parts that begin or end within a word are skipped.
    """
    for first, second, size in difflib.SequenceMatcher(None, name, other, autojunk=False).get_matching_blocks():
        core = name[first : first + size].strip(SEPARATORS)
        before = name[first : first + size].index(core)
        ends = [(each[: at + before], each[at + before + len(core) :]) for each, at in ((name, first), (other, second))]
        whole = not any(_parts_a_word(start, core) or _parts_a_word(core, end) for start, end in ends)
        if core and whole:
            yield *ends[0], *ends[1]


def _parts_a_word(before: str, after: str) -> bool:
    """Return whether the cut between two pieces of a name divides a word: whether there is a letter on both sides."""
    return bool(before and after) and f"{before[-1]}{after[0]}".isalpha()


def _paired(affixes: tuple[str, str, str, str], images: list[str], labels: list[str]) -> frozenset[tuple[str, str]]:
    """Return the pairs of image and label names that are equal once prefixes and suffixes are removed.

    Args:
        affixes: prefix and suffix of image names, then of label names.
        images: names of images.
        labels: names of labels.
    """
    of_images, of_labels = (
        {name[len(start) : len(name) - len(end)]: name for name in names if _fits(name, start, end)}
        for names, start, end in ((images, *affixes[:2]), (labels, *affixes[2:]))
    )
    return frozenset((of_images[core], of_labels[core]) for core in of_images.keys() & of_labels.keys())


def _fits(name: str, start: str, end: str) -> bool:
    return name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end)
