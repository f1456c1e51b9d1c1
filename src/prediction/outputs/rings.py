"""The outlines of cells along the edges of pixels, so that an outline encloses exactly the pixels of its cell.

An outline consists of rings (closed polygons). A ring is traced from pixel edge to pixel edge, with the cell on the
right-hand side. Where two pixels of a cell touch only at a corner, the ring turns along the edge of the same pixel, so
that each 4-connected component has its own ring. Libraries trace outlines through the centres of pixels, or between
them, and lose cells that are one pixel wide.
"""

from collections.abc import Iterator

import numba
import numpy as np

from src.prediction.outputs.cells import Cells, Giant, Group, strips

Ring = np.ndarray  # corners ``(N, 2)``, x and y in pixels of the image; the last is connected to the first
Polygon = list[Ring]  # the outer ring, and one for each hole


def outlines(group: Group | Giant, cells: Cells) -> Iterator[tuple[int, list[Polygon]]]:
    """Yield each cell of a group in ascending order: its number, and a polygon per 4-connected component.

    No ring touches itself, not even at a corner. Outer rings have a positive signed area, holes a negative one. The
    origin (0, 0) is the outer corner of the first pixel of the image.
    """
    framed = _framed(group, cells) if isinstance(group, Giant) else np.pad(group.labels, 1)
    points, starts, owners, touching = traced(framed)
    if not len(starts):
        return
    rings = np.split(points + np.array([group.window.left, group.window.top], np.int32), starts[1:])
    order = np.argsort(owners, kind="stable")
    numbers, first = np.unique(owners[order], return_index=True)
    names = [group.number] if isinstance(group, Giant) else numbers.tolist()
    for number, places in zip(names, np.split(order, first[1:]), strict=True):
        simple = [part for place in places for part in (parted(rings[place]) if touching[place] else [rings[place]])]
        yield number, polygons(simple)


def _framed(giant: Giant, cells: Cells) -> np.ndarray:
    """Return the mask of a very large cell, padded with one pixel of background, ``(H + 2, W + 2)`` uint8."""
    top, _, height, width = giant.window
    framed = np.zeros((height + 2, width + 2), np.uint8)
    for window, _, mask in strips(giant, cells):
        first = window.top - top + 1
        framed[first : first + window.height, 1:-1] = mask
    return framed


def traced(framed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Trace the outlines of all cells in a label image as rings.

    Args:
        framed: the label image, padded with one pixel of background, ``(H + 2, W + 2)``.

    Returns:
        The corners of all rings, ``(N, 2)`` int32, and three arrays with one entry per ring: the index of its first
        corner, the number of its cell, and whether the ring touches itself at a corner.
    """
    edges = _upper_edges(framed)
    # A ring has as many lower edges as upper edges, and at most two corners at each of these edges.
    points, starts, owners = np.empty((4 * edges, 2), np.int32), np.empty(edges, np.int64), np.empty(edges, np.int32)
    touching = np.zeros(edges, np.bool_)
    count, used = _follow(framed, points, starts, owners, touching)
    return points[:used], starts[:count], owners[:count], touching[:count]


@numba.njit(cache=True, nogil=True)
def _upper_edges(framed: np.ndarray) -> int:
    """Count the pixels of cells whose upper neighbour does not belong to the same cell."""
    count = 0
    for row in range(1, framed.shape[0]):
        for column in range(framed.shape[1]):
            count += framed[row, column] != 0 and framed[row, column] != framed[row - 1, column]
    return count


@numba.njit(cache=True, nogil=True)
def _follow(  # noqa: C901 – one loop that numba compiles; calls within it would hide its state
    framed: np.ndarray, points: np.ndarray, starts: np.ndarray, owners: np.ndarray, touching: np.ndarray
) -> tuple[int, int]:
    """Trace all rings into the arrays that `traced` returns; return the number of rings and the number of corners."""
    rights, downs = (1, 0, -1, 0), (0, 1, 0, -1)  # direction along the upper, right, lower and left edge of a pixel
    met = np.zeros(framed.shape, np.bool_)  # pixels whose upper edge already belongs to a ring
    count, used = 0, 0
    for top in range(1, framed.shape[0] - 1):
        for left in range(1, framed.shape[1] - 1):
            own = framed[top, left]
            if own == 0 or framed[top - 1, left] == own or met[top, left]:
                continue
            starts[count], owners[count] = used, own
            y, x, edge = top, left, 0
            while True:
                if edge == 0:
                    met[y, x] = True
                down, right = downs[edge], rights[edge]
                ahead = framed[y + down, x + right]
                outside = framed[y + down - right, x + right + down]  # the left neighbour of the pixel ahead
                if ahead != own:
                    touching[count] |= outside == own
                if ahead != own or outside == own:
                    points[used, 0] = x - (edge > 1)  # where the edge ends
                    points[used, 1] = y - (edge in {0, 3})
                    used += 1
                if ahead != own:
                    edge = (edge + 1) % 4
                elif outside == own:
                    y, x, edge = y + down - right, x + right + down, (edge + 3) % 4
                else:
                    y, x = y + down, x + right
                if y == top and x == left and edge == 0:
                    break
            count += 1
    return count, used


def parted(ring: Ring) -> list[Ring]:
    """Split a ring that touches itself at corners into rings that visit no corner twice."""
    parts: list[Ring] = []
    way: list[tuple[int, int]] = []
    places: dict[tuple[int, int], int] = {}
    for x, y in ring.tolist():
        corner = x, y
        if corner in places:
            place = places[corner]
            parts.append(np.array(way[place:], ring.dtype))
            for other in way[place + 1 :]:
                del places[other]
            del way[place + 1 :]
        else:
            places[corner] = len(way)
            way.append(corner)
    return [*parts, np.array(way, ring.dtype)]


def polygons(rings: list[Ring]) -> list[Polygon]:
    """Group the rings of a cell into polygons: each outer ring with its holes. Holes have a negative `area`."""
    areas = [area(ring) for ring in rings]
    outer = sorted((place for place, each in enumerate(areas) if each > 0), key=areas.__getitem__)
    found = {place: [rings[place]] for place in outer}
    for hole in (ring for ring, each in zip(rings, areas, strict=True) if each < 0):
        # `outer` is sorted by area, so this finds the smallest outer ring around a pixel next to the hole.
        inside = (place for place in outer if len(outer) == 1 or holds(rings[place], beside(hole)))
        found[next(inside)].append(hole)
    return list(found.values())


def area(ring: Ring) -> int:
    """Return the number of pixels that a ring encloses, as a negative number for a hole."""
    x, y = ring.T.astype(np.int64)
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) // 2


def beside(ring: Ring) -> tuple[float, float]:
    """Return the centre (x, y) of a pixel that belongs to the cell and touches the ring."""
    following = np.roll(ring, -1, axis=0)
    place = int(np.argmax(following[:, 0] > ring[:, 0]))  # an upper edge, with the cell below it
    return float(ring[place, 0]) + 0.5, float(ring[place, 1]) + 0.5


def holds(ring: Ring, point: tuple[float, float]) -> bool:
    """Return whether a pixel centre lies inside a ring, that is, right of an odd number of its vertical edges."""
    x, y = point
    (left, first), last = ring.T, np.roll(ring[:, 1], -1)
    crossed = (np.minimum(first, last) < y) & (y < np.maximum(first, last)) & (left < x)
    return bool(np.count_nonzero(crossed) % 2)
