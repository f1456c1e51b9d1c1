"""Facts of slices without fault, to be changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from src.data.folder import Annotated, Pair
from src.findings.facts import Choices, Facts, look
from tests.data.own import draw

CHOICES = Choices(None, None, depth=4, padded=False, groups=dict.fromkeys(("train", "validation", "held_out"), "auto"))
GROUP = {"a0": "train", "a1": "train", "a2": "validation", "a3": "held_out"}


def annotated(number: int, change: Callable = lambda image, labels: (image, labels)) -> Annotated:
    """A drawing, after ``change``."""
    name = f"a{number}"
    pair = Pair(name, Path("own/images") / f"{name}.png", Path("own/labels") / f"{name}.tif", f"{name}.png")
    return Annotated(name, pair, *change(*draw(number)))


def slices(change: Callable = lambda image, labels: (image, labels)) -> list[Facts]:
    """What is found in four drawings, after ``change``."""
    return [look(annotated(number, change)) for number in range(4)]


def first(facts: list[Facts], **changes) -> list[Facts]:
    """The same facts, the first of them changed."""
    return [replace(facts[0], **changes), *facts[1:]]


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]
