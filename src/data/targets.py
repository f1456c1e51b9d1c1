"""The classes that the network learns from annotated cells: the choices of ``conf/target``.

All choices except the paper's add a class: the inner boundary of cells. Boundary pixels belong to their cell, but the
interiors of two cells never touch, so touching cells can be separated.
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
    """A target with a boundary class: the inner boundary of cells, of the same width in all cells (not in the paper).

    This follows Caicedo et al., Cytometry A 95 (2019) 952–965.

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
        """Return the interior of the cells, without their boundary; arguments and result are those of `Core.inside`."""
        return _inside(cells, known, lambda distance: distance > self.width)


@dataclass(frozen=True)
class Core:
    """A target with a boundary class whose width is proportional to the half-width of each cell (not in the paper).

    The interior of a cell is its core. Small cells keep a core, and large cells with a wide contact are still
    separated. Each core marks one cell, so only the largest connected component of a cell's core is kept.

    Attributes:
        rim: width of the boundary as a share of the cell's half-width; the boundary is at least one pixel wide.

    Raises:
        ValueError: ``rim`` is not between 0 and 1.
    """

    rim: float = 0.5
    added: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.rim < 1:
            raise ValueError(f"expected target.rim between 0 and 1, but got {self.rim}; nearest valid: 0.5")

    def inside(self, cells: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return the mask of all cores.

        Args:
            cells: cell numbers, ``(H, W)`` integers; 0 is background.
            known: whether each pixel is annotated, ``(H, W)`` bool.

        Returns:
            A mask ``(H, W)`` bool.
        """
        return _inside(cells, known, lambda distance: _largest(distance > max(1.0, self.rim * distance.max())))


Target = Classes | Border | Core
PAPER = Classes()


def learnt(stack: Stack, target: Target, boundary: int | None, ridge: int) -> Stack:
    """Return a stack with the targets that the network learns, and the cells from which eq. 2 computes border weights.

    Args:
        stack: annotated images.
        target: the choice of ``conf/target``.
        boundary: number of the boundary class, for targets that add it.
        ridge: width in pixels of the background ridge between touching cells, for the paper's target.
    """
    if isinstance(target, Classes):
        return with_ridge(stack, ridge)
    targets = []
    for classes, cells, known in zip(stack.targets, stack.instances, stack.known, strict=True):
        rim = (cells > 0) & ~target.inside(cells, known)
        targets.append(np.where(rim, classes.dtype.type(boundary), classes))
    return replace(stack, targets=stacked(targets))


def with_ridge(stack: Stack, width: int) -> Stack:
    """Return a stack with a ridge of background between touching cells of the same class, in instances and targets.

    Touching cells of different classes need no ridge and stay as they were drawn.

    Args:
        stack: annotated images.
        width: width of the ridge, as in `separate_touching`.
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
    """Return the numbers of the cells that are too thin to have an interior, so that the target does not mark them.

    Arguments are those of `Core.inside`; the paper's target has no interiors, and the list is empty.
    """
    if isinstance(target, Classes):
        return []
    return [int(number) for number in np.setdiff1d(cells[cells > 0], cells[target.inside(cells, known)])]


def _inside(cells: np.ndarray, known: np.ndarray, keep: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return a mask ``(H, W)`` of the pixels that ``keep`` selects in each cell.

    What lies beyond the edge of the image or of the annotated area is unknown, so these edges are no boundaries.

    Args:
        cells: cell numbers, ``(H, W)``; 0 is background.
        known: whether each pixel is annotated, ``(H, W)`` bool.
        keep: maps the distance from each pixel to the nearest pixel outside the cell, 0 outside the cell, to a mask.
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
    """Return the largest 4-connected component of a mask; of equally large ones, the first."""
    pieces = components(mask)
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax() if pieces.any() else mask
