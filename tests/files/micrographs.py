"""Images of every kind that is read, written for tests."""

from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from src.files.image import open_image

GREY = {"photometric": "minisblack"}


RGB = {"photometric": "rgb"}


NANO = {"PhysicalSizeX": 5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 8, "PhysicalSizeYUnit": "nm"}


MICRO = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2, "PhysicalSizeZUnit": "µm"}


# name: (shape, dtype, options of tifffile.imwrite, axes, pixel size)
TIFFS = {
    "plain": ((20, 30), "u1", GREY, "YX", {}),
    "one pixel": ((1, 1), "u1", GREY, "YX", {}),
    "one pixel compressed": ((1, 1), "u2", GREY | {"compression": "zlib"}, "YX", {}),
    "one row": ((1, 30), "u1", GREY, "YX", {}),
    "one column": ((20, 1), "u1", GREY, "YX", {}),
    "stack of one": ((1, 20, 30), "u1", GREY, "ZYX", {}),
    "pages": ((4, 20, 30), "u2", GREY, "ZYX", {}),
    "pages of pages": ((2, 4, 20, 30), "u2", GREY, "ZTYX", {}),
    "pages without metadata": ((4, 20, 30), "u2", GREY | {"metadata": None}, "ZYX", {}),
    "time": ((4, 20, 30), "u2", GREY | {"metadata": {"axes": "TYX"}}, "TYX", {}),
    "other axis": ((2, 4, 20, 30), "u2", GREY | {"metadata": {"axes": "TRYX"}}, "TZYX", {}),
    "big-endian": ((4, 20, 30), "u2", GREY | {"byteorder": ">"}, "ZYX", {}),
    "big-endian compressed": ((4, 20, 30), "u2", GREY | {"byteorder": ">", "compression": "zlib"}, "ZYX", {}),
    "BigTIFF": ((4, 20, 30), "u2", GREY | {"bigtiff": True}, "ZYX", {}),
    "float32": ((4, 20, 30), "f4", GREY, "ZYX", {}),
    "float32 compressed": ((20, 30), "f4", GREY | {"compression": "zlib", "predictor": True}, "YX", {}),
    "int16": ((20, 30), "i2", GREY, "YX", {}),
    "uint32": ((20, 30), "u4", GREY, "YX", {}),
    "bits": ((20, 30), "?", GREY, "YX", {}),
    "zlib": ((4, 20, 30), "u2", GREY | {"compression": "zlib"}, "ZYX", {}),
    "zlib in strips": ((20, 30), "u2", GREY | {"compression": "zlib", "rowsperstrip": 3}, "YX", {}),
    "lzw": ((4, 20, 30), "u1", GREY | {"compression": "lzw"}, "ZYX", {}),
    "jpeg2000": ((20, 30), "u1", GREY | {"compression": "jpeg2000"}, "YX", {}),
    "zstd": ((20, 30), "u1", GREY | {"compression": "zstd"}, "YX", {}),
    "tiles": ((3, 40, 50), "u1", GREY | {"tile": (16, 32)}, "ZYX", {}),
    "tiles compressed": ((3, 40, 50), "u2", GREY | {"tile": (16, 32), "compression": "zlib"}, "ZYX", {}),
    "colour": ((20, 30, 3), "u1", RGB, "YXS", {}),
    "colour compressed": ((20, 30, 3), "u1", RGB | {"compression": "zlib"}, "YXS", {}),
    "colour tiles": ((40, 50, 3), "u1", RGB | {"compression": "zlib", "tile": (16, 16)}, "YXS", {}),
    "colour planar": ((3, 20, 30), "u1", RGB | {"planarconfig": "separate"}, "SYX", {}),
    "colour planar compressed": (
        (3, 20, 30),
        "u1",
        RGB | {"planarconfig": "separate", "compression": "zlib"},
        "SYX",
        {},
    ),
    "colour pages": ((4, 20, 30, 3), "u1", RGB, "ZYXS", {}),
    "alpha": ((20, 30, 4), "u2", RGB | {"extrasamples": ["unassalpha"]}, "YXS", {}),
    "resolution in cm": (
        (20, 30),
        "u1",
        GREY | {"resolution": (1e4, 2e4), "resolutionunit": "CENTIMETER"},
        "YX",
        {"X": 1.0, "Y": 0.5},
    ),
    "resolution in inches, of a print": (
        (20, 30),
        "u1",
        GREY | {"resolution": (300, 300), "resolutionunit": "INCH"},
        "YX",
        {},
    ),
    "resolution of no unit": ((20, 30), "u1", GREY | {"resolution": (72, 72), "resolutionunit": "NONE"}, "YX", {}),
    "ImageJ": ((4, 20, 30), "u2", {"imagej": True, "metadata": {"axes": "ZYX"}}, "ZYX", {}),
    "ImageJ hyperstack": ((2, 3, 2, 20, 30), "u2", {"imagej": True, "metadata": {"axes": "TZCYX"}}, "TZCYX", {}),
    "ImageJ compressed": (
        (2, 3, 2, 20, 30),
        "u2",
        {"imagej": True, "compression": "zlib", "metadata": {"axes": "TZCYX"}},
        "TZCYX",
        {},
    ),
    "ImageJ big-endian": (
        (4, 20, 30),
        "u2",
        {"imagej": True, "byteorder": ">", "metadata": {"axes": "ZYX"}},
        "ZYX",
        {},
    ),
    "ImageJ colour": ((2, 20, 30, 3), "u1", {"imagej": True, "metadata": {"axes": "ZYXS"}}, "ZYXS", {}),
    **{
        f"ImageJ in {unit}": (
            (4, 20, 30),
            "u2",
            {"imagej": True, "resolution": (2, 4), "metadata": {"axes": "ZYX", "spacing": 3.0, "unit": unit}},
            "ZYX",
            {axis: size * scale for axis, size in (("Z", 3), ("Y", 0.25), ("X", 0.5)) if scale},
        )
        for unit, scale in {"um": 1, "micron": 1, r"\u00B5m": 1, "nm": 1e-3, "mm": 1e3, "pixel": 0}.items()
    },
    "OME": ((20, 30), "u2", {"metadata": {"axes": "YX"} | NANO}, "YX", {"Y": 0.008, "X": 0.005}),
    "OME Z": ((4, 20, 30), "u2", {"metadata": {"axes": "ZYX"} | MICRO}, "ZYX", {"Z": 2, "Y": 0.5, "X": 0.25}),
    "OME C": ((4, 20, 30), "u2", {"metadata": {"axes": "CYX"} | NANO}, "CYX", {"Y": 0.008, "X": 0.005}),
    "OME TC": ((2, 3, 20, 30), "u2", {"metadata": {"axes": "TCYX"}}, "TCYX", {}),
    "OME CZ": ((2, 3, 20, 30), "u2", {"metadata": {"axes": "CZYX"}}, "CZYX", {}),
    "OME TZC": ((2, 3, 4, 20, 30), "u1", {"metadata": {"axes": "TZCYX"}}, "TZCYX", {}),
    "OME TCZ compressed": (
        (2, 3, 2, 20, 30),
        "u1",
        {"compression": "zlib", "metadata": {"axes": "TCZYX"}},
        "TCZYX",
        {},
    ),
    "OME tiles": ((2, 40, 50), "u1", {"compression": "zlib", "tile": (16, 16), "metadata": {"axes": "ZYX"}}, "ZYX", {}),
    "OME big": ((4, 20, 30), "u1", {"bigtiff": True, "metadata": {"axes": "ZYX"}}, "ZYX", {}),
    "OME colour": ((4, 20, 30, 3), "u1", RGB | {"metadata": {"axes": "ZYXS"}}, "ZYXS", {}),
}


def noise(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Random values over all that an integer type holds; real numbers around 0."""
    generator = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return generator.normal(size=shape).astype(dtype)
    if dtype.kind == "b":
        return generator.random(shape) > 0.5
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def write_tiff(folder: Path, name: str) -> tuple[Path, np.ndarray]:
    shape, dtype, options, *_ = TIFFS[name]
    codec = {"jpeg2000": imagecodecs.JPEG2K, "zstd": imagecodecs.ZSTD}.get(name)
    if codec is not None and not codec.available:
        pytest.skip(f"imagecodecs has no {name}")
    array, file = noise(shape, dtype), folder / ("image.ome.tif" if name.startswith("OME") else "image.tif")
    lossless = {"compressionargs": {"reversible": True}} if name == "jpeg2000" else {}
    ome = {"ome": True, **GREY} if name.startswith("OME") else {}
    tifffile.imwrite(file, array, **ome | options | lossless)
    return file, array


def planes_of(array: np.ndarray, axes: str) -> np.ndarray:
    """The same image as ``(planes, C, Y, X)``."""
    channels = "".join(axis for axis in axes if axis in "CS")
    stack = "".join(axis for axis in axes if axis not in "CSYX")
    ordered = np.einsum(f"{axes}->{stack}{channels}YX", array)
    planes, stored = (int(np.prod([array.shape[axes.index(a)] for a in part])) for part in (stack, channels))
    return ordered.reshape(planes, stored, *ordered.shape[-2:])


@contextmanager
def opened(file: Path):
    """An open image; closes what it may have left open, for which other tests look."""
    image = open_image(file)
    try:
        yield image
    finally:
        getattr(getattr(image.array, "store", None), "close", lambda: None)()


DTYPES = "u1 i1 u2 i2 ?".split()
