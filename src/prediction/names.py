"""Names of the files of a prediction, and the list of images to predict."""

import glob
from collections.abc import Sequence
from pathlib import Path

from src.data.mixed import Sorted, sorted_out
from src.files.names import IMAGE_SUFFIXES, PICTURED, PREDICTED, natural, stem
from src.files.tiffs import first_parts

ENDINGS = (".tif", ".zarr")
OWN_ENDINGS = {  # of the kinds of results that exist in one file format only
    "table": "_table.csv",
    "rois": "_rois.zip",
    "geojson": "_outlines.geojson",
    "overlay": f"{PICTURED}.png",
}


def prediction_file(directory: Path, name: str, kind: str, ending: str = ".tif") -> Path:
    """Return the path of one result of an image.

    Args:
        directory: folder of the results.
        name: name of the image.
        kind: kind of result, usually one of `files.names.OUTPUTS`.
        ending: one of `ENDINGS`; ignored for kinds of results in `OWN_ENDINGS`, which have a fixed ending.
    """
    return directory / f"{name}{OWN_ENDINGS.get(kind, f'_{kind}{ending}')}"


def input_files(path: str) -> tuple[list[Path], list[Path]]:
    """List the images that the option ``input`` names.

    Files named like predictions of this program are left out of a folder or pattern. In a folder, label images that
    belong to the images are left out too.

    Args:
        path: a file, a folder, or a pattern such as ``*.tif``.

    Returns:
        The images, sorted by name with numbers in numerical order, and the files that were taken for labels.

    Raises:
        FileNotFoundError: there is no image.
        FileExistsError: two images have the same name, so that one result would replace the other.
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
    parted = sorted_out(files) if given.is_dir() else Sorted(files, [], [])
    _refuse_equal_names(parted.images)
    return first_parts(parted.images), [*parted.labels, *parted.others]


def _refuse_equal_names(files: Sequence[Path]) -> None:
    names = [stem(file) for file in files]
    twice = [str(file) for file in files if names.count(stem(file)) > 1]
    if twice:
        raise FileExistsError(f"expected inputs of different names, but got {', '.join(twice)}")
