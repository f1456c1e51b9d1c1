"""Find the micrographs of scored images by name, so that a page can show mistakes on them."""

import re
from contextlib import closing
from pathlib import Path

import numpy as np

from src.files.grey import grey_range, scaled
from src.files.image import open_image
from src.files.names import stem
from src.prediction.names import input_files


class Micrographs:
    """The micrographs in a file, in a folder or matching a pattern; a call with a name returns one micrograph.

    Args:
        path: the path or pattern, as for `prediction.names.input_files`; None: there are no micrographs.
    """

    def __init__(self, path: str | None) -> None:
        files = input_files(path)[0] if path else []
        self.only = files[0] if len(files) == 1 and path and Path(path) == files[0] else None
        self.files = {stem(file): file for file in files}

    def __call__(self, name: str, size: tuple[int, int]) -> np.ndarray | None:
        """Return the grey values of a micrograph, ``(C, H, W)`` in [0, 1], or None if no micrograph has this name.

        Args:
            name: the name of the image; for a slice of a stack, with the number of the slice, such as ``stack_07``.
            size: the numbers of rows and columns that the micrograph must have.

        Raises:
            ValueError: the micrograph has another size.
        """
        numbered = re.fullmatch(r"(.+)_(\d\d+)", name)
        file, plane = self.only or self.files.get(name), 0
        if numbered and (self.only or file is None):
            file, plane = self.only or self.files.get(numbered[1]), int(numbered[2])
        if file is None:
            return None
        with closing(open_image(file)) as image:
            plane = plane if plane < image.planes else 0
            if (image.height, image.width) != size:
                found = f"{image.height}×{image.width}"
                raise ValueError(f"expected {size[0]}×{size[1]} px as the labels of {name}, but {file} has {found} px")
            return scaled(image.band(plane, 0, image.height), *grey_range(image, plane))
