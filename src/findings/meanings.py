"""Report how labels were interpreted: their kind, values, colours and files."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.colours import LABELMAP
from src.data.finding import ERROR, NOTE, WARNING, Finding
from src.data.folder import Meaning
from src.data.numbers import unpacked
from src.data.patterns import NAME
from src.files.names import stem
from src.findings.facts import Choices, Facts

EXPERIMENTS = {"boundary": "membranes", "classes": "classes", "instances": "cells", "binary": "cells"}
TEXTURED = 1.2  # least texture of cells relative to the background, see `agreement.texture`
OVERLAP_OF_TWO = 0.75  # overlap above which files are annotations of the same cells by two people, not two classes


def judgements(
    facts: list[Facts], meaning: Meaning, choices: Choices, void: int | None, root: str = ""
) -> Iterator[Finding]:
    """Report how labels were interpreted where the user may disagree, with the option that changes it.

    Args:
        facts: the facts of all images.
        meaning: what the labels mean.
        choices: the settings that the data must fit.
        void: a label value that may mark unannotated pixels, or None.
        root: the data set's folder, to which proposed patterns of paths are relative.
    """
    folder, values = folder_of(facts), {value for each in facts for value in each.labels.counts}
    if void is not None:
        share = np.mean([each.labels.counts.get(void, 0) / (each.size[0] * each.size[1]) for each in facts])
        found = f"{void} in {share:.1%} of the pixels, beside {few(values - {void})}"
        expected = f"a class, unless {void} marks unannotated pixels"
        yield Finding("void-label", NOTE, folder, found, expected, f"data.source.ignore_label={void}")
    if meaning.in_colours:
        yield from _colours(facts, meaning, folder)
    elif choices.values is None:
        yield from _kinds(meaning, values, folder, asked=choices.wanted.kind != "auto")
        yield from _ground(facts, meaning, values, folder)
        yield from _exchanged(facts, meaning)
    yield from _overlaps(facts, folder, choices, Path(root))


def _kinds(meaning: Meaning, values: set[int], folder: str, asked: bool) -> Iterator[Finding]:
    """Report each peculiarity of the labels that led to the choice of their kind.

    Args:
        meaning: what the labels mean.
        values: all label values that occur.
        folder: the folder that the findings name.
        asked: whether the configuration sets the kind.
    """
    kind, reasons = meaning.judgement.kind, meaning.judgement.reasons
    if "few-numbers" in reasons and not asked:
        classes = f"experiment=classes data.source.kind=classes model.classes={len(values | {0})}"
        cells = "experiment=cells data.source.kind=instances"
        first, second = (cells, classes) if kind == "instances" else (classes, cells)
        found, expected = f"the numbers {few(values - {0})}, each in one piece", READ_AS[kind]
        yield Finding("few-numbers", NOTE, folder, found, expected, f"{first}, or {second}")
    if "thin-pieces" in reasons and not asked:
        fix = "experiment=classes data.source.kind=classes, or experiment=cells data.source.kind=binary"
        yield Finding("thin-pieces", NOTE, folder, "long thin pieces, as of vessels or fibres", READ_AS[kind], fix)
    white = max(values)
    if "white-lines" in reasons and (kind == "boundary" or not asked):
        exchanged = meaning.judgement.values is not None
        found = f"a net of thin lines of {white} around cells of 0"
        expected = "membranes of 0; the lines are read as membranes" if exchanged else "membranes of 0"
        fix = f"data.source.values=[{white},0]; to segment the lines: experiment=classes data.source.kind=classes"
        yield Finding("inverted-labels", WARNING, folder, found, expected, fix)
    if "mixed-mask" in reasons:
        found = f"masks in which the foreground is {' and '.join(map(str, sorted(values - {0})))}"
        yield Finding("mixed-mask", NOTE, folder, found, "one value; they are read as one", "nothing")
    if "no-zero" in reasons and kind in ("binary", "boundary") and meaning.judgement.values:
        ground, other = meaning.judgement.values
        found, expected = f"the values {ground} and {other}, and no 0", f"background; {ground} is read as background"
        yield Finding(
            "no-zero", NOTE, folder, found, expected, f"data.source.values=[{other},{ground}] takes the other"
        )


def _ground(facts: list[Facts], meaning: Meaning, values: set[int], folder: str) -> Iterator[Finding]:
    """Report masks with compact regions of 0 that seem to be cells, because the foreground has little texture.

    Args:
        facts: the facts of all images.
        meaning: what the labels mean.
        values: all label values that occur.
        folder: the folder that the findings name.
    """
    known = [each.texture for each in facts if each.texture is not None]
    if "white-ground" not in meaning.judgement.reasons or meaning.judgement.kind not in ("binary", "boundary"):
        return
    if known and np.median(known) < TEXTURED:
        white = max(values)
        found, expected = f"compact pieces of 0 in one piece of {white}", "0 outside of cells"
        fix = f"data.source.values=[{white},0], if the pieces are the cells"
        yield Finding("inverted-labels", WARNING, folder, found, expected, fix)


def _exchanged(facts: list[Facts], meaning: Meaning) -> Iterator[Finding]:
    """Report single masks whose foreground and background seem exchanged, by their shapes and by brightness."""
    reported = {"white-ground", "white-lines"} & set(meaning.judgement.reasons)
    if reported or meaning.judgement.kind not in ("binary", "boundary"):
        return
    brighter = {
        each.name: each.cells - each.background
        for each in facts
        if each.cells is not None and each.background is not None
    }
    usual = np.sign(np.median([*brighter.values()])) if brighter else 0
    for each in facts:
        if (each.labels.has_blobs or each.labels.is_net) and usual * brighter.get(each.name, 0) < 0:
            found, expected = "0 in cells, and another value around them", "0 outside of cells, as in most files"
            fix = "export this mask again; its two values are exchanged"
            yield Finding("inverted-labels", WARNING, each.labels_file, found, expected, fix)


READ_AS = {
    "instances": "cells; they are read as cells",
    "classes": "classes; they are read as classes",
    "binary": "pieces; they are read as pieces",
    "boundary": "membranes; they are read as membranes",
}


def _colours(facts: list[Facts], meaning: Meaning, folder: str) -> Iterator[Finding]:
    """Report the colour table of the labels, and label files with colours that are not in the table."""
    values, names = meaning.judgement.values or (0,), meaning.legend.names
    if meaning.judgement.kind != "classes":
        found, expected = "a colour for each cell", f"cells on {unpacked(values[0])}; they are read as cells"
        fix = "data.source.kind=classes, if a colour is a class"
        yield Finding("colour-labels", NOTE, folder, found, expected, fix)
        return
    fix = f"a file {LABELMAP} with a line for each sets names and order, such as {colours.line('cell', values[-1])}"
    expected = READ_AS["classes"]
    yield Finding("colour-labels", NOTE, folder, f"colours: {colours.shown(values, names)}", expected, fix)
    for each in facts:
        other = sorted(set(each.labels.counts) - set(values)) if each.in_colours else []
        if other:
            found = f"{len(other)} more colours, such as {unpacked(other[0])}"
            fix = f"correct the labels, or add a line to {LABELMAP}, such as {colours.line('other', other[0])}"
            expected = f"the colours {', '.join(str(unpacked(value)) for value in values)}"
            yield Finding("unexpected-value", ERROR, each.labels_file, found, expected, fix)


def _overlaps(facts: list[Facts], folder: str, choices: Choices, root: Path) -> Iterator[Finding]:
    """Report images with several label files that cover the same pixels.

    Args:
        facts: the facts of all images.
        folder: the folder that the findings name.
        choices: the settings that the data must fit.
        root: the data set's folder, to which proposed patterns of paths are relative.
    """
    drawn = [each for each in facts if each.overlap]
    if not drawn:
        return
    share = float(np.mean([each.overlap for each in facts]))
    classes = drawn[0].form.classes
    found = f"{share:.1%} of what was drawn in several files"
    if classes and share > OVERLAP_OF_TWO:
        severity = ERROR if choices.wanted.classes is None else WARNING
        keys = [f"data.source.labels={shlex.quote(each)}" for each in _patterns(drawn[0], root)]
        fix = f"{' or '.join(keys)}; data.source.classes=[{','.join(classes)}] makes them classes"
        expected = "a class per file, not the annotations of several people"
        yield Finding("overlapping-files", severity, folder, found, expected, fix)
    elif classes:
        expected = f"one class per pixel; of {', '.join(classes)} the later one is used"
        fix = f"data.source.classes=[{','.join(reversed(classes))}] reverses the order"
        yield Finding("overlapping-files", NOTE, folder, found, expected, fix)
    else:
        expected = "one cell per pixel; that of the later file is used"
        yield Finding("overlapping-files", NOTE, folder, found, expected, "nothing, if that is meant")


def _patterns(facts: Facts, root: Path) -> list[str]:
    """Return a pattern of paths, such as ``labels/{name}_nucleus.*``, for each label file of an image."""
    name = stem(Path(facts.file))
    paths = [part.with_suffix("") for part in facts.form.parts]
    return [
        (path.relative_to(root) if path.is_relative_to(root) else path)
        .with_name(path.name.replace(name, NAME, 1) + ".*")
        .as_posix()
        for path in paths
    ]


def folder_of(facts: list[Facts]) -> str:
    """Return the folder of the label file of the first image."""
    return str(Path(facts[0].labels_file).parent)


def few(values: Iterable[int]) -> str:
    """Format the lowest 8 values for a message."""
    values = sorted(values)
    return ", ".join(map(str, values[:8])) + ("…" if len(values) > 8 else "")
