"""Inspect all annotated images of a data set, and collect the findings of all checks."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from src.data import kinds
from src.data.annotated import Annotated, read_pair, reading_of, undecided
from src.data.description import Description
from src.data.finding import ERROR, NOTE, WARNING, Finding, Refused
from src.data.folder import NO_NAMES, Meaning, Names, meaning, names_in
from src.data.matching import Pair, matched
from src.data.stack import NO_CLASS, Stack, marked
from src.files.stored import Reading
from src.findings import images, labels, meanings, partners, split
from src.findings.facts import Choices, Facts, look, look_at_files

THREADS = os.cpu_count()  # with more threads, inspecting 5 000 small images takes 1.5 times as long


@dataclass(frozen=True)
class Inspection:
    """The results of inspecting a data set.

    Attributes:
        facts: facts about each image that could be read and whose labels have no errors.
        meaning: what the labels mean.
        void: a label value that may mark unannotated pixels, and the kind of the labels without that value; None if
            there is no such value.
        values: label values of class 0, 1, … as counted in ``facts``, see `kinds.Judgement`.
        groups: names of the images in each group of the split; empty if the split is invalid.
        findings: all findings; errors first, then warnings, then notes.
        reading: how the pixels of most files were read.
    """

    facts: list[Facts]
    meaning: Meaning
    void: tuple[int, str] | None
    values: tuple[int, ...] | None
    groups: dict[str, list[str]]
    findings: list[Finding]
    reading: Reading


def inspect_folder(root: Path, choices: Choices, read: Callable[[Pair], list[Annotated]] = read_pair) -> Inspection:
    """Inspect a folder of images and labels, in several threads.

    Args:
        root: the folder.
        choices: the settings that the data must fit.
        read: function that reads the annotated images from an image file and its label file.

    Raises:
        FileNotFoundError: the folder does not exist or has another layout.
        ValueError: an option has an invalid value.
    """
    pairs, findings = matched(root, choices.wanted)

    def both_files(pair: Pair) -> tuple[list[Facts], list[Finding]]:
        return look_at_files(pair, choices.ignore_label, read, choices.scaling, None, choices.target)

    with ThreadPoolExecutor(THREADS) as pool:
        looked = list(pool.map(both_files, pairs))
    orientation = reading_of([facts for each, _ in looked for facts in each]).orientation
    for place, (each, _) in enumerate(looked):
        if each and undecided(each[0], orientation):
            pairs[place] = replace(pairs[place], orientation=orientation)
            looked[place] = both_files(pairs[place])
    for _, found in looked:
        findings += found
    try:
        names = names_in(root)
    except Refused as refused:
        names, findings = NO_NAMES, [*findings, refused.finding]

    def again(sound: list[Facts], meaning: Meaning) -> list[Facts]:
        kept = {each.name for each in sound}
        with ThreadPoolExecutor(THREADS) as pool:  # `read_pair`, because ``read`` may hold images for training
            measured = pool.map(
                lambda pair: look_at_files(
                    pair, choices.ignore_label, read_pair, choices.scaling, meaning, choices.target
                )[0],
                pairs,
            )
            return [facts for each in measured for facts in each if facts.name in kept]

    facts = [facts for each, _ in looked for facts in each]
    return _concluded(facts, findings, choices, str(root), names, again)


def inspect_stack(stack: Stack, choices: Choices) -> Inspection:
    """Inspect annotated images in memory, such as a public data set; the checks use the class of each pixel."""
    files = stack.files or [""] * len(stack)
    pairs = [Pair(name, Path(name), Path(name), file) for name, file in zip(stack.names, files, strict=True)]
    facts = [
        look(
            Annotated(pair.name, pair, image, target, reading=stack.reading),
            NO_CLASS,
            choices.scaling,
            None,
            choices.target,
        )
        for pair, image, target in zip(pairs, stack.images, marked(stack.targets, stack.known), strict=True)
    ]
    return _concluded(facts, [], choices, "the data")


def _concluded(
    facts: list[Facts],
    findings: list[Finding],
    choices: Choices,
    where: str,
    names: Names = NO_NAMES,
    again: Callable[[list[Facts], Meaning], list[Facts]] | None = None,
) -> Inspection:
    """Run all checks on the facts, and return the inspection with its findings in order of severity.

    Args:
        facts: the facts of all images.
        findings: findings so far, from reading the files.
        choices: the settings that the data must fit.
        where: the folder that findings on the whole data set name.
        names: names of classes.
        again: function that measures the images once more, as cells, when the meaning of the labels is known; None: the
            first measurements are used.
    """
    findings = [*findings, *(note for each in facts for note in each.notes)]
    if all(each.grey for each in facts):
        if colours := [each for each in facts if each.channels > 1]:
            findings.append(images.grey_colours(colours, len(facts)))
        facts = [replace(each, channels=1) for each in facts]
    groups: dict[str, list[str]] = {}
    sound: list[Facts] = []
    if facts:
        wrong = list(labels.wrong_values(facts, _meant(facts, choices, names), choices))
        errors = {finding.file for finding in wrong if finding.severity == ERROR}
        sound = [each for each in facts if each.labels_file not in errors]
        findings += [*wrong, *images.each_image(facts, choices), *images.acquisition(facts), *images.shifted(facts)]
        groups, refused = split.groups_of(facts, choices, where)
        findings += [*refused, *_of_split(facts, choices, _by_image(groups), where)]
    found = _meant(sound, choices, names)
    values, void = found.judgement.values, None
    if sound and not any(finding.code == "nothing-annotated" for finding in findings):
        void = _void([each.labels for each in sound], found, choices, names)
        findings = _with_partners(sound, findings)
        findings += meanings.judgements(sound, found, choices, void[0] if void else None, where)
        findings += labels.wrong_kind(sound, found, choices)
        if again and found.judgement.kind != "classes" and values and values[0] != 0:
            sound, values = again(sound, found), None
        findings += _of_cells(sound, found, replace(choices, values=values), _by_image(groups))
    order = (ERROR, WARNING, NOTE)
    findings = sorted(findings, key=lambda finding: (order.index(finding.severity), finding.code, finding.file))
    return Inspection(sound, found, void, values, groups, findings, reading_of(facts))


def _by_image(groups: dict[str, list[str]]) -> dict[str, str]:
    return {name: group for group, names in groups.items() for name in names}


def _of_split(facts: list[Facts], choices: Choices, group: dict[str, str], where: str) -> Iterator[Finding]:
    """Check the split of the images, mainly for data leakage.

    Args:
        facts: the facts of all images.
        choices: the settings that the data must fit.
        group: group of the split (train, validation or held_out) by image name.
        where: the folder that findings on the whole data set name.
    """
    yield from split.parted(facts, choices, group, where)
    yield from split.serial(facts, group, where)
    for check in (images.duplicates, split.near_duplicates, split.neighbours, images.sizes):
        yield from check(facts, group)


def _of_cells(facts: list[Facts], found: Meaning, choices: Choices, group: dict[str, str]) -> Iterator[Finding]:
    """Check cell sizes, the configured scores, and the frequency of classes.

    Args:
        facts: the facts of all images.
        found: what the labels mean.
        choices: the settings that the data must fit, with the label values of the classes.
        group: group of the split (train, validation or held_out) by image name.
    """
    kind = found.judgement.kind
    # In masks with compact regions of 0, the foreground may be the background of cells, so its size says nothing.
    if "white-ground" not in found.judgement.reasons or choices.values is not None:
        yield from labels.object_sizes(facts, kind, choices)
    yield from labels.other_metrics(facts, kind, choices)
    yield from labels.balance(facts, kind, choices, group)


def _with_partners(facts: list[Facts], findings: list[Finding]) -> list[Finding]:
    """Add findings on labels that belong to another image, and remove findings that the same labels are shifted.

    Nothing is added if the labels of the whole folder are shifted, because then they fit no image.
    """
    files = {each.labels_file for each in facts}
    if any(finding.code == "shifted-labels" and finding.file not in files for finding in findings):
        return findings
    others = list(partners.of_another_image(facts))
    moved = {finding.file for finding in others}
    return [*(each for each in findings if each.code != "shifted-labels" or each.file not in moved), *others]


def _meant(facts: list[Facts], choices: Choices, names: Names) -> Meaning:
    return meaning(facts, [each.labels for each in facts], choices.wanted.kind, choices.values, names)


def _void(described: list[Description], found: Meaning, choices: Choices, names: Names) -> tuple[int, str] | None:
    """Return the label value that may mark unannotated pixels, and the kind of the labels without that value.

    The value is the one that ``dataset.json`` declares, or else the one that `kinds.void` infers.

    Returns:
        None if no value does, if the configuration already sets it, or if the labels are colours.
    """
    if choices.ignore_label is not None or found.in_colours:
        return None
    declared = names.numbers.ignored
    mark = declared if any(declared in each.counts for each in described) else kinds.void(described)
    if mark is None:
        return None
    several = len(names.numbers.names) > 2
    return mark, "classes" if several else kinds.infer(kinds.without(described, mark)).kind
