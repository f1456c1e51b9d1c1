"""Public data sets: read from the data directory, or downloaded; if that fails, the error says how to get them.

Each public function for a data set has the data sheet as its docstring. Verification of ISBI-2012 hashes the decoded
pixels, not the file, so a copy that was saved again with another TIFF compression is still accepted.
"""

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pooch

from src.data.folder import read_folder
from src.data.stack import Stack, everywhere
from src.files.image import read_image
from src.files.limits import reason
from src.instances import components

ISBI2012_URL = "https://downloads.imagej.net/ISBI-2012-challenge.zip"
ISBI2012_SHAPE = (30, 512, 512)
ISBI2012_PIXEL = 0.004  # pixel size in µm; the files do not contain it
ISBI2012_TRAIN = ("train-volume.tif", "train-labels.tif")
ISBI2012_TEST = ("test-volume.tif", "test-labels.tif")
# SHA-256 of the decoded pixels in C order; none is known for test-labels.tif.
ISBI2012_SHA256 = {
    "train-volume.tif": "200da3d452d726e6c9ca1ce04b869d4edb727320d23b516d01cce707dc8c4760",
    "train-labels.tif": "a7cb64000a1a7e542682927e19c91339f58f9f178e0bcce4e207371116f0ca36",
    "test-volume.tif": "1b58fa7ec1d0ff9d39a855622db3ff66a97863036339b0d04be51b2f5a99b0e9",
}

CELL_TRACKING_URL = "http://data.celltrackingchallenge.net/training-datasets"
# SHA-256 of the zip archives.
CELL_TRACKING_SHA256 = {
    "PhC-C2DH-U373": "b18185c18fce54e8eeb93e4bbb9b201d757add9409bbf2283b8114185a11bc9e",
    "DIC-C2DH-HeLa": "832fed2d05bb7488cf9c51a2994b75f8f3f53b3c3098856211f2d39023c34e1a",
}

# Long enough for a slow server, short enough that a machine without a network connection fails soon.
TIMEOUT_SECONDS = 20

pooch.get_logger().setLevel("WARNING")  # otherwise pooch logs every file; the progress bar is enough


def isbi2012(data_dir: str | Path, *, verify: bool = True, url: str = ISBI2012_URL) -> Stack:
    """Read the 30 annotated slices of the ISBI-2012 EM segmentation challenge, ``train_00`` to ``train_29``.

    ========  ==========================================================================================
    tissue    ventral nerve cord of a Drosophila larva, serial-section transmission electron microscopy
    files     ``isbi2012/train-volume.tif`` (image), ``isbi2012/train-labels.tif`` (255 cell, 0 membrane)
    arrays    ``(30, 512, 512)`` uint8 each
    pixel     4 x 4 nm, slices 50 nm apart
    terms     free for creating or testing non-commercial segmentation software
    cite      Cardona et al. 2010 (PLoS Biology 8, e1000502), Arganda-Carreras et al. 2015 (Frontiers in
              Neuroanatomy 9, 142), and TrakEM2 (Cardona et al. 2012, PLoS ONE 7, e38011)
    checksum  ``ISBI2012_SHA256``, of the decoded pixels
    source    ``ISBI2012_URL``
    ========  ==========================================================================================

    Args:
        data_dir: the folder of all data sets; missing files are downloaded to ``data_dir/isbi2012``.
        verify: whether to refuse files that differ from the published ones. If False, other images and labels with the
            same file names are accepted; any label value but 0 is cell.
        url: the address of the zip archive, for users who host a copy.

    Returns:
        The slices. Targets are 1 for cell and 0 for membrane; instances are the 4-connected components of each slice.

    Raises:
        FileNotFoundError: a file is missing and cannot be downloaded.
        ValueError: a file differs from what the challenge published, or image and labels differ in shape.
    """
    folder = Path(data_dir) / "isbi2012"
    obtain(url, ISBI2012_TRAIN, folder)
    return annotated_part(folder, "train", verify)


def isbi2012_full(data_dir: str | Path, *, verify: bool = True, url: str = ISBI2012_URL) -> Stack:
    """Read all 60 slices of ISBI-2012: the 30 slices of :func:`isbi2012`, then the 30 slices of the test set.

    This serves to compare with published test scores, or to train on everything. Pixel size, terms, citation and
    source are those of :func:`isbi2012`.

    ========  ==========================================================================================
    files     those of :func:`isbi2012`, and ``isbi2012/test-volume.tif``, ``isbi2012/test-labels.tif``
    arrays    ``(30, 512, 512)`` uint8 each, together ``(60, 512, 512)``
    names     ``train_00`` to ``train_29``, ``test_00`` to ``test_29``
    checksum  ``ISBI2012_SHA256``; test-labels.tif has none, so only its shape, dtype and values are checked
    ========  ==========================================================================================

    Args:
        data_dir: as for :func:`isbi2012`.
        verify: as for :func:`isbi2012`.
        url: as for :func:`isbi2012`.

    Raises:
        FileNotFoundError: a file is missing and cannot be downloaded.
        ValueError: a file differs from what the challenge published, or images and labels differ in shape.
    """
    folder = Path(data_dir) / "isbi2012"
    obtain(url, ISBI2012_TRAIN + ISBI2012_TEST, folder)
    train, test = annotated_part(folder, "train", verify), annotated_part(folder, "test", verify)
    size, test_size = train.images[0].shape, test.images[0].shape
    if size != test_size:
        raise ValueError(f"expected training and test slices of equal size in {folder}, but got {size} and {test_size}")
    return Stack(
        np.concatenate([train.images, test.images]),
        np.concatenate([train.targets, test.targets]),
        np.concatenate([train.instances, test.instances]),
        np.concatenate([train.known, test.known]),
        train.names + test.names,
        pixel_sizes=train.pixel_sizes and [*train.pixel_sizes, *(test.pixel_sizes or [])],
    )


def cell_tracking(
    data_dir: str | Path, name: str, *, server: str = CELL_TRACKING_URL, sha256: str | None = None
) -> Stack:
    """Read the annotated frames of a training set of the Cell Tracking Challenge, named ``01_t…`` and ``02_t…``.

    The paper reports its scores on the two sets below (table 2); ``metrics=instances`` gives that score as ``seg``.

    ==============  ============================================  =======================================
    name            PhC-C2DH-U373                                 DIC-C2DH-HeLa
    cells           glioblastoma-astrocytoma U373, phase contrast HeLa, differential interference contrast
    files           ``NAME/01/tNNN.tif`` (image), ``NAME/01_GT/SEG/man_segNNN.tif`` (numbered cells); 02 likewise
    terms           those of the challenge, celltrackingchallenge.net
    cite            Ulman et al. 2017 (Nature Methods 14, 1141)
    checksum        ``CELL_TRACKING_SHA256``, of the archive
    ==============  ============================================  =======================================

    Args:
        data_dir: the folder of all data sets; a missing data set is downloaded to ``data_dir/NAME``.
        name: name of the data set.
        server: the address of the folder that holds ``NAME.zip``, for users who host a copy.
        sha256: expected SHA-256 of the archive; None means that of `CELL_TRACKING_SHA256`.

    Raises:
        FileNotFoundError: the data set is missing and cannot be downloaded.
        ValueError: the name is unknown, the archive has another checksum, or a file cannot be read.
    """
    sha256 = sha256 or CELL_TRACKING_SHA256.get(name)
    if sha256 is None and not (Path(data_dir) / name).is_dir():
        raise ValueError(f"expected one of {', '.join(CELL_TRACKING_SHA256)}, but got {name}")
    obtain(f"{server}/{name}.zip", [name], Path(data_dir), sha256)
    return read_folder(Path(data_dir) / name, kind="instances")


def annotated_part(folder: Path, part: str, verify: bool) -> Stack:
    """Read ``PART-volume.tif`` and ``PART-labels.tif``, both ``(D, H, W)``, as slices ``PART_00``, ``PART_01``, ….

    Args:
        folder: the folder of both files.
        part: train or test.
        verify: whether to refuse files that differ from the published ones.
    """
    volume = read_published(folder / f"{part}-volume.tif", verify)
    labels = read_published(folder / f"{part}-labels.tif", verify)
    if volume.ndim != 3 or labels.shape != volume.shape:
        raise ValueError(
            f"expected {part}-volume.tif and {part}-labels.tif in {folder} to have one shape (D, H, W), "
            f"but got {volume.shape} and {labels.shape}"
        )
    targets = (labels > 0).astype(np.uint8)
    names = [f"{part}_{index:02d}" for index in range(len(volume))]
    sizes: list[float | None] | None = [ISBI2012_PIXEL] * len(volume) if verify else None
    return Stack(volume, targets, cells(targets), everywhere(targets), names, pixel_sizes=sizes)


def cells(targets: np.ndarray) -> np.ndarray:
    """Number the 4-connected components of each slice from 1: binary ``(D, H, W)`` to ``(D, H, W)`` int32.

    With 8-connectivity, cells would merge across membranes that are only one pixel thin.

    Example:
        >>> cells(np.array([[[1, 0], [0, 1]]])).tolist()
        [[[1, 0], [0, 2]]]
    """
    return np.stack([components(target) for target in targets])


def read_published(file: Path, verify: bool) -> np.ndarray:
    """Read the pixels of one ISBI-2012 file and, if ``verify``, check that they are the published ones.

    Raises:
        ValueError: the file is not a complete TIFF, or :func:`check_published` refuses its pixels.
    """
    try:
        pixels, _ = read_image(file)
    except ValueError as error:
        got = reason(error.__cause__ or error)
        raise ValueError(f"expected a TIFF file in {file}, but got {got}; {cure(file)}") from error
    if verify:
        check_published(file, pixels)
    return pixels


def check_published(file: Path, pixels: np.ndarray) -> None:
    """Check that pixels have the published shape, dtype and checksum or, if no checksum is known, the values 0 and 255.

    Raises:
        ValueError: they differ; the message states the first difference and the remedy.
    """
    what, expected, got = "pixels", f"{ISBI2012_SHAPE} uint8", f"{pixels.shape} {pixels.dtype}"
    if expected == got and file.name in ISBI2012_SHA256:
        what, expected = "pixels with SHA-256", ISBI2012_SHA256[file.name]
        got = hashlib.sha256(pixels.tobytes()).hexdigest()
    elif expected == got:
        what, expected, got = "the values", "0 and 255", " and ".join(map(str, np.unique(pixels)[:5]))
    if expected != got:
        raise ValueError(f"expected {what} {expected} in {file}, but got {got}; {cure(file)}")


def cure(file: Path) -> str:
    """Return advice on how to replace a file with wrong contents."""
    return f"delete {file.name} so that it is downloaded again"


def obtain(url: str, names: Sequence[str], folder: Path, sha256: str | None = None) -> None:
    """Download a zip archive and unpack the files or folders ``names`` into ``folder``, unless all of them exist there.

    The files or folders may lie in any directory of the archive, which is unpacked in a temporary directory
    inside ``folder``; only complete files are moved out. So an interruption leaves nothing half-written, existing files
    are never replaced, and several processes may run at the same time.

    Args:
        url: address of the archive.
        names: names of the files or folders to take from the archive.
        folder: the destination.
        sha256: expected SHA-256 of the archive; None accepts any archive.

    Raises:
        FileNotFoundError: files are missing and the download failed; the message says why and what to do.
        ValueError: the archive has another checksum.
    """
    missing = [name for name in names if not (folder / name).exists()]
    if not missing:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            server = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
            pooch.retrieve(url, sha256, "archive.zip", temporary, pooch.Unzip(extract_dir="content"), server)
            found = {path.name: path for path in Path(temporary, "content").rglob("*")}
            if lacking := set(missing) - found.keys():
                wanted = ", ".join(sorted(lacking))
                raise FileNotFoundError(f"expected {wanted} in the archive, but got only {sorted(found)}")
            for name in missing:
                os.replace(found[name], folder / name)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # requests' errors are OSErrors
        paths = "".join(f"\n  {(folder / name).absolute()}" for name in missing)
        raise FileNotFoundError(
            f"expected these files or folders, but got none of them:{paths}\n"
            f"The download failed ({type(error).__name__}: {error}).\n"
            f"Download {url} by hand and unpack them into {folder.absolute()},\n"
            "or use experiment=demo: synthetic data made by the program itself, no download."
        ) from error
    except ValueError as error:
        raise ValueError(f"expected SHA-256 {sha256} of {url}, but got another checksum; try again") from error
