"""``NAME_overlay.png``: a picture of the image with its predicted cells in colour."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from src.files.grey import grey_range, scaled
from src.files.whole import complete_file
from src.pages.pictures import CLASS_COLOURS, colours, outlines
from src.prediction.outputs import cells as walk
from src.prediction.outputs.cells import Cells
from src.tiles.overlap import Window

LARGEST = 2048  # pixels of the longer side; larger images are reduced by an integer factor
FILLED = 0.35  # opacity of the colour inside the outline of a cell


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write the picture of an image, or of the middle plane of a stack; the file appears only when it is complete.

    Args:
        file: path of the PNG.
        cells: the cells of the image.
        made_from: text that identifies everything the cells depend on; it is stored in the file.
    """
    text = PngInfo()
    text.add_text("Software", made_from)
    picture = drawn(cells, cells.image.planes // 2)
    with complete_file(file) as partial:
        Picture.fromarray(picture).save(partial, "PNG", pnginfo=text)


def made_from(file: Path) -> str:
    """Read the ``made_from`` text that `write` stored in a picture.

    Raises:
        OSError, KeyError: the file is not a picture, or holds no such text.
    """
    with Picture.open(file) as picture:
        origin: str = picture.info["Software"]
    return origin


def drawn(cells: Cells, plane: int) -> np.ndarray:
    """Draw a plane with its cells outlined and tinted, reduced to at most `LARGEST` pixels, ``(h, w, 3)`` uint8.

    Cells are coloured by number or, if classes are predicted, by class, in the colours of the annotation if known.
    """
    bands = list(_bands(cells, plane))
    picture, numbers = (np.concatenate(each) for each in zip(*bands, strict=True))
    if cells.kinds:
        shown = cells.kinds[plane][numbers]
        table = np.array(cells.legend.colours or [(0, 0, 0), *CLASS_COLOURS])
    else:
        shown, table = numbers, np.array([(0, 0, 0), *CLASS_COLOURS])
    colour = table[np.where(shown > 0, (shown - 1) % (len(table) - 1) + 1, 0)]
    tinted = np.where((shown > 0)[..., None], (1 - FILLED) * picture + FILLED * colour, picture).astype(np.uint8)
    edges = outlines(numbers)
    tinted[edges] = colour[edges]
    return tinted


def _bands(cells: Cells, plane: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, band by band, the reduced image ``(h, w, 3)`` and the cell number at the centre of each reduced pixel."""
    image = cells.image
    step = -(-max(image.height, image.width) // LARGEST)
    low, high = grey_range(image, plane)
    rows = step * max(1, walk.AT_ONCE // image.width // step)
    for top in range(0, image.height, rows):
        height = min(rows, image.height - top)
        seen = colours(scaled(image.band(plane, top, top + height), low, high))
        numbers = cells.numbers(plane, Window(top, 0, height, image.width))
        h, w = -(-height // step), -(-image.width // step)
        whole = np.pad(seen, ((0, h * step - height), (0, w * step - image.width), (0, 0)), mode="edge")
        middle = [np.minimum(np.arange(n) * step + step // 2, of - 1) for n, of in ((h, height), (w, image.width))]
        yield cv2.resize(whole, (w, h), interpolation=cv2.INTER_AREA), numbers[np.ix_(*middle)]
