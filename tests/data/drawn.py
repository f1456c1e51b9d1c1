"""Images and labels of many kinds as people draw them, a pair ``(labels, image)`` for each number."""

from collections.abc import Callable

import cv2
import numpy as np

SIDE = 128


def disc(size: tuple[int, int], y: float, x: float, radius: float) -> np.ndarray:
    return np.hypot(*(np.mgrid[: size[0], : size[1]] - np.array([y, x])[:, None, None])) < radius


def noisy(number: int, grey: np.ndarray) -> np.ndarray:
    return (grey + np.random.default_rng(number).normal(0, 8, grey.shape)).clip(0, 255).astype(np.uint8)


def cells(number: int, count: int = 9, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Numbered row by row, as connected components are."""
    random, labels = np.random.default_rng(number), np.zeros((side, side), np.uint8)
    for y, x in sorted(random.uniform(8, side - 8, (60, 2)).tolist()):
        one = disc(labels.shape, y, x, random.uniform(5, 8))
        if labels.max() < count and not labels[one].any():
            labels[one] = labels.max() + 1
    return labels, noisy(number, 40 + 80 * (labels > 0))


def embryos(number: int) -> tuple[np.ndarray, np.ndarray]:
    """From one to three large ones."""
    random, labels = np.random.default_rng(number), np.zeros((160, 160), np.uint8)
    count = random.integers(1, 4)
    for y, x in sorted(random.uniform(30, 130, (12, 2)).tolist()):
        one = disc(labels.shape, y, x, random.uniform(18, 28))
        if labels.max() < count and not labels[one].any():
            labels[one] = labels.max() + 1
    return labels, noisy(number, 60 + 70 * (labels > 0))


def wells(number: int, rows: int = 2, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """On a grid, all of one size, at the same places in each image."""
    random, labels = np.random.default_rng(number), np.zeros((SIDE, SIDE * 3 // 2), np.uint8)
    for well in range(rows * columns):
        row, column = divmod(well, columns)
        y, x = (row + 0.5) * labels.shape[0] / rows, (column + 0.5) * labels.shape[1] / columns
        labels[disc(labels.shape, *random.normal((y, x), 1), 18)] = well + 1
    return labels, noisy(number, 50 + 80 * (labels > 0))


ORGANS = ((40, 40, 14), (45, 90, 20), (95, 60, 10), (100, 100, 8), (20, 60, 12))


def organs(number: int, count: int = 3, radius: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Each one piece in every image, of its own place, size and grey level."""
    random, labels = np.random.default_rng(number), np.zeros((SIDE, SIDE), np.uint8)
    for organ, (y, x, own) in enumerate(ORGANS[:count], start=1):
        labels[disc(labels.shape, *random.normal((y, x), 4), (radius or own) * random.uniform(0.9, 1.1))] = organ
    return labels, noisy(number, 40 + 30 * labels)


def sections(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Organs of which a section lacks some."""
    labels, image = organs(number, 5)
    missing = np.flatnonzero(np.random.default_rng(number + 99).uniform(size=6) < 0.3)
    return np.where(np.isin(labels, missing), 0, labels).astype(np.uint8), image


def layers(number: int, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Of tissue, from one border to the other."""
    random, labels = np.random.default_rng(number), np.zeros((SIDE, SIDE), np.uint8)
    edges, (y, x) = np.linspace(15, 115, count + 1), np.mgrid[:SIDE, :SIDE]
    wave = 6 * np.sin(x / 20 + random.uniform(0, 6)) + random.normal(0, 3)
    for layer in range(count):
        labels[(y >= edges[layer] + wave) & (y < edges[layer + 1] + wave)] = layer + 1
    return labels, noisy(number, 30 + 30 * (labels * 7 % 5))


def nucleus_in_cell(number: int) -> tuple[np.ndarray, np.ndarray]:
    """One cell an image, anywhere, with its nucleus."""
    random, labels = np.random.default_rng(number), np.zeros((96, 96), np.uint8)
    (y, x), radius = random.uniform(25, 70, 2), random.uniform(15, 22)
    labels[disc(labels.shape, y, x, radius)] = 1
    labels[disc(labels.shape, y + random.normal(0, 3), x, radius * 0.45)] = 2
    return labels, noisy(number, 30 + 40 * labels)


def types(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of two types, each number in several pieces."""
    labels, image = cells(number)
    return np.where(labels > 0, 1 + labels % 2, 0).astype(np.uint8), image


def vessels(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Two trees of thin branches, 255."""
    random, mask = np.random.default_rng(number), np.zeros((192, 192), np.uint8)

    def branch(start: tuple[float, float], angle: float, length: float, width: float, depth: int) -> None:
        end = start[0] + length * np.cos(angle), start[1] + length * np.sin(angle)
        cv2.line(mask, [int(each) for each in start], [int(each) for each in end], 255, max(1, int(width)))
        for side in (-1, 1) if depth > 1 else ():
            branch(end, angle + side * random.uniform(0.2, 0.6), length * 0.8, width * 0.75, depth - 1)

    branch((5, 96), 0, 50, 7, 5)
    branch((190, 100), np.pi, 45, 6, 5)
    return mask, noisy(number, 150 - 60.0 * (mask > 0))


def fibres(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Straight and thin, 255."""
    random, mask = np.random.default_rng(number), np.zeros((160, 160), np.uint8)
    for _ in range(6):
        (y, x), angle, half = random.uniform(40, 120, 2), random.uniform(0, np.pi), random.uniform(35, 60)
        ends = [(int(x + way * half * np.cos(angle)), int(y + way * half * np.sin(angle))) for way in (-1, 1)]
        cv2.line(mask, *ends, 255, 2)
    return mask, noisy(number, 40 + 100.0 * (mask > 0))


def membranes(number: int, white: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Lines two pixels wide between cells, 0 in cells of 255, or the other way round."""
    points, (y, x) = np.random.default_rng(number).integers(0, 160, (40, 2)), np.mgrid[:160, :160]
    nearest = np.argmin([(y - py) ** 2 + (x - px) ** 2 for py, px in points], axis=0)
    edges = np.zeros((160, 160), bool)
    edges[1:] |= nearest[1:] != nearest[:-1]
    edges[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
    return np.where(edges == white, 255, 0).astype(np.uint8), noisy(number, 150 - 90.0 * edges)


def mask(number: int, foreground: int = 255, background: int = 0) -> tuple[np.ndarray, np.ndarray]:
    labels, image = cells(number)
    return np.where(labels > 0, foreground, background).astype(np.uint8), image


def clump(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask of cells that touch, so that most are one large piece."""
    random, found = np.random.default_rng(number), np.zeros((192, 192), np.uint8)
    for _ in range(60):
        found[disc(found.shape, *random.uniform(0, 192, 2), random.uniform(10, 14))] = 255
    return found, noisy(number, 40 + 80.0 * (found > 0))


def confluent(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask of a tissue with gaps of any shape."""
    random, found = np.random.default_rng(number), np.full((160, 160), 255, np.uint8)
    for _ in range(12):
        first = random.uniform(0, 160, 2)
        corners = np.array([first, *(first + random.uniform(-15, 15, (2, 2)))]).astype(int)
        cv2.fillPoly(found, [corners], 0)
    return found, noisy(number, 50 + 50.0 * (found > 0))


def smooth_edged():
    """A mask of discs, four times smaller than it was drawn."""
    large = np.kron(np.zeros((96, 96)), np.ones((4, 4)))
    for y, x in np.random.default_rng(3).uniform(0, 384, (10, 2)):
        large = np.maximum(large, np.hypot(*(np.indices(large.shape) - np.array([y, x])[:, None, None])) < 40)
    return np.rint(large.reshape(96, 4, 96, 4).mean(axis=(1, 3)) * 255).astype(np.uint8)


# What each is, and how few images tell it.
KINDS: dict[str, tuple[str, int, Callable[[int], tuple[np.ndarray, np.ndarray]]]] = {
    "nine cells": ("instances", 1, cells),
    "two cells": ("instances", 3, lambda number: cells(number, 2)),
    "three cells": ("instances", 3, lambda number: cells(number, 3)),
    "some cells": ("instances", 3, lambda number: cells(number, 1 + number % 5)),
    "embryos": ("instances", 4, embryos),
    "six wells": ("instances", 1, wells),
    "four wells": ("instances", 3, lambda number: wells(number, 2, 2)),
    "organs": ("classes", 3, organs),
    "organs of one size": ("classes", 3, lambda number: organs(number, radius=13)),
    "five organs": ("classes", 3, lambda number: organs(number, 5)),
    "sections": ("classes", 3, sections),
    "layers": ("classes", 1, layers),
    "six layers": ("classes", 1, lambda number: layers(number, 6)),
    "nucleus in cell": ("classes", 4, nucleus_in_cell),
    "types of cells": ("classes", 1, types),
    "vessels": ("classes", 1, vessels),
    "fibres": ("classes", 3, fibres),
    "membranes": ("boundary", 1, membranes),
    "white membranes": ("boundary", 1, lambda number: membranes(number, white=True)),
    "mask": ("binary", 1, mask),
    "mask of 1": ("binary", 1, lambda number: mask(number, 1)),
    "mixed masks": ("binary", 2, lambda number: mask(number, (1, 255)[number % 2])),
    "inverted mask": ("binary", 3, lambda number: mask(number, 0, 255)),
    "ilastik": ("binary", 1, lambda number: mask(number, 2, 1)),
    "ilastik, other labels": ("binary", 1, lambda number: mask(number, 1, 2)),
    "clump": ("binary", 1, clump),
    "confluent": ("binary", 1, confluent),
}
