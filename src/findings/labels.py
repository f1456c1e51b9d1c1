"""Check labels: their values, their kind, sizes of cells, and shares of classes."""

from collections import defaultdict
from collections.abc import Iterator
from math import floor
from pathlib import Path

from src.data.colours import mixed, odd_ones
from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.folder import Meaning
from src.data.kinds import KINDS, infer
from src.findings.facts import Choices, Facts
from src.findings.meanings import EXPERIMENTS, few, folder_of
from src.tiles.geometry import margin, nearest_valid_sides

DEEPEST = 5  # largest depth that is proposed for a network: each level has four times the weights of the previous one
RARE = 0.01  # share of pixels below which a class is rare
FEW_THIN = 0.05  # up to this share of cells, thin cells are reported as a note instead of a warning
MOST_PICTURE = 0.05  # with more pieces per pixel, a label file holds a picture and not labels


def wrong_values(facts: list[Facts], meaning: Meaning, choices: Choices) -> Iterator[Finding]:
    """Report label values that cannot be intended; callers should not check label images with such errors further."""
    for each in odd_ones(facts):
        yield mixed(Path(each.labels_file), each.in_colours)
    nothing = all(set(each.labels.counts) == {0} for each in facts)
    for each in facts:
        yield from _wrong_value(each, meaning, choices.ignore_label, nothing)
    if nothing:
        fix = "export the labels again; 0 is background"
        yield Finding("nothing-annotated", ERROR, folder_of(facts), "background in all labels", "annotated cells", fix)
    if choices.ignore_label is not None and not any(each.ignored for each in facts):
        found, expected = f"no pixel of ignore_label={choices.ignore_label}", "unannotated pixels"
        yield Finding("no-ignored-pixels", WARNING, folder_of(facts), found, expected, "data.source.ignore_label=null")


def _wrong_value(each: Facts, meaning: Meaning, ignore_label: int | None, nothing: bool) -> Iterator[Finding]:
    """Report the first problem of the values in one label image.

    Args:
        each: the facts of the image and its labels.
        meaning: what the labels of the data set mean.
        ignore_label: the label value of unannotated pixels; None: all pixels are annotated.
        nothing: whether all label images are empty, so that a single empty one is not reported.
    """
    counts, file = each.labels.counts, each.labels_file
    if min(counts) < 0:
        fix = f"data.source.ignore_label={min(counts)}, if these pixels are unannotated"
        yield Finding("negative-label", ERROR, file, _histogram(counts), "labels from 0", fix)
    elif each.in_colours:
        return
    elif each.labels.smoothed:
        found = f"values between those that were drawn: {_histogram(counts)}"
        fix = "resize labels with nearest neighbours and save no JPEG; labels > 127 repairs a mask"
        yield Finding("smoothed-label", ERROR, file, found, "labels as they were drawn", fix)
    elif each.labels.wrapped:
        cells = each.labels.pieces
        found, expected = f"{cells} pieces, but numbers up to 255 only", "a number of its own for each cell"
        fix = "export the labels again with 16 bits; with 8 bits numbers start again at 0 after 255"
        yield Finding("wrapped-label", ERROR, file, found, expected, fix)
    elif each.labels.pieces > MOST_PICTURE * each.size[0] * each.size[1] and len(counts) > 4:
        found = f"{len(counts)} values in {each.labels.pieces} pieces"
        fix = "see whether images and labels were exchanged"
        yield Finding("label-is-picture", ERROR, file, found, "labels", fix)
    elif each.labels.interpolated:
        found = f"numbers between those of neighbours along most edges: {_histogram(counts)}"
        fix = "resize labels with nearest neighbours: skimage.transform.resize(labels, shape, order=0)"
        yield Finding("interpolated-label", ERROR, file, found, "labels as they were drawn", fix)
    elif each.ignored == 1:
        found, fix = f"only pixels of ignore_label={ignore_label}", "move it out of the folder"
        yield Finding("nothing-known", WARNING, file, found, "annotated pixels", fix)
    elif set(counts) == {0} and not nothing:
        fix = "move it out of the folder, unless there really is nothing in the image"
        yield Finding("empty-label", WARNING, file, "background only", "annotated cells", fix)
    elif 0 not in counts and not each.ignored and meaning.judgement.values is None:
        fix = "see whether numbers start at 1 for background, or set data.source.kind=classes"
        yield Finding("no-background", WARNING, file, _histogram(counts), "some background, which is 0", fix)


def wrong_kind(facts: list[Facts], meaning: Meaning, choices: Choices) -> Iterator[Finding]:
    """Report labels that seem to be of another kind than configured, or whose classes do not fit the network."""
    kind, folder, likely = meaning.judgement.kind, folder_of(facts), infer([each.labels for each in facts])
    counted = {value for each in facts for value in each.labels.counts if value != 0}
    if kind == "classes":
        yield from _classes(facts, meaning, choices)
    elif choices.classes not in (None, 2):
        found = f"labels of kind {kind}, which have two classes"
        expected = f"{choices.classes} classes, as the network has"
        fix = "model.classes=2, or data.source.kind=classes"
        yield Finding("unused-class", WARNING, folder, found, expected, fix)
    if kind == "instances":
        yield from _numbers(facts)
    if meaning.in_colours or choices.wanted.kind == "auto" or likely.kind == kind or "few-numbers" in likely.reasons:
        return
    if kind == "classes" and likely.kind == "instances":
        found, fix = f"{len(counted)} values, each in one piece: numbered cells", "data.source.kind=instances"
        yield Finding("instances-as-classes", WARNING, folder, found, "values of classes", fix)
    elif kind == "instances" and likely.kind == "classes":
        found, fix = f"the values {few(counted)}, each in many pieces: classes", "data.source.kind=classes"
        yield Finding("classes-as-instances", WARNING, folder, found, "a number for each cell", fix)
    elif kind in ("binary", "boundary") and len(counted) > 1 and not choices.values and likely.kind not in KINDS[:2]:
        found, fix = f"{len(counted)} values beside 0, all read as one class", f"data.source.kind={likely.kind}"
        yield Finding(f"{likely.kind}-as-{kind}", WARNING, folder, found, "0 and one other value", fix)


def _classes(facts: list[Facts], meaning: Meaning, choices: Choices) -> Iterator[Finding]:
    values = meaning.judgement.values or (0,)
    for each in facts if len(values) > 1 and not meaning.in_colours else ():
        wrong = set(each.labels.counts) - set(values)
        if wrong - {0} or (wrong and not each.ignored):
            found = _histogram(each.labels.counts)
            fix = "correct the labels, or list all values: data.source.values=[0,1,…]"
            yield Finding("unexpected-value", ERROR, each.labels_file, found, f"the values {few(values)}", fix)
    classes = max(2, len(values))
    if choices.classes not in (None, classes):
        code, severity = ("more-classes", ERROR) if classes > choices.classes else ("unused-class", WARNING)
        expected, fix = f"{choices.classes}, as the network has", f"model.classes={classes}"
        yield Finding(code, severity, folder_of(facts), f"{classes} classes", expected, fix)


def _numbers(facts: list[Facts]) -> Iterator[Finding]:
    """Report label images in which several cells share a number, or one cell has several pieces."""
    for each in facts:
        values, pieces = [value for value in each.labels.counts if value != 0], each.labels.pieces
        if len(values) > 1 and each.scattered:
            found = f"{each.scattered} of {len(values)} numbers in several pieces"
            fix = "see whether there are stray pixels, or two cells have the same number"
            yield Finding("cell-in-pieces", NOTE, each.labels_file, found, "each cell in one piece", fix)
        if len(values) == 1 and pieces > 2:
            found, expected = f"{pieces} cells, all numbered {values[0]}", "a number for each cell, as in other files"
            fix = "labels = skimage.measure.label(labels)"
            yield Finding("one-number-many-cells", WARNING, each.labels_file, found, expected, fix)


def object_sizes(facts: list[Facts], kind: str, choices: Choices) -> Iterator[Finding]:
    """Report cells wider than the network's field of view, below ``min_size``, or too thin to have an interior."""
    if kind not in ("instances", "binary"):
        return
    field = 2 * margin(choices.depth, choices.padded)
    for each in facts:
        area = each.labels.area
        if each.width > field:
            found, expected = f"a cell {each.width} px wide", f"at most {field} px, the field of view of the network"
            fix = larger_field(each.width, min(each.size), choices)
            yield Finding("large-object", WARNING, each.labels_file, found, expected, fix)
        if 0 < area < choices.min_size:
            expected = f"at least instances.min_size={choices.min_size}, below which predicted cells are removed"
            fix = f"instances.min_size={int(area / 3)}"
            yield Finding("small-object", WARNING, each.labels_file, f"cells of {area:.0f} px", expected, fix)
        if each.thin:
            found = f"{each.thin} of {each.labels.cells} cells too thin to have an inside"
            expected, fix = "an inside of each cell, by which the target separates cells", "target=classes"
            severity = WARNING if each.thin > FEW_THIN * each.labels.cells else NOTE
            yield Finding("thin-object", severity, each.labels_file, found, expected, fix)


def larger_field(width: int, side: int, choices: Choices) -> str:
    """Propose how the network can see a whole cell: a greater depth, if the image allows it, or downscaled images.

    Args:
        width: width of the cell in pixels.
        side: shorter side of the image in pixels.
        choices: the settings of the network.

    Returns:
        The proposal, as text for the ``fix`` of a finding.
    """
    scale = floor(200 * margin(choices.depth, choices.padded) / width) / 100
    smaller = f"scale images and labels by {max(scale, 0.01):.2f}"
    for depth in range(choices.depth + 1, DEEPEST + 1):
        if 2 * margin(depth, choices.padded) >= width and nearest_valid_sides(1, depth, choices.padded)[0] <= side:
            return f"model.depth={depth}, or {smaller}"
    return smaller


def balance(facts: list[Facts], kind: str, choices: Choices, group: dict[str, str]) -> Iterator[Finding]:
    """Report classes that are rare, or that do not occur in the training images.

    Args:
        facts: the facts of all images.
        kind: kind of the labels, one of `kinds.KINDS`.
        choices: the settings that the data must fit, with the label values of the classes.
        group: group of the split (train, validation or held_out) by image name.
    """
    shares = class_shares(facts, kind, choices)
    for number, share in shares.items():
        if 0 < share < RARE:
            found, fix = f"class {number} in {share:.2%} of the pixels", "data.foreground=0.5 weight_map.balance=true"
            yield Finding("rare-class", NOTE, folder_of(facts), found, f"at least {RARE:.0%}", fix)
    trained = class_shares([each for each in facts if group.get(each.name) == "train"], kind, choices)
    for number in shares:
        if group and shares[number] and not trained.get(number):
            found, expected = f"class {number} in no training image", "each class in the training images"
            fix = "choose the split: data.train=… data.validation=… data.held_out=…"
            yield Finding("class-not-learnt", WARNING, folder_of(facts), found, expected, fix)


def class_shares(facts: list[Facts], kind: str, choices: Choices) -> dict[int, float]:
    """Return the share of the annotated pixels that each class covers, by class number."""
    pixels: dict[int, float] = defaultdict(float)
    for each in facts:
        for value, count in each.labels.counts.items():
            # Unannotated pixels count as 0 in the description.
            annotated = count - (each.ignored * each.size[0] * each.size[1] if value == 0 else 0)
            pixels[_class_of(value, kind, choices.values)] += annotated
    for number in range(len(choices.values or ()) if kind == "classes" else 0):
        pixels[number] += 0  # include classes that do not occur
    total = sum(pixels.values()) or 1
    return {number: pixels[number] / total for number in sorted(pixels)}


def _class_of(value: int, kind: str, values: tuple[int, ...] | None) -> int:
    """Return the class that a label value stands for.

    Args:
        value: the label value.
        kind: kind of the labels, one of `kinds.KINDS`.
        values: label values of class 0, 1, …; None: class numbers if ``kind`` is classes, else 0 is background.
    """
    if values is None:
        return value if kind == "classes" else int(value != 0)
    if kind == "classes" and len(values) > 1:
        return values.index(value) if value in values else value
    return int(value != values[0] if len(values) == 1 or kind == "instances" else value in values[1:])


def other_metrics(facts: list[Facts], kind: str, choices: Choices) -> Iterator[Finding]:
    """Report if the configured scores lack the main score for this kind of labels (V-Rand, IoU or F1)."""
    wanted = {"boundary": "v_rand", "classes": "iou"}.get(kind, "f1_50")
    if choices.metrics and wanted not in choices.metrics:
        found = f"labels of kind {kind}, scored by {', '.join(choices.metrics[:3])}"
        fix = f"experiment={EXPERIMENTS[kind]}"
        yield Finding("other-metrics", WARNING, folder_of(facts), found, f"scores such as {wanted}", fix)


def _histogram(counts: dict[int, int]) -> str:
    """Format the label values with their shares of the pixels, most frequent first."""
    total = sum(counts.values())
    most = sorted(counts, key=lambda value: counts[value], reverse=True)
    shown = ", ".join(f"{value}: {counts[value] / total:.1%}" for value in most[:6])
    return shown + (f" and {len(most) - 6} more values" if len(most) > 6 else "")
