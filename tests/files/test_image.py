"""Images on disk, window by window: TIFF of many kinds, PNG, OME-Zarr, grey range, damaged files, file handles."""

import gc
import os
import shutil
import struct
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import imagecodecs
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from src.files import image as module
from src.files.image import Image, open_image

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
MEMORY_MAPPED = ("plain", "pages", "big-endian", "BigTIFF", "float32", "colour planar", "ImageJ hyperstack", "OME TZC")


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


def write_zarr(
    file: Path, array: np.ndarray, zarr_format: int, axes: list, scale: list | None, levels: int = 1
) -> Path:
    """An OME-Zarr by hand: version 0.4 in Zarr 2, 0.5 in Zarr 3."""
    group = zarr.open_group(file, mode="w", zarr_format=zarr_format)
    datasets = []
    for level in range(levels):
        values = array[..., :: 2**level, :: 2**level]
        group.create_array(f"s{level}", data=values, chunks=tuple(min(7, length) for length in values.shape))
        datasets.append({"path": f"s{level}"})
        if scale:
            sizes = [*scale[:-2], *(size * 2**level for size in scale[-2:])]
            datasets[-1]["coordinateTransformations"] = [{"type": "scale", "scale": sizes}]
    described = [{"axes": axes, "datasets": datasets, "name": "image"}]
    if zarr_format == 2:
        group.attrs["multiscales"] = [described[0] | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": described}
    return file


def axes_of_zarr(letters: str, unit: str | None) -> list[dict]:
    kinds = {"t": "time", "c": "channel"}
    return [
        {"name": a, "type": kinds.get(a, "space")} | ({"unit": unit} if unit and a not in kinds else {})
        for a in letters
    ]


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


def assert_shows(image: Image, array: np.ndarray, axes: str, pixel_size: dict[str, float]) -> None:
    planes = planes_of(array, axes)
    assert image.axes == axes
    assert (image.planes, image.in_channels, image.height, image.width) == planes.shape
    assert image.stack_axes == "".join(axis for axis in axes if axis not in "CSYX")
    assert image.stack_shape == tuple(array.shape[axes.index(axis)] for axis in image.stack_axes)
    assert image.pixel_size == pytest.approx(pixel_size)
    for number, plane in enumerate(planes):
        found = image.band(number, 0, image.height)
        assert found.dtype.newbyteorder("=") == array.dtype
        np.testing.assert_array_equal(found, plane)


def assert_bands(image: Image, planes: np.ndarray, draws: int = 25) -> None:
    """Random rows, planes and channels equal the same part of the array."""

    @given(st.data())
    @settings(max_examples=draws, deadline=None, database=None)
    def check(data):
        plane = data.draw(st.integers(0, len(planes) - 1))
        top = data.draw(st.integers(0, image.height - 1))
        bottom = data.draw(st.integers(top + 1, image.height))
        step = data.draw(st.integers(1, 4))
        chosen = data.draw(st.lists(st.integers(0, planes.shape[1] - 1), min_size=1, max_size=4))
        part = planes[plane, :, top:bottom:step]
        np.testing.assert_array_equal(image.band(plane, top, bottom, step), part)
        few = replace(image, channels=tuple(chosen))
        assert few.in_channels == len(chosen)
        np.testing.assert_array_equal(few.band(plane, top, bottom, step), part[chosen])

    check()


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_of_any_kind_is_what_was_written(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    with opened(file) as image:
        assert image.file == file
        assert_shows(image, array, *TIFFS[name][3:])


@pytest.mark.parametrize(
    "name",
    "plain|one pixel|big-endian|zlib in strips|tiles compressed|colour|colour tiles|colour planar|"
    "colour pages|ImageJ hyperstack|ImageJ compressed|OME TZC|OME TCZ compressed|OME CZ|bits".split("|"),
)
def test_any_band_of_a_tiff_is_that_part_of_the_array(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    with opened(file) as image:
        assert_bands(image, planes_of(array, TIFFS[name][3]))


@pytest.mark.parametrize("name", MEMORY_MAPPED)
def test_an_uncompressed_tiff_is_mapped_and_not_read(tmp_path, name):
    file, _ = write_tiff(tmp_path, name)
    image = open_image(file)
    assert isinstance(image.array, np.memmap)
    assert Path(image.array.filename).resolve() == file.resolve()  # the file itself, not a copy of it
    assert not image.array.flags.writeable


def test_suffixes_may_be_upper_case_and_the_name_a_text(tmp_path):
    file, array = write_tiff(tmp_path, "plain")
    upper = file.rename(tmp_path / "IMAGE.TIFF")
    np.testing.assert_array_equal(open_image(str(upper)).band(0, 0, 20)[0], array)


def test_level_0_of_a_tiff_pyramid_is_taken(tmp_path):
    array, file = noise((64, 64), "u1"), tmp_path / "image.tif"
    with tifffile.TiffWriter(file) as writer:
        writer.write(array, subifds=1, tile=(16, 16))
        writer.write(array[::2, ::2], subfiletype=1, tile=(16, 16))
    with opened(file) as image:
        assert_shows(image, array, "YX", {})


def test_the_first_series_of_a_tiff_is_taken(tmp_path):
    array, file = noise((20, 30), "u1"), tmp_path / "image.tif"
    with tifffile.TiffWriter(file) as writer:
        writer.write(array)
        writer.write(noise((9, 9), "u2"))
    assert_shows(open_image(file), array, "YX", {})


def test_pages_that_were_written_one_by_one_are_a_stack(tmp_path):
    array, file = noise((4, 20, 30), "u1"), tmp_path / "image.tif"
    first, *others = (Pillow.fromarray(page) for page in array)
    first.save(file, save_all=True, append_images=others)
    with opened(file) as image:
        assert_shows(image, array, "ZYX", {})


def test_a_stack_axis_never_has_the_name_of_another(tmp_path):
    array, file = noise((2, 3, 2, 3, 6, 5), "u1"), tmp_path / "image.tif"
    tifffile.imwrite(file, array, **GREY)
    with pytest.raises(ValueError, match=r"expected an image with axes .*ZTQQYX"):
        open_image(file)


def test_channels_in_colour_are_refused(tmp_path):
    array, file = noise((2, 20, 30, 3), "u1"), tmp_path / "image.ome.tif"
    tifffile.imwrite(file, array, photometric="rgb", metadata={"axes": "CYXS"})
    with pytest.raises(ValueError, match=r"one of channels, but .*CYXS"):
        open_image(file)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((20, 30), "u1", "YX"),
        ((20, 30), "u2", "YX"),
        ((20, 30, 3), "u1", "YXS"),
        ((20, 30, 4), "u1", "YXS"),
        ((20, 30, 2), "u1", "YXS"),
        ((20, 30, 3), "u2", "YXS"),
        ((1, 1), "u1", "YX"),
    ],
)
def test_a_png_is_what_was_written(tmp_path, shape, dtype, axes):
    array, file = noise(shape, dtype), tmp_path / "image.png"
    file.write_bytes(imagecodecs.png_encode(array))
    image = open_image(file)
    assert_shows(image, array, axes, {})
    assert_bands(image, planes_of(array, axes), draws=10)


def test_a_png_with_frames_is_refused_or_read_as_a_stack(tmp_path):
    array, file = noise((4, 20, 30), "u1"), tmp_path / "image.png"
    first, *others = (Pillow.fromarray(page) for page in array)
    first.save(file, save_all=True, append_images=others)
    try:
        image = open_image(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:
        np.testing.assert_array_equal(image.band(0, 0, 20)[0], array[0])


def test_a_png_of_many_pixels_opens_without_a_warning(tmp_path):
    side, file = 9500, tmp_path / "image.png"  # more than the 89 megapixels from which on Pillow warns
    zeros = zlib.compress(bytes(side * (side // 8 + 2)), 1)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zeros), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert open_image(file).height == side


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("letters", "unit", "to_micrometres"),
    [
        ("yx", "nanometer", 1e-3),
        ("zyx", "micrometer", 1),
        ("cyx", "millimeter", 1e3),
        ("tczyx", "micrometer", 1),
        ("tzcyx", "micrometer", 1),
        ("zyx", None, None),
    ],
)
def test_level_0_of_an_ome_zarr_is_what_was_written(tmp_path, zarr_format, letters, unit, to_micrometres):
    array = noise((2, 3, 4, 20, 30)[5 - len(letters) :], "u2")
    scale = [3.0, 1.0, 2.0, 0.5, 0.25][5 - len(letters) :]
    file = write_zarr(tmp_path / "image.ome.zarr", array, zarr_format, axes_of_zarr(letters, unit), scale, levels=3)
    sizes = {a.upper(): size * to_micrometres for a, size in zip(letters, scale, strict=True) if unit and a in "zyx"}
    image = open_image(file)
    assert_shows(image, array, letters.upper(), sizes)
    assert_bands(image, planes_of(array, letters.upper()), draws=5)


@pytest.mark.parametrize(
    ("unit", "to_micrometres"),
    [("picometer", 1e-6), ("angstrom", 1e-4), ("centimeter", 1e4), ("inch", 25_400), ("meter", 1e6)],
)
def test_units_of_length_of_an_ome_zarr_are_known(tmp_path, unit, to_micrometres):
    file = write_zarr(tmp_path / "image.zarr", noise((20, 30), "u1"), 3, axes_of_zarr("yx", unit), [1, 2])
    assert open_image(file).pixel_size == pytest.approx({"Y": to_micrometres, "X": 2 * to_micrometres})


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_ome_zarr_may_lack_scales_and_name_its_axes_only(tmp_path, zarr_format):
    array = noise((3, 20, 30), "f4")
    file = write_zarr(tmp_path / "image.zarr", array, zarr_format, ["z", "y", "x"], None)
    assert_shows(open_image(file), array, "ZYX", {})


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_scale_of_all_levels_multiplies_that_of_the_level(tmp_path, zarr_format):
    file = write_zarr(
        tmp_path / "image.zarr", noise((20, 30), "u1"), zarr_format, axes_of_zarr("yx", "micrometer"), [1, 2]
    )
    group = zarr.open_group(file, mode="r+")
    ome = group.attrs.asdict() if zarr_format == 2 else group.attrs["ome"]
    ome["multiscales"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [3.0, 5.0]}]
    group.attrs.update(ome if zarr_format == 2 else {"ome": ome})
    assert open_image(file).pixel_size == {"Y": 3.0, "X": 10.0}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("shape", "axes"), [((20, 30), "YX"), ((3, 20, 30), "ZYX"), ((1, 1), "YX")])
def test_a_plain_zarr_array_is_a_plane_or_a_stack(tmp_path, zarr_format, shape, axes):
    array, file = noise(shape, "u2"), tmp_path / "image.zarr"
    zarr.create_array(file, data=array, chunks=tuple(min(8, length) for length in shape), zarr_format=zarr_format)
    assert_shows(open_image(file), array, axes, {})


DTYPES = "u1 i1 u2 i2 ?".split()


def percentiles(plane: np.ndarray) -> tuple[float, float]:
    """Of real numbers, because numpy's differences of neighbouring int8 wrap round."""
    return tuple(np.percentile(plane.astype(float) if plane.dtype.kind in "iub" else plane, (0.5, 99.5)))


@given(st.sampled_from(DTYPES), st.integers(1, 40), st.integers(1, 40), st.integers(1, 45), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_grey_range_is_the_percentiles_of_the_plane_but_for_rounding(dtype, height, width, rows, seed):
    array = noise((2, height, width), dtype, seed)
    image = Image(Path("image.tif"), array, "ZYX")
    for plane in range(2):
        assert image.grey_range(plane, rows) == pytest.approx(percentiles(array[plane]), rel=1e-12, abs=1e-9)


@given(st.sampled_from(DTYPES), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_grey_range_of_integers_is_that_of_numpy(dtype, height, width, seed):
    array = noise((height, width), dtype, seed)
    assert Image(Path("image.tif"), array, "YX").grey_range(0) == pytest.approx(percentiles(array), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u4", "i4"])
def test_grey_range_of_wide_values_is_exactly_that_of_numpy(dtype):
    array = noise((3, 21, 34), dtype)
    assert Image(Path("image.tif"), array, "ZYX").grey_range(1) == tuple(np.percentile(array[1], (0.5, 99.5)))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i2", "f4"])
def test_grey_range_is_over_all_channels_that_are_read(dtype):
    array = noise((3, 21, 34), np.dtype(dtype).newbyteorder("=").str).astype(dtype)
    array[1] //= 2
    array[2] //= 3
    image = Image(Path("image.tif"), array, "CYX")
    assert image.grey_range(0, rows=5) == pytest.approx(percentiles(array), rel=1e-12)
    assert replace(image, channels=(2, 0)).grey_range(0, rows=5) == pytest.approx(percentiles(array[[2, 0]]), rel=1e-12)
    assert replace(image, channels=(1,)).grey_range(0, rows=5) == pytest.approx(percentiles(array[1]), rel=1e-12)


@pytest.mark.parametrize(
    "name", ["pages", "big-endian", "tiles compressed", "colour tiles", "int16", "float32", "bits"]
)
def test_grey_range_of_a_file_is_that_of_its_last_plane(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    with opened(file) as image:
        wanted = percentiles(planes_of(array, TIFFS[name][3])[-1])
        assert image.grey_range(image.planes - 1, rows=7) == pytest.approx(wanted, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(("dtype", "value"), [("u1", 255), ("i1", -128), ("u2", 65535), ("i2", -5), ("f4", 0.1)])
def test_grey_range_of_a_constant_plane_is_that_value_twice(dtype, value):
    array = np.full((9, 7), value, dtype)
    assert Image(Path("image.tif"), array, "YX").grey_range(0, rows=2) == (array[0, 0], array[0, 0])


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_grey_range_of_one_pixel_is_its_value(dtype):
    assert Image(Path("image.tif"), np.full((1, 1), 3, dtype), "YX").grey_range(0) == (3, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_grey_range_refuses_values_that_are_not_finite_and_names_the_file(tmp_path, value):
    array, file = noise((2, 9, 7), "f4"), tmp_path / "image.tif"
    array[1, 4, 5] = value
    tifffile.imwrite(file, array, **GREY)
    image = open_image(file)
    assert image.grey_range(0) == tuple(np.percentile(array[0], (0.5, 99.5)))
    with pytest.raises(ValueError, match=r"expected finite grey values, but .*image\.tif holds NaN or infinity"):
        image.grey_range(1)


@pytest.mark.parametrize(("most", "step"), [(21 * 34 * 2, 1), (21 * 34 * 2 - 1, 2), (21 * 34, 2), (300, 5)])
def test_grey_range_of_many_real_numbers_is_that_of_every_nth_row(monkeypatch, most, step):
    monkeypatch.setattr(module, "MOST_GREY_VALUES", most)
    array = noise((2, 21, 34), "f4")
    wanted = tuple(np.percentile(array[:, ::step], (0.5, 99.5)))
    assert Image(Path("image.tif"), array, "CYX").grey_range(0) == wanted


def assert_refused(file: Path, kind: type[Exception] = ValueError) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        open_image(file)
    assert type(caught.value) is kind
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".zarr", ".jpg"])
def test_a_missing_file_is_refused(tmp_path, suffix):
    assert_refused(tmp_path / f"image{suffix}", FileNotFoundError)


def test_a_wrong_suffix_is_refused_and_the_right_ones_are_named(tmp_path):
    file = tmp_path / "image.bmp"
    iio.imwrite(file, noise((20, 30), "u1"))
    with pytest.raises(ValueError, match=r"\.tif, \.tiff, \.png, \.jpg, \.jpeg, \.zarr, but got .*image\.bmp"):
        open_image(file)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".png", ".zarr"])
@pytest.mark.parametrize("content", [b"", b"II", b"II*\0", b"hello" * 99, bytes(999), b"\x89PNG\r\n\x1a\n", b"MM\0+"])
def test_garbage_and_empty_files_are_refused(tmp_path, suffix, content):
    file = tmp_path / f"image{suffix}"
    file.write_bytes(content)
    assert_refused(file)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".zarr"])
def test_an_empty_folder_is_refused(tmp_path, suffix):
    file = tmp_path / f"image{suffix}"
    file.mkdir()
    assert_refused(file)


def test_a_tiff_under_the_name_of_a_png_is_refused_and_the_other_way_round(tmp_path):
    file, array = write_tiff(tmp_path, "plain")
    png = file.rename(tmp_path / "image.png")
    assert_refused(png)
    png.with_suffix(".tif").write_bytes(imagecodecs.png_encode(array))
    assert_refused(png.with_suffix(".tif"))


def test_images_of_one_axis_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", noise((20,), "u1"))
    zarr.create_array(tmp_path / "image.zarr", data=noise((20,), "u1"))
    write_zarr(tmp_path / "ome.zarr", noise((20,), "u1")[None], 3, axes_of_zarr("zx", None), None)
    for name in ("image.tif", "image.zarr", "ome.zarr"):
        with pytest.raises(ValueError, match=rf"expected an image with axes Y and X.*{name}"):
            open_image(tmp_path / name)


def test_a_zarr_array_of_four_axes_without_names_is_refused(tmp_path):
    zarr.create_array(tmp_path / "image.zarr", data=noise((2, 3, 4, 5), "u1"))
    assert_refused(tmp_path / "image.zarr")


def test_an_empty_zarr_array_is_refused(tmp_path):
    zarr.create_array(tmp_path / "image.zarr", shape=(0, 20), dtype="u1", chunks=(1, 1))
    assert_refused(tmp_path / "image.zarr")


def test_complex_values_are_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.ones((20, 30), "c8"), **GREY)
    assert_refused(tmp_path / "image.tif")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ome": None},
        {"ome": {}},
        {"ome": {"multiscales": []}},
        {"ome": {"multiscales": [{"datasets": [{"path": "s0"}]}]}},  # no axes
        {"ome": {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": []}]}},
        {"ome": {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "gone"}]}]}},
        {"ome": {"multiscales": [{"axes": axes_of_zarr("zyx", None), "datasets": [{"path": "s0"}]}]}},
        {"ome": {"multiscales": [{"axes": axes_of_zarr("zy", None), "datasets": [{"path": "s0"}]}]}},
    ],
)
def test_a_zarr_group_that_describes_no_image_is_refused(tmp_path, attributes):
    group = zarr.open_group(tmp_path / "image.zarr", mode="w")
    group.create_array("s0", data=noise((20, 30), "u1"))
    group.attrs.update(attributes)
    assert_refused(tmp_path / "image.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_zarr_without_its_metadata_or_with_part_of_it_is_refused(tmp_path, zarr_format):
    axes = axes_of_zarr("yx", "micrometer")
    file = write_zarr(tmp_path / "image.zarr", noise((20, 30), "u1"), zarr_format, axes, [1, 2])
    names = {2: [".zgroup", ".zattrs", "s0/.zarray"], 3: ["zarr.json", "s0/zarr.json"]}[zarr_format]
    for name in names:
        damaged = Path(shutil.copytree(file, tmp_path / "damaged.zarr"))
        whole = (damaged / name).read_bytes()
        for part in (whole[: len(whole) // 2], b"", None):
            (damaged / name).unlink() if part is None else (damaged / name).write_bytes(part)
            assert_refused(damaged)
        shutil.rmtree(damaged)


def cuts(file: Path) -> list[int]:
    """Lengths to cut a TIFF to: evenly spaced, and just at, before and behind the ends of its parts."""
    size = file.stat().st_size
    ends = {0, 1, 4, 8, 16, size}
    with tifffile.TiffFile(file) as tiff:
        for page in tiff.pages:
            page = page.aspage()
            ends |= {page.offset, *map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))}
            ends |= {tag.valueoffset for tag in page.tags}
    near = {end + shift for end in ends for shift in (-2, -1, 0, 1)}
    return sorted(length for length in near | set(range(0, size, size // 12)) if 0 <= length < size)


@pytest.mark.parametrize(
    "name",
    "plain|zlib|zlib in strips|pages|pages without metadata|BigTIFF|tiles|tiles compressed|colour|colour planar|bits|"
    "ImageJ|ImageJ compressed|OME Z|OME TCZ compressed|OME tiles".split("|"),
)
def test_a_truncated_tiff_is_refused_unless_every_pixel_is_there(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    whole, planes = file.read_bytes(), planes_of(array, TIFFS[name][3])
    wrong, short = [], tmp_path / "short.tif"
    for length in cuts(file):
        short.write_bytes(whole[:length])
        try:
            with opened(short) as image:
                found = np.stack([image.band(plane, 0, image.height) for plane in range(image.planes)])
            if not np.array_equal(found, planes):
                wrong.append(f"{length} of {len(whole)} bytes read as {image.axes} {image.array.shape}")
        except Exception as error:
            if type(error) is not ValueError or str(short) not in str(error):
                wrong.append(f"{length} of {len(whole)} bytes: {error!r}")
    assert not wrong


def test_a_truncated_png_is_refused_unless_every_pixel_is_there(tmp_path):
    array, file = noise((20, 30), "u1"), tmp_path / "image.png"
    whole = imagecodecs.png_encode(array)
    refused = 0
    for length in range(0, len(whole), 5):
        file.write_bytes(whole[:length])
        try:
            np.testing.assert_array_equal(open_image(file).band(0, 0, 20)[0], array)
        except ValueError as error:
            assert str(file) in str(error)
            refused += 1
    assert refused > len(whole) // 5 - 10


def write_any(folder: Path, kind: str) -> Path:
    if kind == "png":
        iio.imwrite(folder / "image.png", noise((20, 30), "u1"))
        return folder / "image.png"
    if kind == "zarr":
        return write_zarr(folder / "image.zarr", noise((20, 30), "u1"), 3, axes_of_zarr("yx", None), None)
    return write_tiff(folder, kind)[0]


def open_files(folder: Path) -> int:
    """How many handles of this process lead to files in a folder."""
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("needs /proc")
    return sum(os.path.realpath(handle).startswith(str(folder.resolve())) for handle in handles.iterdir())


KINDS = ("plain", "pages", "big-endian", "zlib", "tiles compressed", "OME tiles", "png", "zarr")


@pytest.fixture
def no_collector():
    """Without the garbage collector, so that only what is closed is closed."""
    gc.disable()
    yield
    gc.enable()


# Of memory-mapped files each has one open, as long as it is used.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("plain", "pages", "big-endian")])
def test_many_open_images_hold_no_file_open(tmp_path, no_collector, kind):
    file = write_any(tmp_path, kind)
    images = [open_image(file) for _ in range(20)]
    assert open_files(tmp_path) == 0
    assert len(images) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_are_no_longer_used_hold_no_file_open(tmp_path, no_collector, kind):
    file = write_any(tmp_path, kind)
    for _ in range(20):
        open_image(file)
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("plain", "pages", "big-endian")])
def test_a_closed_image_leaves_no_file_open(tmp_path, no_collector, kind):
    image = open_image(write_any(tmp_path, kind))
    image.band(0, 0, 9)
    image.grey_range(0)
    image.close()
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("kind", ["plain", "zlib", "OME tiles", "png"])
def test_a_refused_image_leaves_no_file_open(tmp_path, no_collector, kind):
    file = write_any(tmp_path, kind)
    file.write_bytes(file.read_bytes()[:200])
    for _ in range(5):
        with pytest.raises(ValueError, match="expected a complete image"):
            open_image(file)
    assert open_files(tmp_path) == 0
