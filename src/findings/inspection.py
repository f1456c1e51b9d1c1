"""What is wrong with annotated images, found before anything is learnt from them: checks of `facts.Facts`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.folder import Annotated, Pair, chosen_kind, class_values, matched
from src.data.labels import detect
from src.data.split import split
from src.data.stack import IGNORED, Stack
from src.findings.facts import Facts, look, look_at_files
from src.tiles.geometry import margin

SATURATED = 0.1  # share of such pixels that is worth a word
ALIKE = 0.98  # correlation of thumbnails from which images count as nearly the same
ALIKE_SIZES = 0.8  # share of slices whose size is not theirs alone, from which sizes tell microscopes apart
RARE = 0.01  # share of a class
MOST_PICTURE = 0.05  # pieces a pixel, up to which labels are drawn and no picture


@dataclass(frozen=True)
class Choices:
    """What training will do, as far as data can be wrong for it.

    Attributes:
        classes, channels: of the network; None if they have not been chosen yet.
        depth, padded: of the network.
        kind, values, ignore_label: of the labels, as `folder.read_folder` takes them.
        groups: the split, as `split.split` takes it.
        min_size: smallest cell that prediction keeps, in pixels.
        metrics: names of the scores that training reports.
    """

    classes: int | None
    channels: int | None
    depth: int
    padded: bool
    groups: dict[str, str]
    kind: str = "auto"
    values: tuple[int, ...] | None = None
    ignore_label: int | None = None
    min_size: int = 0
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What was looked at, and what was found.

    Attributes:
        facts: of each slice that could be read and whose labels are no nonsense.
        kind: of the labels.
        values: those of class 0, 1, … where they are not these numbers themselves.
        groups: the slices of each group of the split, by name; empty if there is no valid one.
        findings: errors first.
    """

    facts: list[Facts]
    kind: str
    values: list[int] | None
    groups: dict[str, list[str]]
    findings: list[Finding]


def inspect_folder(root: Path, include: str, choices: Choices) -> Inspection:
    """Look at all images and labels of a folder.

    Raises:
        FileNotFoundError: there is no such folder, or one of another layout.
        ValueError: a choice is none.
    """
    pairs, findings = matched(root, include)
    with ThreadPoolExecutor() as pool:
        looked = list(pool.map(lambda pair: look_at_files(pair, choices.ignore_label), pairs))
    for _, found in looked:
        findings += found
    return _concluded([facts for each, _ in looked for facts in each], findings, choices, str(root))


def inspect_stack(stack: Stack, choices: Choices) -> Inspection:
    """Look at slices in memory, by what is learnt from them."""
    files = stack.files or [""] * len(stack)
    pairs = [Pair(name, Path(name), Path(name), file) for name, file in zip(stack.names, files, strict=True)]
    facts = [
        look(Annotated(pair.name, pair, image, target), IGNORED)
        for pair, image, target in zip(pairs, stack.images, stack.targets, strict=True)
    ]
    return _concluded(facts, [], choices, "the data")


# The checks.


def _images(facts: list[Facts], choices: Choices) -> Iterator[Finding]:
    for each in facts:
        if not each.finite:
            yield Finding(
                "nan",
                ERROR,
                each.file,
                "NaN or infinity",
                "finite grey values",
                "np.nan_to_num(image), or leave it out",
            )
        elif each.levels == 1:
            yield Finding(
                "constant-image", WARNING, each.file, "one grey value", "a picture", "move it out of the folder"
            )
        elif each.is_its_labels:
            yield Finding(
                "image-is-its-labels",
                ERROR,
                each.file,
                "the same pixels as in its labels",
                "a picture",
                "copy the image again, which was overwritten by its labels",
            )
        elif each.levels < 5:
            yield Finding(
                "few-grey-values",
                WARNING,
                each.file,
                f"{each.levels} different grey values",
                "a picture",
                "see whether it is a mask; copy the image again",
            )
        if each.saturated > SATURATED and each.levels > 4:
            yield Finding(
                "saturated",
                WARNING,
                each.file,
                f"{each.saturated:.0%} of the pixels at the largest value",
                "grey values below the camera's limit",
                "acquire with less exposure; what is saturated cannot be told apart",
            )
        if each.lossy:
            yield Finding(
                "lossy-image",
                NOTE,
                each.file,
                "a JPEG, which leaves blocks of 8×8 pixels",
                "an image as it was acquired",
                "export TIFF or PNG from the microscope, if there still is the original",
            )
        if choices.channels not in (None, each.channels):
            yield Finding(
                "channels",
                ERROR,
                each.file,
                f"{each.channels} channels",
                f"{choices.channels}, as the network has",
                f"model.in_channels={each.channels}",
            )
        if each.shift:
            rows, columns = each.shift
            yield Finding(
                "shifted-labels",
                WARNING,
                each.labels_file,
                f"labels that fit their image better moved by {-rows} rows and {-columns} columns",
                "labels that lie on their image",
                f"labels = np.roll(labels, ({-rows}, {-columns}), axis=(0, 1))",
            )


def _acquisition(facts: list[Facts]) -> Iterator[Finding]:
    """Images that differ from most others in how they were acquired."""
    for code, attribute, what in (("mixed-dtype", "dtype", "dtype"), ("mixed-channels", "channels", "channels")):
        by_value = defaultdict(list)
        for each in facts:
            by_value[getattr(each, attribute)].append(each)
        usual = max(by_value, key=lambda value: len(by_value[value]), default=None)
        for value, others in by_value.items():
            if value != usual:
                yield Finding(
                    code,
                    NOTE if code == "mixed-dtype" else ERROR,
                    others[0].file,
                    f"{what} {value} in {len(others)} of {len(facts)} slices",
                    f"{what} {usual} as in the others",
                    "save all images alike" if code == "mixed-dtype" else "save all images with the same channels",
                )
    known = [each for each in facts if each.pixel_size]
    usual = float(np.median([each.pixel_size for each in known])) if known else 0
    for each in known:
        if not 0.8 < each.pixel_size / usual < 1.25:
            yield Finding(
                "pixel-size",
                WARNING,
                each.file,
                f"{each.pixel_size:.4g} µm a pixel",
                f"about {usual:.4g}, as in most",
                f"rescale image and labels by {each.pixel_size / usual:.3g}",
            )


def _values(facts: list[Facts], kind: str, choices: Choices) -> Iterator[Finding]:
    """Values that nobody can have meant. What else may be wrong with such labels is not asked."""
    nothing = all(set(each.labels.counts) == {0} for each in facts)
    for each in facts:
        found, file = each.labels, each.labels_file
        pixels = each.size[0] * each.size[1]
        if min(found.counts) < 0:
            yield Finding(
                "negative-label",
                ERROR,
                file,
                _histogram(found.counts),
                "labels from 0",
                f"data.source.ignore_label={min(found.counts)}, if nobody has annotated there",
            )
        elif found.smoothed:
            yield Finding(
                "smoothed-label",
                ERROR,
                file,
                f"values between those that were drawn: {_histogram(found.counts)}",
                "labels as they were drawn",
                "resize labels with nearest neighbours and save no JPEG; a mask is mended by labels > 127",
            )
        elif found.pieces > MOST_PICTURE * pixels and len(found.counts) > 4:
            yield Finding(
                "label-is-picture",
                ERROR,
                file,
                f"{len(found.counts)} values in {found.pieces} pieces",
                "labels",
                "see whether images and labels were exchanged",
            )
        elif each.ignored == 1:
            yield Finding(
                "nothing-known",
                WARNING,
                file,
                f"nothing but ignore_label={choices.ignore_label}",
                "annotated pixels",
                "move it out of the folder",
            )
        elif set(found.counts) == {0} and not nothing:
            yield Finding(
                "empty-label",
                WARNING,
                file,
                "background alone",
                "annotated cells",
                "move it out of the folder, unless there really is nothing in the image",
            )
        elif 0 not in found.counts and not each.ignored and kind != "classes":
            yield Finding(
                "no-background",
                WARNING,
                file,
                _histogram(found.counts),
                "some background, which is 0",
                "see whether the labels begin with 1, or kind should be classes: data.source.kind=classes",
            )
    if nothing:
        yield Finding(
            "nothing-annotated",
            ERROR,
            str(Path(facts[0].labels_file).parent),
            "background in all labels",
            "annotated cells",
            "export the labels again; 0 is background",
        )
    if choices.ignore_label is not None and not any(each.ignored for each in facts):
        yield Finding(
            "no-ignored-pixels",
            WARNING,
            str(Path(facts[0].labels_file).parent),
            f"no pixel of ignore_label={choices.ignore_label}",
            "pixels that nobody has annotated",
            "data.source.ignore_label=null",
        )


def _kinds(facts: list[Facts], kind: str, choices: Choices) -> Iterator[Finding]:
    """Labels that mean something else than they are taken for."""
    labels = str(Path(facts[0].labels_file).parent)
    looks = detect([each.labels for each in facts])
    counted = {value for each in facts for value in each.labels.counts if value != 0}
    if kind == "classes":
        yield from _classes(facts, choices)
    elif choices.classes not in (None, 2):
        yield Finding(
            "unused-class",
            WARNING,
            labels,
            f"labels of kind {kind}, which have two classes",
            f"{choices.classes} classes, as the network has",
            "model.classes=2, or data.source.kind=classes",
        )
    if kind == "classes" and looks == "instances":
        yield Finding(
            "instances-as-classes",
            ERROR,
            labels,
            f"{len(counted)} values, each in one piece: numbered cells",
            "values of classes",
            "data.source.kind=instances",
        )
    if kind == "instances" and looks == "classes":
        yield Finding(
            "classes-as-instances",
            ERROR,
            labels,
            f"the values {_few(counted)}, each in many pieces: classes",
            "a number for each cell",
            "data.source.kind=classes",
        )
        return
    if kind in ("binary", "boundary") and len(counted) > 1:
        yield Finding(
            f"{looks if looks in ('classes', 'instances') else 'instances'}-as-{kind}",
            WARNING,
            labels,
            f"{len(counted)} values beside 0, all taken for one class",
            "0 and one other value",
            f"data.source.kind={looks}",
        )
    if kind == "instances":
        for each in facts:
            values = [value for value in each.labels.counts if value != 0]
            in_pieces = round((1 - each.labels.single) * len(values))
            if len(values) > 1 and in_pieces:
                yield Finding(
                    "cell-in-pieces",
                    NOTE,
                    each.labels_file,
                    f"{in_pieces} of {len(values)} numbers in several pieces, {each.labels.pieces} pieces together",
                    "each cell in one piece",
                    "see whether stray pixels were left, or one number given to two cells",
                )
            if len(values) == 1 and each.labels.pieces > 2:
                yield Finding(
                    "one-number-many-cells",
                    WARNING,
                    each.labels_file,
                    f"{each.labels.pieces} cells, all numbered {values[0]}",
                    "a number for each cell, as in other files",
                    "labels = skimage.measure.label(labels)",
                )


def _classes(facts: list[Facts], choices: Choices) -> Iterator[Finding]:
    values = class_values([each.labels for each in facts], choices.values)
    for each in facts:
        wrong = set(each.labels.counts) - set(values) if values else set()
        if wrong - {0} or (wrong and not each.ignored):
            yield Finding(
                "unexpected-value",
                ERROR,
                each.labels_file,
                _histogram(each.labels.counts),
                f"the values {_few(values)}",
                "mend the labels, or name all values: data.source.values=[0,1,…]",
            )
    highest = max((value for each in facts for value in each.labels.counts), default=0)
    classes = len(values) if values else highest + 1
    if choices.classes not in (None, classes):
        more = classes > choices.classes
        yield Finding(
            "more-classes" if more else "unused-class",
            ERROR if more else WARNING,
            str(Path(facts[0].labels_file).parent),
            f"{classes} classes",
            f"{choices.classes}, as the network has",
            f"model.classes={max(2, classes)}",
        )


def _objects(facts: list[Facts], kind: str, choices: Choices) -> Iterator[Finding]:
    if kind not in ("instances", "binary"):
        return
    field = 2 * margin(choices.depth, choices.padded)
    for each in facts:
        side = each.labels.side
        if side > field:
            depth = next(depth for depth in range(choices.depth, 20) if 2 * margin(depth, choices.padded) >= side)
            yield Finding(
                "large-object",
                NOTE if side < 2 * field else WARNING,
                each.labels_file,
                f"a cell {side} px long",
                f"at most {field} px, which the network sees around a pixel",
                f"model.depth={depth}, or scale images and labels by {field / side:.2f}",
            )
        if 0 < each.labels.area < choices.min_size:
            yield Finding(
                "small-object",
                WARNING,
                each.labels_file,
                f"cells of {each.labels.area:.0f} px",
                f"at least instances.min_size={choices.min_size}, below which a predicted cell is dropped",
                f"instances.min_size={int(each.labels.area / 3)}",
            )


def _duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """The same image twice; and images of two groups that nearly are the same."""
    first: dict[str, Facts] = {}
    copies = set()
    for each in facts:
        other = first.setdefault(each.digest, each)
        if other is each or each.levels == 1:
            continue
        copies.add(each.name)
        apart = group.get(each.name) != group.get(other.name)
        yield Finding(
            "duplicate-across-split" if apart else "duplicate",
            ERROR if apart else WARNING,
            each.file,
            f"the same image as {other.name}"
            + (f", one in {group.get(other.name)} and one in {group.get(each.name)}" if apart else ""),
            "each image once",
            "move one of the two out of the folder",
        )
    told = [each for each in facts if group.get(each.name) and each.name not in copies and each.levels > 1]
    learnt = [each for each in told if group[each.name] == "train"]
    judged = [each for each in told if group[each.name] != "train"]
    if not learnt or not judged:
        return
    seen = np.stack([each.thumbnail for each in learnt])
    for each in judged:
        likeness = seen @ each.thumbnail
        nearest = learnt[int(likeness.argmax())]
        if likeness.max() > ALIKE and nearest.digest != each.digest:
            yield Finding(
                "near-duplicate",
                WARNING,
                each.file,
                f"nearly the same image as {nearest.name}, which is learnt from (correlation {likeness.max():.3f})",
                f"an unseen image in {group[each.name]}",
                "put both into one group: data.train=… data.validation=… data.held_out=…",
            )


def _neighbours(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Slices of one stack that follow each other, one learnt from and one not."""
    for one, next_one in pairwise(facts):
        groups = group.get(one.name), group.get(next_one.name)
        if one.source == next_one.source and None not in groups and "train" in groups and groups[0] != groups[1]:
            yield Finding(
                "neighbouring-slices",
                WARNING,
                next_one.file,
                f"{one.name} in {groups[0]} and the next slice in {groups[1]}",
                "a gap between what is learnt from and what is judged",
                "leave a slice out between groups, such as data.train=0-19 data.validation=21-22 data.held_out=24-29",
            )


def _sizes(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Slices that are judged but of a size that none learnt from has: most likely of another microscope."""
    count = Counter(each.size for each in facts)
    if sum(number for number in count.values() if number > 1) < ALIKE_SIZES * len(facts):
        return  # each is cut in a size of its own, which says nothing
    learnt = {each.size for each in facts if group.get(each.name) == "train"}
    for each in facts:
        if group.get(each.name) in ("validation", "held_out") and each.size not in learnt:
            yield Finding(
                "size-not-learnt",
                WARNING,
                each.file,
                f"{'×'.join(map(str, each.size))} px in {group[each.name]}, a size of no training slice",
                "slices of each kind among what is learnt from",
                "if it is of another microscope, learn from it or leave it out: data.train=… data.held_out=…",
            )


def _balance(facts: list[Facts], kind: str, choices: Choices, group: dict[str, str]) -> Iterator[Finding]:
    shares = class_shares(facts, kind, choices)
    labels = str(Path(facts[0].labels_file).parent)
    for number, share in shares.items():
        if 0 < share < RARE:
            yield Finding(
                "rare-class",
                NOTE,
                labels,
                f"class {number} in {share:.2%} of the pixels",
                f"at least {RARE:.0%}",
                "data.foreground=0.5 weight_map.balance=true",
            )
    learnt = class_shares([each for each in facts if group.get(each.name) == "train"], kind, choices)
    for number in shares:
        if group and shares[number] and not learnt.get(number):
            yield Finding(
                "class-not-learnt",
                WARNING,
                labels,
                f"class {number} in no training slice",
                "each class among what is learnt from",
                "choose the split: data.train=… data.validation=… data.held_out=…",
            )


def class_shares(facts: list[Facts], kind: str, choices: Choices) -> dict[int, float]:
    """Share of the annotated pixels that each class has."""
    values = class_values([each.labels for each in facts], choices.values) if kind == "classes" else None
    pixels: dict[int, float] = defaultdict(float)
    for each in facts:
        for value, count in each.labels.counts.items():
            if kind != "classes":
                number = int(value != 0)
            else:
                number = list(values).index(value) if values and value in values else value
            # What nobody has annotated counts as 0 in the description.
            pixels[number] += count - (each.ignored * each.size[0] * each.size[1] if value == 0 else 0)
    total = sum(pixels.values()) or 1
    return {number: pixels[number] / total for number in sorted(pixels)}


def _scores(facts: list[Facts], kind: str, choices: Choices) -> Iterator[Finding]:
    wanted = {"boundary": "v_rand", "classes": "iou"}.get(kind, "f1_50")
    if choices.metrics and wanted not in choices.metrics:
        yield Finding(
            "other-metrics",
            WARNING,
            str(Path(facts[0].labels_file).parent),
            f"labels of kind {kind}, scored by {', '.join(choices.metrics[:3])}",
            f"scores such as {wanted}",
            f"experiment={EXPERIMENTS[kind]}",
        )


EXPERIMENTS = {"boundary": "membranes", "classes": "classes", "instances": "cells", "binary": "cells"}


def _concluded(facts: list[Facts], findings: list[Finding], choices: Choices, where: str) -> Inspection:
    """What all facts together say."""
    kind = chosen_kind(choices.kind, [each.labels for each in facts])
    groups, sound = {}, []
    if facts:
        wrong = list(_values(facts, kind, choices))
        errors = {finding.file for finding in wrong if finding.severity == ERROR}
        sound = [each for each in facts if each.labels_file not in errors]
        findings = [*findings, *wrong, *_images(facts, choices), *_acquisition(facts)]
        groups, refused = _split(facts, choices, where)
        group = {name: part for part, names in groups.items() for name in names}
        findings += [*refused, *_duplicates(facts, group), *_neighbours(facts, group), *_sizes(facts, group)]
    if sound and not any(finding.code == "nothing-annotated" for finding in findings):
        kind = chosen_kind(choices.kind, [each.labels for each in sound])
        for check in (_kinds, _objects, _scores):
            findings += check(sound, kind, choices)
        findings += _balance(sound, kind, choices, group)
    order = (ERROR, WARNING, NOTE)
    findings = sorted(findings, key=lambda finding: (order.index(finding.severity), finding.code, finding.file))
    values = class_values([each.labels for each in sound], choices.values) if kind == "classes" else None
    return Inspection(sound, kind, list(values) if values else None, groups, findings)


def _split(facts: list[Facts], choices: Choices, where: str) -> tuple[dict[str, list[str]], list[Finding]]:
    """The names of the slices of each group; or why there are no such groups."""
    names = [each.name for each in facts]
    try:
        numbers = split(choices.groups, names, [each.source for each in facts])
        return {part: [names[number] for number in chosen] for part, chosen in numbers.items()}, []
    except ValueError as error:
        expected, _, rest = str(error).removeprefix("expected ").partition(", but got ")
        found, _, fix = rest.partition("; nearest valid: ")
        fix = fix or "data.train=… data.validation=… data.held_out=…"
        return {}, [Finding("split", ERROR, where, found, expected, fix)]


def _histogram(counts: dict[int, int]) -> str:
    """The values of labels and how often they occur, the most frequent ones first."""
    total = sum(counts.values())
    most = sorted(counts, key=counts.get, reverse=True)
    shown = ", ".join(f"{value}: {counts[value] / total:.1%}" for value in most[:6])
    return shown + (f" and {len(most) - 6} more values" if len(most) > 6 else "")


def _few(values: Iterable[int]) -> str:
    values = sorted(values)
    return ", ".join(map(str, values[:8])) + ("…" if len(values) > 8 else "")
