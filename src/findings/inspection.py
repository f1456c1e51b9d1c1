"""Annotated images, looked at before anything is learnt from them, and all that is wrong with them."""

import os
from collections.abc import Callable
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

THREADS = os.cpu_count()  # more of them only wait for each other: 5 000 small images take half as long again


@dataclass(frozen=True)
class Inspection:
    """Hold what was looked at, and what was found.

    Attributes:
        facts: of each slice that could be read and whose labels are no nonsense.
        meaning: of the labels.
        void: a value that may mark what nobody has annotated, None if there is none; and the kind of the others.
        values: by which the labels of the facts are classes.
        groups: the slices of each group of the split, by name; empty if there is no valid one.
        findings: errors first.
        reading: how the pixels of the files are seen.
    """

    facts: list[Facts]
    meaning: Meaning
    void: tuple[int, str] | None
    values: tuple[int, ...] | None
    groups: dict[str, list[str]]
    findings: list[Finding]
    reading: Reading


def inspect_folder(root: Path, choices: Choices, read: Callable[[Pair], list[Annotated]] = read_pair) -> Inspection:
    """Look at all images and labels of a folder, in threads, and find all that is wrong with them at once.

    Args:
        root: the folder.
        choices: what training will do.
        read: gives the slices of a pair of files.

    Raises:
        FileNotFoundError: there is no such folder, or one of another layout.
        ValueError: a choice is none.
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
        with ThreadPoolExecutor(THREADS) as pool:  # from disk, because what ``read`` holds is for who comes next
            learnt = pool.map(
                lambda pair: look_at_files(
                    pair, choices.ignore_label, read_pair, choices.scaling, meaning, choices.target
                )[0],
                pairs,
            )
            return [facts for each in learnt for facts in each if facts.name in kept]

    facts = [facts for each, _ in looked for facts in each]
    return _concluded(facts, findings, choices, str(root), names, again)


def inspect_stack(stack: Stack, choices: Choices) -> Inspection:
    """Look at slices in memory, by what is learnt from them: public data sets can be checked like a folder."""
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
    """What all facts together say."""
    findings = [*findings, *(note for each in facts for note in each.notes)]
    if all(each.grey for each in facts):
        if colours := [each for each in facts if each.channels > 1]:
            findings.append(images.grey_colours(colours, len(facts)))
        facts = [replace(each, channels=1) for each in facts]
    groups, sound = {}, []
    if facts:
        wrong = list(labels.wrong_values(facts, _meant(facts, choices, names), choices))
        errors = {finding.file for finding in wrong if finding.severity == ERROR}
        sound = [each for each in facts if each.labels_file not in errors]
        findings += [*wrong, *images.each_image(facts, choices), *images.acquisition(facts), *images.shifted(facts)]
        groups, refused = split.groups_of(facts, choices, where)
        group = {name: part for part, names in groups.items() for name in names}
        findings += [*refused, *split.parted(facts, choices, group, where), *split.serial(facts, group, where)]
        for check in (images.duplicates, split.near_duplicates, split.neighbours, images.sizes):
            findings += check(facts, group)
    found = _meant(sound, choices, names)
    kind, values, void = found.judgement.kind, found.judgement.values, None
    if sound and not any(finding.code == "nothing-annotated" for finding in findings):
        described = [each.labels for each in sound]
        mark = _void(described, names) if choices.ignore_label is None and not found.in_colours else None
        several = len(names.numbers.names) > 2
        rest = "classes" if several or mark is None else kinds.looks(kinds.without(described, mark)).kind
        void = None if mark is None else (mark, rest)
        files = {each.labels_file for each in sound}
        beside = any(finding.code == "shifted-labels" and finding.file not in files for finding in findings)
        others = [] if beside else list(partners.of_another_image(sound))  # all beside their images fit none
        moved = {finding.file for finding in others}
        findings = [each for each in findings if each.code != "shifted-labels" or each.file not in moved]
        findings += [*meanings.judgements(sound, found, choices, mark, where), *others]
        findings += labels.wrong_kind(sound, found, choices)
        if again and kind != "classes" and values and values[0] != 0:
            sound, values = again(sound, found), None
        learnt = replace(choices, values=values)
        if "white-ground" not in found.judgement.reasons or values is not None:  # else of what is no cell
            findings += labels.object_sizes(sound, kind, learnt)
        findings += labels.other_metrics(sound, kind, learnt)
        findings += labels.balance(sound, kind, learnt, group)
    order = (ERROR, WARNING, NOTE)
    findings = sorted(findings, key=lambda finding: (order.index(finding.severity), finding.code, finding.file))
    return Inspection(sound, found, void, values, groups, findings, reading_of(facts))


def _meant(facts: list[Facts], choices: Choices, names: Names) -> Meaning:
    return meaning(facts, [each.labels for each in facts], choices.wanted.kind, choices.values, names)


def _void(described: list[Description], names: Names) -> int | None:
    """The value of what nobody has annotated, as files say or by its looks; None if there is none."""
    ignored = names.numbers.ignored
    return ignored if any(ignored in each.counts for each in described) else kinds.void(described)
