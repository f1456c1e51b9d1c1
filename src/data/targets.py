"""What the network learns of annotated cells, the choices of ``conf/target``: from cells and classes to classes.

A choice is a value. Those other than the paper's add a class, the boundary of a cell. It belongs to the cell, but what
remains inside does not touch the inside of another cell, and so tells cells apart that touch.
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
    """The paper's: the class of each pixel, with a ridge of background between cells that touch (§3)."""

    added: ClassVar[int] = 0


@dataclass(frozen=True)
class Border:
    """The outermost pixels of each cell are its boundary, equally wide in all cells (not the paper's).

    As in Caicedo et al., Cytometry A 95 (2019) 952–965.

    Attributes:
        width: of the boundary in pixels.

    Raises:
        ValueError: ``width`` is below 1.
    """

    width: float = 2.0
    added: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"expected target.width ≥ 1, but got {self.width}; nearest valid: 1")

    def inside(self, cells: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Pixels ``(H, W)`` that are no boundary; shapes as of `Core.inside`."""
        return _inside(cells, known, lambda distance: distance > self.width)


@dataclass(frozen=True)
class Core:
    """The boundary of each cell is as wide as a share of the cell's own half-width (not the paper's).

    So small cells keep an inside, the core, and large ones that overlap widely are told apart. A cell has one core,
    because each core marks a cell: of several pieces the largest one.

    Attributes:
        rim: the share. The boundary is at least one pixel wide.

    Raises:
        ValueError: ``rim`` is not between 0 and 1.
    """

    rim: float = 0.5
    added: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.rim < 1:
            raise ValueError(f"expected target.rim between 0 and 1, but got {self.rim}; nearest valid: 0.5")

    def inside(self, cells: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The cores.

        Args:
            cells: ``(H, W)`` integers, 0 is background.
            known: where somebody has annotated, ``(H, W)`` bool.

        Returns:
            ``(H, W)`` bool.
        """
        return _inside(cells, known, lambda distance: _largest(distance > max(1.0, self.rim * distance.max())))


Target = Classes | Border | Core
PAPER = Classes()


def learnt(stack: Stack, target: Target, boundary: int | None, ridge: int) -> Stack:
    """The stack as the network learns it: its targets, and the cells that eq. 2 is to keep apart.

    Args:
        stack: annotated slices.
        target: what is learnt.
        boundary: the class of the boundary, of targets that add one.
        ridge: width of the background between cells that touch, of targets that add none.
    """
    if not target.added:
        return with_ridge(stack, ridge)
    targets = []
    for classes, cells, known in zip(stack.targets, stack.instances, stack.known, strict=True):
        rim = (cells > 0) & ~target.inside(cells, known)
        targets.append(np.where(rim, classes.dtype.type(boundary), classes))
    return replace(stack, targets=stacked(targets))


def with_ridge(stack: Stack, width: int) -> Stack:
    """The stack with background between touching instances of one class, in instances and targets alike.

    Instances of different classes are told apart by their classes and are learnt as they were drawn.
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
    """The numbers of the cells, ``(H, W)``, that are too thin to have an inside, so that nothing marks them."""
    return np.setdiff1d(cells[cells > 0], cells[target.inside(cells, known)]).tolist()


def _inside(cells: np.ndarray, known: np.ndarray, keep: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Of each cell the pixels that ``keep`` chooses by their distance to the nearest pixel of something else.

    Nobody knows what lies beyond the edge of the image or of the annotation, so neither is a boundary.
    """
    found = np.zeros(cells.shape, bool)
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        if box is None:
            continue
        window = tuple(slice(max(0, axis.start - 1), axis.stop + 1) for axis in box)
        if not known[window].all():
            window = (slice(None), slice(None))  # the nearest known pixel of something else may lie far off
        cell = cells[window] == number
        distance = np.where(cell, exact_distance(cell | ~known[window]), 0)
        found[window] |= cell & keep(distance)
    return found


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected piece of a mask; of equals the first."""
    pieces = components(mask)
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax() if pieces.any() else mask
