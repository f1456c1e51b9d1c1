"""Check that each image has its own labels and not those of another image."""

from collections import defaultdict
from collections.abc import Iterator

from src.data.agreement import CLEAR, agreements
from src.data.finding import WARNING, Finding
from src.findings.facts import Facts

AT_ONCE = 1000  # images that are compared with each other, in the order of their names
# Agreement of an image with its own labels over the best agreement, below which the labels are of another image. None
# of 630 real pairs (ISBI-2012, T98G, DSB 2018) is below it; with the labels of their neighbours all of them are.
OWN = 0.7


def of_another_image(facts: list[Facts]) -> Iterator[Finding]:
    """Find labels that fit another image of the same size clearly better than the image they belong to."""
    sizes = defaultdict(list)
    for each in facts:
        sizes[each.size].append(each)
    for alike in sizes.values():
        for start in range(0, len(alike), AT_ONCE):
            yield from _compared(alike[start : start + AT_ONCE])


def _compared(facts: list[Facts]) -> Iterator[Finding]:
    agreed = agreements([each.sketch for each in facts])
    for place, (each, row) in enumerate(zip(facts, agreed, strict=True)):
        best = int(row.argmax())
        own = max(
            row[place], agreed[best, best]
        )  # the labels of the best image must fit this one better than their own
        if own < row[best] - CLEAR and own < OWN * row[best]:
            agreeing = f"{row[best]:.2f} against {row[place]:.2f}"
            found = f"an image that the labels of {facts[best].name} fit better (agreement {agreeing})"
            fix = "see whether labels are numbered in another order than images, such as 1, 10, 2"
            yield Finding("labels-of-another", WARNING, each.labels_file, found, "labels of their own image", fix)
