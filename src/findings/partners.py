"""Check that each image is paired with its own labels and not with those of another image."""

from collections import defaultdict
from collections.abc import Iterator

from src.data.agreement import CLEAR, agreements
from src.data.finding import WARNING, Finding
from src.findings.facts import Facts

AT_ONCE = 1000  # number of consecutive images that are compared with each other
# Labels belong to another image if the image's agreement with them is below this share of its best agreement with any
# labels. None of 630 real pairs (ISBI-2012, T98G, DSB 2018) is below; with the labels of the next image, all are.
OWN = 0.7


def of_another_image(facts: list[Facts]) -> Iterator[Finding]:
    """Report images that the labels of another image of the same size fit clearly better than their own labels."""
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
