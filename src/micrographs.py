"""The micrographs of scored images, found by name, so that a page can show mistakes on them."""

import re
from contextlib import closing
from pathlib import Path

import numpy as np

from src.files.grey import grey_range, scaled
from src.files.image import open_image
from src.files.names import stem
from src.prediction.names import input_files


class Micrographs:
    """The images in a file, a folder or a pattern; call it with a name to get one of them.

    Args:
        path: as `prediction.names.input_files` takes it; None: there are no images.
    """

    def __init__(self, path: str | None) -> None:
        files = input_files(path)[0] if path else []
        self.only = files[0] if len(files) == 1 and path and Path(path) == files[0] else None
        self.files = {stem(file): file for file in files}

    def __call__(self, name: str, size: tuple[int, int]) -> np.ndarray | None:
        """Grey values ``(C, H, W)`` in [0, 1]; None if there is no image of this name.

        Args:
            name: of the image; for a slice of a stack with its number, such as ``stack_07``.
            size: rows and columns that it must have.

        Raises:
            ValueError: it has another size.
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
