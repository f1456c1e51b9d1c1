"""Check each image by itself, against the other images, and for duplicates."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from src.data.agreement import Offset
from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.findings.facts import Choices, Facts
from src.findings.meanings import folder_of
from src.findings.split import USES, used

SATURATED = 0.1  # a larger share of saturated pixels is reported
CUT_OFF = 0.2  # a larger share of clipped grey values of cells is reported
FEWEST_PIECES = 5  # least number of pieces in a label image for a shift to be reported for that image alone
# A shift is reported for all images if at least 5 images have it, and at least 0.7 of those with a measured shift.
FEWEST_SHIFTED = 5
MOST_SHIFTED = 0.7
ALIKE_SIZES = 0.8  # sizes are compared only if at least this share of the images share their size with another image


def each_image(facts: list[Facts], choices: Choices) -> Iterator[Finding]:
    """Check the grey values, file format, size and number of channels of each image."""
    channels = choices.channels
    for each in facts:
        yield from _grey_values(each)
        if each.lossy:
            found, expected = "a JPEG, whose compression changes blocks of 8×8 pixels", "an image as it was acquired"
            fix = "export TIFF or PNG from the microscope if the original still exists"
            yield Finding("lossy-image", NOTE, each.file, found, expected, fix)
        if min(each.size) < 2:
            found, expected = f"a line of {each.size[0]}×{each.size[1]} px", "an image of at least 2×2 px"
            fix = "acquire images; a line cannot be mirrored at its border"
            yield Finding("line", ERROR, each.file, found, expected, fix)
        if each.clipped > CUT_OFF:
            found = f"{each.clipped:.0%} of the grey values of cells outside the range that is scaled to [0, 1]"
            fix = "scaling=objects" if choices.scaling != "objects" else "see whether dust is brighter than the cells"
            yield Finding("cut-off", WARNING, each.file, found, "cells within the range", fix)
        if channels not in (None, each.channels) and not (each.grey and channels in (1, 3)):
            found, fix = f"{each.channels} channels", f"model.in_channels={each.channels}"
            yield Finding("channels", ERROR, each.file, found, f"{channels}, as the network has", fix)


def _grey_values(each: Facts) -> Iterator[Finding]:
    """Check the grey values of one image."""
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
        fix = "acquire with less exposure; saturated pixels cannot be told apart"
        yield Finding("saturated", WARNING, each.file, found, expected, fix)


def shifted(facts: list[Facts]) -> Iterator[Finding]:
    """Report labels that are shifted from their image.

    If most images have the same shift, it is reported once; otherwise, each clearly shifted image is reported.
    """
    measured = [(each, each.shift) for each in facts if each.shift]
    if not measured:
        return
    rows = round(float(np.median([shift.rows for _, shift in measured])))
    columns = round(float(np.median([shift.columns for _, shift in measured])))
    together = [each for each, shift in measured if _is_shifted_by(shift, rows, columns)]
    expected = "labels that lie on their image"
    fix = "export the labels again from the image that was annotated; they are ({}, {}) px (rows, columns) off"
    if len(together) >= max(FEWEST_SHIFTED, MOST_SHIFTED * len(measured)):
        found = f"labels shifted by ({rows}, {columns}) px (rows, columns) in {len(together)} of {len(facts)} images"
        yield Finding("shifted-labels", WARNING, folder_of(together), found, expected, fix.format(rows, columns))
        return
    for each, shift in measured:
        if shift.sure and each.labels.pieces >= FEWEST_PIECES:
            found = f"labels shifted by ({shift.rows}, {shift.columns}) px (rows, columns)"
            exact = fix.format(shift.rows, shift.columns)
            yield Finding("shifted-labels", WARNING, each.labels_file, found, expected, exact)


def _is_shifted_by(shift: Offset, rows: int, columns: int) -> bool:
    """Return whether a shift equals ``(rows, columns)`` within its precision, and exceeds that precision."""
    apart = max(abs(shift.rows - rows), abs(shift.columns - columns))
    return apart <= 1 + shift.step < max(abs(rows), abs(columns))


def grey_colours(facts: list[Facts], count: int) -> Finding:
    """Report grey images that were saved with equal red, green and blue, and are read as one channel.

    Args:
        facts: the facts of these images.
        count: the number of all images.
    """
    found = f"{len(facts)} of {count} images grey, but saved as {facts[0].channels} equal channels"
    return Finding("grey-as-colour", NOTE, facts[0].file, found, "one channel; they are read as one", "nothing")


def acquisition(facts: list[Facts]) -> Iterator[Finding]:
    """Report images whose dtype, number of channels or pixel size differs from that of most images."""
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
                found = f"{attribute} {value} in {len(others)} of {len(facts)} images"
                expected = f"{attribute} {usual} as in the others"
                yield Finding(f"mixed-{attribute}", severity, others[0].file, found, expected, fix)
    known = [(each, each.pixel_size) for each in facts if each.pixel_size]
    median = float(np.median([size for _, size in known])) if known else 0
    for each, size in known:
        factor = size / median
        if not 0.8 < factor < 1.25:
            found, fix = f"{size:.4g} µm a pixel", f"rescale image and labels by {factor:.3g}"
            yield Finding("pixel-size", WARNING, each.file, found, f"about {median:.4g}, as in most images", fix)


def duplicates(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Report identical images, as an error if they are in different groups of the split (data leakage).

    Args:
        facts: the facts of all images.
        group: group of the split (train, validation or held_out) by image name.
    """
    by_digest: dict[str, Facts] = {}
    for each in facts:
        other = by_digest.setdefault(each.digest, each)
        if other is each or each.levels == 1:
            continue
        first, second = group.get(other.name), group.get(each.name)
        code, severity, found = "duplicate", WARNING, f"the same image as {other.name}"
        if first and second and first != second:
            code, severity = f"{code}-across-split", ERROR
            found += f"; one is {used(first)}, the other {used(second)}"
        yield Finding(code, severity, each.file, found, "each image once", "move one of the two out of the folder")


def sizes(facts: list[Facts], group: dict[str, str]) -> Iterator[Finding]:
    """Report validation and held-out images of a size that no training image has, perhaps from another microscope.

    Args:
        facts: the facts of all images.
        group: group of the split (train, validation or held_out) by image name.
    """
    count = Counter(each.size for each in facts)
    if sum(number for number in count.values() if number > 1) < ALIKE_SIZES * len(facts):
        return  # most images have a size of their own, as after cropping
    trained = {each.size for each in facts if group.get(each.name) == "train"}
    fix = "if it is of another microscope, train on it too or leave it out: data.train=… data.held_out=…"
    for each in facts:
        if group.get(each.name) in ("validation", "held_out") and each.size not in trained:
            found = f"{'×'.join(map(str, each.size))} px, a size that no training image has"
            expected = f"training images of the same kind as each {USES[group[each.name]]} image"
            yield Finding("size-not-learnt", WARNING, each.file, found, expected, fix)
