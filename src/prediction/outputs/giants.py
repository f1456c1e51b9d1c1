"""The measures of `skimage.measure.regionprops` for a cell so large that regionprops would need too much memory.

Sums over the pixels of the cell are accumulated strip by strip; the measures are computed from these sums.
"""

import math

import numpy as np
from scipy.spatial import ConvexHull
from skimage.measure import grid_points_in_poly, inertia_tensor, inertia_tensor_eigvals, perimeter

from src.prediction.outputs.cells import Cells, Giant, strips


def properties(giant: Giant, cells: Cells) -> dict[str, np.ndarray]:
    """Return the same columns as `regionprops_table`, with one row for the cell, and its mean ``confidence``.

    Positions are relative to the bounding box of the cell.
    """
    top, _, height, width = giant.window
    moments, light, sure, border = np.zeros((3, 3)), np.zeros(cells.image.in_channels), 0.0, 0.0
    ends: list[np.ndarray] = []  # row and column of the first and last pixel of the cell in each row
    columns = np.arange(width, dtype=np.float64)
    for window, again, mask in strips(giant, cells):
        # The perimeter in rows shared with the strip above is subtracted, because that strip has counted it.
        border += perimeter(mask, 4) - (perimeter(mask[:again], 4) if again else 0.0)
        own, first = mask[again:], window.top + again
        rows = np.arange(len(own), dtype=np.float64) + first - top
        moments += [[(own @ columns**x * rows**y).sum() for x in range(3)] for y in range(3)]
        seen = cells.image.band(giant.plane, first, first + len(own))[..., window.left : window.left + width]
        light = light + seen[:, own].sum(axis=1, dtype=np.float64)
        sure += cells.confidence(giant.plane, window)[again:][own].sum(dtype=np.float64)
        filled = own.any(axis=1)
        ends += [
            np.column_stack([rows, place])[filled]
            for place in (own.argmax(axis=1), width - 1 - own[:, ::-1].argmax(axis=1))
        ]
    area = moments[0, 0]
    means = {f"intensity_mean-{channel}": value / area for channel, value in enumerate(light)}
    found = {"label": giant.number, "area": area, "bbox-0": 0, "bbox-1": 0, "bbox-2": height, "bbox-3": width}
    found |= {"perimeter": border, "confidence": sure / area, "equivalent_diameter_area": math.sqrt(4 * area / math.pi)}
    found |= {"solidity": area / _hull_area(np.concatenate(ends), height, width)} | _of_moments(moments) | means
    return {name: np.array([value]) for name, value in found.items()}


def _of_moments(raw: np.ndarray) -> dict[str, float]:
    """Compute centroid, axes, eccentricity and orientation from raw moments ``(3, 3)``: sums of row^i · column^j."""
    y, x = raw[1, 0] / raw[0, 0], raw[0, 1] / raw[0, 0]
    central = np.zeros((3, 3))
    central[0, 0] = raw[0, 0]
    central[2, 0], central[0, 2] = raw[2, 0] - y * raw[1, 0], raw[0, 2] - x * raw[0, 1]
    central[1, 1] = raw[1, 1] - y * raw[0, 1]
    plane = np.zeros((1, 1))  # scikit-image only uses its number of axes
    tensor = inertia_tensor(plane, central)
    major, minor = inertia_tensor_eigvals(plane, T=tensor)
    difference = tensor[0, 0] - tensor[1, 1]
    turned = 0.5 * math.atan2(-2 * tensor[0, 1], -difference)
    return {
        "centroid-0": y,
        "centroid-1": x,
        "axis_major_length": 4 * math.sqrt(major),
        "axis_minor_length": 4 * math.sqrt(minor),
        "eccentricity": math.sqrt(1 - minor / major) if major else 0.0,
        "orientation": turned if difference else math.copysign(math.pi / 4, -1 if tensor[0, 1] >= 0 else 1),
    }


def _hull_area(ends: np.ndarray, height: int, width: int) -> int:
    """Return the area of the convex hull of a cell in pixels, as `convex_hull_image` counts them.

    The hull is that of the midpoints of all pixel edges.

    Args:
        ends: row and column of the first and the last pixel of the cell in each row, ``(n, 2)``.
        height: height of the cell's bounding box.
        width: width of the cell's bounding box.
    """
    middles = (ends[:, None] + [(-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5)]).reshape(-1, 2)
    hull = ConvexHull(middles)
    corners = hull.points[hull.vertices]
    rows = max(1, 2**22 // width)
    return sum(
        int(np.count_nonzero(grid_points_in_poly((min(rows, height - top), width), corners - (top, 0), binarize=False)))
        for top in range(0, height, rows)
    )
