"""Check that validation and held-out images are independent of the training images."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from src.data.finding import WARNING, Finding, Refused
from src.data.likeness import in_series, near_copies
from src.data.split import automatic_split, grouping_pattern, split, together
from src.findings.facts import Choices, Facts

GAP = "a gap between training images and all others"

USES = {"train": "training", "validation": "validation", "held_out": "held-out"}  # adjective for each group of images


def used(group: str) -> str:
    """Return the phrase for an image of a group of the split.

    >>> used("train"), used("held_out")
    ('a training image', 'a held-out image')
    """
    return f"a {USES[group]} image"


def groups_of(facts: list[Facts], choices: Choices, where: str) -> tuple[dict[str, list[str]], list[Finding]]:
    """Split the images into training, validation and held-out images.

    Args:
        facts: the facts of all images.
        choices: the settings that the data must fit.
        where: the folder that a finding names.

    Returns:
        The names of the images in each group of the split, and an empty list; if the split is impossible, an empty
        dictionary, and a finding that says why.
    """
    names, files, parts = ([getattr(each, of) for each in facts] for of in ("name", "source", "part"))
    try:
        numbers = split(choices.groups, names, files, parts, choices.together)
    except Refused as error:
        return {}, [replace(error.finding, file=where)]
    return {group: [names[number] for number in members] for group, members in numbers.items()}, []


def near_duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Report validation and held-out images that are near-duplicates of a training image (data leakage).

    Args:
        facts: the facts of all images.
        group: group of the split (train, validation or held_out) by image name.
    """
    first = {each.digest: each for each in reversed(facts)}  # `images.duplicates` reports exact copies
    compared = [
        each
        for each in facts
        # Blank images and images without annotated cells are all alike, so they are not compared.
        if group.get(each.name) and each.levels > 1 and first[each.digest] is each and set(each.labels.counts) != {0}
    ]
    training = [each for each in compared if group[each.name] == "train"]
    others = [each for each in compared if group[each.name] != "train"]
    if not training or not others:
        return
    seen = np.stack([each.thumbnail for each in training])
    fix = "put both into one group: data.train=… data.validation=… data.held_out=…"
    for each in others:
        likeness = seen @ each.thumbnail
        most, nearest = likeness.max(), training[int(likeness.argmax())]
        if near_copies(likeness).any():
            found = f"nearly the same image as {nearest.name}, a training image (correlation {most:.3f})"
            expected = f"{used(group[each.name])} unlike all training images"
            yield Finding("near-duplicate", WARNING, each.file, found, expected, fix)


def neighbours(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Report adjacent slices of a stack of which only one is a training image (data leakage).

    Args:
        facts: the facts of all images, in the order of the images.
        group: group of the split (train, validation or held_out) by image name.
    """
    fix = "leave a slice out between groups, such as data.train=0-19 data.validation=21-22 data.held_out=24-29"
    for one, other in pairwise(facts):
        groups = _leak(one, other, group)
        if one.source == other.source and groups:
            found = f"{one.name}, {used(groups[0])}, next to {other.name}, {used(groups[1])}"
            yield Finding("neighbouring-slices", WARNING, other.file, found, GAP, fix)


def parted(facts: list[Facts], choices: Choices, group: dict[str, str], where: str) -> Iterator[Finding]:
    """Report related images, such as those of one patient, in different groups of the split (data leakage).

    Args:
        facts: the facts of all images.
        choices: the settings, with the pattern of names that shows which images are related; if the pattern is None, it
            is inferred from the names.
        group: group of the split (train, validation or held_out) by image name.
        where: the folder that a finding names.
    """
    names, files = [each.name for each in facts], [each.source for each in facts]
    pattern = choices.together or grouping_pattern(names)
    if not group or pattern is None:
        return
    members: dict[str, dict[str, str]] = defaultdict(dict)
    for name, key in zip(names, together(names, files, pattern), strict=True):
        if name in group:
            members[key].setdefault(group[name], name)
    across = [firsts for firsts in members.values() if len(firsts) > 1]
    if not across:
        return
    (one, first), (other, second) = [*across[0].items()][:2]
    found = f"{len(across)} of {len(members)} groups of images in several parts of the split, "
    found += f"such as {first}, {used(one)}, and {second}, {used(other)}"
    fix = f"data.groups='{pattern}'"
    if any(each != "auto" for each in choices.groups.values()):
        fix += " data.train=auto data.validation=auto data.held_out=auto"
    elif any(each.part for each in facts):
        fix = "move all images of one patient, animal or block into one of the folders of the split"
    expected = "all images of one patient, animal or block in one part"
    yield Finding("group-across-split", WARNING, where, found, expected, fix)


def serial(facts: list[Facts], group: dict[str, str], where: str) -> Iterator[Finding]:
    """Report serial sections or film frames, stored as one file each, if the split separates adjacent ones.

    Args:
        facts: the facts of all images, in the order of the images.
        group: group of the split (train, validation or held_out) by image name.
        where: the folder that a finding names.
    """
    files = {each.source for each in facts}
    if len(files) < len(facts) or not in_series(np.stack([each.thumbnail for each in facts])):
        return
    for one, other in pairwise(facts):
        groups = _leak(one, other, group)
        if groups:
            found = "images that resemble the next one most, as serial sections and films do; "
            found += f"{one.name} is {used(groups[0])} and {other.name} {used(groups[1])}"
            parts = automatic_split([""] * len(facts)).items()
            fix = " ".join(f"data.{part}={numbers[0]}-{numbers[-1]}" for part, numbers in parts)
            yield Finding("serial-sections", WARNING, where, found, GAP, fix)
            return


def _leak(one: Facts, other: Facts, group: dict[str, str]) -> tuple[str, str] | None:
    """Return the groups of the split of two adjacent images if exactly one is a training image and both are used."""
    first, second = group.get(one.name), group.get(other.name)
    return (first, second) if first and second and first != second and "train" in (first, second) else None
