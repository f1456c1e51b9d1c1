"""Cells that have grown until the membranes between them are one pixel wide."""

import numpy as np

from src.flooding import grown_to_lines
from src.instances import components


def thinned_components(foreground: np.ndarray) -> np.ndarray:
    """4-connected components that have flooded the background until one pixel is left between them.

    So the width of a membrane does not change the score.

    Args:
        foreground: mask ``(H, W)``.

    Returns:
        Segments ``(H, W)`` int32, 0 on lines; one segment where there is no component to rise.
    """
    return grown_to_lines(components(foreground), ~foreground)
