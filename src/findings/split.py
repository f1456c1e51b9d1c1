"""Check the split: validation and held-out images are independent of training images."""

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

USES = {"train": "training", "validation": "validation", "held_out": "held-out"}  # of images, by group of the split


def used(group: str) -> str:
    """Say how the images of a group of the split are used.

    >>> used("train"), used("held_out")
    ('a training image', 'a held-out image')
    """
    return f"a {USES[group]} image"


def groups_of(facts: list[Facts], choices: Choices, where: str) -> tuple[dict[str, list[str]], list[Finding]]:
    """Return the names of the images in each group of the split; none, and a finding, if the split is impossible.

    Args:
        facts: of all images.
        choices: the configuration.
        where: the folder that a finding names.
    """
    names, files, parts = ([getattr(each, of) for each in facts] for of in ("name", "source", "part"))
    try:
        numbers = split(choices.groups, names, files, parts, choices.together)
    except Refused as error:
        return {}, [replace(error.finding, file=where)]
    return {group: [names[number] for number in members] for group, members in numbers.items()}, []


def near_duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Find validation and held-out images that are nearly the same as a training image (data leakage).

    Args:
        facts: of all images.
        group: the group of each image in the split, by its name.
    """
    first = {each.digest: each for each in reversed(facts)}  # `images.duplicates` reports exact copies
    compared = [
        each
        for each in facts
        # Empty images are all alike.
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
    """Find adjacent slices of a stack of which only one is a training image (data leakage).

    Args:
        facts: of all images, in their order.
        group: the group of each image in the split, by its name.
    """
    fix = "leave a slice out between groups, such as data.train=0-19 data.validation=21-22 data.held_out=24-29"
    for one, other in pairwise(facts):
        groups = _leak(one, other, group)
        if one.source == other.source and groups:
            found = f"{one.name}, {used(groups[0])}, next to {other.name}, {used(groups[1])}"
            yield Finding("neighbouring-slices", WARNING, other.file, found, GAP, fix)


def parted(facts: list[Facts], choices: Choices, group: dict[str, str], where: str) -> Iterator[Finding]:
    """Find images that belong together, such as those of one patient, in several groups of the split (data leakage).

    Args:
        facts: of all images.
        choices: the configuration; without a pattern of names, one is inferred from the names.
        group: the group of each image in the split, by its name.
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
    """Find serial sections, or frames of a film, that are files of their own, where the split separates neighbours.

    Args:
        facts: of all images, in their order.
        group: the group of each image in the split, by its name.
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
    """The groups of two neighbours if exactly one of them is a training image and the other is used too."""
    first, second = group.get(one.name), group.get(other.name)
    return (first, second) if first and second and first != second and "train" in (first, second) else None
