"""What is wrong with a split: there is none, or what is judged is too much like what is learnt from."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from src.data.finding import WARNING, Finding, Refused
from src.data.split import split
from src.findings.facts import Facts

ALIKE = 0.98  # correlation of thumbnails from which images count as nearly the same


def groups_of(facts: list[Facts], groups: dict[str, str], where: str) -> tuple[dict[str, list[str]], list[Finding]]:
    """Split slices into groups: the names of the slices of each; or none, and why there are none.

    Args:
        facts: of each slice.
        groups: what was chosen, as `src.data.split.split` takes it.
        where: the folder that a finding names.
    """
    names = [each.name for each in facts]
    try:
        numbers = split(groups, names, [each.source for each in facts])
    except Refused as error:
        return {}, [replace(error.finding, file=where)]
    return {part: [names[number] for number in chosen] for part, chosen in numbers.items()}, []


def near_duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Find images that are judged and are nearly the same as one that is learnt from.

    Args:
        facts: of each slice.
        group: of the split, by the name of the slice.
    """
    first = {each.digest: each for each in reversed(facts)}  # copies have a finding of their own
    told = [each for each in facts if group.get(each.name) and each.levels > 1 and first[each.digest] is each]
    learnt = [each for each in told if group[each.name] == "train"]
    judged = [each for each in told if group[each.name] != "train"]
    if not learnt or not judged:
        return
    seen = np.stack([each.thumbnail for each in learnt])
    fix = "put both into one group: data.train=… data.validation=… data.held_out=…"
    for each in judged:
        likeness = seen @ each.thumbnail
        most, nearest = likeness.max(), learnt[int(likeness.argmax())]
        if most > ALIKE:
            found = f"nearly the same image as {nearest.name}, which is learnt from (correlation {most:.3f})"
            yield Finding("near-duplicate", WARNING, each.file, found, f"an unseen image in {group[each.name]}", fix)


def neighbours(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Find slices of one stack that follow each other, one learnt from and one not.

    Args:
        facts: of each slice, in their order.
        group: of the split, by the name of the slice.
    """
    fix = "leave a slice out between groups, such as data.train=0-19 data.validation=21-22 data.held_out=24-29"
    for one, other in pairwise(facts):
        groups = group.get(one.name), group.get(other.name)
        if one.source == other.source and None not in groups and "train" in groups and groups[0] != groups[1]:
            found = f"{one.name} in {groups[0]} and the next slice in {groups[1]}"
            expected = "a gap between what is learnt from and what is judged"
            yield Finding("neighbouring-slices", WARNING, other.file, found, expected, fix)
