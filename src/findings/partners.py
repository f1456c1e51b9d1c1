"""What is wrong with which labels belong to which image."""

from collections import defaultdict
from collections.abc import Iterator

from src.data.agreement import CLEAR, agreements
from src.data.finding import WARNING, Finding
from src.findings.facts import Facts

AT_ONCE = 1000  # images in the order of their names that are compared with each other
# Share of the best agreement that an image has with its own labels, below which they are of another one. None of 630
# real pairs (ISBI-2012, T98G, DSB 2018) falls below it; with the labels of their neighbours all of them do.
OWN = 0.7


def of_another_image(facts: list[Facts]) -> Iterator[Finding]:
    """Find labels that fit another image of the same size clearly better than their own."""
    sizes = defaultdict(list)
    for each in facts:
        sizes[each.size].append(each)
    for alike in sizes.values():
        for start in range(0, len(alike), AT_ONCE):
            yield from _compared(alike[start : start + AT_ONCE])


def _compared(facts: list[Facts]) -> Iterator[Finding]:
    agreed = agreements([each.sketch for each in facts])
    for place, (each, row) in enumerate(zip(facts, agreed, strict=True)):
        best, own = int(row.argmax()), max(row[place], agreed[row.argmax(), row.argmax()])
        if own < row[best] - CLEAR and own < OWN * row[best]:  # and these labels fit that image worse than this one
            agreeing = f"{row[best]:.2f} against {row[place]:.2f}"
            found = f"an image that the labels of {facts[best].name} fit better ({agreeing})"
            fix = "see whether labels were numbered in another order than images, such as 1, 10, 2"
            yield Finding("labels-of-another", WARNING, each.labels_file, found, "labels of their own image", fix)
