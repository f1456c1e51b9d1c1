"""The files of a prediction, and the images that one is made of."""

import glob
from collections.abc import Sequence
from pathlib import Path

from src.data.mixed import Sorted, sorted_out
from src.files.names import IMAGE_SUFFIXES, PICTURED, PREDICTED, natural, stem
from src.files.tiffs import first_parts

ENDINGS = (".tif", ".zarr")
OWN_ENDINGS = {  # of results that have one whatever the format
    "table": "_table.csv",
    "rois": "_rois.zip",
    "geojson": "_outlines.geojson",
    "overlay": f"{PICTURED}.png",
}


def prediction_file(directory: Path, name: str, kind: str, ending: str = ".tif") -> Path:
    """Where the prediction of image ``name`` lies; ``kind`` is one of `files.names.OUTPUTS`.

    Labels and probabilities have the ending that is asked for, and all else its own.
    """
    return directory / f"{name}{OWN_ENDINGS.get(kind, f'_{kind}{ending}')}"


def input_files(path: str) -> tuple[list[Path], list[Path]]:
    """The images that ``input`` names: a file, those in a folder, or those that a pattern such as ``*.tif`` fits.

    Our own predictions are left out, and labels that lie beside their images in a folder.

    Returns:
        The images in the order of their names, and what was taken for labels.

    Raises:
        FileNotFoundError: there is no image.
        FileExistsError: two have one name, so that one result would replace the other.
    """
    given = Path(path)
    if given.is_dir() and given.suffix != ".zarr":
        found = list(given.iterdir())
    elif given.exists() or not glob.has_magic(path):
        return [given], []
    else:
        found = list(map(Path, glob.glob(path)))
    files = [
        file
        for file in sorted(found, key=lambda file: natural(file.name))
        if file.suffix.lower() in IMAGE_SUFFIXES
        and not file.name.startswith(".")
        and not file.stem.endswith((*PREDICTED, PICTURED))
    ]
    if not files:
        raise FileNotFoundError(f"expected images ({', '.join(IMAGE_SUFFIXES)}) in {path}, but got none")
    found = sorted_out(files) if given.is_dir() else Sorted(files, [], [])
    _refuse_equal_names(found.images)
    return first_parts(found.images), [*found.labels, *found.others]


def _refuse_equal_names(files: Sequence[Path]) -> None:
    names = [stem(file) for file in files]
    twice = [str(file) for file in files if names.count(stem(file)) > 1]
    if twice:
        raise FileExistsError(f"expected inputs of different names, but got {', '.join(twice)}")
