"""The classes that the network learns from annotated cells: the choices of ``conf/target``.

All choices but the paper's add a class: the boundary of cells. The boundary belongs to its cell, but the insides of
two cells never touch, so touching cells can be told apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import ndimage

from src.data.stack import Stack, stacked
from src.data.weight_map import exact_distance, separate_touching
from src.instances import components


@dataclass(frozen=True)
class Classes:
    """The target of the paper: the class of each pixel, with a ridge of background between touching cells (§3)."""

    added: ClassVar[int] = 0


@dataclass(frozen=True)
class Border:
    """A boundary of the same width in all cells (not in the paper).

    As in Caicedo et al., Cytometry A 95 (2019) 952–965.

    Attributes:
        width: width of the boundary in pixels.

    Raises:
        ValueError: ``width`` is below 1.
    """

    width: float = 2.0
    added: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"expected target.width ≥ 1, but got {self.width}; nearest valid: 1")

    def inside(self, cells: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The pixels of cells that are not boundary; shapes as in `Core.inside`."""
        return _inside(cells, known, lambda distance: distance > self.width)


@dataclass(frozen=True)
class Core:
    """A boundary in proportion to the half-width of each cell (not in the paper).

    Small cells keep an inside, their core, and large cells that overlap widely are still separated. Each core marks
    one cell, so a cell keeps only the largest piece of its core.

    Attributes:
        rim: width of the boundary as a share of the cell's half-width; at least one pixel.

    Raises:
        ValueError: ``rim`` is not between 0 and 1.
    """

    rim: float = 0.5
    added: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.rim < 1:
            raise ValueError(f"expected target.rim between 0 and 1, but got {self.rim}; nearest valid: 0.5")

    def inside(self, cells: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The cores of the cells.

        Args:
            cells: ``(H, W)`` integers, 0 is background.
            known: the annotated pixels, ``(H, W)`` bool.

        Returns:
            ``(H, W)`` bool.
        """
        return _inside(cells, known, lambda distance: _largest(distance > max(1.0, self.rim * distance.max())))


Target = Classes | Border | Core
PAPER = Classes()


def learnt(stack: Stack, target: Target, boundary: int | None, ridge: int) -> Stack:
    """The stack as the network learns it: its targets, and the cells that eq. 2 keeps apart.

    Args:
        stack: annotated images.
        target: the choice of ``conf/target``.
        boundary: the class of the boundary, for targets that add one.
        ridge: width of the background between touching cells, for targets that add no boundary.
    """
    if isinstance(target, Classes):
        return with_ridge(stack, ridge)
    targets = []
    for classes, cells, known in zip(stack.targets, stack.instances, stack.known, strict=True):
        rim = (cells > 0) & ~target.inside(cells, known)
        targets.append(np.where(rim, classes.dtype.type(boundary), classes))
    return replace(stack, targets=stacked(targets))


def with_ridge(stack: Stack, width: int) -> Stack:
    """The stack with background between touching cells of one class, in instances and targets alike.

    Touching cells of different classes need no ridge and stay as they were drawn.
    """
    instances, targets = [], []
    for cells, target in zip(stack.instances, stack.targets, strict=True):
        ridge = np.zeros(cells.shape, bool)
        for number in np.unique(target[cells > 0]):
            alike = np.where(target == number, cells, 0)
            ridge |= separate_touching(alike, width) != alike
        instances.append(np.where(ridge, 0, cells))
        targets.append(np.where(ridge, 0, target).astype(target.dtype))
    return replace(stack, targets=stacked(targets), instances=stacked(instances))


def without_inside(cells: np.ndarray, known: np.ndarray, target: Target) -> list[int]:
    """The numbers of the cells ``(H, W)`` that are too thin to have an inside, so that nothing marks them."""
    if isinstance(target, Classes):
        return []
    return [int(number) for number in np.setdiff1d(cells[cells > 0], cells[target.inside(cells, known)])]


def _inside(cells: np.ndarray, known: np.ndarray, keep: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The pixels of each cell that ``keep`` chooses by their distance to the nearest pixel outside the cell.

    What lies beyond the edge of the image or of the annotated area is unknown, so neither edge is a boundary.
    """
    found = np.zeros(cells.shape, bool)
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        if box is None:
            continue
        window = tuple(slice(max(0, axis.start - 1), axis.stop + 1) for axis in box)
        if not known[window].all():
            window = (slice(None), slice(None))  # the nearest annotated pixel outside the cell may lie far away
        cell = cells[window] == number
        distance = np.where(cell, exact_distance(cell | ~known[window]), 0)
        found[window] |= cell & keep(distance)
    return found


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected piece of a mask; the first of equally large ones."""
    pieces = components(mask)
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax() if pieces.any() else mask
