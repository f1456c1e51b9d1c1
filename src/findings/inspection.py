"""Annotated images, looked at before anything is learnt from them, and all that is wrong with them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from src.data.annotated import Annotated, read_pair, reading_of, undecided
from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.folder import chosen_kind, class_values
from src.data.matching import Pair, matched
from src.data.stack import NO_CLASS, Stack, marked
from src.files.stored import Reading
from src.findings import images, labels, split
from src.findings.facts import Choices, Facts, look, look_at_files


@dataclass(frozen=True)
class Inspection:
    """Hold what was looked at, and what was found.

    Attributes:
        facts: of each slice that could be read and whose labels are no nonsense.
        kind: of the labels.
        values: those of class 0, 1, … where they are not these numbers themselves.
        groups: the slices of each group of the split, by name; empty if there is no valid one.
        findings: errors first.
        reading: how the pixels of the files are seen.
    """

    facts: list[Facts]
    kind: str
    values: list[int] | None
    groups: dict[str, list[str]]
    findings: list[Finding]
    reading: Reading


def inspect_folder(
    root: Path, include: str, choices: Choices, read: Callable[[Pair], list[Annotated]] = read_pair
) -> Inspection:
    """Look at all images and labels of a folder, in threads, and find all that is wrong with them at once.

    Args:
        root: the folder.
        include: images whose names fit this pattern only.
        choices: what training will do.
        read: gives the slices of a pair of files.

    Raises:
        FileNotFoundError: there is no such folder, or one of another layout.
        ValueError: a choice is none.
    """
    pairs, findings = matched(root, include, choices.orientation, choices.axes)

    def both_files(pair: Pair) -> tuple[list[Facts], list[Finding]]:
        return look_at_files(pair, choices.ignore_label, read, choices.scaling)

    with ThreadPoolExecutor() as pool:
        looked = list(pool.map(both_files, pairs))
    orientation = reading_of([facts for each, _ in looked for facts in each]).orientation
    for place, (each, _) in enumerate(looked):
        if each and undecided(each[0], orientation):
            looked[place] = both_files(replace(pairs[place], orientation=orientation))
    for _, found in looked:
        findings += found
    return _concluded([facts for each, _ in looked for facts in each], findings, choices, str(root))


def inspect_stack(stack: Stack, choices: Choices) -> Inspection:
    """Look at slices in memory, by what is learnt from them: public data sets can be checked like a folder."""
    files = stack.files or [""] * len(stack)
    pairs = [Pair(name, Path(name), Path(name), file) for name, file in zip(stack.names, files, strict=True)]
    facts = [
        look(Annotated(pair.name, pair, image, target, reading=stack.reading), NO_CLASS, choices.scaling)
        for pair, image, target in zip(pairs, stack.images, marked(stack.targets, stack.known), strict=True)
    ]
    return _concluded(facts, [], choices, "the data")


def _concluded(facts: list[Facts], findings: list[Finding], choices: Choices, where: str) -> Inspection:
    """What all facts together say."""
    findings = [*findings, *(note for each in facts for note in each.notes)]
    if all(each.grey for each in facts):
        if colours := [each for each in facts if each.channels > 1]:
            findings.append(images.grey_colours(colours, len(facts)))
        facts = [replace(each, channels=1) for each in facts]
    kind = chosen_kind(choices.kind, [each.labels for each in facts])
    groups, sound = {}, []
    if facts:
        wrong = list(labels.wrong_values(facts, kind, choices))
        errors = {finding.file for finding in wrong if finding.severity == ERROR}
        sound = [each for each in facts if each.labels_file not in errors]
        findings += [*wrong, *images.each_image(facts, choices), *images.acquisition(facts)]
        groups, refused = split.groups_of(facts, choices.groups, where)
        group = {name: part for part, names in groups.items() for name in names}
        findings += refused
        for check in (images.duplicates, split.near_duplicates, split.neighbours, images.sizes):
            findings += check(facts, group)
    if sound and not any(finding.code == "nothing-annotated" for finding in findings):
        kind = chosen_kind(choices.kind, [each.labels for each in sound])
        for check in (labels.wrong_kind, labels.object_sizes, labels.other_metrics):
            findings += check(sound, kind, choices)
        findings += labels.balance(sound, kind, choices, group)
    order = (ERROR, WARNING, NOTE)
    findings = sorted(findings, key=lambda finding: (order.index(finding.severity), finding.code, finding.file))
    values = class_values([each.labels for each in sound], choices.values) if kind == "classes" else None
    return Inspection(sound, kind, list(values) if values else None, groups, findings, reading_of(facts))
