"""What is wrong with images: with each of them, with one beside the others, with what is learnt and what is judged."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.findings.facts import Facts

SATURATED = 0.1  # share of such pixels that is worth a word
ALIKE = 0.98  # correlation of thumbnails from which images count as nearly the same
ALIKE_SIZES = 0.8  # share of slices whose size is not theirs alone, from which sizes tell microscopes apart


def of_each(facts: list[Facts], channels: int | None) -> Iterator[Finding]:
    """Images that nobody can learn from, or that are not as they were acquired.

    Args:
        facts: of each slice.
        channels: of the network; None if they have not been chosen yet.
    """
    for each in facts:
        file = each.file
        if not each.finite:
            fix = "np.nan_to_num(image), or leave it out"
            yield Finding("nan", ERROR, file, "NaN or infinity", "finite grey values", fix)
        elif each.levels == 1:
            yield Finding("constant-image", WARNING, file, "one grey value", "a picture", "move it out of the folder")
        elif each.is_its_labels:
            fix = "copy the image again, which was overwritten by its labels"
            yield Finding("image-is-its-labels", ERROR, file, "the same pixels as in its labels", "a picture", fix)
        elif each.levels < 5:
            found, fix = f"{each.levels} different grey values", "see whether it is a mask; copy the image again"
            yield Finding("few-grey-values", WARNING, file, found, "a picture", fix)
        if each.saturated > SATURATED and each.levels > 4:
            found = f"{each.saturated:.0%} of the pixels at the largest value"
            fix = "acquire with less exposure; what is saturated cannot be told apart"
            yield Finding("saturated", WARNING, file, found, "grey values below the camera's limit", fix)
        if each.lossy:
            found = "a JPEG, which leaves blocks of 8×8 pixels"
            fix = "export TIFF or PNG from the microscope, if there still is the original"
            yield Finding("lossy-image", NOTE, file, found, "an image as it was acquired", fix)
        if channels not in (None, each.channels):
            expected, fix = f"{channels}, as the network has", f"model.in_channels={each.channels}"
            yield Finding("channels", ERROR, file, f"{each.channels} channels", expected, fix)
        if each.shift:
            rows, columns = each.shift
            found = f"labels that fit their image better moved by {-rows} rows and {-columns} columns"
            fix = f"labels = np.roll(labels, ({-rows}, {-columns}), axis=(0, 1))"
            yield Finding("shifted-labels", WARNING, each.labels_file, found, "labels that lie on their image", fix)


def acquisition(facts: list[Facts]) -> Iterator[Finding]:
    """Images that differ from most others in how they were acquired."""
    for what, severity, fix in (
        ("dtype", NOTE, "save all images alike"),
        ("channels", ERROR, "save all images with the same channels"),
    ):
        by_value = defaultdict(list)
        for each in facts:
            by_value[getattr(each, what)].append(each)
        usual = max(by_value, key=lambda value: len(by_value[value]), default=None)
        for value, others in by_value.items():
            if value != usual:
                found = f"{what} {value} in {len(others)} of {len(facts)} slices"
                yield Finding(f"mixed-{what}", severity, others[0].file, found, f"{what} {usual} as in the others", fix)
    known = [each for each in facts if each.pixel_size]
    usual = float(np.median([each.pixel_size for each in known])) if known else 0
    for each in known:
        if not 0.8 < each.pixel_size / usual < 1.25:
            found, expected = f"{each.pixel_size:.4g} µm a pixel", f"about {usual:.4g}, as in most"
            fix = f"rescale image and labels by {each.pixel_size / usual:.3g}"
            yield Finding("pixel-size", WARNING, each.file, found, expected, fix)


def duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """The same image twice; and images of two groups of the split that nearly are the same.

    Args:
        facts: of each slice.
        group: of the slices that are in one, by name.
    """
    first: dict[str, Facts] = {}
    copies = set()
    for each in facts:
        other = first.setdefault(each.digest, each)
        if other is each or each.levels == 1:
            continue
        copies.add(each.name)
        found, one, two = f"the same image as {other.name}", group.get(other.name), group.get(each.name)
        code, severity = "duplicate", WARNING
        if one != two:
            code, severity, found = "duplicate-across-split", ERROR, f"{found}, one in {one} and one in {two}"
        yield Finding(code, severity, each.file, found, "each image once", "move one of the two out of the folder")
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
            found = f"nearly the same image as {nearest.name}, which is learnt from (correlation {likeness.max():.3f})"
            expected = f"an unseen image in {group[each.name]}"
            fix = "put both into one group: data.train=… data.validation=… data.held_out=…"
            yield Finding("near-duplicate", WARNING, each.file, found, expected, fix)


def neighbours(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Slices of one stack that follow each other, one learnt from and one not."""
    for one, next_one in pairwise(facts):
        groups = group.get(one.name), group.get(next_one.name)
        if one.source == next_one.source and None not in groups and "train" in groups and groups[0] != groups[1]:
            found = f"{one.name} in {groups[0]} and the next slice in {groups[1]}"
            expected = "a gap between what is learnt from and what is judged"
            fix = "leave a slice out between groups, such as data.train=0-19 data.validation=21-22 data.held_out=24-29"
            yield Finding("neighbouring-slices", WARNING, next_one.file, found, expected, fix)


def sizes(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Slices that are judged but of a size that none learnt from has: most likely of another microscope."""
    count = Counter(each.size for each in facts)
    if sum(number for number in count.values() if number > 1) < ALIKE_SIZES * len(facts):
        return  # each is cut in a size of its own, which says nothing
    learnt = {each.size for each in facts if group.get(each.name) == "train"}
    for each in facts:
        if group.get(each.name) in ("validation", "held_out") and each.size not in learnt:
            found = f"{'×'.join(map(str, each.size))} px in {group[each.name]}, a size of no training slice"
            fix = "if it is of another microscope, learn from it or leave it out: data.train=… data.held_out=…"
            expected = "slices of each kind among what is learnt from"
            yield Finding("size-not-learnt", WARNING, each.file, found, expected, fix)
