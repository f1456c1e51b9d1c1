"""What is wrong with images: with one by itself, with one among the others, or with one and its copy."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.findings.facts import Choices, Facts
from src.findings.meanings import folder_of

SATURATED = 0.1  # share of such pixels that is worth a word
CUT_OFF = 0.2  # share of the grey values of cells that is worth a word
FEWEST_PIECES = 5  # of labels, from which those of one image alone tell that they are shifted
FEWEST_SHIFTED = 5  # images that tell together of a shift by the same …
MOST_SHIFTED = 0.7  # … and share of those that tell anything
ALIKE_SIZES = 0.8  # share of slices whose size is not theirs alone, from which sizes tell microscopes apart


def each_image(facts: list[Facts], choices: Choices) -> Iterator[Finding]:
    """Find what is wrong with an image by itself, beside its labels, and for what training will do.

    Args:
        facts: of each slice.
        choices: what training will do.
    """
    channels = choices.channels
    for each in facts:
        if not each.finite:
            fix = "np.nan_to_num(image), or leave it out"
            yield Finding("nan", ERROR, each.file, "NaN or infinity", "finite grey values", fix)
        elif each.levels == 1:
            fix = "move it out of the folder"
            yield Finding("constant-image", WARNING, each.file, "one grey value", "a picture", fix)
        elif each.is_its_labels:
            fix = "copy the image again, which was overwritten by its labels"
            yield Finding("image-is-its-labels", ERROR, each.file, "the same pixels as in its labels", "a picture", fix)
        elif each.levels < 5:
            found, fix = f"{each.levels} different grey values", "see whether it is a mask; copy the image again"
            yield Finding("few-grey-values", WARNING, each.file, found, "a picture", fix)
        if each.saturated > SATURATED and each.levels > 4:
            found = f"{each.saturated:.0%} of the pixels at the largest value"
            expected = "grey values below the camera's limit"
            fix = "acquire with less exposure; what is saturated cannot be told apart"
            yield Finding("saturated", WARNING, each.file, found, expected, fix)
        if each.lossy:
            found, expected = "a JPEG, which leaves blocks of 8×8 pixels", "an image as it was acquired"
            fix = "export TIFF or PNG from the microscope, if there still is the original"
            yield Finding("lossy-image", NOTE, each.file, found, expected, fix)
        if min(each.size) < 2:
            found, expected = f"{each.size[0]}×{each.size[1]} px, a line", "an image of at least 2×2 px"
            fix = "acquire images; what a line lacks is mirrored at its border, and it has none"
            yield Finding("line", ERROR, each.file, found, expected, fix)
        if each.clipped > CUT_OFF:
            found = f"{each.clipped:.0%} of the grey values of cells cut off, when they are scaled to [0, 1]"
            fix = "scaling=objects" if choices.scaling != "objects" else "see whether dust outshines the cells"
            yield Finding("cut-off", WARNING, each.file, found, "cells with grey values of their own", fix)
        if channels not in (None, each.channels) and not (each.grey and channels in (1, 3)):
            found, fix = f"{each.channels} channels", f"model.in_channels={each.channels}"
            yield Finding("channels", ERROR, each.file, found, f"{channels}, as the network has", fix)


def shifted(facts: list[Facts]) -> Iterator[Finding]:
    """Find labels that lie beside their image: those of one image, or all of them by the same.

    Args:
        facts: of each slice.
    """
    told = [each for each in facts if each.shift]
    if not told:
        return
    rows = round(float(np.median([each.shift.rows for each in told])))
    columns = round(float(np.median([each.shift.columns for each in told])))
    together = [each for each in told if _beside(each, rows, columns)]
    expected = "labels that lie on their image"
    fix = "export the labels again from the image that was annotated; they lie ({}, {}) px (rows, columns) off"
    if len(together) >= max(FEWEST_SHIFTED, MOST_SHIFTED * len(told)):
        found = f"labels that lie ({rows}, {columns}) px (rows, columns) beside their image, in {len(together)} of "
        found, fixed = f"{found}{len(facts)} slices", fix.format(rows, columns)
        yield Finding("shifted-labels", WARNING, folder_of(together), found, expected, fixed)
        return
    for each in told:
        if each.shift.sure and each.labels.pieces >= FEWEST_PIECES:
            off = each.shift.rows, each.shift.columns
            found = f"labels that lie ({off[0]}, {off[1]}) px (rows, columns) beside their image"
            yield Finding("shifted-labels", WARNING, each.labels_file, found, expected, fix.format(*off))


def _beside(each: Facts, rows: int, columns: int) -> bool:
    """Whether labels lie so many rows and columns beside their image, and clearly so."""
    apart = max(abs(each.shift.rows - rows), abs(each.shift.columns - columns))
    return apart <= 1 + each.shift.step < max(abs(rows), abs(columns))


def grey_colours(facts: list[Facts], count: int) -> Finding:
    """Tell of grey images that were saved as equal red, green and blue; a network takes them as one channel."""
    found = f"{len(facts)} of {count} slices grey, but saved as {facts[0].channels} equal channels"
    return Finding("grey-as-colour", NOTE, facts[0].file, found, "one channel, which is taken", "nothing")


def acquisition(facts: list[Facts]) -> Iterator[Finding]:
    """Find images that differ from most others in how they were acquired."""
    for attribute, severity, fix in (
        ("dtype", NOTE, "save all images alike"),
        ("channels", ERROR, "save all images with the same channels"),
    ):
        by_value = defaultdict(list)
        for each in facts:
            by_value[getattr(each, attribute)].append(each)
        usual = max(by_value, key=lambda value: len(by_value[value]), default=None)
        for value, others in by_value.items():
            if value != usual:
                found = f"{attribute} {value} in {len(others)} of {len(facts)} slices"
                expected = f"{attribute} {usual} as in the others"
                yield Finding(f"mixed-{attribute}", severity, others[0].file, found, expected, fix)
    known = [each for each in facts if each.pixel_size]
    usual = float(np.median([each.pixel_size for each in known])) if known else 0
    for each in known:
        factor = each.pixel_size / usual
        if not 0.8 < factor < 1.25:
            found, fix = f"{each.pixel_size:.4g} µm a pixel", f"rescale image and labels by {factor:.3g}"
            yield Finding("pixel-size", WARNING, each.file, found, f"about {usual:.4g}, as in most", fix)


def duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Find images that are there twice, which is an error if one is learnt from and the other one judged.

    Args:
        facts: of each slice.
        group: of the split, by the name of the slice.
    """
    first: dict[str, Facts] = {}
    for each in facts:
        other = first.setdefault(each.digest, each)
        if other is each or each.levels == 1:
            continue
        groups = group.get(other.name), group.get(each.name)
        code, severity, found = "duplicate", WARNING, f"the same image as {other.name}"
        if groups[0] != groups[1]:
            code, severity, found = f"{code}-across-split", ERROR, f"{found}, one in {groups[0]} and one in {groups[1]}"
        yield Finding(code, severity, each.file, found, "each image once", "move one of the two out of the folder")


def sizes(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Find slices that are judged but of a size that none learnt from has: most likely of another microscope.

    Args:
        facts: of each slice.
        group: of the split, by the name of the slice.
    """
    count = Counter(each.size for each in facts)
    if sum(number for number in count.values() if number > 1) < ALIKE_SIZES * len(facts):
        return  # each is cut in a size of its own, which says nothing
    learnt = {each.size for each in facts if group.get(each.name) == "train"}
    fix = "if it is of another microscope, learn from it or leave it out: data.train=… data.held_out=…"
    for each in facts:
        if group.get(each.name) in ("validation", "held_out") and each.size not in learnt:
            found = f"{'×'.join(map(str, each.size))} px in {group[each.name]}, a size of no training slice"
            expected = "slices of each kind among what is learnt from"
            yield Finding("size-not-learnt", WARNING, each.file, found, expected, fix)
