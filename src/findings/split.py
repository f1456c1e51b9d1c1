"""What is wrong with a split: there is none, or what is judged is too much like what is learnt from."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from src.data.finding import WARNING, Finding, Refused
from src.data.likeness import in_series, near_copies
from src.data.split import automatic_split, grouping_pattern, split, together
from src.findings.facts import Choices, Facts


def groups_of(facts: list[Facts], choices: Choices, where: str) -> tuple[dict[str, list[str]], list[Finding]]:
    """Split slices into groups: the names of the slices of each; or none, and why there are none.

    Args:
        facts: of each slice.
        choices: what training will do.
        where: the folder that a finding names.
    """
    names, files, said = ([getattr(each, of) for each in facts] for of in ("name", "source", "part"))
    try:
        numbers = split(choices.groups, names, files, said, choices.together)
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
    told = [
        each
        for each in facts
        # Images with nothing in them are all alike.
        if group.get(each.name) and each.levels > 1 and first[each.digest] is each and set(each.labels.counts) != {0}
    ]
    learnt = [each for each in told if group[each.name] == "train"]
    judged = [each for each in told if group[each.name] != "train"]
    if not learnt or not judged:
        return
    seen = np.stack([each.thumbnail for each in learnt])
    fix = "put both into one group: data.train=… data.validation=… data.held_out=…"
    for each in judged:
        likeness = seen @ each.thumbnail
        most, nearest = likeness.max(), learnt[int(likeness.argmax())]
        if near_copies(likeness).any():
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


def parted(facts: list[Facts], choices: Choices, group: dict[str, str], where: str) -> Iterator[Finding]:
    """Find images that belong together, such as those of one patient, in several groups of the split.

    Args:
        facts: of each slice.
        choices: what training will do; without a pattern, one is told by the names.
        group: of the split, by the name of the slice.
        where: the folder that a finding names.
    """
    names, files = [each.name for each in facts], [each.source for each in facts]
    pattern = choices.together or grouping_pattern(names)
    if not group or pattern is None:
        return
    members = defaultdict(dict)
    for name, key in zip(names, together(names, files, pattern), strict=True):
        if name in group:
            members[key].setdefault(group[name], name)
    across = [firsts for firsts in members.values() if len(firsts) > 1]
    if not across:
        return
    (one, first), (other, second) = [*across[0].items()][:2]
    found = f"{len(across)} of {len(members)} groups of images on several sides of the split, such as {first} in {one} "
    fix = f"data.groups='{pattern}'"
    if any(each != "auto" for each in choices.groups.values()):
        fix += " data.train=auto data.validation=auto data.held_out=auto"
    elif any(each.part for each in facts):
        fix = "move all images of one patient, animal or block into one of the folders of the split"
    expected = "all images of one patient, animal or block on one side"
    yield Finding("group-across-split", WARNING, where, f"{found}and {second} in {other}", expected, fix)


def serial(facts: list[Facts], group: dict[str, str], where: str) -> Iterator[Finding]:
    """Find serial sections or frames of a film saved as a file each, of which the split parts neighbours.

    Args:
        facts: of each slice, in their order.
        group: of the split, by the name of the slice.
        where: the folder that a finding names.
    """
    files = {each.source for each in facts}
    if len(files) < len(facts) or not in_series(np.stack([each.thumbnail for each in facts])):
        return
    for one, other in pairwise(facts):
        groups = group.get(one.name), group.get(other.name)
        if None not in groups and "train" in groups and groups[0] != groups[1]:
            found = f"images that are most like the next one, as of serial sections or a film; {one.name} in "
            found += f"{groups[0]} and {other.name} in {groups[1]}"
            expected = "a gap between what is learnt from and what is judged"
            parts = automatic_split([""] * len(facts)).items()
            fix = " ".join(f"data.{part}={numbers[0]}-{numbers[-1]}" for part, numbers in parts)
            yield Finding("serial-sections", WARNING, where, found, expected, fix)
            return
